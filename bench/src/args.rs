//! The command line.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: raft-bench put|get --endpoints ADDRESS:PORT,… [options]

  --target raft|etcd   which JSON API to speak (raft)
  --connections N      kept-alive connections, one request in flight on each (64)
  --seconds S          how long to measure (10)
  --warmup S           how long to run unmeasured first (1)
  --value-bytes N      size of each value (256)
  --values same|drawn  one value for all, or a new one each time that no compressor makes much less of (same)
  --keys K             how many different keys (1000)
  --route all|leader   spread connections over all endpoints, or send all to the leader (all)
  --timeout S          how long to wait for an answer (10)
  --max-ops N          end after so many requests, whatever the time (100000000)

Prints one JSON object. Latencies are in microseconds; `errors` counts every answer but 200 by its status.";

/// Whose API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Raft,
    Etcd,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Same,
    Drawn,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    All,
    Leader,
}

/// Everything that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) operation: Operation,
    pub(crate) target: Target,
    pub(crate) endpoints: Vec<SocketAddr>,
    pub(crate) connections: u32,
    pub(crate) seconds: Duration,
    pub(crate) warmup: Duration,
    pub(crate) value_bytes: usize,
    pub(crate) values: Values,
    pub(crate) keys: u64,
    pub(crate) route: Route,
    pub(crate) timeout: Duration,
    pub(crate) max_ops: u64,
}

impl Args {
    /// Reads the arguments; none where help was asked for.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let operation = match given.next().as_deref() {
            Some("put") => Operation::Put,
            Some("get") => Operation::Get,
            Some("--help" | "-h") => return Ok(None),
            _ => return Err(format!("say put or get first\n\n{HELP}")),
        };
        let mut args = Args {
            operation,
            target: Target::Raft,
            endpoints: Vec::new(),
            connections: 64,
            seconds: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            value_bytes: 256,
            values: Values::Same,
            keys: 1000,
            route: Route::All,
            timeout: Duration::from_secs(10),
            max_ops: 100_000_000,
        };
        while let Some(name) = given.next() {
            let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
            args.take(&name, &value)?;
        }
        if args.endpoints.is_empty() {
            return Err("--endpoints is missing".to_owned());
        }
        Ok(Some(args))
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--target" => {
                self.target = choice(name, value, &[("raft", Target::Raft), ("etcd", Target::Etcd)])?
            }
            "--route" => self.route = choice(name, value, &[("all", Route::All), ("leader", Route::Leader)])?,
            "--values" => {
                self.values = choice(name, value, &[("same", Values::Same), ("drawn", Values::Drawn)])?
            }
            "--endpoints" => {
                self.endpoints = value.split(',').map(|one| read(name, one)).collect::<Result<_, _>>()?;
            }
            "--connections" => self.connections = within(name, read(name, value)?, 1, 10_000)?,
            "--value-bytes" => self.value_bytes = within(name, read(name, value)?, 1, 1 << 20)?,
            "--keys" => self.keys = within(name, read(name, value)?, 1, 10_000_000)?,
            "--max-ops" => self.max_ops = within(name, read(name, value)?, 1, u64::MAX)?,
            "--seconds" => self.seconds = seconds(name, value)?,
            "--warmup" => self.warmup = seconds(name, value)?,
            "--timeout" => self.timeout = seconds(name, value)?,
            _ => return Err(format!("{name} is not an option\n\n{HELP}")),
        }
        Ok(())
    }
}

fn read<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|_| format!("{name}: cannot read {value:?}"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs_f64(within(name, read(name, value)?, 0.0, 3600.0)?))
}

fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, min: T, max: T) -> Result<T, String> {
    if value >= min && value <= max { Ok(value) } else { Err(format!("{name}: from {min} to {max}")) }
}

fn choice<T: Copy>(name: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(word, _)| *word == value);
    let known = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
    found.map(|(_, choice)| *choice).ok_or_else(|| format!("{name}: {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split(' ').map(ToOwned::to_owned))
    }

    #[test]
    fn what_is_given_is_taken() {
        let args =
            parse("get --endpoints 127.0.0.1:1,127.0.0.1:2 --target etcd --seconds 0.5").unwrap().unwrap();
        assert_eq!((args.operation, args.target, args.endpoints.len()), (Operation::Get, Target::Etcd, 2));
        assert_eq!(args.seconds, Duration::from_millis(500));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in ["", "put", "put --endpoints x", "put --endpoints 127.0.0.1:1 --keys 0", "put --what 1"] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
