"""docs/features.md: what it shows is run and compared; it has every promise and everything there is.

`python -m raft_harness.pages ../docs/features.md`, in python-tests, writes what has changed. What differs
from run to run is then to be replaced by `…` again.
"""

import re
from pathlib import Path

import pytest
import raft_py
from raft_harness import c_header
from raft_harness.c_door import need
from raft_harness.namespaces import why_not
from raft_harness.pages import Session, differences, run, sessions, told
from raft_harness.process import REPOSITORY
from raft_harness.shell import raft_server

PAGE = REPOSITORY / "docs/features.md"
TEXT, NOT_YET = PAGE.read_text().split("\n## Not yet\n")
REASON = why_not()


def _words(text: str) -> list[str]:
    return text.split()


# The rows of the contract, each with what has to stand in the page's code blocks. Where the contract grows,
# so does this.
NAMES = {
    "documented cluster": [rf"^node_{n}  127\.0\.0\.1:1200{n} " for n in range(3)],
    "dashboard": [r"^\$ curl -s http://localhost:8080 .*\n<title>"],
    "election timeout, heartbeat": [
        r"default: 150\]\n.*default: 300\]\n.*default: 50\]$",
        r"drawn at random",
    ],
    "node id": [r"use 1 to 64 characters of A-Z a-z 0-9 _ \. -"],
    "key": [r"a key is 1 to 4096 bytes of UTF-8; this one has 0$", r"this one has 4097$"],
    "value": [r"at most 1048576 are accepted", r'"value":1\.0,', r'"value":null,', r'"value":\{"a":1\}'],
    "data directory": [r"^raft-data/node_0:$", r"ephemeral=True", r'data_dir="none: ephemeral"'],
    "bind address": [r"^127\.0\.0\.1:8080$", r"give --insecure"],
    "licence": [r"^MIT License$"],
    "a value keeps its type": [r'"value":"1\.0",', r'\{"\$base64":"Y2Fm6Q=="\}', r'"value":"text"'],
    "majority": [r"two of three", r"^exit code 3$"],
}
OPTIONS = _words(
    "peers join host advertise data-dir ephemeral election-timeout-min election-timeout-max"
    " heartbeat-interval config log-level log-format insecure record-mib snapshot-mib"
)
SHELL = {
    "raft-server NODE_ID PORT": [rf"^raft-server node_{n} 1200{n}$" for n in range(3)],
    "cluster": [r"^raft-server cluster --nodes 3$"],
    "dashboard": [r"^raft-server dashboard$"],
    "client": [
        r"\| raft-server client;",
        r'spawn\("raft-server client"',
        r"'get fruit/\\t' shows",
        r"'\\x1b\[A'",
    ],
    "client commands": [
        rf"^\$ .*raft-server client {word}"
        for word in ("set k", "get f", "delete f", "keys$", "keys fruit/$", "status$", "why$", "demo ")
    ],
    "members": [
        r"^raft-server node_3 12003 --join 127\.0\.0\.1:12000$",
        r"^NODE    ADDRESS          ROLE   PRIORITY\nnode_0 ",
        r"client members remove node_3\ndone, ",
    ],
    "snapshot": [r"client snapshot\nhas a snapshot of log index …: "],
    "recording": [
        r"^\$ raft-server client record .*\n… bytes from ",
        r"^\$ raft-server replay node_1\.raftrec --quiet.*\nnode ",
        r"kill -USR1 .*\nrecording-….raftrec$",
        r"--previous --quiet",
    ],
    "demos": [
        r"^\$ raft-server demo failover.*\nAll of this",
        r"^\$ raft-server demo consistency.*\nAll of this",
    ],
    "node options": [rf"--{option}\b|^{option.replace('-', '[-_]')} = " for option in OPTIONS],
    "precedence": [r"^raft-server: raft\.toml: ", r"^raft-server: RAFT_HEART", r"^raft-server: --heartbeat"],
    "client options": [
        rf"{flag}\b" for flag in ("--endpoints", "--timeout", "--output json", "--consistency stale")
    ],
    "exit codes": [rf"^exit code {code}$" for code in range(4)],
    "stdout, stderr": [r"client delete .* 2>/dev/null; .*\nexit code 1$"],
    "SIGTERM, SIGINT": [r"kill -INT .*\nstopped$", r'^"message":"stopped"$', r"kill -TERM .*client set was"],
    "kill -9": [r"kill -9 .*client get name", r"^led by node_…$"],
}
HTTP = {
    "POST /api/set": [r'^\{"success":true,"key":"name","revision":…\}'],
    "GET /api/get/{key}": [
        r'"found":true,"revision":…\}$',
        r'^\{"key":"nobody","value":null,"found":false\}',
    ],
    "POST /api/delete": [r'"deleted":true,"revision"', r'"deleted":false,"revision"'],
    "GET /api/state_machine": [r'^\{"state_machine":\{.*"revision"', r"prefix=n/&limit=2&after=n/2'"],
    "GET /health": [
        r'^\{"status":"ok","node_id":"node_0","state":"…","leader_id":"…","term":…\}',
        r"no_leader",
    ],
    "GET /api/status": [r"/api/status \| python -m json.tool"],
    "POST /api/vote": [r'^\{"term":…,"vote_granted":false\}'],
    "POST /api/append_entries": [r'^\{"term":…,"success":false,"match_index":0\}'],
    "GET /metrics": [r"^raft_has_leader 1$"],
    "GET /api/why": [
        r'^\{"ok":true,"summary":"node_0 is well: … leads","reasons":\[\]\}',
        r"node\.explain\(\)",
        r'"node_id":"…","advice":"…"\},',
    ],
    "GET /api/members": [r"/api/members \| grep"],
    "POST /api/members": [r'^\{"success":true,"configuration_index":…\}'],
    "DELETE /api/members/{id}": [r"-X DELETE"],
    "POST /api/transfer": [r'^\{"success":true,"leader_id":"node_0","term":…\}'],
    "POST /api/snapshot": [r'^\{"success":true,"index":…,"bytes":…,"took_ms":…\}'],
    "GET /api/backup": [r"^/api/backup$", r"^\$ raft-server backup .*> backup"],
    "GET /api/recording": [r"/api/recording \| raft-server replay /dev/stdin", r"this node records nothing"],
    "GET /openapi.json": [r"^3\.1\.0$"],
    "consistency": [r"consistency=stale", r"consistency=linearizable"],
    "Idempotency-Key": [r"Idempotency-Key: pay-1.*\n(.*)\n\1$"],
    "Upgrade: raft": [r"Upgrade: raft"],
    "Retry-After": [r"^HTTP/1\.1 503 .*\nretry-after: ", r'"code":"overloaded"\n.*retry-after: '],
    "504 says so": [r"may or may not have happened; repeat it with the same Idempotency-Key"],
    "hostile input": [r"urandom", r"GET /health HTTP/1\.1\\r\\n' >&3; ", r"^HTTP/1\.1 431 "],
}
STATUS = _words(
    "node_id state term leader_id leader_address voted_for commit_index last_applied last_log_index"
    " last_log_term log_length snapshot_index first_log_index keys uptime_ms version cluster_id members"
    " peers address role match_index next_index last_contact_ms reachable"
)
STATES = _words("leader follower candidate pre_candidate learner")
CODES = _words(
    "bad_request forbidden not_found method_not_allowed request_timeout conflict too_large"
    " unsupported_media_type overloaded no_leader shutting_down timeout"
)
PYTHON = {
    "start, set, get, delete, status, stop": [
        r"node = RaftNode\(\"node_0\", 12000\)\.start\(\)",
        *(rf"node\.{call}\(" for call in ("set", "get", "delete", "status", "explain", "keys", "stop")),
    ],
    "with, peers": [r"with RaftNode\(\"node_0\", 12000, peers="],
    "RaftClient": [r'RaftClient\(\["127\.0\.0\.1:12000", "127\.0\.0\.1:12001", "127\.0\.0\.1:12002"\]'],
    "data_dir, ephemeral": [r"# → raft-data/node_0$", r"\.data_dir\n\)  # → None$"],
    "one cluster": [r"^python member\.py node_1 12001$", r"^\$ \./quickstart node_2 12002$"],
    "typed": [r"^raft_py/py\.typed$"],
    "asyncio": [r"async with AsyncRaftClient"],
    "exceptions": [r"issubclass\(kind, RaftError\)"],
    "Ctrl-C, GIL": [r'print\("Ctrl-C"\)  # → Ctrl-C', r"# → 20 no_leader"],
    "the command": [r"^bin/raft-server$", r"^\$ python -m raft_py --version$"],
}
C = {
    "raft.h, pkg-config": [
        r"^\$ pkg-config --libs raft\n.*-lraft$",
        r"^\$ cc .*pkg-config --cflags --libs raft",
    ],
    "opaque handles": [r"raft_client \*client;", r"raft_node \*node;"],
    "result codes and messages": [r"^null_argument, ", r"^shutting_down: the node"],
    "ownership": [rf"raft_{kind}_free\(" for kind in ("node", "client", "value", "keys", "string")],
    "callbacks": [r"raft_set_log_callback\(count, &lines, "],
    "soname": [r"^soname: \[libraft\.so\.1\]$"],
    "header by cbindgen": [r"^Written by cbindgen\n.*--test header$"],
}
ROWS = {
    f"{section}: {row}": patterns
    for section, rows in {
        "names": NAMES,
        "shell": SHELL,
        "HTTP": HTTP,
        "status": {name: [rf'^ +"{name}": '] for name in STATUS} | {s: [rf'"{s}"'] for s in STATES},
        "problems": {code: [rf'"code":"{code}"'] for code in CODES},
        "Python": PYTHON,
        "C": C,
    }.items()
    for row, patterns in rows.items()
}
# Promised, and not there: what the page says of it, and what shows that it is so.
LATER = {
    "`client watch [PREFIX]`": r"unrecognized subcommand 'watch'",
    "TLS": r"unexpected argument '--tls-cert'",
    "token": r"unexpected argument '--token'",
    "401 `unauthorized`": r"-e unauthorized\n0$",
    "412 `condition_failed`": r"-e condition_failed .*\n0$",
    "a state machine in Python: `apply`, `snapshot`, `restore`": r"keyword argument 'state_machine'",
    "a state machine in C: callbacks": r"state\.machine' include/raft\.h\n0$",
}


