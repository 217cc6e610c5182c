//! What is too long for one piece of memory: a node's recording, or a backup.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_DISPOSITION;
use raft_core::types::NodeId;
use tokio::time::{Instant, timeout};

use super::call::{Ask, refusal, request};
use super::connection::{Endpoint, Lost, read};
use super::{Client, ClientError};

/// An answer that comes chunk by chunk.
#[derive(Debug)]
pub struct Download {
    endpoint: String,
    node_id: Option<NodeId>,
    body: Incoming,
    /// How long the next chunk may take.
    timeout: Duration,
}

impl Client {
    /// Begins to fetch the recording of one node: the first of the endpoints that has one to give. The
    /// client's timeout holds for its beginning and for each part of it.
    ///
    /// # Errors
    /// See [`ClientError`]; `Problem` with status 404 where the nodes record nothing.
    pub async fn recording(&self) -> Result<Download, ClientError> {
        self.download(&Ask::report("/api/recording")).await
    }

    /// Begins to fetch something of the first of the endpoints that has it to give.
    pub(super) async fn download(&self, ask: &Ask<'_>) -> Result<Download, ClientError> {
        let mut failures = Vec::new();
        let mut refused = None;
        for endpoint in self.shared.endpoints.all() {
            match open(&endpoint, ask, self.timeout).await {
                Ok(download) => return Ok(download),
                Err(
                    ClientError::Unreachable { failures: more } | ClientError::Timeout { failures: more, .. },
                ) => failures.extend(more),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(ClientError::Unreachable { failures }))
    }
}

async fn open(endpoint: &Endpoint, ask: &Ask<'_>, timeout: Duration) -> Result<Download, ClientError> {
    let end = Instant::now() + timeout;
    let opened = endpoint.open(request(ask, end), end).await;
    let response = opened.map_err(|lost| endpoint.lost(lost))?;
    if response.status().as_u16() < 300 {
        let node_id = named(&response);
        return Ok(Download {
            endpoint: endpoint.address.clone(),
            node_id,
            body: response.into_body(),
            timeout,
        });
    }
    match tokio::time::timeout_at(end, read(response, &endpoint.address)).await {
        Ok(Ok(answer)) => Err(refusal(endpoint, &answer)?),
        Ok(Err(lost)) => Err(endpoint.lost(lost)),
        Err(_) => Err(endpoint.lost(Lost::OnTheWay("only a part of the answer came in time".to_owned()))),
    }
}

/// The node that the file is named after. Nothing else in the name is believed.
fn named(response: &Response<Incoming>) -> Option<NodeId> {
    let text = response.headers().get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let name = text.strip_prefix("attachment; filename=\"")?.strip_suffix(".raftrec\"")?;
    NodeId::new(name).ok()
}

impl Download {
    /// Where it comes from, as `HOST:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The node that answers there, where it says so.
    #[must_use]
    pub fn node_id(&self) -> Option<&NodeId> {
        self.node_id.as_ref()
    }

    /// The next part; none once all of it has come.
    ///
    /// # Errors
    /// `Timeout` where it breaks off or stands still: what came so far is not the whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = match timeout(self.timeout, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.lost(format!("the answer broke off: {error}"))),
                Err(_) => return Err(self.lost("the answer stands still".to_owned())),
            };
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }

    fn lost(&self, error: String) -> ClientError {
        let failures = vec![super::EndpointFailure { endpoint: self.endpoint.clone(), error }];
        ClientError::Timeout { maybe_happened: false, failures }
    }
}
