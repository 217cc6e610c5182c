//! `raft-server client`: one command, its result on stdout, or a shell that reads many.

pub(crate) mod args;
mod call;
mod demo;
mod record;
mod shell;
pub(crate) mod show;

pub(crate) use args::ClientArgs;

use raft_node::client::{Client, ClientConfig, ClientError};

use crate::failure::{Failure, UNAVAILABLE, USAGE};

/// Carries one command out, or all that the shell reads.
///
/// # Errors
/// When the answer is no, the command cannot be understood, or the cluster does not answer.
pub(crate) fn run(args: ClientArgs) -> Result<(), Failure> {
    let client = args.client()?;
    let runtime = crate::runtime()?;
    match args.command {
        Some(command) => {
            runtime.block_on(call::carry_out(&client, command, args.options, call::Screen::Plain))
        }
        None => shell::run(runtime, client, args.options),
    }
}

impl ClientArgs {
    /// The client that these arguments and the environment ask for.
    ///
    /// # Errors
    /// When an endpoint is none.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        client(self, endpoints_variable())
    }
}

/// What the environment says of the endpoints.
pub(crate) fn endpoints_variable() -> Option<String> {
    std::env::var("RAFT_ENDPOINTS").ok().filter(|text| !text.is_empty())
}

/// A client for the endpoints of the flag, else of the variable, else of the documented cluster.
fn client(args: &ClientArgs, variable: Option<String>) -> Result<Client, Failure> {
    let (endpoints, origin) = endpoints(args.endpoints.as_deref(), variable);
    let config =
        ClientConfig { endpoints, timeout: args.options.timeout(), consistency: args.options.consistency() };
    Client::new(config).map_err(|error| match origin {
        Some(origin) => Failure::usage(format!("{origin}: {error}")),
        None => Failure::from(error),
    })
}

/// The endpoints of the flag, else of the variable, else the documented ones; and where they were given.
pub(crate) fn endpoints(flag: Option<&str>, variable: Option<String>) -> (Vec<String>, Option<&'static str>) {
    let given = match (flag, variable) {
        (Some(text), _) => Some(("--endpoints", text.to_owned())),
        (None, text) => text.map(|text| ("RAFT_ENDPOINTS", text)),
    };
    match given {
        None => (ClientConfig::default().endpoints, None),
        Some((origin, text)) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            (parts.map(str::to_owned).collect(), Some(origin))
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let code = match &error {
            ClientError::InvalidInput(_) => USAGE,
            // What a node refuses because of the request itself; not that it has too much to do.
            ClientError::Problem { status, .. } if *status < 500 && *status != 429 => USAGE,
            _ => UNAVAILABLE,
        };
        Failure::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(endpoints: Option<&str>) -> ClientArgs {
        ClientArgs {
            endpoints: endpoints.map(str::to_owned),
            options: args::Options::default(),
            command: None,
        }
    }

    #[test]
    fn endpoints_flag_then_environment_then_the_documented_cluster() {
        let endpoints = |flag, variable: Option<&str>| -> Vec<String> {
            let client = client(&args(flag), variable.map(str::to_owned)).unwrap();
            client.endpoints().map(str::to_owned).collect()
        };
        assert_eq!(endpoints(Some("a:1, b:2,"), Some("c:3")), ["a:1", "b:2"]);
        assert_eq!(endpoints(None, Some("c:3")), ["c:3"]);
        assert_eq!(endpoints(None, None), ["127.0.0.1:12000", "127.0.0.1:12001", "127.0.0.1:12002"]);
    }

    #[test]
    fn bad_endpoints_are_refused_by_where_they_stand() {
        let refusal = |flag, variable: Option<&str>| {
            format!("{:?}", client(&args(flag), variable.map(str::to_owned)).unwrap_err())
        };
        assert!(refusal(Some("a"), None).contains("--endpoints: "));
        assert!(refusal(Some(","), None).contains("--endpoints: "));
        assert!(refusal(None, Some("a")).contains("RAFT_ENDPOINTS: "));
    }

    #[test]
    fn each_error_has_the_exit_code_of_the_contract() {
        let problem = |status| ClientError::Problem { code: String::new(), status, detail: "no".to_owned() };
        let no_leader = ClientError::NoLeader { detail: "no".to_owned() };
        for (error, code) in [
            (ClientError::InvalidInput("no".to_owned()), USAGE),
            (problem(413), USAGE),
            (problem(429), UNAVAILABLE),
            (problem(503), UNAVAILABLE),
            (no_leader, UNAVAILABLE),
        ] {
            assert_eq!(Failure::from(error.clone()), Failure::new(code, "no"), "{error:?}");
        }
    }
}
