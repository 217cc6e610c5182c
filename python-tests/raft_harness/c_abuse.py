"""Calls every function of raft.h as it must not be called. Run as a program, so that a crash is seen:

    python -m raft_harness.c_abuse LIBRARY PORT one-by-one|eight-threads|wrong-order|fork

`ROWS` has a row for each function, and tells what it is to answer. Each case is printed before it is tried,
and a function without a row ends the run: a new function cannot be forgotten.
"""

import ctypes
import mmap
import os
import random
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raft_harness.c_header import Function, Parameter
from raft_harness.libraft import STATUS, Library

OK, NULL = STATUS["RAFT_OK"], STATUS["RAFT_NULL_ARGUMENT"]
UTF8, BAD, CONFIG = STATUS["RAFT_INVALID_UTF8"], STATUS["RAFT_BAD_REQUEST"], STATUS["RAFT_CONFIG"]
LARGE, DOWN = STATUS["RAFT_TOO_LARGE"], STATUS["RAFT_SHUTTING_DOWN"]
CONFLICT = STATUS["RAFT_CONFLICT"]
PANIC, FORKED = STATUS["RAFT_PANIC"], STATUS["RAFT_FORKED"]

GARBAGE = 0xA5A5_A5A5_A5A5_A5A5
WILD = 1  # not NULL, and nobody's memory
HUGE = [2**64 - 1, 2**63, 2**63 - 1, 2**32, 8 * 2**20 + 1]
MAXIMA = {
    "uint8_t": 2**8 - 1,
    "uint16_t": 2**16 - 1,
    "uint32_t": 2**32 - 1,
    "int32_t": 2**31 - 1,
    "size_t": 2**64 - 1,
}
NOT_UTF8 = b"caf\xe9"


@dataclass(frozen=True)
class Row:
    """What a function answers: to good arguments, and to texts that are not."""

    good: int = OK
    optional: frozenset[str] = frozenset()
    empty: dict[str, int] = field(default_factory=dict)
    too_long: dict[str, int] = field(default_factory=dict)
    not_utf8: dict[str, int] = field(default_factory=dict)


def _setter(text: str = "", empty: int = OK) -> Row:
    return Row(empty={text: empty}, too_long={text: BAD}, not_utf8={text: UTF8}) if text else Row()


def _write(text: str = "", empty: int = OK) -> Row:
    texts = {text} - {""}
    return Row(
        optional=frozenset({"revision", "data", "deleted"}),
        empty={"key": BAD, **dict.fromkeys(texts, empty)},
        too_long={"key": BAD, **dict.fromkeys(texts, LARGE)},
        not_utf8=dict.fromkeys({"key", *texts}, UTF8),
    )


def _read(text: str, empty: int = OK) -> Row:
    return Row(empty={text: empty}, too_long={text: BAD}, not_utf8={text: UTF8})


