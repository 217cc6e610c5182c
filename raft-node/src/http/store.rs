//! The endpoints of the key-value store.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};

use super::api::Call;
use super::budget::LISTING;
use super::input::{self, Media};
use super::json::push_number;
use super::problem::{Code, Problem};
use super::query::{Param, Query};
use super::reply::{self, Body, Response};
use crate::node::{Deleted, Item, Key, ListPage, ListRequest, ReadOptions, Value, WriteOptions, Written};
use crate::value::{BytesAs, push_json, push_string};

/// The revision of a raw value.
pub(crate) const RAFT_REVISION: HeaderName = HeaderName::from_static("raft-revision");

/// What writes take in the query.
pub(crate) const WRITE: &[Param] = &[Param::TimeoutMs];
/// What reads of one key take.
pub(crate) const READ: &[Param] = &[Param::Consistency, Param::TimeoutMs];
/// What listings take.
pub(crate) const LIST: &[Param] = &[
    Param::Prefix,
    Param::Limit,
    Param::After,
    Param::Values,
    Param::BytesAs,
    Param::Consistency,
    Param::TimeoutMs,
];

impl Query {
    fn read_options(&self) -> ReadOptions {
        ReadOptions { consistency: self.consistency, timeout: self.timeout }
    }
}

fn write_options(call: &Call<'_>) -> Result<WriteOptions, Problem> {
    let timeout = call.query(WRITE)?.timeout;
    Ok(WriteOptions { session: input::session_step(call.headers())?, timeout })
}

/// `POST /api/set`.
pub(super) async fn set(call: &mut Call<'_>) -> Result<Response, Problem> {
    let options = write_options(call)?;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let (key, value) = input::parse_set(&body, call.api.max_value)?;
    let written = call.api.node.set(key.clone(), value, options).await?;
    Ok(reply::json(render_set(&key, written)))
}

/// `PUT /api/raw/{key}`.
pub(super) async fn raw_put(call: &mut Call<'_>) -> Result<Response, Problem> {
    let options = write_options(call)?;
    let key = call.key()?;
    let (body, media, _grant) = call.body(&[Media::OctetStream, Media::Json]).await?;
    let value = input::parse_raw(body, media, call.api.max_value)?;
    let written = call.api.node.set(key.clone(), value, options).await?;
    Ok(reply::json(render_set(&key, written)))
}

/// `POST /api/delete`.
pub(super) async fn delete(call: &mut Call<'_>) -> Result<Response, Problem> {
    let options = write_options(call)?;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let key = input::parse_delete(&body)?;
    let deleted = call.api.node.delete(key.clone(), options).await?;
    Ok(reply::json(render_delete(&key, deleted)))
}

/// `POST /api/session`.
pub(super) async fn session(call: &mut Call<'_>) -> Result<Response, Problem> {
    let timeout = call.query(WRITE)?.timeout;
    let (body, _, _grant) = call.body(&[Media::Json]).await?;
    let client = input::parse_session(&body)?;
    call.api.node.open_session(client, timeout).await?;
    Ok(reply::json(&b"{\"success\":true}"[..]))
}

/// `GET /api/get/{key}`.
pub(super) async fn get(call: &Call<'_>) -> Result<Response, Problem> {
    let options = call.query(READ)?.read_options();
    let key = call.key()?;
    let item = call.api.node.get(key.clone(), options).await?;
    let body = Body::from(render_get(&key, item.as_ref()));
    let grant = call.api.budget.take(body.len())?;
    Ok(reply::json(body.holding(grant)))
}

/// `GET /api/raw/{key}`.
pub(super) async fn raw_get(call: &Call<'_>) -> Result<Response, Problem> {
    let options = call.query(READ)?.read_options();
    let key = call.key()?;
    let Some(Item { value, revision }) = call.api.node.get(key, options).await? else {
        return Err(Problem::new(Code::NotFound, "the key is not set"));
    };
    let grant = call.api.budget.take(value.len())?;
    let (media_type, data) = match value {
        Value::Json(text) => ("application/json", text),
        Value::Bytes(data) => ("application/octet-stream", data),
    };
    let mut response = Response::new(Body::from(data).holding(grant));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(RAFT_REVISION, HeaderValue::from(revision.0));
    // A browser must not take stored bytes for a page of this origin.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// `GET /api/state_machine`.
pub(super) async fn state_machine(call: &Call<'_>) -> Result<Response, Problem> {
    let query = call.query(LIST)?;
    let mut grant = call.api.budget.wait(LISTING).await?;
    let options = query.read_options();
    let Query { prefix, after, limit, values, bytes_as, .. } = query;
    let page = call.api.node.list(ListRequest { prefix, after, limit, values }, options).await?;
    let body = Body::from(render_page(&page, values, bytes_as));
    grant.shrink(body.len());
    Ok(reply::json(body.holding(Some(grant))))
}

fn render_set(key: &Key, written: Written) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.as_str().len() + 64);
    out.extend_from_slice(b"{\"success\":true,\"key\":");
    push_string(&mut out, key.as_str());
    out.extend_from_slice(b",\"revision\":");
    push_number(&mut out, written.revision.0);
    out.push(b'}');
    out
}

