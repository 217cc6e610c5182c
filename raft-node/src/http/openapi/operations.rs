//! What each endpoint takes and answers.

use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, HeaderBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};

use crate::http::problem::{Code, PROBLEM_JSON};
use crate::http::query::{MAX_LONG_TIMEOUT_MS, MAX_TIMEOUT_MS, Param};
use crate::http::routes::{Endpoint, Route};
use crate::http::{administration, files, store};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain";
const EVENTS: &str = "text/event-stream";
const HTML: &str = "text/html";
const CSS: &str = "text/css";
const SCRIPT: &str = "text/javascript";
const SVG: &str = "image/svg+xml";

/// One endpoint in words.
struct Doc {
    id: &'static str,
    summary: &'static str,
    details: &'static str,
    params: &'static [Param],
    /// Media type and schema of what it takes.
    takes: &'static [(&'static str, &'static str)],
    status: &'static str,
    /// Media type and schema of what it answers; an empty schema for text or bytes.
    gives: &'static [(&'static str, &'static str)],
    problems: &'static [Code],
}

const PLAIN: Doc = Doc {
    id: "",
    summary: "",
    details: "",
    params: &[],
    takes: &[],
    status: "200",
    gives: &[],
    problems: &[],
};

const WRITE_PROBLEMS: &[Code] = &[
    Code::BadRequest,
    Code::Conflict,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Overloaded,
    Code::NoLeader,
    Code::DiskFull,
    Code::Timeout,
];
const READ_PROBLEMS: &[Code] =
    &[Code::BadRequest, Code::TooLarge, Code::Overloaded, Code::NoLeader, Code::Timeout];
const RAW_READ_PROBLEMS: &[Code] =
    &[Code::BadRequest, Code::NotFound, Code::TooLarge, Code::Overloaded, Code::NoLeader, Code::Timeout];
const BACKUP_PROBLEMS: &[Code] = &[
    Code::BadRequest,
    Code::NotFound,
    Code::Conflict,
    Code::Overloaded,
    Code::NoLeader,
    Code::Failed,
    Code::Timeout,
];
const PEER_PROBLEMS: &[Code] = &[
    Code::BadRequest,
    Code::Forbidden,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Overloaded,
    Code::NoLeader,
    Code::Timeout,
];

/// The operation behind a route.
pub(super) fn describe(route: &Route) -> Operation {
    let doc = doc(route.endpoint);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(doc.id))
        .summary(Some(doc.summary))
        .description((!doc.details.is_empty()).then_some(doc.details));
    if route.path.ends_with("{key}") {
        operation = operation.parameter(key_in_path());
    }
    if route.path.ends_with("{id}") {
        operation = operation.parameter(id_in_path());
    }
    if route.path.ends_with("{file}") {
        operation = operation.parameter(file_in_path());
    }
    for param in doc.params {
        operation = operation.parameter(query_parameter(*param));
    }
    if is_write(route.endpoint) {
        for header in idempotency_headers() {
            operation = operation.parameter(header);
        }
    }
    if !doc.takes.is_empty() {
        operation = operation.request_body(Some(request_body(doc.takes)));
    }
    operation = operation.response(doc.status, answer(&doc, route.endpoint));
    // Whatever is asked, it may come too slowly, and a node on loopback refuses a name that is not its own.
    let forbidden = (!doc.problems.contains(&Code::Forbidden)).then_some(Code::Forbidden);
    let problems: Vec<Code> =
        doc.problems.iter().copied().chain(forbidden).chain([Code::RequestTimeout]).collect();
    for (status, description) in by_status(&problems) {
        let schema = Ref::from_schema_name("Problem");
        let response =
            ResponseBuilder::new().description(description).content(PROBLEM_JSON, Content::new(Some(schema)));
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

fn is_write(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Set | Endpoint::RawPut | Endpoint::Delete)
}

fn doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Set | Endpoint::Delete | Endpoint::RawPut | Endpoint::Session => write_doc(endpoint),
        Endpoint::Get | Endpoint::RawGet | Endpoint::StateMachine => read_doc(endpoint),
        Endpoint::Transfer | Endpoint::Members | Endpoint::ChangeMembers | Endpoint::RemoveMember => {
            administration_doc(endpoint)
        }
        Endpoint::Snapshot | Endpoint::Backup => snapshot_doc(endpoint),
        _ => node_doc(endpoint),
    }
}

