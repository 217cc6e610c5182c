"""Puts all mutants of a Rust file into one text: each function in as many versions as it has mutants."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

LITERAL = re.compile(
    r"""//[^\n]*|/\*.*?\*/"""
    r"""|b?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*\""""
    r"""|b?'(?:\\.[^']*|[^\\'])'""",
    re.DOTALL,
)
# What the versions of a function differ in has to be of one type, and known when the program runs.
NOT_AT_RUN_TIME = re.compile(r"\bconst\s+fn\b|->[^{]*\bimpl\b")

MODULE = """
#[allow(missing_docs)]
pub mod mutation {
    extern crate std;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);
    static IS_COVER: AtomicBool = AtomicBool::new(false);
    static REACHED: [AtomicBool; FUNCTIONS] = [const { AtomicBool::new(false) }; FUNCTIONS];

    #[inline]
    pub fn active(function: usize) -> u32 {
        let mut active = ACTIVE.load(Relaxed);
        if active == u32::MAX {
            active = std::env::var("MUTANT").map_or(0, |id| id.parse().expect("a mutant's number"));
            IS_COVER.store(std::env::var_os("COVER").is_some(), Relaxed);
            ACTIVE.store(active, Relaxed);
        }
        if IS_COVER.load(Relaxed) && !REACHED[function].swap(true, Relaxed) {
            reach(function);
        }
        active
    }

    #[cold]
    fn reach(function: usize) {
        let path = std::env::var_os("COVER").expect("where to write");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.expect("a file"), "{function}").expect("room");
    }
}
"""


@dataclass(frozen=True, order=True)
class Place:
    """A line and a column, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Mutant:
    """One of `cargo mutants --list --json`. `number` is what MUTANT names it by, from 1."""

    number: int
    name: str
    file: str
    start: Place
    end: Place
    replacement: str
    function: tuple[Place, Place] | None

    @staticmethod
    def read(number: int, listed: Mapping[str, object]) -> "Mutant":
        """The mutant that an element of the listing describes."""
        span = _span(listed["span"])
        function = listed["function"]
        return Mutant(
            number,
            str(listed["name"]),
            str(listed["file"]),
            *span,
            str(listed["replacement"]),
            _span(function["span"]) if isinstance(function, dict) else None,
        )


@dataclass
class Woven:
    """A file with its mutants in it: where each stands (`lines`), and in which function."""

    text: str = ""
    lines: dict[int, range] = field(default_factory=dict)
    functions: dict[int, int] = field(default_factory=dict)
    apart: list[int] = field(default_factory=list)


def _span(span: object) -> tuple[Place, Place]:
    assert isinstance(span, dict)
    return Place(**span["start"]), Place(**span["end"])


def weave(source: str, mutants: Sequence[Mutant], first_function: int) -> Woven:
    """Weaves the mutants of one file. Who cannot be chosen at run time is left out and in `apart`."""
    woven = Woven()
    starts = [0]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def at(place: Place) -> int:
        return starts[place.line - 1] + place.column - 1

    by_function = defaultdict(list)
    for mutant in mutants:
        if mutant.function is None:
            woven.apart.append(mutant.number)
        else:
            by_function[at(mutant.function[0]), at(mutant.function[1])].append(mutant)

    done = 0
    for (start, end), versions in sorted(by_function.items()):
        body = _body(source, start, end)
        if body is None or start < done:
            woven.apart.extend(mutant.number for mutant in versions)
            continue
        opens, closes = body
        function = first_function + len(set(woven.functions.values()))
        woven.text += source[done:opens] + f"{{ match crate::mutation::active({function}) {{\n"
        for mutant in versions:
            # The body's braces are in what is replaced where nothing stands between them.
            first, last = max(at(mutant.start), opens + 1), min(at(mutant.end), closes - 1)
            version = source[opens:first] + mutant.replacement + source[last:closes]
            begins = woven.text.count("\n") + 1
            woven.text += f"{mutant.number} => {version}\n"
            woven.lines[mutant.number] = range(begins, woven.text.count("\n") + 1)
            woven.functions[mutant.number] = function
        woven.text += f"_ => {source[opens:closes]}\n}} }}"
        done = closes
    woven.text += source[done:]
    return woven


def _body(source: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the body of the function in source[start:end] begins and ends, braces included."""
    opens, parentheses, braces = None, 0, 0
    for place, character in _code(source, start, end):
        if opens is None:
            parentheses += (character in "([") - (character in ")]")
            if character == "{" and parentheses == 0:
                opens, braces = place, 1
                if NOT_AT_RUN_TIME.search(source[start:opens]):
                    return None
        else:
            braces += (character == "{") - (character == "}")
            if braces == 0:
                return opens, place + 1
    return None


def _code(source: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """The brackets in source[start:end] that are in no comment, string or character."""
    place = start
    while place < end:
        literal = LITERAL.match(source, place)
        if literal:
            place = literal.end()
            continue
        if source[place] in "()[]{}":
            yield place, source[place]
        place += 1