fn render_delete(key: &Key, Deleted { deleted, revision }: Deleted) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.as_str().len() + 80);
    out.extend_from_slice(b"{\"success\":true,\"key\":");
    push_string(&mut out, key.as_str());
    out.extend_from_slice(if deleted { b",\"deleted\":true" } else { b",\"deleted\":false" });
    out.extend_from_slice(b",\"revision\":");
    push_number(&mut out, revision.0);
    out.push(b'}');
    out
}

fn render_get(key: &Key, item: Option<&Item>) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.as_str().len() + item.map_or(0, |item| item.value.len()) + 80);
    out.extend_from_slice(b"{\"key\":");
    push_string(&mut out, key.as_str());
    out.extend_from_slice(b",\"value\":");
    match item {
        Some(Item { value, revision }) => {
            push_json(&mut out, value, BytesAs::Text);
            out.extend_from_slice(b",\"found\":true,\"revision\":");
            push_number(&mut out, revision.0);
        }
        None => out.extend_from_slice(b"null,\"found\":false"),
    }
    out.push(b'}');
    out
}

fn render_page(page: &ListPage, values: bool, bytes_as: BytesAs) -> Vec<u8> {
    let size = |(key, item): &(Key, Option<Item>)| {
        key.as_str().len() + item.as_ref().map_or(0, |item| item.value.len()) + 4
    };
    let mut out = Vec::with_capacity(page.entries.iter().map(size).sum::<usize>() + 80);
    out.extend_from_slice(if values { b"{\"state_machine\":{" } else { b"{\"keys\":[" });
    for (position, (key, item)) in page.entries.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_string(&mut out, key.as_str());
        if let Some(Item { value, .. }) = item {
            out.push(b':');
            push_json(&mut out, value, bytes_as);
        }
    }
    out.extend_from_slice(if values { b"},\"revision\":" } else { b"],\"revision\":" });
    push_number(&mut out, page.revision.0);
    if let (true, Some((last, _))) = (page.more, page.entries.last()) {
        out.extend_from_slice(b",\"more\":true,\"after\":");
        push_string(&mut out, last.as_str());
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft_core::types::LogIndex;

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn item(text: &'static str, revision: u64) -> Item {
        Item { value: Value::Json(Bytes::from_static(text.as_bytes())), revision: LogIndex(revision) }
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn answers_are_the_contracts() {
        let written = Written { revision: LogIndex(7) };
        assert_eq!(text(render_set(&key("a\"b"), written)), r#"{"success":true,"key":"a\"b","revision":7}"#);
        let deleted = Deleted { deleted: false, revision: LogIndex(8) };
        assert_eq!(
            text(render_delete(&key("k"), deleted)),
            r#"{"success":true,"key":"k","deleted":false,"revision":8}"#
        );
        assert_eq!(
            text(render_get(&key("k"), Some(&item("\"1.0\"", 3)))),
            r#"{"key":"k","value":"1.0","found":true,"revision":3}"#
        );
        assert_eq!(text(render_get(&key("k"), None)), r#"{"key":"k","value":null,"found":false}"#);
    }

    #[test]
    fn a_page_says_where_to_go_on_only_when_cut() {
        let entries = vec![(key("a"), Some(item("1", 1))), (key("b"), Some(item("[2]", 2)))];
        let mut page = ListPage { entries, more: false, revision: LogIndex(2), keys: 2 };
        let whole = r#"{"state_machine":{"a":1,"b":[2]},"revision":2}"#;
        assert_eq!(text(render_page(&page, true, BytesAs::Text)), whole);
        page.more = true;
        let cut = r#"{"state_machine":{"a":1,"b":[2]},"revision":2,"more":true,"after":"b"}"#;
        assert_eq!(text(render_page(&page, true, BytesAs::Text)), cut);
        page.entries = vec![(key("a"), None), (key("b"), None)];
        let keys = r#"{"keys":["a","b"],"revision":2,"more":true,"after":"b"}"#;
        assert_eq!(text(render_page(&page, false, BytesAs::Text)), keys);
        let empty = ListPage::default();
        assert_eq!(text(render_page(&empty, true, BytesAs::Text)), r#"{"state_machine":{},"revision":0}"#);
    }
}
