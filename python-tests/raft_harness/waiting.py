"""Waiting for a condition."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Missed(AssertionError):
    """A condition did not come true before its deadline."""


def eventually(
    attempt: Callable[[], T | None], what: str, timeout: float = 10.0, interval: float = 0.02
) -> T:
    """Repeats `attempt` until it returns something true; an AssertionError counts as not yet."""
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            found = attempt()
            if found:
                return found
            last = found
        except Missed:
            raise
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise Missed(f"after {timeout:.0f} s still not: {what} (last: {last!r})")
        time.sleep(interval)
