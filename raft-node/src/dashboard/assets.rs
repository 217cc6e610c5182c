//! The files of the page, and the headers that keep it from running anything else.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::config::split_address;
use crate::http::problem::{Code, Problem};
use crate::http::reply::{self, Response};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const PAGE: &str = include_str!("page/index.html");

/// Name, media type and text of each file beside the page itself.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("page/style.css")),
    ("icon.svg", SVG, include_str!("page/icon.svg")),
    ("theme.js", SCRIPT, include_str!("page/theme.js")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("feed.js", SCRIPT, include_str!("page/feed.js")),
    ("api.js", SCRIPT, include_str!("page/api.js")),
    ("model.js", SCRIPT, include_str!("page/model.js")),
    ("summary.js", SCRIPT, include_str!("page/summary.js")),
    ("members.js", SCRIPT, include_str!("page/members.js")),
    ("history.js", SCRIPT, include_str!("page/history.js")),
    ("operations.js", SCRIPT, include_str!("page/operations.js")),
    ("contents.js", SCRIPT, include_str!("page/contents.js")),
    ("values.js", SCRIPT, include_str!("page/values.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
];

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The page, under its policy.
pub(super) fn page(policy: &HeaderValue) -> Response {
    let mut response = file(HTML, PAGE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A file of the page.
///
/// # Errors
/// 404.
pub(super) fn asset(name: &str) -> Result<Response, Problem> {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, media_type, text)) => Ok(file(media_type, text)),
        None => Err(Problem::new(Code::NotFound, "the dashboard has no such file: it begins at /")),
    }
}

fn file(media_type: &'static str, text: &'static str) -> Response {
    let mut response = reply::ok(media_type, text);
    let headers = response.headers_mut();
    // The files belong to the running version: a browser asks again each time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The page's Content-Security-Policy: its own files, its own origin and the members, and nothing else.
pub(super) fn policy<'a>(members: impl Iterator<Item = &'a str>) -> HeaderValue {
    let mut connect = "'self'".to_owned();
    for address in members {
        if let Some(source) = source(address) {
            connect.push(' ');
            connect.push_str(&source);
        }
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src {connect}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

/// A member's address as a source of the policy; none where it cannot be written as one.
fn source(address: &str) -> Option<String> {
    let (host, port) = split_address(address).ok()?;
    if host.contains(':') {
        // The grammar of the policy has no IPv6 addresses: only the port can be named.
        return Some(format!("http://*:{port}"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.chars().all(plain).then(|| format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_members_and_nothing_that_could_add_to_it() {
        let addresses = ["127.0.0.1:12000", "db-1.example:80", "[::1]:7", "x;script-src *:1", "nonsense"];
        let policy = policy(addresses.into_iter());
        let policy = policy.to_str().unwrap();
        let sources = "connect-src 'self' http://127.0.0.1:12000 http://db-1.example:80 http://*:7;";
        assert!(policy.contains(sources), "{policy}");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(policy.matches("script-src").count(), 1);
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn every_file_that_is_named_is_there_and_every_file_is_named() {
        for (name, media_type, text) in ASSETS {
            assert_eq!(asset(name).unwrap().headers()["content-type"], *media_type);
            let named = [PAGE].into_iter().chain(ASSETS.iter().map(|(_, _, text)| *text));
            let count = named.filter(|other| other.contains(&format!("/{name}"))).count();
            assert!(count > 0, "nothing uses {name}");
            for import in text.lines().filter_map(|line| line.split_once("from \"./")) {
                let file = import.1.split('"').next().unwrap();
                assert!(asset(file).is_ok(), "{name} imports {file}");
            }
        }
        assert_eq!(asset("../mod.rs").unwrap_err().code, Code::NotFound);
        assert_eq!(asset("").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn nothing_in_the_page_makes_html_of_text() {
        let scripts = ASSETS.iter().map(|(name, _, text)| (*name, *text)).chain([("index.html", PAGE)]);
        let banned = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " onclick="];
        for (name, text) in scripts {
            for word in banned {
                assert!(!text.contains(word), "{word} in {name}");
            }
        }
        assert!(!PAGE.contains("<script>") && !PAGE.contains("style="), "the policy allows no inline code");
        assert!(!PAGE.contains("//"), "nothing comes from elsewhere");
    }
}
