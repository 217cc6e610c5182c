//! Reading request bodies, as much as they may hold and no more.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::budget::{Budget, Grant};
use super::problem::Problem;
use super::watch::Watch;

/// Beside the value: a key of 4 KiB, six times that when written with escapes, and the JSON around both.
const OVERHEAD: usize = 32 << 10;
/// How much of a body that is not wanted is read and dropped, so that its sender gets to see the answer.
const DRAIN_BYTES: usize = 32 << 20;
/// For how long.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The largest body a node takes whose values may have `max_value` bytes. In base64 they have a third more.
pub(crate) fn limit(max_value: usize) -> usize {
    max_value + max_value / 3 + OVERHEAD
}

/// Reads a body of at most `limit` bytes. How long it may take is the watch's business.
///
/// # Errors
/// 413 as soon as it is known to be larger, 429 when too much is being read already, 400 when it breaks off.
pub(crate) async fn read(
    body: &mut Incoming,
    limit: usize,
    budget: &Budget,
    watch: &Watch,
) -> Result<(Bytes, Option<Grant>), Problem> {
    let announced = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if let Some(size) = announced.filter(|size| *size > limit) {
        return Err(Problem::too_large("the body", size, limit));
    }
    watch.reading_body();
    let mut grant = budget.take(announced.unwrap_or(0))?;
    let first = chunk(body).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= limit {
        watch.working();
        return Ok((first, grant));
    }
    let mut all = BytesMut::with_capacity(announced.unwrap_or(first.len()));
    let mut next = Some(first);
    while let Some(data) = next {
        let size = all.len() + data.len();
        if size > limit {
            return Err(Problem::too_large("the body, so far,", size, limit));
        }
        if grant.is_none() && budget.take(size)?.is_some() {
            grant = budget.take(limit)?;
        }
        all.extend_from_slice(&data);
        next = chunk(body).await?;
    }
    watch.working();
    Ok((all.freeze(), grant))
}

/// The next piece; none at the end.
async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                // Trailers mean nothing here.
                Err(_) => continue,
            },
            Some(Err(error)) => {
                return Err(Problem::bad_request(format!("the body broke off: {error}")));
            }
        }
    }
}

/// Drops what a client still sends after it was answered. Closing instead would reset the connection, and
/// the client would lose the answer that says what it did wrong.
pub(crate) async fn drain(mut body: Incoming) {
    let mut left = DRAIN_BYTES;
    let dropping = async {
        while let Ok(Some(data)) = chunk(&mut body).await {
            match left.checked_sub(data.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Past the time the rest is not waited for: the connection closes.
    let _ = tokio::time::timeout(DRAIN_TIME, dropping).await;
}