def _code(text: str) -> str:
    """What stands in code blocks, and the C programs that they compile."""
    blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    programs = sorted(set(re.findall(r"examples/c/\w+\.c", "".join(blocks))))
    return "\n".join([*blocks, *((REPOSITORY / program).read_text() for program in programs)])


CODE, CODE_LATER = _code(TEXT), _code(NOT_YET)


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("session", sessions(PAGE), ids=lambda session: session.title)
def test_it_shows_what_is_printed(session: Session, tmp_path: Path) -> None:
    need("curl", "cc", "pkg-config", "readelf", "ss")
    found = differences(session, run(session, tmp_path))
    assert not found, told(found)


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_is_shown(row: str) -> None:
    missing = [pattern for pattern in ROWS[row] if not re.search(pattern, CODE, re.MULTILINE)]
    assert not missing, f"no code block has {missing}"


@pytest.mark.parametrize("what", LATER)
def test_what_is_not_there_is_said_and_shown(what: str) -> None:
    table = [line for line in NOT_YET.splitlines() if line.startswith("|")]
    rows = [line for line in table if what in line]
    assert len(rows) == 1
    assert all(cell.strip() for cell in rows[0].strip("|").split("|")), rows
    assert re.search(LATER[what], CODE_LATER, re.MULTILINE)


