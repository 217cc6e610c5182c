"""A TCP proxy that passes on so many bytes a second, and cuts its connections when it is told to."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

PIECE = 16 << 10


class SlowProxy:
    """Stands before one address of this machine; a context manager.

    What goes to that address is slowed down, all connections together; what comes back is not.
    """

    def __init__(self, target: int, bytes_per_second: float) -> None:
        self.target = target
        self.limit(bytes_per_second)
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._listener.close()
        self.cut()

    def limit(self, bytes_per_second: float) -> None:
        """So much passes from now on."""
        self._seconds_per_byte = 1 / bytes_per_second

    def cut(self) -> None:
        """Closes every connection; what was under way is lost."""
        with self._lock:
            cut, self._open = self._open, []
        for end in cut:
            _close(end)

    @staticmethod
    def _start(work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while not self._closed:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            try:
                called = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                _close(caller)
                continue
            called.settimeout(None)
            for end in (caller, called):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open += [caller, called]
            self._start(self._pass_on, caller, called, True)
            self._start(self._pass_on, called, caller, False)

    def _pass_on(self, source: socket.socket, sink: socket.socket, slowly: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if slowly:
                    with self._turn:
                        time.sleep(len(piece) * self._seconds_per_byte)
                sink.sendall(piece)
        _close(source)
        _close(sink)


def _close(end: socket.socket) -> None:
    # Another thread may be reading from it: shutting it down wakes that.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
