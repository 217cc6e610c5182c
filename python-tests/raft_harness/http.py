"""A small HTTP client: one connection, kept alive, every outcome told apart."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


class Unreachable(Exception):
    """No answer came. `sent` tells whether the request may have reached the server."""

    def __init__(self, why: str, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The stable code of a problem, None where the answer is not a problem."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        problem = self.json()
        assert {"type", "title", "status", "detail", "code"} <= problem.keys(), problem
        assert problem["status"] == self.status, problem
        return str(problem["code"])

    def ok(self) -> Any:
        """The JSON of an answer that has to be 200."""
        assert self.status == 200, f"{self.status}: {self.body[:1000]!r}"
        return self.json()


class Http:
    """Speaks to one address."""

    def __init__(self, host: str, port: int, timeout: float = 10.0) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connect(self) -> socket.socket:
        """A raw connection to the same place."""
        return socket.create_connection((self.host, self.port), timeout=self.timeout)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Sends a request; a body that is not bytes goes as JSON. Raises Unreachable."""
        content = {} if body is None or isinstance(body, bytes) else {"content-type": "application/json"}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self._open(timeout or self.timeout)
        try:
            connection.request(method, path, data, {**content, **(headers or {})})
            answer = connection.getresponse()
            reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{method} {path} to port {self.port}: {error!r}", sent=True) from error
        if answer.will_close:
            self.close()
        return reply

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
            try:
                connection.sock = self.connect()
            except OSError as error:
                raise Unreachable(f"connect to port {self.port}: {error!r}", sent=False) from error
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        self._connection.sock.settimeout(timeout)
        return self._connection

    def get(self, path: str, timeout: float | None = None) -> Reply:
        return self.request("GET", path, timeout=timeout)

    def post(
        self,
        path: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Reply:
        return self.request("POST", path, body, headers, timeout)

    def set_key(
        self, key: str, value: Any, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Reply:
        return self.post("/api/set", {"key": key, "value": value}, headers, timeout)

    def get_key(self, key: str, consistency: str = "linearizable", timeout: float | None = None) -> Reply:
        return self.get(f"/api/get/{quote(key, safe='')}?consistency={consistency}", timeout)

    def delete_key(self, key: str) -> Reply:
        return self.post("/api/delete", {"key": key})
