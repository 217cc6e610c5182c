//! Reading JSON in another way than the server does, to compare.

use std::fmt;

use raft_node::fuzzing::Refusal;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

/// An object's fields as they stand there, one that comes twice included.
pub(crate) struct Fields(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// The texts of these fields, in their order, where a body is an object that has each of them once and no
/// others.
pub(crate) fn texts(body: &[u8], names: &[&str]) -> Option<Vec<Box<RawValue>>> {
    let Fields(fields) = serde_json::from_slice(body).ok()?;
    let text = |name: &&str| Some(fields.iter().find(|(known, _)| known == name)?.1.clone());
    let texts: Vec<_> = names.iter().map(text).collect::<Option<_>>()?;
    (fields.len() == names.len()).then_some(texts)
}

/// The same, read.
pub(crate) fn pairs(body: &[u8], names: &[&str]) -> Option<Vec<Json>> {
    texts(body, names)?.iter().map(|text| serde_json::from_str(text.get()).ok()).collect()
}

/// How deep a value is nested.
pub(crate) fn depth(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A refusal is a problem document that says what is wrong.
pub(crate) fn is_refusal(refusal: &Refusal, statuses: &[u16]) {
    assert!(statuses.contains(&refusal.status), "{refusal:?}");
    let document: Json = serde_json::from_slice(&refusal.document).expect("a problem is JSON");
    assert_eq!(
        (document["status"].as_u64(), &document["code"]),
        (Some(refusal.status.into()), &refusal.code.into())
    );
    assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}
