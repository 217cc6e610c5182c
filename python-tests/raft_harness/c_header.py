"""What include/raft.h declares, read from the regular way in which it is written."""

import re
from dataclasses import dataclass
from pathlib import Path

from raft_harness.process import REPOSITORY

HEADER = REPOSITORY / "include/raft.h"
_DECLARATION = re.compile(r"(/\*\*(?:(?!\*/).)*\*/)\n((?:[\w ]+?[ *]+)(raft_\w+)\(([^()]*)\);)", re.DOTALL)
_ANY_FUNCTION = re.compile(r"^[\w][\w *]*?(raft_\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One parameter: `const char *` and `key`."""

    type: str
    name: str


@dataclass(frozen=True)
class Function:
    """One function of the header."""

    name: str
    result: str
    parameters: tuple[Parameter, ...]
    comment: str


def functions(header: Path = HEADER) -> list[Function]:
    """All of them, in the header's order."""
    text = header.read_text()
    found = [_function(match) for match in _DECLARATION.finditer(text)]
    assert [function.name for function in found] == _ANY_FUNCTION.findall(text), "the header is not regular"
    return found


def constants(enum: str, header: Path = HEADER) -> dict[str, int]:
    """The names and numbers of an enum."""
    body = re.search(rf"^enum {enum}\n.*?\{{(.*?)^\}};", header.read_text(), re.DOTALL | re.MULTILINE)
    assert body, f"no enum {enum}"
    return {name: int(number) for name, number in re.findall(r"^ +(\w+) = (-?\d+),", body[1], re.MULTILINE)}


def _function(match: re.Match[str]) -> Function:
    comment, whole, name, parameters = match.groups()
    result = _type(whole[: whole.index(name)])
    parts = [part.strip() for part in parameters.split(",")]
    return Function(name, result, tuple(_parameter(part) for part in parts if part != "void"), comment)


def _parameter(text: str) -> Parameter:
    match = re.fullmatch(r"(.*?[ *])(\w+)", " ".join(text.split()))
    assert match, text
    return Parameter(_type(match[1]), match[2])


def _type(text: str) -> str:
    return " ".join(text.split())
