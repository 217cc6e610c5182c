"""Why a call failed: one hierarchy, one class for each kind of failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RaftError(Exception):
    """What every error of this package is.

    Attributes:
        code: a stable word for programs, such as `"no_leader"`; the same as over HTTP where HTTP has it.
        maybe_happened: whether a write that failed so may have happened, or may yet.
        endpoints: what went wrong at each endpoint of a client, by `HOST:PORT`; empty where that is not why.
    """

    code: str = "failed"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        maybe_happened: bool = False,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.maybe_happened = maybe_happened
        self.endpoints: dict[str, str] = dict(endpoints or {})

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.message, self.code, self.maybe_happened, self.endpoints)


def _rebuilt(
    kind: type[RaftError], message: str, code: str, maybe_happened: bool, endpoints: dict[str, str]
) -> RaftError:
    return kind(message, code=code, maybe_happened=maybe_happened, endpoints=endpoints)


class BadRequestError(RaftError, ValueError):
    """An argument cannot be used. Nothing was done."""

    code = "bad_request"


class TooLargeError(BadRequestError):
    """A key or value is over its limit. Nothing was done."""

    code = "too_large"


class ConfigError(RaftError, ValueError):
    """A node's configuration cannot work. The message says what to change."""

    code = "config"


class ListenError(RaftError, OSError):
    """The address cannot be listened on: it is in use, not this machine's, or not permitted."""

    code = "listen"


class DataDirectoryError(RaftError, OSError):
    """The data directory cannot be used: another process has it, or it cannot be written."""

    code = "data_directory"


class DamagedError(RaftError):
    """What the data directory holds is damaged, or is another node's."""

    code = "damaged"


class SystemResourceError(RaftError, OSError):
    """The operating system did not give what it takes."""

    code = "system"


class NoLeaderError(RaftError):
    """No leader was known in time. The call had no effect; `explain()` says what is in the way."""

    code = "no_leader"


class UnreachableError(RaftError, ConnectionError):
    """No endpoint could be reached in time. The call had no effect; `endpoints` says why."""

    code = "unreachable"


class RaftTimeoutError(RaftError, TimeoutError):
    """No answer came in time. Without `maybe_happened` the call had no effect."""

    code = "timeout"


class OutcomeUnknownError(RaftTimeoutError):
    """A write was begun and its outcome is not known: it may have happened, or may yet."""

    code = "outcome_unknown"


class OverloadedError(RaftError):
    """Too much is waiting already. The call had no effect."""

    code = "overloaded"


class DiskFullError(RaftError):
    """The leader's disk is full, and nobody else can lead. The call had no effect."""

    code = "disk_full"


class ConflictError(RaftError):
    """The call contradicts one before it. It had no effect."""

    code = "conflict"


class UnauthorizedError(RaftError):
    """The node does not know who asks. The call had no effect."""

    code = "unauthorized"


class ForbiddenError(RaftError):
    """The node does not allow it. The call had no effect."""

    code = "forbidden"


class NotRunningError(RaftError):
    """The node is stopping, has stopped or was not started; or the client is closed. The call had no
    effect."""

    code = "shutting_down"


class FailedError(RaftError):
    """The node cannot go on; its log and its status say why."""

    code = "failed"


class CallInterruptedError(RaftError):
    """The call was given up while it waited. Ctrl-C raises KeyboardInterrupt instead."""

    code = "interrupted"


class ProtocolError(RaftError):
    """What answers at an endpoint is no Raft node."""

    code = "protocol"


class ForkedError(RaftError):
    """The node or client was made by the parent of this process: a forked child needs one of its own."""

    code = "forked"


CLASSES: dict[str, type[RaftError]] = {
    kind.code: kind
    for kind in (
        BadRequestError,
        CallInterruptedError,
        ConfigError,
        ConflictError,
        DamagedError,
        DataDirectoryError,
        DiskFullError,
        FailedError,
        ForbiddenError,
        ForkedError,
        ListenError,
        NoLeaderError,
        NotRunningError,
        OutcomeUnknownError,
        OverloadedError,
        ProtocolError,
        RaftTimeoutError,
        SystemResourceError,
        TooLargeError,
        UnauthorizedError,
        UnreachableError,
    )
}


def exception_of(code: str, message: str, endpoints: dict[str, str], maybe_happened: bool) -> RaftError:
    """The exception for a failure; called by the native module."""
    kind = CLASSES.get(code, RaftError)
    return kind(message, code=code, maybe_happened=maybe_happened, endpoints=endpoints)
