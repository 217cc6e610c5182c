//! Values between Python and the store. What would not come back as it was is refused, and nothing is
//! guessed: a
//! tuple would come back as a list, a key that is a number as a string, an enum as what it stands for.

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString};
use raft_node::blocking::{Failure, Item};
use raft_node::value::{MAX_DEPTH, Value, from_json, string_to_json};

use crate::errors::raised;

/// Reads a Python object as a value.
///
/// # Errors
/// Where it would not come back as it is; the message names the part.
pub(crate) fn to_value(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(data) = given.cast_exact::<PyBytes>() {
        return Ok(Value::Bytes(Bytes::copy_from_slice(data.as_bytes())));
    }
    if given.is_exact_instance_of::<PyByteArray>() || given.is_exact_instance_of::<PyMemoryView>() {
        let copy = given.py().get_type::<PyBytes>().call1((given,))?;
        return Ok(Value::Bytes(Bytes::copy_from_slice(copy.cast::<PyBytes>()?.as_bytes())));
    }
    let mut writer = Writer { text: String::new(), path: Vec::new() };
    writer.push(given)?;
    match from_json(&writer.text) {
        Ok(value @ Value::Json(_)) => Ok(value),
        Ok(Value::Bytes(_)) => {
            let why =
                "the value {\"$base64\": …} stands for bytes and would come back as bytes: set the bytes";
            Err(raised(given.py(), Failure::bad_request(why)))
        }
        Err(error) => Err(raised(given.py(), Failure::from(error))),
    }
}

/// A step into a list or dictionary.
enum Step {
    Item(usize),
    Key(String),
}

/// Writes JSON.
struct Writer {
    text: String,
    path: Vec<Step>,
}

impl Writer {
    fn push(&mut self, given: &Bound<'_, PyAny>) -> PyResult<()> {
        if given.is_none() {
            self.text.push_str("null");
        } else if let Ok(flag) = given.cast_exact::<PyBool>() {
            self.text.push_str(if flag.is_true() { "true" } else { "false" });
        } else if let Ok(text) = given.cast_exact::<PyString>() {
            let text = self.characters(text)?;
            self.text.push_str(&string_to_json(&text));
        } else if given.is_exact_instance_of::<PyInt>() {
            let digits = given.str().map_err(|error| self.refuse(given, &error.to_string()))?;
            self.text.push_str(&digits.to_cow()?);
        } else if let Ok(number) = given.cast_exact::<PyFloat>() {
            if !number.value().is_finite() {
                return Err(self.refuse(given, "is no number that JSON knows"));
            }
            self.text.push_str(&given.repr()?.to_cow()?);
        } else if let Ok(list) = given.cast_exact::<PyList>() {
            self.list(list)?;
        } else if let Ok(dict) = given.cast_exact::<PyDict>() {
            self.dict(dict)?;
        } else {
            return Err(self.refuse_type(given));
        }
        Ok(())
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> PyResult<()> {
        self.check_depth(list)?;
        self.text.push('[');
        for (n, item) in list.iter().enumerate() {
            if n > 0 {
                self.text.push(',');
            }
            self.path.push(Step::Item(n));
            self.push(&item)?;
            self.path.pop();
        }
        self.text.push(']');
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.check_depth(dict)?;
        self.text.push('{');
        for (n, (key, item)) in dict.iter().enumerate() {
            if n > 0 {
                self.text.push(',');
            }
            let Ok(name) = key.cast_exact::<PyString>() else {
                let why = format!("has the key {}, and keys of JSON are strings", key.repr()?);
                return Err(self.refuse(dict, &why));
            };
            let name = self.characters(name)?;
            self.text.push_str(&string_to_json(&name));
            self.text.push(':');
            self.path.push(Step::Key(name));
            self.push(&item)?;
            self.path.pop();
        }
        self.text.push('}');
        Ok(())
    }

    /// Before a deep value uses up the stack, as one that contains itself would.
    fn check_depth(&self, given: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.path.len() < MAX_DEPTH {
            return Ok(());
        }
        let why = format!("the value is nested deeper than {MAX_DEPTH} levels");
        Err(raised(given.py(), Failure::bad_request(why)))
    }

    fn characters(&self, text: &Bound<'_, PyString>) -> PyResult<String> {
        match text.to_cow() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(self.refuse(text, "has half a surrogate pair, which is no character")),
        }
    }

    fn refuse_type(&self, given: &Bound<'_, PyAny>) -> PyErr {
        let kind = given.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        let why = format!(
            "is a {kind}, which would not come back as one: a value is made of str, int, float, bool, None, \
             list and dict, or is bytes"
        );
        self.refuse(given, &why)
    }

    fn refuse(&self, given: &Bound<'_, PyAny>, why: &str) -> PyErr {
        let mut place = "value".to_owned();
        for step in &self.path {
            match step {
                Step::Item(n) => place.push_str(&format!("[{n}]")),
                Step::Key(key) => place.push_str(&format!("[{key:?}]")),
            }
        }
        raised(given.py(), Failure::bad_request(format!("{place} {why}")))
    }
}

static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A JSON text as Python objects.
pub(crate) fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let loads =
        LOADS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("json")?.getattr("loads")?.unbind()))?;
    loads.bind(py).call1((text,))
}

/// What is at a key: its value and revision.
///
/// # Errors
/// Where it is JSON that Python cannot read: a whole number of thousands of digits.
pub(crate) fn from_item(py: Python<'_>, key: &str, item: &Item) -> PyResult<(Py<PyAny>, u64)> {
    let value = match &item.value {
        Value::Bytes(data) => PyBytes::new(py, data).into_any(),
        Value::Json(text) => {
            let text = String::from_utf8_lossy(text);
            loads(py, &text).map_err(|error| match error.is_instance_of::<PyValueError>(py) {
                true => {
                    let why = format!("Python cannot read the value of {key:?}: {}", error.value(py));
                    raised(py, Failure::bad_request(why))
                }
                false => error,
            })?
        }
    };
    Ok((value.unbind(), item.revision.0))
}
