"""The C library as a user has it: installed under a prefix, found by pkg-config."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from raft_harness.process import REPOSITORY

EXAMPLES = REPOSITORY / "examples/c"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def need(*tools: str) -> None:
    """Skips where a tool is missing; in CI, where .ci/run installs all of them, that is a failure."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: str | Path, timeout: float = 60, **options: object) -> str:
    """Runs a command that has to succeed; what it said on stdout."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


class Prefix:
    """Where the library is installed."""

    def __init__(self, directory: Path, lib: str = "lib") -> None:
        self.directory, self.lib = directory, directory / lib
        self.library = self.lib / "libraft.so.1"
        self.header = directory / "include/raft.h"

    def pkg_config(self, *arguments: str) -> list[str]:
        need("pkg-config")
        env = {**os.environ, "PKG_CONFIG_LIBDIR": str(self.lib / "pkgconfig")}
        return run("pkg-config", *arguments, "raft", env=env).split()

    def compile(self, source: Path, to: Path, *command: str, static: bool = False) -> Path:
        """Compiles a program against this prefix; all warnings are errors."""
        need(command[0])
        flags = self.pkg_config("--cflags", "--libs", *(["--static"] if static else []))
        language = ["-x", "c++"] if "++" in command[0] else []
        rpath = [] if static else [f"-Wl,-rpath,{self.lib}"]
        run(*command, *STRICT, *language, source, "-x", "none", *flags, *rpath, "-o", to, timeout=120)
        return to


def install(directory: Path, *arguments: str, destdir: Path | None = None) -> Prefix:
    """Installs what was built; RAFT_C_PROFILE=debug takes the debug build."""
    env = {**os.environ, "PROFILE": os.environ.get("RAFT_C_PROFILE", "release"), "LIBDIR": ""}
    if destdir:
        env["DESTDIR"] = str(destdir)
    run(REPOSITORY / "raft-ffi/install", "--no-build", "--prefix", str(directory), *arguments, env=env)
    return Prefix(directory if destdir is None else destdir / directory.relative_to("/"))


@functools.cache
def prefix() -> Prefix:
    """The library, installed once for all tests."""
    directory = Path(tempfile.mkdtemp(prefix="raft-c-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return install(directory / "prefix")


@functools.cache
def program(name: str) -> Path:
    """An example, compiled once for all tests."""
    return prefix().compile(
        EXAMPLES / f"{name}.c", prefix().directory / f"{name}.program", "cc", "-std=c11", "-g"
    )