fn write_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Set => Doc {
            id: "set",
            summary: "Sets a key",
            details: "Answered once it is committed and applied. With an `Idempotency-Key`, repeating \
                it does it once.",
            params: store::WRITE,
            takes: &[(JSON, "SetRequest")],
            gives: &[(JSON, "SetAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        Endpoint::RawPut => Doc {
            id: "set_raw",
            summary: "Sets a key to the body",
            details: "To bytes, or with `application/json` to the JSON value that the body is.",
            params: store::WRITE,
            takes: &[(BYTES, ""), (JSON, "")],
            gives: &[(JSON, "SetAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        Endpoint::Delete => Doc {
            id: "delete",
            summary: "Removes a key",
            params: store::WRITE,
            takes: &[(JSON, "DeleteRequest")],
            gives: &[(JSON, "DeleteAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        _ => Doc {
            id: "open_session",
            summary: "Opens a session for numbered writes",
            details: "For a client that has several writes under way: each then carries the session's \
                name as its `Idempotency-Key` and a number of its own. Opening it again is harmless.",
            params: store::WRITE,
            takes: &[(JSON, "SessionRequest")],
            gives: &[(JSON, "SessionAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
    }
}

fn read_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Get => Doc {
            id: "get",
            summary: "Reads a key",
            details: "A key that is not set is answered too, with `found` false.",
            params: store::READ,
            gives: &[(JSON, "GetAnswer")],
            problems: READ_PROBLEMS,
            ..PLAIN
        },
        Endpoint::RawGet => Doc {
            id: "get_raw",
            summary: "Reads a key's value as it was set",
            details: "As `application/octet-stream` or `application/json`, by the type it was set with.",
            params: store::READ,
            gives: &[(BYTES, ""), (JSON, "")],
            problems: RAW_READ_PROBLEMS,
            ..PLAIN
        },
        _ => Doc {
            id: "state_machine",
            summary: "Lists the store, in the order of the keys' bytes",
            details: "Everything, up to some 8 MiB of keys and values. Where more follows, the answer \
                has `\"more\": true` and `after`: ask again with that `after`.",
            params: store::LIST,
            gives: &[(JSON, "Page")],
            problems: READ_PROBLEMS,
            ..PLAIN
        },
    }
}

fn administration_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Transfer => Doc {
            id: "transfer",
            summary: "Hands leadership over",
            details: "To the voter that is named, or to the one that has most of the log. Answered once \
                another leader is known, at once where the one that is named leads already. 409 where the \
                leader goes on leading, with a `reason`: `no_such_member`, `not_a_voter`, `not_connected`, \
                `nobody_there`, `transfer_under_way`, `not_taken_over`, or `another_leads` where another \
                than the named one was elected.",
            params: store::WRITE,
            takes: &[(JSON, "TransferRequest")],
            gives: &[(JSON, "TransferAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        Endpoint::Members => Doc {
            id: "members",
            summary: "Who belongs to the cluster, as this node knows",
            gives: &[(JSON, "Members")],
            problems: &[Code::BadRequest],
            ..PLAIN
        },
        Endpoint::ChangeMembers => Doc {
            id: "change_members",
            summary: "Changes the members",
            details: "Answered once the change is committed and nothing of it is still to come: a server \
                that is added to vote is a learner until it has caught up. Asked for again, what is under \
                way is waited for. 409 while another change is under way, and where the leader does not do \
                it for another `reason`: `already_member`, `no_such_member`, `would_lose_quorum`, \
                `last_voter` …",
            params: store::WRITE,
            takes: &[(JSON, "MemberRequest")],
            gives: &[(JSON, "MemberAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        _ => Doc {
            id: "remove_member",
            summary: "Removes a member",
            details: "Answered once that is committed. 409 `would_lose_quorum` where a majority of those who \
                stay cannot be reached; with `force` it is done all the same, and nothing can be written \
                until enough of them are back.",
            params: administration::REMOVE,
            gives: &[(JSON, "MemberAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
    }
}

fn snapshot_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Snapshot => Doc {
            id: "snapshot",
            summary: "Takes a snapshot now",
            details: "Of all that was acknowledged before, and maybe more; all nodes take the same one. One \
                that is being taken is waited for, and then another is. Answered once the leader's own is on \
                its disk. 409 where there is none, with a `reason`: `snapshot_failed` where the leader \
                cannot write it, or `no_snapshots` where the state machine takes none.",
            params: administration::SNAPSHOT,
            takes: &[(JSON, "SnapshotRequest")],
            gives: &[(JSON, "SnapshotAnswer")],
            problems: WRITE_PROBLEMS,
            ..PLAIN
        },
        _ => Doc {
            id: "backup",
            summary: "A snapshot of the whole store",
            details: "The file of one log index's state, keys and values and sessions: `raft-server restore` \
                makes a cluster of it. A fresh one, which holds all that was acknowledged before; with \
                `consistency=stale` the newest that this node has, at once and without a leader. A \
                connection that is cut before the end means that it is not whole. 404 where a stale one is \
                asked for and there is none.",
            params: files::BACKUP,
            gives: &[(BYTES, "")],
            problems: BACKUP_PROBLEMS,
            ..PLAIN
        },
    }
}

fn node_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::Health => Doc {
            id: "health",
            summary: "Whether the node can serve",
            gives: &[(JSON, "Health")],
            problems: &[Code::NoLeader, Code::Failed],
            ..PLAIN
        },
        Endpoint::Status => Doc {
            id: "status",
            summary: "The node's view of itself and its cluster",
            gives: &[(JSON, "Status")],
            problems: &[Code::BadRequest],
            ..PLAIN
        },
        Endpoint::Why => Doc {
            id: "why",
            summary: "What is in the way, and what would help",
            gives: &[(JSON, "Explanation")],
            problems: &[Code::BadRequest],
            ..PLAIN
        },
        Endpoint::Vote => Doc {
            id: "request_vote",
            summary: "RequestVote, as in Figure 2 of the Raft paper",
            takes: &[(JSON, "VoteRequest")],
            gives: &[(JSON, "VoteAnswer")],
            problems: PEER_PROBLEMS,
            ..PLAIN
        },
        Endpoint::AppendEntries => Doc {
            id: "append_entries",
            summary: "AppendEntries, as in Figure 2 of the Raft paper",
            takes: &[(JSON, "AppendEntriesRequest")],
            gives: &[(JSON, "AppendEntriesAnswer")],
            problems: PEER_PROBLEMS,
            ..PLAIN
        },
        Endpoint::Metrics => {
            Doc { id: "metrics", summary: "Metrics for Prometheus", gives: &[(TEXT, "")], ..PLAIN }
        }
        Endpoint::OpenApi => {
            Doc { id: "openapi", summary: "This description", gives: &[(JSON, "")], ..PLAIN }
        }
        Endpoint::Recording => Doc {
            id: "recording",
            summary: "The flight recorder's recording",
            details: "All that went into the node's replica, keys and values too, as far back as its setting \
                `record_mib` reaches; `raft-server replay` shows it. A connection that is cut before the end \
                means that it is not whole. 404 where nothing is recorded.",
            gives: &[(BYTES, "")],
            problems: &[Code::BadRequest, Code::NotFound, Code::Overloaded, Code::Failed],
            ..PLAIN
        },
        Endpoint::Stream => Doc {
            id: "stream",
            summary: "The binary stream of the cluster's members",
            details: "Needs `Upgrade: raft`; not for clients.",
            status: "101",
            problems: &[Code::BadRequest, Code::Forbidden],
            ..PLAIN
        },
        _ => dashboard_doc(endpoint),
    }
}

fn dashboard_doc(endpoint: Endpoint) -> Doc {
    match endpoint {
        Endpoint::DashboardEvents => Doc {
            id: "dashboard_events",
            summary: "How all members are, several times a second",
            details: "Server-sent events named `cluster`, each with one `DashboardEvent` as JSON. This node \
                asks every member while somebody watches; an event comes at least five times a second.",
            gives: &[(EVENTS, "DashboardEvent")],
            problems: &[Code::Overloaded],
            ..PLAIN
        },
        Endpoint::DashboardFile => Doc {
            id: "dashboard_file",
            summary: "A file of the dashboard's page",
            gives: &[(CSS, ""), (SCRIPT, ""), (SVG, "")],
            problems: &[Code::NotFound],
            ..PLAIN
        },
        _ => Doc { id: "dashboard", summary: "The dashboard", gives: &[(HTML, "")], ..PLAIN },
    }
}

fn request_body(takes: &[(&str, &str)]) -> RequestBody {
    let mut body = RequestBodyBuilder::new().required(Some(Required::True));
    for (media, schema) in takes {
        body = body.content(*media, content(media, schema));
    }
    body.build()
}

fn content(media: &str, schema: &str) -> Content {
    let schema: RefOr<Schema> = match (schema, media) {
        ("", TEXT | HTML | CSS | SCRIPT | SVG) => ObjectBuilder::new().schema_type(Type::String).into(),
        ("", BYTES) => {
            let binary = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
            ObjectBuilder::new().schema_type(Type::String).format(binary).into()
        }
        ("", _) => return Content::new(None::<RefOr<Schema>>),
        (name, _) => Ref::from_schema_name(name).into(),
    };
    Content::new(Some(schema))
}

fn answer(doc: &Doc, endpoint: Endpoint) -> ResponseBuilder {
    let mut response = ResponseBuilder::new().description(match doc.status {
        "101" => "The connection is the members' now",
        _ => "Done",
    });
    for (media, schema) in doc.gives {
        response = response.content(*media, content(media, schema));
    }
    if endpoint == Endpoint::RawGet {
        let header = HeaderBuilder::new()
            .schema(Some(whole_number(0, u64::MAX)))
            .description(Some("The log index at which the key last changed"));
        response = response.header("Raft-Revision", header.build());
    }
    response
}

/// Several codes may share a status, and a status has one description.
fn by_status(problems: &[Code]) -> Vec<(u16, String)> {
    let mut all: Vec<(u16, String)> = Vec::new();
    for code in problems {
        let more = match code {
            // These three come together: the node may fail or stop as well as miss a leader.
            Code::NoLeader if problems.contains(&Code::Timeout) => {
                "`no_leader`, `shutting_down` or `failed`".into()
            }
            code => format!("`{}`", code.as_str()),
        };
        match all.iter_mut().find(|(status, _)| *status == code.status()) {
            Some((_, description)) => *description = format!("{description} or {more}"),
            None => all.push((code.status(), more)),
        }
    }
    all
}

fn key_in_path() -> Parameter {
    ParameterBuilder::new()
        .name("key")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The key, percent-encoded. A slash may stand in it as it is."))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(4096)),
        ))
        .build()
}

fn id_in_path() -> Parameter {
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The member's id."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_.-]{1,64}$"))))
        .build()
}

fn file_in_path() -> Parameter {
    ParameterBuilder::new()
        .name("file")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The name of the file, as the page has it."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

fn idempotency_headers() -> [Parameter; 3] {
    let header = |name: &str, description: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    };
    let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]([ -~]{0,126}[!-~])?$"));
    [
        header(
            "Idempotency-Key",
            "Alone: a name for this one write, which then happens once however often it is sent. With \
                `Idempotency-Sequence`: the name of the session.",
            key,
        ),
        header(
            "Idempotency-Sequence",
            "The number of this write in its session, from 1. Refused with 409 and the reason \
                `session_expired` where the session is not open.",
            whole_number(1, u64::MAX),
        ),
        header(
            "Idempotency-Answered-Below",
            "The answers to all numbers below this one, at most `Idempotency-Sequence`, have been \
                received, and may be forgotten.",
            whole_number(0, u64::MAX),
        ),
    ]
}

fn whole_number(least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most))
}

fn one_of(values: [&str; 2]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values))
}

