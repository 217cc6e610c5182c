"""`/openapi.json` is a valid OpenAPI 3.1 document, and describes what the nodes really answer."""

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from raft_harness import Cluster, Reply

DOCUMENTED = {
    "/api/set": "post",
    "/api/get/{key}": "get",
    "/api/delete": "post",
    "/api/state_machine": "get",
    "/health": "get",
    "/api/status": "get",
    "/api/vote": "post",
    "/api/append_entries": "post",
    "/metrics": "get",
    "/api/why": "get",
    "/api/recording": "get",
    "/api/transfer": "post",
    "/api/snapshot": "post",
    "/api/backup": "get",
    "/api/members": "get",
    "/api/members/{id}": "delete",
    "/openapi.json": "get",
}


@pytest.fixture
def document(shared_cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = shared_cluster[0].http.get("/openapi.json").ok()
    return found


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_documented_endpoint_is_in_it(document: dict[str, Any]) -> None:
    for path, method in DOCUMENTED.items():
        operation = document["paths"][path][method]
        assert operation.get("summary") or operation.get("description"), path
        assert "200" in operation["responses"], path


def check(document: dict[str, Any], path: str, method: str, reply: Reply) -> None:
    """Holds an answer against the schema that the document gives for it."""
    responses = document["paths"][path][method]["responses"]
    assert str(reply.status) in responses, f"{method} {path}: {reply.status} is not described"
    content = resolve(document, responses[str(reply.status)])["content"]
    kind = reply.headers["content-type"].split(";")[0]
    assert kind in content, f"{method} {path}: {kind} is not described for {reply.status}"
    schema = {"$ref": "#/schema", "schema": content[kind]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(reply.json())


def resolve(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def test_answers_are_as_described(shared_cluster: Cluster, document: dict[str, Any]) -> None:
    http = shared_cluster[1].http
    check(document, "/api/set", "post", http.set_key("k", {"a": [1, None]}))
    check(document, "/api/get/{key}", "get", http.get_key("k"))
    check(document, "/api/get/{key}", "get", http.get_key("missing"))
    check(document, "/api/delete", "post", http.delete_key("k"))
    check(document, "/api/state_machine", "get", http.get("/api/state_machine"))
    check(document, "/api/session", "post", http.post("/api/session", {"client": "c"}))
    check(document, "/api/snapshot", "post", http.post("/api/snapshot", {}))
    for node in shared_cluster:
        for path in ("/health", "/api/status", "/api/why"):
            check(document, path, "get", node.http.get(path))
    stale = {"term": 0, "last_log_index": 0, "last_log_term": 0, "candidate_id": "node_0"}
    check(document, "/api/vote", "post", http.post("/api/vote", stale))
    entries = {"prev_log_index": 0, "prev_log_term": 0, "entries": [], "leader_commit": 0}
    append = {"term": 0, "leader_id": "node_0", **entries}
    check(document, "/api/append_entries", "post", http.post("/api/append_entries", append))


def test_problems_are_as_described(shared_cluster: Cluster, document: dict[str, Any]) -> None:
    http = shared_cluster[0].http
    text = {"content-type": "text/plain"}
    for path, reply, code in [
        ("/api/set", http.post("/api/set", {}), "bad_request"),
        ("/api/set", http.post("/api/set", b"{}", text), "unsupported_media_type"),
        ("/api/set", http.set_key("k" * 5000, 1), "too_large"),
        ("/api/set", http.set_key("k", 1, {"idempotency-key": "x", "idempotency-sequence": "1"}), "conflict"),
        ("/api/vote", http.post("/api/vote", {}), "bad_request"),
        ("/api/members", http.post("/api/members", {"node_id": "x", "promote": True}), "conflict"),
        ("/api/transfer", http.post("/api/transfer", {"node_id": "nobody"}), "conflict"),
        ("/api/snapshot", http.post("/api/snapshot", {"now": True}), "bad_request"),
    ]:
        assert reply.code == code
        check(document, path, "post", reply)


def test_no_leader_is_as_described(cluster: Cluster, document: dict[str, Any]) -> None:
    survivor = cluster[0]
    for node in cluster.others(survivor):
        node.kill()
    reply = survivor.http.post("/api/set?timeout_ms=1000", {"key": "k", "value": 1})
    assert reply.code in ("no_leader", "timeout")
    check(document, "/api/set", "post", reply)
    reply = survivor.http.get("/api/get/k?timeout_ms=500")
    assert reply.code in ("no_leader", "timeout")
    check(document, "/api/get/{key}", "get", reply)
