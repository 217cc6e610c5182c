//! Model checking of the shipped replica.
//!
//! Every state holds real [`raft_core::replica::Replica`]s, each with the log that the shipped writer laid
//! out on a disk of its own and that the shipped recovery reads after a crash. The checker (stateright) goes
//! through everything that can happen to them within [`Bounds`]. `docs/model-checking.md` says what that
//! covers and what it does not.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `server` | what does one replica do next? |
//! | `disk`, `durable` | what would a crash leave, and was anything said before it was durable? |
//! | `packet` | what is in flight? |
//! | `cluster` | which state follows? |
//! | `properties`, `past` | what must hold, and what has to be remembered to say so? |
//! | `names`, `print` | which states are the same? |
//! | `model`, `report` | what does the checker see, and what did it find? |
#![forbid(unsafe_code)]
#![cfg(feature = "checker")]

mod action;
mod bounds;
mod cluster;
mod disk;
mod durable;
mod machine;
mod model;
mod names;
mod packet;
mod past;
mod print;
mod properties;
mod report;
mod server;

pub use action::{Action, Kind, Way};
pub use bounds::Bounds;
pub use cluster::Cluster;
pub use model::Checked;
pub use names::Place;
pub use packet::Packet;
pub use properties::{Broken, Rule};
pub use report::{Counterexample, Effort, Report, run};
pub use server::View;
