"""The C library as it is installed, and the quick start compiled against it as a user would."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from raft_harness import c_header
from raft_harness.c_door import EXAMPLES, STRICT, install, need, prefix, program, run
from raft_harness.ports import free_ports
from raft_harness.process import REPOSITORY

pytestmark = pytest.mark.deadline(300)

DIALECTS = [
    ("gcc", "-std=c11"),
    ("clang", "-std=c11"),
    ("g++", "-std=c++17"),
    ("clang++", "-std=c++17"),
]
QUICK_START_SAYS = re.compile(
    r"set name at revision (\d+)\n"
    r'name is Raft Cluster, in JSON "Raft Cluster"\n'
    r"deleted: yes\n"
    r'now: the key "name" is not set\n'
    r"status: (\{.*\})\n"
)


def run_quick_start(executable: Path, directory: Path, *before: str, timeout: float = 60) -> None:
    """Runs it as a cluster of its own; it has to say what it is documented to say."""
    (port,) = free_ports(1)
    arguments = ["node_0", str(port), f"node_0=127.0.0.1:{port}"]
    said = run(*before, executable, *arguments, cwd=directory, timeout=timeout)
    match = QUICK_START_SAYS.fullmatch(said)
    assert match, said
    status = json.loads(match[2])
    assert (status["node_id"], status["state"], status["keys"]) == ("node_0", "leader", 0)
    assert (directory / "raft-data/node_0").is_dir()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect[0])
def test_the_quick_start(dialect: tuple[str, str], tmp_path: Path) -> None:
    executable = prefix().compile(EXAMPLES / "quickstart.c", tmp_path / "quickstart", *dialect)
    run_quick_start(executable, tmp_path)


@pytest.mark.parametrize("compiler", ["gcc", "clang++"])
def test_the_quick_start_linked_statically(compiler: str, tmp_path: Path) -> None:
    """Where there is only libraft.a, `pkg-config --static` names all it takes."""
    installed = install(tmp_path / "prefix")
    for shared in installed.lib.glob("libraft.so*"):
        shared.unlink()
    dialect = dict(DIALECTS)[compiler]
    quick_start = EXAMPLES / "quickstart.c"
    executable = installed.compile(quick_start, tmp_path / "quickstart", compiler, dialect, static=True)
    shutil.rmtree(installed.directory)
    assert "libraft" not in run("ldd", executable)
    run_quick_start(executable, tmp_path)


def test_the_command_in_the_quick_starts_comment(tmp_path: Path) -> None:
    need("cc", "pkg-config")
    source = (EXAMPLES / "quickstart.c").read_text()
    command = re.search(r"^ \* +(cc .*)$", source, re.MULTILINE)
    assert command, "the comment says how to compile it"
    shutil.copy(EXAMPLES / "quickstart.c", tmp_path)
    env = {"PATH": "/usr/bin:/bin", "PKG_CONFIG_PATH": str(prefix().lib / "pkgconfig")}
    run("sh", "-c", command[1], cwd=tmp_path, env=env)
    assert "libraft.so.1 =>" in run("ldd", tmp_path / "quickstart")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_node_program_and_the_header_alone(compiler: str, tmp_path: Path) -> None:
    prefix().compile(EXAMPLES / "node.c", tmp_path / "node", compiler, "-std=c11")
    for standard in ("-std=c99", "-std=c11", "-std=c2x"):
        run(compiler, standard, *STRICT, "-x", "c", "-fsyntax-only", prefix().header)


def test_what_the_shared_library_shows() -> None:
    """The functions of the header and nothing else, under the name of their ABI."""
    need("nm", "readelf")
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", prefix().library).splitlines()}
    assert exported == {function.name for function in c_header.functions()}
    dynamic = run("readelf", "-d", prefix().library)
    assert "Library soname: [libraft.so.1]" in dynamic
    assert "#define RAFT_ABI_VERSION 1\n" in prefix().header.read_text()
    needed = set(re.findall(r"Shared library: \[(.+?)\]", dynamic))
    assert needed <= {"libgcc_s.so.1", "libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0"}


def test_nothing_is_called_as_in_debians_libraft(tmp_path: Path) -> None:
    """Debian's libraft-dev is another project with the same file names: its symbols are not ours."""
    listed = (Path(__file__).parent / "data/debian-libraft-symbols.txt").read_text().splitlines()
    theirs = {line for line in listed if not line.startswith("#")}
    assert len(theirs) > 90
    archive = run("nm", "--defined-only", "-g", prefix().lib / "libraft.a", timeout=120)
    ours = {line.split()[-1] for line in archive.splitlines() if len(line.split()) == 3}
    assert {function.name for function in c_header.functions()} <= ours
    assert not ours & theirs
    assert fresh_symbols(tmp_path) <= theirs, "Debian's library has grown: bring data/ up to date"


def fresh_symbols(directory: Path) -> set[str]:
    """What the package has that Debian offers here; nothing where it cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return set()
    command = [
        "apt-get",
        "-o",
        "Acquire::Retries=0",
        "-o",
        "Acquire::http::Timeout=5",
        "download",
        "libraft2",
    ]
    try:
        subprocess.run(command, cwd=directory, capture_output=True, timeout=30, check=True)
    except (subprocess.SubprocessError, OSError):
        return set()
    run("dpkg", "-x", next(directory.glob("libraft2_*.deb")), directory / "there")
    library = next((directory / "there").rglob("libraft.so.*.*"))
    return {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}


def test_where_things_are_installed(tmp_path: Path) -> None:
    """DESTDIR is where they are put, --prefix where they will be used from."""
    directory = Path("/opt/somewhere")
    installed = install(directory, destdir=tmp_path)
    version = run("sed", "-n", 's/^version = "\\(.*\\)"$/\\1/p', REPOSITORY / "Cargo.toml").strip()
    files = {str(path.relative_to(installed.directory)) for path in installed.directory.rglob("*.*")}
    real = f"libraft.so.1.{version.partition('.')[2]}"
    shared = {f"lib/{real}", "lib/libraft.so.1", "lib/libraft.so"}
    assert files == {*shared, "lib/libraft.a", "lib/pkgconfig/raft.pc", "include/raft.h"}
    assert (installed.lib / "libraft.so").resolve().name == real
    assert installed.pkg_config("--modversion") == [version]
    assert installed.pkg_config("--cflags") == ["-I/opt/somewhere/include"]
    assert installed.pkg_config("--libs") == ["-L/opt/somewhere/lib", "-lraft"]
    assert "-lpthread" in installed.pkg_config("--static", "--libs")
    other = install(directory, "--libdir", "/opt/somewhere/lib64", destdir=tmp_path / "other")
    assert (other.directory / "lib64/libraft.so.1").exists()
    assert not other.lib.exists()


def test_the_installer_refuses_what_it_cannot_use() -> None:
    command = REPOSITORY / "raft-ffi/install"
    for arguments in (["--prefix", "not/absolute"], ["--nonsense"]):
        done = subprocess.run(
            [command, "--no-build", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done
        assert done.stderr.startswith("install: ")


def test_a_port_that_is_taken_is_told_in_words(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    first = subprocess.Popen(
        [program("node"), "n", str(port), f"n=127.0.0.1:{port}", tmp_path / "a"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout
    try:
        assert first.stdout.readline().startswith("started n with raft ")
        command = [str(program("node")), "n", str(port), f"n=127.0.0.1:{port}", str(tmp_path / "b")]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
        assert "(listen)" in second.stderr
    finally:
        first.terminate()
        assert first.wait(timeout=30) == 0