_STORE = {
    "set": _write(),
    "set_text": _write("text"),
    "set_json": _write("json", BAD),
    "get": _read("key", empty=BAD),
    "delete": _write(),
    "keys": _read("prefix"),
    "status": Row(),
    "explain": Row(),
    "transfer": Row(
        optional=frozenset({"node_id", "leader"}),
        empty={"node_id": BAD},
        too_long={"node_id": BAD},
        not_utf8={"node_id": UTF8},
    ),
    "members": Row(),
    # Of the one member there is.
    "add_member": Row(
        good=CONFLICT,
        empty={"node_id": BAD, "address": BAD},
        too_long={"node_id": BAD, "address": BAD},
        not_utf8={"node_id": UTF8, "address": UTF8},
    ),
    "promote_member": Row(empty={"node_id": BAD}, too_long={"node_id": BAD}, not_utf8={"node_id": UTF8}),
    "replace_member": Row(
        good=CONFLICT,
        empty={"old_id": BAD, "node_id": BAD, "address": BAD},
        too_long={"old_id": BAD, "node_id": BAD, "address": BAD},
        not_utf8={"old_id": UTF8, "node_id": UTF8, "address": UTF8},
    ),
    "set_priority": Row(empty={"node_id": BAD}, too_long={"node_id": BAD}, not_utf8={"node_id": UTF8}),
    "snapshot": Row(optional=frozenset({"index", "bytes", "took_ms"})),
    "remove_member": Row(
        good=CONFLICT, empty={"node_id": BAD}, too_long={"node_id": BAD}, not_utf8={"node_id": UTF8}
    ),
}
ROWS: dict[str, Row] = {
    "raft_version": Row(),
    "raft_abi_version": Row(),
    "raft_status_name": Row(),
    "raft_status_maybe_happened": Row(),
    "raft_last_error_message": Row(),
    "raft_node_config_new": _setter("node_id", CONFIG),
    "raft_node_config_set_peers": _setter("peers", CONFIG),
    "raft_node_config_set_join": _setter("endpoints", CONFIG),
    "raft_node_config_set_host": _setter("host"),
    "raft_node_config_set_advertise": _setter("address"),
    "raft_node_config_set_data_dir": Row(empty={"path": BAD}, too_long={"path": BAD}, not_utf8={"path": OK}),
    "raft_node_config_set_ephemeral": Row(),
    "raft_node_config_set_election_timeout_ms": Row(),
    "raft_node_config_set_heartbeat_interval_ms": Row(),
    "raft_node_config_set_insecure": Row(),
    "raft_node_config_set_max_value_bytes": Row(),
    "raft_node_config_set_request_timeout_ms": Row(),
    "raft_node_config_set_io_threads": Row(),
    "raft_node_config_set_record_mib": Row(),
    "raft_node_config_set_snapshot_mib": Row(),
    "raft_node_config_free": Row(),
    "raft_node_open": Row(),
    "raft_node_start": Row(),
    "raft_node_stop": Row(),
    "raft_node_free": Row(),
    **{f"raft_node_{name}": row for name, row in _STORE.items()},
    "raft_client_config_new": Row(),
    "raft_client_config_set_endpoints": _setter("endpoints"),
    "raft_client_config_set_timeout_ms": Row(),
    "raft_client_config_set_consistency": Row(),
    "raft_client_config_free": Row(),
    "raft_client_open": Row(),
    "raft_client_free": Row(),
    **{f"raft_client_{name}": row for name, row in _STORE.items()},
    "raft_value_kind": Row(),
    "raft_value_data": Row(),
    "raft_value_size": Row(),
    "raft_value_json": Row(),
    "raft_value_revision": Row(),
    "raft_value_free": Row(),
    "raft_keys_count": Row(),
    "raft_keys_at": Row(),
    "raft_keys_size_at": Row(),
    "raft_keys_free": Row(),
    "raft_string_free": Row(),
    "raft_set_log_callback": Row(optional=frozenset({"user_data"})),
}

GOOD_TEXTS = {
    "node_id": b"n",
    "old_id": b"n",
    "peers": b"n=127.0.0.1:1",
    "host": b"127.0.0.1",
    "address": b"127.0.0.1:1",
    "path": b"some/where",
    "endpoints": b"127.0.0.1:1",
    "key": b"a key",
    "prefix": b"",
    "text": b"a text",
    "json": b'{"a": 1}',
}


class Slot:
    """An out-parameter, with garbage in it until somebody writes there."""

    def __init__(self, type_name: str) -> None:
        self.type = type_name
        self.place = ctypes.c_uint64(GARBAGE)

    @property
    def address(self) -> int:
        return ctypes.addressof(self.place)

    def value(self) -> int:
        """What stands there, of the width of its type."""
        return self.place.value & 0xFF if self.type == "bool *" else self.place.value


