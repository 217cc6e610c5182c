#!/usr/bin/env python3
"""Runs the mutants of raft-core, all compiled into one program: see docs/mutation.md."""

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import weave

ROOT = Path(__file__).parent.parent
WOVEN = ROOT / "target/mutants.woven"
# Two to three times what all tests take: what is slower, does not end.
TIMEOUT = 25.0
# Of memory that a test may ask for: a mutant may ask for ever more.
MEMORY = 4 << 30
# A test that takes longer is run after those that do not, and alone.
SLOW = 0.15
ALONE = ["--test-threads=1", "-Z", "unstable-options", "--fail-fast"]


@dataclass
class Program:
    """The woven crate, built: its test programs, and what is in them."""

    mutants: dict[int, weave.Mutant]
    directory: Path
    woven: dict[int, int] = field(default_factory=dict)
    invalid: set[int] = field(default_factory=set)
    apart: list[int] = field(default_factory=list)
    programs: dict[str, Path] = field(default_factory=dict)

    def build(self) -> None:
        """Weaves and compiles, without the mutants that do not compile, until all of the rest do."""
        while True:
            lines = self._weave()
            built = self._cargo("test", "--no-run")
            rejected, errors = set(), []
            for message in map(json.loads, built.stdout.splitlines()):
                if message.get("executable"):
                    self.programs[message["target"]["name"]] = Path(message["executable"])
                if message.get("message", {}).get("level") == "error":
                    found = _rejected(message["message"]["spans"], lines)
                    rejected |= found
                    errors += [] if found else [message["message"]["rendered"]]
            if built.returncode == 0:
                return
            if not rejected:
                raise SystemExit("\n".join(errors[:5]) or built.stderr)
            self.invalid |= rejected

    def run(self, command: Sequence[str], **environment: str) -> bool | None:
        """Whether these tests passed; None where they did not end."""
        try:
            done = subprocess.run(
                command,
                cwd=self.directory / "raft-core",
                env=_environment() | environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return None
        return done.returncode == 0

    def _weave(self) -> dict[str, dict[int, range]]:
        by_file: dict[str, list[weave.Mutant]] = {mutant.file: [] for mutant in self.mutants.values()}
        for mutant in self.mutants.values():
            if mutant.number not in self.invalid:
                by_file[mutant.file].append(mutant)
        lines, self.woven, self.apart = {}, {}, []
        for file, mutants in by_file.items():
            source = (ROOT / file).read_text()
            text = weave.weave(source, mutants, len(set(self.woven.values())))
            (self.directory / file).write_text(text.text)
            lines[file] = text.lines
            self.woven |= text.functions
            self.apart += text.apart
        library = "raft-core/src/lib.rs"
        module = weave.MODULE.replace("FUNCTIONS", str(len(set(self.woven.values()))))
        (self.directory / library).write_text((ROOT / library).read_text() + module)
        return lines

    def _cargo(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        target = self.directory / "target"
        return subprocess.run(
            ["cargo", *arguments, "--package=raft-core", "--profile=mutants", "--message-format=json"],
            cwd=self.directory,
            env=_environment() | {"RUSTFLAGS": "--cap-lints=allow", "CARGO_TARGET_DIR": str(target)},
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass
class Tests:
    """What there is to run, how long it takes, and which functions it reaches."""

    program: Program
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    reaching: dict[int, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))

    def measure(self, jobs: int) -> None:
        """Runs every test alone, without a mutant."""
        every = [(name, test) for name, path in self.program.programs.items() for test in _tests(path)]
        with ThreadPoolExecutor(jobs) as pool:
            for test, (seconds, functions) in zip(every, pool.map(self._cover, every), strict=True):
                self.seconds[test] = seconds
                for function in functions:
                    self.reaching[function].add(test)

    def outcome(self, mutant: int) -> str:
        """How it goes with this mutant: caught, timeout, missed, or unreached."""
        reaching = self.reaching[self.program.woven[mutant]]
        if not reaching:
            return "unreached"
        for command in self._commands(reaching):
            passed = self.program.run(command, MUTANT=str(mutant))
            if not passed:
                return "timeout" if passed is None else "caught"
        return "missed"

    def _commands(self, tests: Iterable[tuple[str, str]]) -> list[list[str]]:
        quick, slow = defaultdict(list), []
        for name, test in sorted(tests, key=lambda test: self.seconds[test]):
            program = str(self.program.programs[name])
            if self.seconds[name, test] < SLOW:
                quick[program].append(test)
            else:
                slow.append([program, "--exact", test])
        return [[program, "--exact", *names, *ALONE] for program, names in quick.items()] + slow

    def _cover(self, test: tuple[str, str]) -> tuple[float, list[int]]:
        with tempfile.TemporaryDirectory() as directory:
            reached = Path(directory) / "reached"
            command = [str(self.program.programs[test[0]]), "--exact", test[1]]
            began = time.monotonic()
            if not self.program.run(command, COVER=str(reached)):
                raise SystemExit(f"{test[1]} fails, or does not end, without a mutant")
            seconds = time.monotonic() - began
            return seconds, [int(line) for line in reached.read_text().split()] if reached.exists() else []


def _environment() -> dict[str, str]:
    # The harness of Rust's tests takes --fail-fast from those who say that they are nightly.
    return os.environ | {"RUSTC_BOOTSTRAP": "1", "PROPTEST_MAX_SHRINK_ITERS": "0", "RUST_BACKTRACE": "0"}


def _rejected(spans: Iterable[dict[str, object]], lines: dict[str, dict[int, range]]) -> set[int]:
    return {
        mutant
        for span in spans
        if span["is_primary"]
        for mutant, where in lines.get(str(span["file_name"]), {}).items()
        if span["line_start"] in where
    }


def _tests(program: Path) -> list[str]:
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]


def _listed(only: Sequence[str]) -> dict[int, weave.Mutant]:
    command = ["cargo", "mutants", "--package=raft-core", "--list", "--json"]
    listed = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    mutants = [weave.Mutant.read(number, mutant) for number, mutant in enumerate(listed, 1)]
    return {m.number: m for m in mutants if not only or any(text in m.name for text in only)}


def _copy(directory: Path) -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for old in directory.glob("*"):
        if old.name != "target":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for file in map(Path, files.splitlines()):
        if (ROOT / file).exists():
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            # Copied as new: cargo goes by the time, and what stood there was woven otherwise.
            shutil.copyfile(ROOT / file, directory / file)


def main() -> None:
    """Prints what was missed, and how many were caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="mutants whose name holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants that run at the same time")
    parser.add_argument("--directory", type=Path, default=WOVEN, help="where it is built")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    _copy(options.directory)
    program = Program(_listed(options.only), options.directory)
    program.build()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    tests = Tests(program)
    tests.measure(options.jobs)
    counts = Counter(apart=len(program.apart), invalid=len(program.invalid))
    with ThreadPoolExecutor(options.jobs) as pool, (options.directory / "outcomes.jsonl").open("w") as file:
        for mutant, outcome in zip(program.woven, pool.map(tests.outcome, program.woven), strict=True):
            counts[outcome] += 1
            name = program.mutants[mutant].name
            print(json.dumps({"mutant": name, "outcome": outcome}), file=file, flush=True)
            if outcome != "caught":
                print(f"{outcome}: {name}", flush=True)
    for mutant in program.apart:
        print(f"apart: {program.mutants[mutant].name}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))


if __name__ == "__main__":
    main()
