//! Which pages in a browser may use a node.
//!
//! A node answers whoever reaches its port, so a page from anywhere must not reach it through the browser of
//! somebody who can. Three rules keep it out, and let the cluster's own dashboards in:
//!
//! - What changes something takes only media types that no page may send to another origin unasked.
//! - Only pages that a member served may ask, and only for what the dashboard needs ([`Access::preflight`],
//!   [`Access::let_read`]): a page goes on with another node when its own is gone.
//! - A node that listens on loopback answers only under a name that belongs there ([`Access::check_name`]): a
//!   page whose own name is made to resolve to 127.0.0.1 would be of the node's origin.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch::Receiver;

use super::problem::{Code, Problem};
use super::reply::{Body, Response};
use super::routes::{Endpoint, Routes};
use crate::config::{Config, split_address};
use crate::node::Members;

/// Names of the own machine, as they stand in an origin.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Who may use a server from a browser.
#[derive(Debug)]
pub(crate) struct Access {
    /// The origins of the members' pages.
    origins: BTreeSet<String>,
    /// Names under which the server is reached; none where any will do.
    names: Option<BTreeSet<String>>,
    /// The members as they are now, where there are any: their pages are let in too.
    members: Option<Receiver<Members>>,
}

impl Access {
    /// For a node.
    pub(crate) fn of_node(config: &Config) -> Access {
        let addresses = config.peers.values().chain(&config.advertise);
        let split = || addresses.clone().filter_map(|address| split_address(address).ok());
        let names = is_loopback(&config.host).then(|| split().map(|(host, _)| name(host)).collect());
        let origins = split().flat_map(|(host, port)| origins(host, port)).collect();
        Access { origins, names, members: None }
    }

    /// For a server on loopback that has no members to let in.
    pub(crate) fn local() -> Access {
        Access { origins: BTreeSet::new(), names: Some(BTreeSet::new()), members: None }
    }

    /// Also lets in whoever is a member at the time.
    pub(crate) fn following(self, members: Receiver<Members>) -> Access {
        Access { members: Some(members), ..self }
    }

    /// Whether a member listens at an address that satisfies this.
    fn any_member(&self, satisfies: impl Fn(&str, u16) -> bool) -> bool {
        self.members.as_ref().is_some_and(|members| {
            let members = members.borrow();
            let mut addresses =
                members.members.iter().filter_map(|member| split_address(&member.address).ok());
            addresses.any(|(host, port)| satisfies(host, port))
        })
    }

    /// The answer to a browser that asks whether a page may send a request; none where this is no such
    /// question, or not one that is answered with yes.
    pub(crate) fn preflight<B>(&self, request: &Request<B>, routes: &Routes) -> Option<Response> {
        if request.method() != Method::OPTIONS {
            return None;
        }
        let headers = request.headers();
        let method = Method::from_bytes(headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()?;
        let (endpoint, _) = routes.find(&method, request.uri().path()).ok()?;
        let origin = self.member(Some(endpoint), headers)?;
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        let allowed = HeaderValue::from_static("content-type, idempotency-key");
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        answer.insert(VARY, HeaderValue::from_static("origin"));
        Some(response)
    }

    /// Lets a member's page read the answer of an endpoint that the dashboard needs.
    pub(crate) fn let_read(&self, endpoint: Option<Endpoint>, headers: &HeaderMap, response: &mut Response) {
        if let Some(origin) = self.member(endpoint, headers) {
            let answer = response.headers_mut();
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("raft-revision"));
            answer.insert(VARY, HeaderValue::from_static("origin"));
        }
    }

    /// The request's origin, if it is a member's and may use the endpoint.
    fn member(&self, endpoint: Option<Endpoint>, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let known = origin.to_str().is_ok_and(|origin| {
            let is_one_of = |host: &str, port| origins(host, port).iter().any(|known| known == origin);
            self.origins.contains(origin) || self.any_member(is_one_of)
        });
        (known && endpoint.is_some_and(is_for_dashboards)).then(|| origin.clone())
    }

    /// Refuses a request that came under a name of somebody else's.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_name(&self, parts: &Parts) -> Result<(), Problem> {
        let Some(names) = &self.names else { return Ok(()) };
        let host = parts.uri.authority().map(|authority| authority.as_str());
        let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
        // Browsers always send it.
        let Some(host) = host else { return Ok(()) };
        let bare = without_port(host);
        if bare.parse::<IpAddr>().is_ok() || !bare.contains('.') {
            return Ok(());
        }
        let bare = name(bare);
        let is_known = names.contains(&bare) || self.any_member(|host, _| name(host) == bare);
        if bare == "localhost" || bare.ends_with(".localhost") || is_known {
            return Ok(());
        }
        let shown: String = bare.chars().take(80).collect();
        Err(Problem::new(
            Code::Forbidden,
            format!(
                "this server listens on loopback and is not known as {shown:?}: use localhost, an IP address \
                 or a name from the peer list"
            ),
        ))
    }
}

/// What a page from another member may ask for.
fn is_for_dashboards(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Set
        | Endpoint::Get
        | Endpoint::Delete
        | Endpoint::StateMachine
        | Endpoint::RawGet
        | Endpoint::Health
        | Endpoint::Status
        | Endpoint::Why
        | Endpoint::Members
        | Endpoint::DashboardEvents => true,
        Endpoint::RawPut
        | Endpoint::Session
        | Endpoint::Vote
        | Endpoint::AppendEntries
        | Endpoint::Metrics
        | Endpoint::OpenApi
        | Endpoint::Stream
        | Endpoint::Root
        | Endpoint::DashboardFile
        | Endpoint::Recording
        | Endpoint::Transfer
        | Endpoint::ChangeMembers
        | Endpoint::RemoveMember
        | Endpoint::Snapshot
        | Endpoint::Backup => false,
    }
}