fn query_parameter(param: Param) -> Parameter {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let (description, schema) = match param {
        Param::Consistency => (
            "`linearizable` (default) sees every write acknowledged before; `stale` is what this node has.",
            one_of(["linearizable", "stale"]),
        ),
        Param::TimeoutMs => (
            "How long it may take, in milliseconds, before it is answered 503 or 504.",
            whole_number(1, MAX_TIMEOUT_MS),
        ),
        Param::LongTimeoutMs => (
            "How long it may take, in milliseconds, before it is answered 503 or 504.",
            whole_number(1, MAX_LONG_TIMEOUT_MS),
        ),
        Param::Prefix => ("Only keys that start with this.", text()),
        Param::Limit => ("At most so many keys.", whole_number(1, u64::from(u32::MAX))),
        Param::After => ("Only keys after this one.", text()),
        Param::Values => {
            ("`false` for keys alone, in `keys`.", ObjectBuilder::new().schema_type(Type::Boolean))
        }
        Param::Force => (
            "`true`: also where a majority of those who stay cannot be reached.",
            ObjectBuilder::new().schema_type(Type::Boolean),
        ),
        Param::BytesAs => (
            "How bytes are shown: `text` (default) as a string where they are UTF-8; `base64` always as \
                `{\"$base64\": \"…\"}`, which tells them from strings.",
            one_of(["text", "base64"]),
        ),
    };
    ParameterBuilder::new()
        .name(param.name())
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}