class Abuse:
    """A node, a client of it, and one of everything they hand out, to call functions with."""

    def __init__(self, library: Path, port: int) -> None:
        self.raft, self.port = Library(library), port
        raft = self.raft
        missing = set(raft.functions) ^ set(ROWS)
        assert not missing, f"raft.h and ROWS differ in: {', '.join(sorted(missing))}"
        self.node = raft.node(port)
        self.client = raft.client(port)
        raft.ok("raft_node_set_text", self.node, b"there", b"v", 30_000, None)
        self.handles = {
            "raft_node": self.node,
            "raft_client": self.client,
            "raft_value": raft.made("raft_node_get", self.node, b"there", 0, 0),
            "raft_keys": raft.made("raft_node_keys", self.node, b"", 0, 0),
            "raft_node_config": self.config("raft_node_config"),
            "raft_client_config": self.config("raft_client_config"),
        }
        self.unterminated = _unterminated(1 << 25)

    def config(self, kind: str) -> int:
        """A configuration with the defaults."""
        if kind == "raft_client_config":
            return self.raft.made("raft_client_config_new")
        return self.raft.made("raft_node_config_new", b"node_0", 12000)

    def fresh(self, function: Function) -> int | None:
        """Something of its own for a function that frees it."""
        raft, kind = self.raft, function.parameters[0].type.removesuffix(" *")
        if kind in ("raft_node_config", "raft_client_config"):
            return self.config(kind)
        if kind == "raft_node":
            return raft.made("raft_node_open", self.handles["raft_node_config"])
        if kind == "raft_client":
            return raft.made("raft_client_open", self.handles["raft_client_config"])
        # NULL where other threads have stopped the node just now.
        place = ctypes.c_void_p()
        address = ctypes.addressof(place)
        if kind == "raft_value":
            raft.raft_node_get(self.node, b"there", 2, 0, address)
        elif kind == "raft_keys":
            raft.raft_node_keys(self.node, b"", 2, 0, address)
        else:
            assert kind == "char", function
            raft.raft_node_status(self.node, 0, address)
        return place.value

    def good(self, function: Function, parameter: Parameter) -> Any:
        """An argument that can be used."""
        if function.name.endswith("_free"):
            return self.fresh(function)
        kind = parameter.type.removeprefix("const ").removesuffix(" *")
        if parameter.type.endswith("**") or parameter.type in ("bool *", "uint64_t *"):
            return Slot(parameter.type)
        if kind in ("raft_node_config", "raft_client_config"):
            # Of its own: a hostile value set on one must not be met by the next call.
            return self.handles[kind] if function.name.endswith("_open") else self.config(kind)
        if kind in self.handles:
            return self.handles[kind]
        if parameter.type == "const char *":
            return b"there" if function.name.endswith("_get") else GOOD_TEXTS[parameter.name]
        if parameter.type == "const void *":
            return b"some bytes"
        if parameter.type in ("raft_log_callback", "void *"):
            return None
        defaults = {"size": 10, "port": 1, "timeout_ms": 0, "consistency": 0}
        return defaults.get(parameter.name, 1)

    def arguments(self, function: Function) -> list[Any]:
        return [self.good(function, parameter) for parameter in function.parameters]

    def call(self, function: Function, arguments: list[Any]) -> Any:
        """Calls, takes back what is handed out, and checks that a failure left everything in a safe state."""
        plain = [argument.address if isinstance(argument, Slot) else argument for argument in arguments]
        answer = getattr(self.raft, function.name)(*plain)
        if function.result == "raft_status":
            assert answer in STATUS.values(), f"{answer} is no status"
            assert answer != PANIC, self.raft.message()
            if answer != OK:
                assert self.raft.message(), "a failure without a message"
        for slot in arguments:
            if isinstance(slot, Slot):
                self._take_back(slot, answer)
        return answer

    def _take_back(self, slot: Slot, answer: int) -> None:
        value = slot.value()
        if answer != OK:
            assert value == 0, f"left {value:#x} in an out-parameter"
        elif slot.type.endswith("**"):
            assert value not in (0, GARBAGE), "nothing was handed out"
            kind = slot.type.removesuffix(" **")
            free = "raft_string_free" if kind == "char" else f"{kind}_free"
            getattr(self.raft, free)(value)