/// The origins of pages that were served at an address: on loopback under each of its names.
fn origins(host: &str, port: u16) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    let hosts = if is_loopback(&host) {
        let mut hosts: Vec<String> = LOOPBACK.iter().map(ToString::to_string).collect();
        if !host.contains(':') && !hosts.contains(&host) {
            hosts.push(host);
        }
        hosts
    } else if host.contains(':') {
        vec![format!("[{host}]")]
    } else {
        vec![host]
    };
    let origin = |host: &String| match port {
        80 => format!("http://{host}"),
        _ => format!("http://{host}:{port}"),
    };
    hosts.iter().map(origin).collect()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A name as it is compared.
fn name(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The host of `HOST:PORT`, without an IPv6 address's brackets.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_peers;
    use raft_core::types::NodeId;

    fn access(change: impl FnOnce(&mut Config)) -> Access {
        let mut config = Config::new(NodeId::new("node_0").unwrap(), 12000);
        change(&mut config);
        Access::of_node(&config)
    }

    fn peers(text: &'static str) -> impl FnOnce(&mut Config) {
        move |config| config.peers = parse_peers(text).unwrap()
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::builder().method(method).uri(path);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn only_members_pages_are_let_in() {
        let access =
            access(peers("node_0=127.0.0.1:12000,node_1=127.0.0.1:12001,c=Db.Example:80,d=[fe80::1]:7"));
        let asks = |origin: &str| {
            let request = request("GET", "/", &[("origin", origin)]);
            access.member(Some(Endpoint::Status), request.headers()).is_some()
        };
        for member in [
            "http://127.0.0.1:12000",
            "http://localhost:12001",
            "http://[::1]:12001",
            "http://db.example",
            "http://[fe80::1]:7",
        ] {
            assert!(asks(member), "{member}");
        }
        for stranger in [
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:12003",
            "https://127.0.0.1:12000",
            "http://127.0.0.1:12000.evil.example",
            "http://evil.example:12000",
            "http://localhost:80",
            "http://127.0.0.2:12000",
            "*",
            "",
        ] {
            assert!(!asks(stranger), "{stranger}");
        }
    }

    #[test]
    fn a_preflight_is_answered_for_members_and_for_what_the_dashboard_needs() {
        let (access, routes) = (access(|_| {}), Routes::new().unwrap());
        let ask = |path, method, origin| {
            let headers = [("origin", origin), ("access-control-request-method", method)];
            access.preflight(&request("OPTIONS", path, &headers), &routes)
        };
        let member = "http://localhost:12001";
        let yes = ask("/api/set", "POST", member).expect("a member's page may set");
        assert_eq!(yes.status(), 204);
        assert_eq!(yes.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], member);
        assert_eq!(yes.headers()[VARY], "origin");
        let allowed = yes.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
        assert_eq!(allowed, "content-type, idempotency-key");
        for (path, method, origin) in [
            ("/api/set", "POST", "http://evil.example"),
            ("/api/set", "POST", "http://localhost:8080"),
            ("/api/set", "GET", member),
            ("/api/vote", "POST", member),
            ("/api/append_entries", "POST", member),
            ("/api/session", "POST", member),
            ("/api/raw/k", "PUT", member),
            ("/raft/stream", "GET", member),
            ("/nothing", "GET", member),
        ] {
            assert!(ask(path, method, origin).is_none(), "{method} {path} from {origin}");
        }
        let plain = request("OPTIONS", "/api/set", &[("origin", member)]);
        assert!(access.preflight(&plain, &routes).is_none(), "no method was asked about");
    }

    #[test]
    fn answers_say_who_may_read_them() {
        let access = access(|_| {});
        let answer = |endpoint, origin| {
            let mut response = Response::new(Body::default());
            access.let_read(
                Some(endpoint),
                request("GET", "/", &[("origin", origin)]).headers(),
                &mut response,
            );
            response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned()
        };
        let member = "http://127.0.0.1:12002";
        assert_eq!(answer(Endpoint::DashboardEvents, member).unwrap(), member);
        assert_eq!(answer(Endpoint::Metrics, member), None);
        assert_eq!(answer(Endpoint::DashboardEvents, "http://evil.example"), None);
    }

    #[test]
    fn on_loopback_a_name_of_somebody_elses_is_refused() {
        let local = access(peers("node_0=127.0.0.1:12000,b=Raft.Example:12001"));
        let check = |access: &Access, host: &str| {
            let (parts, ()) = request("GET", "/", &[("host", host)]).into_parts();
            access.check_name(&parts).is_ok()
        };
        for good in [
            "127.0.0.1:12000",
            "10.1.2.3",
            "[::1]:12000",
            "localhost:12000",
            "LOCALHOST",
            "a.localhost:1",
            "h",
            "raft.example:12000",
            "RAFT.example.:12000",
        ] {
            assert!(check(&local, good), "{good}");
        }
        for bad in
            ["evil.example:12000", "127.0.0.1.evil.example", "raft.example.evil", "localhost.evil.example"]
        {
            assert!(!check(&local, bad), "{bad}");
        }
        let wide = access(|config| config.host = "0.0.0.0".into());
        assert!(check(&wide, "balancer.example"), "beyond loopback there are names this node cannot know");
        let (parts, ()) = request("GET", "http://evil.example/", &[("host", "localhost")]).into_parts();
        assert!(local.check_name(&parts).is_err());
    }
}
