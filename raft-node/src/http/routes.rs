//! Which paths there are, and what is behind them.

use hyper::Method;
use matchit::{InsertError, Router};

use super::problem::{Code, Problem};

/// What a request can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Set,
    Get,
    Delete,
    StateMachine,
    RawGet,
    RawPut,
    Session,
    Health,
    Status,
    Why,
    Vote,
    AppendEntries,
    Metrics,
    OpenApi,
    Stream,
    Root,
    DashboardFile,
    DashboardEvents,
    Recording,
    Transfer,
    Members,
    ChangeMembers,
    RemoveMember,
    Snapshot,
    Backup,
}

/// One method on one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// In OpenAPI's form. `{key}` takes all that follows, slashes too.
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
}

const fn route(method: &'static str, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint }
}

/// Every route; the position of an endpoint here is its number elsewhere.
pub(crate) const ROUTES: [Route; 25] = [
    route("POST", "/api/set", Endpoint::Set),
    route("GET", "/api/get/{key}", Endpoint::Get),
    route("POST", "/api/delete", Endpoint::Delete),
    route("GET", "/api/state_machine", Endpoint::StateMachine),
    route("GET", "/api/raw/{key}", Endpoint::RawGet),
    route("PUT", "/api/raw/{key}", Endpoint::RawPut),
    route("POST", "/api/session", Endpoint::Session),
    route("GET", "/health", Endpoint::Health),
    route("GET", "/api/status", Endpoint::Status),
    route("GET", "/api/why", Endpoint::Why),
    route("POST", "/api/vote", Endpoint::Vote),
    route("POST", "/api/append_entries", Endpoint::AppendEntries),
    route("GET", "/metrics", Endpoint::Metrics),
    route("GET", "/openapi.json", Endpoint::OpenApi),
    route("GET", "/raft/stream", Endpoint::Stream),
    route("GET", "/", Endpoint::Root),
    route("GET", "/dashboard/{file}", Endpoint::DashboardFile),
    route("GET", "/api/dashboard/events", Endpoint::DashboardEvents),
    route("GET", "/api/recording", Endpoint::Recording),
    route("POST", "/api/transfer", Endpoint::Transfer),
    route("GET", "/api/members", Endpoint::Members),
    route("POST", "/api/members", Endpoint::ChangeMembers),
    route("DELETE", "/api/members/{id}", Endpoint::RemoveMember),
    route("POST", "/api/snapshot", Endpoint::Snapshot),
    route("GET", "/api/backup", Endpoint::Backup),
];

/// The methods of one path.
#[derive(Clone, Copy, Debug, Default)]
struct Resource {
    get: Option<Endpoint>,
    post: Option<Endpoint>,
    put: Option<Endpoint>,
    delete: Option<Endpoint>,
}

impl Resource {
    fn add(&mut self, route: &Route) {
        match route.method {
            "GET" => self.get = Some(route.endpoint),
            "PUT" => self.put = Some(route.endpoint),
            "DELETE" => self.delete = Some(route.endpoint),
            _ => self.post = Some(route.endpoint),
        }
    }

    fn allow(&self) -> &'static str {
        match (self.get, self.post, self.put, self.delete) {
            (Some(_), _, Some(_), _) => "GET, HEAD, PUT",
            (Some(_), Some(_), _, _) => "GET, HEAD, POST",
            (Some(_), None, None, _) => "GET, HEAD",
            (None, _, _, Some(_)) => "DELETE",
            (None, ..) => "POST",
        }
    }
}

/// Finds the endpoint of a request.
#[derive(Debug)]
pub(crate) struct Routes {
    router: Router<Resource>,
}

impl Routes {
    pub(crate) fn new() -> Result<Routes, InsertError> {
        let mut router = Router::new();
        let mut paths: Vec<(&str, Resource)> = Vec::new();
        for route in &ROUTES {
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, resource)) => resource.add(route),
                None => {
                    let mut resource = Resource::default();
                    resource.add(route);
                    paths.push((route.path, resource));
                }
            }
        }
        for (path, resource) in paths {
            if let Some(prefix) = path.strip_suffix("{key}") {
                // An empty key is a bad key, not an unknown path.
                router.insert(prefix, resource)?;
                router.insert(format!("{prefix}{{*key}}"), resource)?;
            } else {
                router.insert(path, resource)?;
            }
        }
        Ok(Routes { router })
    }

    /// The endpoint, and the key or file in the path, still encoded; empty where the path has none.
    ///
    /// # Errors
    /// 404 and 405.
    pub(crate) fn find<'a>(&self, method: &Method, path: &'a str) -> Result<(Endpoint, &'a str), Problem> {
        let Ok(found) = self.router.at(path) else {
            return Err(Problem::new(
                Code::NotFound,
                "there is nothing at this path: /openapi.json describes what there is",
            ));
        };
        let resource = found.value;
        let endpoint = match *method {
            Method::GET | Method::HEAD => resource.get,
            Method::POST => resource.post,
            Method::PUT => resource.put,
            Method::DELETE => resource.delete,
            _ => None,
        };
        let Some(endpoint) = endpoint else {
            let allow = resource.allow();
            let detail = format!("{method} does nothing here: use {allow}");
            return Err(Problem { allow: Some(allow), ..Problem::new(Code::MethodNotAllowed, detail) });
        };
        Ok((endpoint, found.params.iter().next().map_or("", |(_, value)| value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_and_in_its_place() {
        let routes = Routes::new().unwrap();
        for (position, route) in ROUTES.iter().enumerate() {
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let path =
                route.path.replace("{key}", "a%2Fb/c//d").replace("{file}", "main.js").replace("{id}", "a.1");
            let (endpoint, key) = routes.find(&method, &path).unwrap();
            assert_eq!(endpoint, route.endpoint);
            assert_eq!(endpoint as usize, position);
            let named = route.path.rsplit('/').next().unwrap();
            let expected = [("{key}", "a%2Fb/c//d"), ("{file}", "main.js"), ("{id}", "a.1")];
            let expected = expected.iter().find(|(name, _)| *name == named).map_or("", |(_, value)| value);
            assert_eq!(key, expected);
        }
        assert_eq!(routes.find(&Method::HEAD, "/health").unwrap().0, Endpoint::Health);
    }

    #[test]
    fn what_is_not_there_is_404_and_a_wrong_method_405() {
        let routes = Routes::new().unwrap();
        for path in [
            "/api",
            "/api/get",
            "/api/set/",
            "/nothing",
            "//",
            "*",
            "/dashboard",
            "/dashboard/",
            "/dashboard/a/b",
        ] {
            assert_eq!(routes.find(&Method::GET, path).unwrap_err().code, Code::NotFound, "{path}");
        }
        for (method, path, allow) in [
            (Method::GET, "/api/set", "POST"),
            (Method::DELETE, "/api/get/k", "GET, HEAD"),
            (Method::POST, "/api/raw/k", "GET, HEAD, PUT"),
            (Method::PUT, "/api/members", "GET, HEAD, POST"),
            (Method::GET, "/api/members/a", "DELETE"),
            (Method::OPTIONS, "/", "GET, HEAD"),
            (Method::CONNECT, "/health", "GET, HEAD"),
        ] {
            let problem = routes.find(&method, path).unwrap_err();
            assert_eq!(
                (problem.code, problem.allow),
                (Code::MethodNotAllowed, Some(allow)),
                "{method} {path}"
            );
        }
        assert_eq!(routes.find(&Method::GET, "/api/get/").unwrap(), (Endpoint::Get, ""));
    }
}
