//! The dashboard: one page that shows a cluster as it is and uses its store.
//!
//! Every node serves it at `/`, and [`Alone`] without a node, for whichever nodes it is given. Both answer
//! with the same files (`assets`) and the same stream of events (`feed`): who serves asks every member how it
//! is, several times a second, while somebody is looking, and sends all viewers what it heard. A page that a
//! node served goes on with another node when that one is gone: `http::access` lets the members' pages in. A
//! page that was served alone stays with its server, which passes requests on to a node that lives (`alone`).

mod alone;
mod assets;
mod feed;
mod frame;
mod watching;

pub use alone::{Alone, DashboardError};

use std::sync::Arc;

use hyper::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;

use crate::http::problem::Problem;
use crate::http::reply::{self, Response};
use crate::node::Node;
use feed::Feed;

/// What serves the page.
#[derive(Debug)]
pub(crate) struct Dashboard {
    feed: Arc<Feed>,
    /// None of a node's: then the members say it.
    policy: Option<HeaderValue>,
    node: Option<Node>,
}

impl Dashboard {
    /// The dashboard that a node serves. Its streams end when `ended` holds true.
    pub(crate) fn of_node(node: &Node, ended: Receiver<bool>) -> Dashboard {
        let feed = Feed::new(watching::Source::Node(node.clone()), ended);
        Dashboard { policy: None, node: Some(node.clone()), feed }
    }

    /// `GET /`.
    pub(crate) fn page(&self) -> Response {
        let members = self.node.as_ref().map(|node| node.members().members).unwrap_or_default();
        match &self.policy {
            Some(policy) => assets::page(policy),
            None => assets::page(&assets::policy(members.iter().map(|member| member.address.as_str()))),
        }
    }

    /// `GET /dashboard/{file}`.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn asset(name: &str) -> Result<Response, Problem> {
        assets::asset(name)
    }

    /// `GET /api/dashboard/events`.
    ///
    /// # Errors
    /// 429 where too many are watching already.
    pub(crate) fn events(&self) -> Result<Response, Problem> {
        let viewer = self.feed.view()?;
        let (to, events) = mpsc::channel(1);
        tokio::spawn(viewer.pass_on(to));
        Ok(reply::events(events))
    }
}
