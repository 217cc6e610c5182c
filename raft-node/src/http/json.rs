//! Reading JSON bodies so that what is wrong is named, and writing JSON without detours.

use std::io::Write as _;

use serde::Deserialize;

use super::problem::Problem;

/// Reads one JSON object.
///
/// # Errors
/// 400, naming the field and what was expected there.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        // Without this a JSON array would do: serde takes the fields of a struct by position too.
        Some(b'{') => {
            serde_json::from_slice(text).map_err(|error| Problem::bad_request(explain::<T>(text, error)))
        }
        Some(_) => Err(Problem::bad_request("a JSON object is needed here")),
        None => Err(Problem::bad_request("it is empty: a JSON object is needed here")),
    }
}

/// Reads again, slower, to find where it went wrong.
fn explain<'a, T: Deserialize<'a>>(text: &'a [u8], error: serde_json::Error) -> String {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) if error.path().iter().next().is_some() => {
            format!("field `{}`: {}", error.path(), error.inner())
        }
        _ => format!("not as it should be: {error}"),
    }
}

/// Appends a number.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("writing into memory");
}
