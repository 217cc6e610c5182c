"""libraft.so by ctypes: each function of the header with the types it declares. Needs nothing but Python."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raft_harness.c_header import Function, constants, functions

STATUS = constants("raft_status")
SCALARS: dict[str, Any] = {
    "raft_status": ctypes.c_int32,
    "raft_kind": ctypes.c_int32,
    "int32_t": ctypes.c_int32,
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "bool": ctypes.c_bool,
    "void": None,
}


def ctype(text: str) -> Any:
    """The type for ctypes; every pointer is a plain address."""
    is_address = text.endswith(("*", "_callback"))
    return ctypes.c_void_p if is_address else SCALARS[text]


class Library:
    """The functions of libraft, as attributes."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self.functions = {function.name: function for function in functions()}
        for function in self.functions.values():
            self._declare(function)

    def _declare(self, function: Function) -> None:
        symbol = getattr(self._library, function.name)
        symbol.restype = ctype(function.result)
        symbol.argtypes = [ctype(parameter.type) for parameter in function.parameters]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        symbol: Callable[..., Any] = getattr(self._library, name)
        return symbol

    def ok(self, name: str, *arguments: Any) -> None:
        """A call that has to succeed."""
        status = getattr(self, name)(*arguments)
        assert status == STATUS["RAFT_OK"], f"{name}: {status} {self.message()}"

    def made(self, name: str, *arguments: Any) -> int:
        """What a call hands over through its last parameter."""
        place = ctypes.c_void_p()
        self.ok(name, *arguments, ctypes.addressof(place))
        assert place.value
        return place.value

    def message(self) -> str:
        """The last error's message, of this thread."""
        text = ctypes.string_at(self.raft_last_error_message())
        return text.decode()

    def node(self, port: int, node_id: bytes = b"n", start: bool = True) -> int:
        """A node that is a cluster of its own, in memory."""
        config = self.made("raft_node_config_new", node_id, port)
        self.ok("raft_node_config_set_peers", config, node_id + b"=127.0.0.1:%d" % port)
        self.ok("raft_node_config_set_ephemeral", config, True)
        # Nobody else stands for election: there is nothing to wait for.
        self.ok("raft_node_config_set_heartbeat_interval_ms", config, 10)
        self.ok("raft_node_config_set_election_timeout_ms", config, 20, 30)
        node = self.made("raft_node_open", config)
        self.raft_node_config_free(config)
        if start:
            self.ok("raft_node_start", node)
        return node

    def client(self, port: int) -> int:
        """A client of one endpoint."""
        config = self.made("raft_client_config_new")
        self.ok("raft_client_config_set_endpoints", config, b"127.0.0.1:%d" % port)
        client = self.made("raft_client_open", config)
        self.raft_client_config_free(config)
        return client