def _unterminated(size: int) -> int:
    """The address of so many bytes of text with no NUL behind them, but memory that must not be touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = libc.mmap(None, size + mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    assert start not in (None, 2**64 - 1)
    ctypes.memset(start, ord("a"), size)
    assert libc.mprotect(start + size, mmap.PAGESIZE, 0) == 0
    return int(start)


Case = tuple[str, list[Any], int | None]


def cases(abuse: Abuse, function: Function) -> Iterator[Case]:
    """A name for each case, its arguments, and what is to be answered; None for whatever is no crash."""
    row = ROWS[function.name]
    status = function.result == "raft_status"
    yield "as it should be", abuse.arguments(function), row.good if status else None
    pointers = [n for n, p in enumerate(function.parameters) if p.type.endswith("*")]
    if pointers:
        arguments = abuse.arguments(function) if not function.name.endswith("_free") else [None]
        for n in pointers:
            arguments[n] = None
        needed = {function.parameters[n].name for n in pointers} - row.optional
        yield "all NULL", arguments, NULL if status and needed else 0
    for n, parameter in enumerate(function.parameters):
        if parameter.type.endswith("*") and not function.name.endswith("_free"):
            arguments = abuse.arguments(function)
            arguments[n] = None
            required = status and parameter.name not in row.optional
            yield f"{parameter.name} is NULL", arguments, NULL if required else None
        if parameter.type == "const char *":
            yield from _texts(abuse, function, n, row)
        if parameter.type in MAXIMA:
            yield from _numbers(abuse, function, n)


def _texts(abuse: Abuse, function: Function, n: int, row: Row) -> Iterator[Case]:
    name = function.parameters[n].name
    for what, text, wanted in [
        ("empty", b"", row.empty[name]),
        ("not UTF-8", NOT_UTF8, row.not_utf8[name]),
        ("too long", b"a" * (2**24 + 1), row.too_long[name]),
        ("without an end", abuse.unterminated, row.too_long[name]),
    ]:
        arguments = abuse.arguments(function)
        arguments[n] = text
        yield f"{name} is {what}", arguments, wanted


def _numbers(abuse: Abuse, function: Function, n: int) -> Iterator[Case]:
    parameter = function.parameters[n]
    is_size = parameter.name == "size"
    numbers = HUGE if is_size else [0, MAXIMA[parameter.type]]
    for number in numbers:
        arguments = abuse.arguments(function)
        arguments[n] = number
        wanted = None
        if is_size:
            arguments[n - 1], wanted = WILD, LARGE
        if parameter.name == "consistency" and number:
            wanted = BAD
        yield f"{parameter.name} is {number}", arguments, wanted
    if is_size:
        arguments = abuse.arguments(function)
        arguments[n - 1 : n + 1] = [WILD, 0]
        yield "no bytes, wherever they are", arguments, OK
        arguments = abuse.arguments(function)
        arguments[n - 1 : n + 1] = [None, 1]
        yield "a byte at NULL", arguments, NULL


def _say(text: str) -> None:
    print(text, flush=True)


def one_by_one(abuse: Abuse) -> None:
    """Every case of every function."""
    last = ["raft_node_stop"]
    order = sorted(abuse.raft.functions.values(), key=lambda function: function.name in last)
    count = 0
    for function in order:
        for name, arguments, wanted in cases(abuse, function):
            _say(f"{function.name}: {name}")
            if function.name == "raft_node_stop":
                abuse.raft.raft_node_start(abuse.node)
            answer = abuse.call(function, arguments)
            if wanted is not None:
                assert (answer or 0) == wanted, f"answered {answer}, not {wanted}: {abuse.raft.message()}"
            count += 1
    _say(f"{count} cases, {len(order)} functions")


def eight_threads(abuse: Abuse) -> None:
    """All of it at a time, on the same node and client, which are stopped and started meanwhile."""
    plan = [
        (function, case) for function in abuse.raft.functions.values() for case in _count(abuse, function)
    ]
    failures: list[str] = []
    lines: list[int] = []
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    log = kind(lambda level, _target, _message, _data: lines.append(level))
    trace = 5

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for number, (function, n) in enumerate(draw.sample(plan, len(plan))):
            try:
                if number % 20 == 0:
                    address = ctypes.cast(log, ctypes.c_void_p).value
                    abuse.raft.ok("raft_set_log_callback", address, None, trace)
                _, arguments, _ = list(cases(abuse, function))[n]
                abuse.call(function, _short(function, arguments))
            except Exception as error:
                failures.append(f"{function.name}, case {n}: {error!r}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    abuse.raft.ok("raft_set_log_callback", None, None, 0)
    assert not failures, failures
    assert {1, 2, 3, 4, 5}.issuperset(lines), "levels"
    assert lines, "what was logged was handed over"
    _say(f"8 threads, {len(plan)} cases each")


def _count(abuse: Abuse, function: Function) -> range:
    return range(sum(1 for _ in cases(abuse, function)))


def _short(function: Function, arguments: list[Any]) -> list[Any]:
    """With a timeout that lets calls on a node that is just being stopped end soon."""
    names = [parameter.name for parameter in function.parameters]
    if "timeout_ms" in names and function.name != "raft_node_stop":
        arguments[names.index("timeout_ms")] = 300
    return arguments


def wrong_order(abuse: Abuse) -> None:
    """What is called too early, too late or twice."""
    raft, node = abuse.raft, abuse.node
    raft.ok("raft_node_start", node)
    raft.ok("raft_node_set_text", node, b"started", b"twice", 30_000, None)
    ours = [f for f in raft.functions.values() if f.name.removeprefix("raft_node_") in _STORE]
    assert len(ours) == len(_STORE)
    never_started = raft.node(abuse.port, start=False)
    raft.ok("raft_node_stop", never_started, 0)
    raft.ok("raft_node_stop", node, 0)
    raft.ok("raft_node_stop", node, 0)
    for stopped in (never_started, node):
        abuse.handles["raft_node"] = stopped
        for function in ours:
            _say(f"{function.name}: not running")
            assert abuse.call(function, abuse.arguments(function)) == DOWN
    raft.ok("raft_node_start", never_started)
    raft.ok("raft_node_set_text", never_started, b"k", b"v", 30_000, None)
    assert raft.raft_node_start(node) == STATUS["RAFT_LISTEN"], "the port is taken"
    assert str(abuse.port) in raft.message()
    raft.raft_node_free(never_started)
    raft.ok("raft_node_start", node)
    raft.ok("raft_node_set_text", node, b"k", b"v", 30_000, None)
    raft.raft_node_free(node)
    _say("in order")


def fork(abuse: Abuse) -> None:
    """A child is told so by every handle of its parent; its own work, and the parent's go on."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _in_the_child(abuse)
            code = 0
        except BaseException as error:
            _say(f"in the child: {error!r}")
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    abuse.raft.ok("raft_node_set_text", abuse.node, b"parent", b"v", 30_000, None)
    abuse.raft.ok("raft_client_set_text", abuse.client, b"parent", b"v", 30_000, None)
    abuse.raft.raft_client_free(abuse.client)
    abuse.raft.raft_node_free(abuse.node)
    _say("forked")


def _in_the_child(abuse: Abuse) -> None:
    raft = abuse.raft
    for function in raft.functions.values():
        kinds = [p.type for p in function.parameters[:1]]
        if function.result == "raft_status" and kinds in (["raft_node *"], ["raft_client *"]):
            _say(f"{function.name}: in a child")
            assert abuse.call(function, abuse.arguments(function)) == FORKED, function.name
            assert "forked" in raft.message()
    raft.raft_node_free(abuse.node)
    raft.raft_client_free(abuse.client)
    own = raft.client(abuse.port)
    raft.ok("raft_client_set_text", own, b"child", b"v", 30_000, None)
    raft.raft_client_free(own)
    node = raft.node(abuse.port + 1)
    raft.ok("raft_node_set_text", node, b"child", b"v", 30_000, None)
    raft.raft_node_free(node)


MODES = {"one-by-one": one_by_one, "eight-threads": eight_threads, "wrong-order": wrong_order, "fork": fork}

if __name__ == "__main__":
    MODES[sys.argv[3]](Abuse(Path(sys.argv[1]), int(sys.argv[2])))