def test_every_code_is_either_shown_or_not_there_yet() -> None:
    assert not [code for code in ("unauthorized", "condition_failed") if f'"code":"{code}"' in CODE]
    source = (REPOSITORY / "raft-node/src/http/problem.rs").read_text()
    known = re.findall(r'=> \(\d+, "(\w+)", ', source)
    assert set(CODES) | {"failed", "disk_full"} == set(known), (
        "these take a disk that fails or is full: see docs/troubleshooting.md"
    )
    assert set(STATUS) <= set(re.findall(r'"(\w+)":', CODE))


@pytest.mark.parametrize(
    "command",
    [
        "",
        "cluster",
        "dashboard",
        "client",
        "demo failover",
        "client set",
        "client record",
        "client transfer",
        "client snapshot",
        "client members add",
        "client members remove",
        "replay",
        "recover",
        "backup",
        "restore",
        "completions",
    ],
)
def test_every_option_of_the_command_is_there(command: str) -> None:
    said = raft_server(*command.split(), "--help").out
    options = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said, re.MULTILINE))
    assert options
    missing = {option for option in options if option not in TEXT and option[2:] not in CODE}
    assert not missing


def test_every_subcommand_is_there() -> None:
    for command in ([], ["client"], ["demo"]):
        said = raft_server(*command, "--help").out
        (listed,) = re.findall(r"^Commands:\n(.*?)\n\n", said, re.MULTILINE | re.DOTALL)
        for name in re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE):
            assert name == "help" or " ".join(["raft-server", *command, name]) in CODE, name


def test_every_name_of_the_python_package_is_there() -> None:
    types = {
        "Consistency",
        "Explanation",
        "Item",
        "Member",
        "Peer",
        "Reason",
        "Snapshot",
        "Status",
        "Value",
        "__version__",
    }
    assert not [name for name in raft_py.__all__ if name not in TEXT and name not in types]
    for kind in (raft_py.RaftNode, raft_py.RaftClient):
        public = [name for name in dir(kind) if not name.startswith("_")]
        assert not [name for name in public if not re.search(rf"\.{name}\b", CODE)]


def test_every_function_of_the_header_is_there() -> None:
    assert not [function.name for function in c_header.functions() if f"{function.name}(" not in CODE]
