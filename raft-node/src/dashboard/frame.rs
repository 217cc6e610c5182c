//! What the stream of events says: the members, each as it was last heard of.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::client::{Explanation, Status};

/// Whether a member answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    /// It has not been asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It takes connections, or none are refused, but no answer comes.
    Silent,
    /// Nobody is there.
    Down,
}

/// What is known of one member.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Its name, where that is known.
    pub(crate) node_id: Option<String>,
    /// Where it is asked.
    pub(crate) address: String,
    pub(crate) reach: Reach,
    /// Why it does not answer.
    pub(crate) error: Option<String>,
    /// What it said last.
    pub(crate) status: Option<Status>,
    /// What it said is in the way.
    pub(crate) why: Option<Explanation>,
    /// When it said so.
    pub(crate) heard: Option<Instant>,
}

impl View {
    /// A member that was not asked yet.
    pub(crate) fn new(node_id: Option<String>, address: &str) -> View {
        View {
            node_id,
            address: address.to_owned(),
            reach: Reach::Unknown,
            error: None,
            status: None,
            why: None,
            heard: None,
        }
    }

    /// Whether the difference to what was known before is worth telling at once.
    pub(crate) fn is_news(&self, before: &View) -> bool {
        let essence = |view: &View| {
            let status = view.status.as_ref();
            let role = status.map(|s| (s.state.clone(), s.term, s.leader_id.clone(), s.failed.is_some()));
            (view.reach, role, status.map(|s| s.members.clone()))
        };
        essence(self) != essence(before)
    }
}

#[derive(Serialize)]
struct Frame<'a> {
    served_by: Option<&'a str>,
    members: Vec<Member<'a>>,
}

#[derive(Serialize)]
struct Member<'a> {
    node_id: Option<&'a str>,
    address: &'a str,
    reach: Reach,
    error: Option<&'a str>,
    age_ms: Option<u64>,
    status: Option<&'a Status>,
    why: Option<&'a Explanation>,
}

/// One event of the stream: `served_by` is none where no node serves it.
pub(crate) fn event(served_by: Option<&str>, views: &[View], now: Instant) -> Bytes {
    let age = |heard: Instant| {
        let age = now.checked_duration_since(heard).unwrap_or(Duration::ZERO);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    };
    let members = views.iter().map(|view| Member {
        node_id: view.node_id.as_deref(),
        address: &view.address,
        reach: view.reach,
        error: view.error.as_deref(),
        age_ms: view.heard.map(age),
        status: view.status.as_ref(),
        why: view.why.as_ref(),
    });
    let mut event = b"event: cluster\ndata: ".to_vec();
    let frame = Frame { served_by, members: members.collect() };
    // JSON holds no line break outside its strings, and none unescaped inside them.
    serde_json::to_writer(&mut event, &frame).expect("encoding into memory");
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let now = Instant::now();
        let mut view = View::new(Some("node_0".into()), "h:1");
        view.error = Some("a\n\ndata: b\r\u{2028}".into());
        view.heard = now.checked_sub(Duration::from_millis(1500));
        view.status = Some(Status { node_id: "node_0".into(), ..Status::default() });
        let event = event(Some("node_1"), &[view], now);
        let text = std::str::from_utf8(&event).unwrap();
        let data = text.strip_prefix("event: cluster\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains(['\n', '\r']));
        let frame: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(frame["served_by"], "node_1");
        assert_eq!(frame["members"][0]["reach"], "unknown");
        assert_eq!(frame["members"][0]["age_ms"], 1500);
        assert_eq!(frame["members"][0]["status"]["node_id"], "node_0");
    }

    #[test]
    fn a_new_leader_is_news_and_a_longer_log_is_not() {
        let mut before = View::new(None, "h:1");
        before.status = Some(Status::default());
        let mut after = before.clone();
        after.status = Some(Status { last_log_index: 9, uptime_ms: 9, ..Status::default() });
        assert!(!after.is_news(&before));
        after.status = Some(Status { leader_id: Some("a".into()), ..Status::default() });
        assert!(after.is_news(&before));
        after = View { reach: Reach::Down, ..before.clone() };
        assert!(after.is_news(&before));
        let members = vec![crate::client::Member { role: "learner".into(), ..Default::default() }];
        after = before.clone();
        after.status = Some(Status { members, ..Status::default() });
        assert!(after.is_news(&before), "who belongs to the cluster");
    }
}
