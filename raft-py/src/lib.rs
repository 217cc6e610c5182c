//! `raft_py._native`: what the Python package needs of Rust. It translates arguments, results and failures;
//! what a
//! node and a client do is raft-node's. The names that users see are in `python/raft_py`.

mod async_client;
mod calls;
mod client;
mod command;
mod ending;
mod errors;
mod logging;
mod node;
mod settings;
mod values;

/// The native part of `raft_py`. Private: nothing here is promised to stay as it is.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::async_client::{AsyncClient, Task};
    #[pymodule_export]
    use super::calls::leave;
    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::ending::end;
    #[pymodule_export]
    use super::errors::failure_codes;
    #[pymodule_export]
    use super::node::Node;
    #[pymodule_export]
    use super::settings::Settings;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
