//! Query parameters.

use std::borrow::Cow;
use std::time::Duration;

use super::percent::{self, Plus};
use super::problem::Problem;
use crate::node::Consistency;
use crate::value::BytesAs;

/// The longest time a client may ask a request to take, in milliseconds.
pub(crate) const MAX_TIMEOUT_MS: u64 = 60_000;

/// Likewise for what takes as long as the store is large.
pub(crate) const MAX_LONG_TIMEOUT_MS: u64 = 3_600_000;

/// A parameter that some endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    Consistency,
    TimeoutMs,
    /// The same, of up to an hour.
    LongTimeoutMs,
    Prefix,
    Limit,
    After,
    Values,
    BytesAs,
    Force,
}

impl Param {
    /// Its name in the query.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Param::Consistency => "consistency",
            Param::TimeoutMs | Param::LongTimeoutMs => "timeout_ms",
            Param::Prefix => "prefix",
            Param::Limit => "limit",
            Param::After => "after",
            Param::Values => "values",
            Param::BytesAs => "bytes",
            Param::Force => "force",
        }
    }

    fn named(self, name: &str) -> bool {
        self.name() == name
    }
}

/// Everything a query may say, with the defaults of what it left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) consistency: Consistency,
    pub(crate) timeout: Option<Duration>,
    pub(crate) prefix: String,
    pub(crate) limit: u32,
    pub(crate) after: Option<String>,
    pub(crate) values: bool,
    pub(crate) bytes_as: BytesAs,
    pub(crate) force: bool,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            consistency: Consistency::Linearizable,
            timeout: None,
            prefix: String::new(),
            limit: u32::MAX,
            after: None,
            values: true,
            bytes_as: BytesAs::Text,
            force: false,
        }
    }
}

impl Query {
    /// Reads a query of an endpoint that takes the parameters `known`.
    ///
    /// # Errors
    /// 400, naming the parameter: one that is unknown, given twice, or has a value it cannot have.
    pub(crate) fn parse(text: Option<&str>, known: &[Param]) -> Result<Query, Problem> {
        let mut query = Query::default();
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(query) };
        let mut seen = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name, name)?, decode(value, name)?);
            let Some(param) = known.iter().copied().find(|param| param.named(&name)) else {
                return Err(unknown(&name, known));
            };
            if seen.contains(&param) {
                return Err(Problem::bad_request(format!(
                    "the query parameter {name} is there more than once"
                )));
            }
            seen.push(param);
            query.take(param, value)?;
        }
        Ok(query)
    }

    fn take(&mut self, param: Param, value: Cow<'_, str>) -> Result<(), Problem> {
        match param {
            Param::Consistency => {
                self.consistency = match &*value {
                    "linearizable" => Consistency::Linearizable,
                    "stale" => Consistency::Stale,
                    _ => return Err(bad(param, &value, "linearizable or stale")),
                };
            }
            Param::TimeoutMs => self.timeout = Some(timeout(param, &value, MAX_TIMEOUT_MS)?),
            Param::LongTimeoutMs => self.timeout = Some(timeout(param, &value, MAX_LONG_TIMEOUT_MS)?),
            Param::Limit => {
                let limit = number(&value).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
                self.limit =
                    limit.ok_or_else(|| bad(param, &value, "a whole number from 1 to 4294967295"))?;
            }
            Param::Prefix => self.prefix = value.into_owned(),
            Param::After => self.after = Some(value.into_owned()),
            Param::Values => self.values = switch(param, &value)?,
            Param::Force => self.force = switch(param, &value)?,
            Param::BytesAs => {
                self.bytes_as = match &*value {
                    "text" => BytesAs::Text,
                    "base64" => BytesAs::Base64,
                    _ => return Err(bad(param, &value, "text or base64")),
                };
            }
        }
        Ok(())
    }
}

fn timeout(param: Param, value: &str, most: u64) -> Result<Duration, Problem> {
    let millis = number(value).filter(|ms| (1..=most).contains(ms));
    let millis = millis.ok_or_else(|| bad(param, value, &format!("a whole number from 1 to {most}")))?;
    Ok(Duration::from_millis(millis))
}

fn switch(param: Param, value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(param, value, "true or false")),
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

fn decode<'a>(text: &'a str, name: &str) -> Result<Cow<'a, str>, Problem> {
    percent::decode(text, Plus::Space)
        .map_err(|error| Problem::bad_request(format!("the query parameter {} {error}", shown(name))))
}

fn bad(param: Param, value: &str, expected: &str) -> Problem {
    let name = param.name();
    Problem::bad_request(format!("the query parameter {name} is {}: it must be {expected}", shown(value)))
}

fn unknown(name: &str, known: &[Param]) -> Problem {
    let known = known.iter().map(|param| param.name()).collect::<Vec<_>>().join(", ");
    let advice = if known.is_empty() { "none is known here".into() } else { format!("known here: {known}") };
    Problem::bad_request(format!("the query parameter {} is not known ({advice})", shown(name)))
}

/// What a client sent, fit for an error message.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Param] = &[
        Param::Consistency,
        Param::TimeoutMs,
        Param::Prefix,
        Param::Limit,
        Param::After,
        Param::Values,
        Param::BytesAs,
        Param::Force,
    ];

    #[test]
    fn everything_has_a_default() {
        for text in [None, Some(""), Some("&")] {
            assert_eq!(Query::parse(text, &[]), Ok(Query::default()));
        }
    }

    #[test]
    fn what_is_given_is_taken() {
        let text = "consistency=stale&timeout_ms=60000&prefix=a%2Fb+c&limit=10\
                    &after=%C3%A9&values=false&bytes=base64&force=true";
        let expected = Query {
            consistency: Consistency::Stale,
            timeout: Some(Duration::from_secs(60)),
            prefix: "a/b c".into(),
            limit: 10,
            after: Some("é".into()),
            values: false,
            bytes_as: BytesAs::Base64,
            force: true,
        };
        assert_eq!(Query::parse(Some(text), ALL), Ok(expected));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, name) in [
            ("consistency=eventual", "consistency"),
            ("consistency", "consistency"),
            ("timeout_ms=0", "timeout_ms"),
            ("timeout_ms=60001", "timeout_ms"),
            ("timeout_ms=+5", "timeout_ms"),
            ("timeout_ms=1e3", "timeout_ms"),
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=4294967296", "limit"),
            ("values=yes", "values"),
            ("bytes=hex", "bytes"),
            ("prefix=%zz", "prefix"),
            ("prefix=a&prefix=b", "prefix"),
            ("limmit=1", "limmit"),
            ("Limit=1", "Limit"),
        ] {
            let problem = Query::parse(Some(text), ALL).unwrap_err();
            assert!(problem.detail.contains(name), "{text}: {}", problem.detail);
        }
        let long = Query::parse(Some("timeout_ms=3600000"), &[Param::LongTimeoutMs]).unwrap();
        assert_eq!(long.timeout, Some(Duration::from_secs(3600)));
        assert!(Query::parse(Some("timeout_ms=3600001"), &[Param::LongTimeoutMs]).is_err());
        let problem = Query::parse(Some("prefix=a"), &[Param::TimeoutMs]).unwrap_err();
        assert!(problem.detail.contains("prefix") && problem.detail.contains("timeout_ms"));
    }
}
