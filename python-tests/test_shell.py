"""`raft-server client` without a command: the shell, on a terminal and from a pipe."""

import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from raft_harness import Cluster, eventually, server_binary
from raft_harness.ports import free_ports
from raft_harness.shell import Done, raft_server

PROMPT = "raft> "
UP, TAB, CTRL_C, CTRL_D, ENTER = "\x1b[A", "\t", "\x03", "\x04", "\r"
# What the editor tells the terminal around the reading of a line (bracketed paste).
BEGIN_LINE, END_LINE = "\x1b[?2004h", "\x1b[?2004l"


class Terminal:
    """The shell on a terminal of its own."""

    def __init__(self, endpoints: str, home: Path, *arguments: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAFT_", "XDG_"))}
        self.child = pexpect.spawn(
            str(server_binary()),
            ["client", "--endpoints", endpoints, *arguments],
            env={**clean, "HOME": str(home), "TERM": "vt100", "NO_COLOR": "1"},
            encoding="utf-8",
            timeout=20,
            dimensions=(40, 200),
        )
        self.welcome = self.until(BEGIN_LINE)
        self.says(PROMPT)

    def until(self, text: str) -> str:
        """What comes before a text."""
        self.child.expect_exact(text)
        return (self.child.before or "").replace("\r", "")

    def says(self, text: str) -> "Terminal":
        self.until(text)
        return self

    def types(self, text: str) -> "Terminal":
        self.child.send(text)
        return self

    def line(self, text: str) -> str:
        """Types a line, and gives what comes before the next prompt."""
        self.types(text + ENTER).says(END_LINE).says("\n")
        answer = self.until(BEGIN_LINE)
        self.says(PROMPT)
        return answer

    def leave(self) -> int:
        self.types(CTRL_D)
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.signalstatus is None
        return int(self.child.exitstatus or 0)


MakeTerminal = Callable[..., Terminal]


@pytest.fixture
def terminal(shared_cluster: Cluster, tmp_path: Path) -> Iterator[MakeTerminal]:
    made: list[Terminal] = []

    def make(*arguments: str, endpoints: str = shared_cluster.endpoints) -> Terminal:
        made.append(Terminal(endpoints, tmp_path, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.child.close(force=True)


def piped(endpoints: str, lines: str, *arguments: str) -> Done:
    return raft_server("client", "--endpoints", endpoints, *arguments, stdin=lines)


def test_a_session(terminal: MakeTerminal) -> None:
    shell = terminal()
    assert "leads in term" in shell.welcome
    assert "3 of 3 endpoints answer" in shell.welcome
    assert shell.line("set greeting 'hello, world'").startswith("set, revision ")
    assert shell.line("get greeting") == "hello, world\n"
    assert shell.line("""set config '{"nodes": 3}' --json""").startswith("set, revision ")
    assert shell.line("get config") == '{"nodes": 3}\n'
    assert shell.line("get config --output json").startswith('{"key":"config","value":{"nodes": 3},')
    assert "greeting" in shell.line("keys gree").splitlines()
    assert "LEADER" in shell.line("status")
    assert "leads" in shell.line("why") or "is well" in shell.line("why")
    assert shell.line("delete greeting").startswith("deleted, revision ")
    assert shell.line("get greeting") == 'key "greeting" not found\n'
    assert shell.line("") == ""
    assert shell.leave() == 0


def test_what_it_cannot_understand_is_told_and_it_goes_on(terminal: MakeTerminal) -> None:
    shell = terminal()
    assert "similar" in shell.line("gett name")
    assert "help set" in shell.line("set only-a-key")
    assert "not closed" in shell.line("set a it's")
    assert "quote it" in shell.line("""set a {"b":1} --json""")
    assert "stdin" in shell.line("set a -")
    assert shell.line("set a 1").startswith("set, ")
    shell.types("exit" + ENTER)
    shell.child.expect(pexpect.EOF)


def test_help(terminal: MakeTerminal) -> None:
    shell = terminal()
    everything = shell.line("help")
    for word in ("set", "get", "delete", "keys", "status", "why", "demo", "exit", "--timeout", "Ctrl-D"):
        assert word in everything
    assert "Usage: set [OPTIONS] <KEY> <VALUE>" in shell.line("help set")


def test_bytes_do_not_swallow_the_prompt(shared_cluster: Cluster, terminal: MakeTerminal) -> None:
    content_type = {"Content-Type": "application/octet-stream"}
    shared_cluster[0].http.request("PUT", "/api/raw/raw", b"no end", content_type).ok()
    assert terminal().line("get raw") == "no end\n"


def test_history_is_kept_for_its_user_alone(terminal: MakeTerminal, tmp_path: Path) -> None:
    shell = terminal()
    shell.line("set from-history 7")
    shell.line(" set secret 8")
    file = tmp_path / ".local/state/raft-server/history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    shell.types(UP).says("set from-history 7").types(CTRL_C).says(PROMPT)
    assert shell.leave() == 0
    assert "secret" not in file.read_text()
    again = terminal()
    again.types(UP).says("set from-history 7").types(ENTER).says("set, revision ").says(PROMPT)


def test_a_history_that_cannot_be_kept_is_a_warning(terminal: MakeTerminal, tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file where a directory should be")
    shell = terminal()
    assert "no history is kept" in shell.welcome
    assert shell.line("set a 1").startswith("set, ")
    assert shell.leave() == 0


def test_completion(shared_cluster: Cluster, terminal: MakeTerminal) -> None:
    for key in ("tab/one", "tab/only", "lonely key"):
        shared_cluster[0].http.set_key(key, f"value of {key}").ok()
    shared_cluster.wait_settled()
    shell = terminal()
    shell.types("del" + TAB).says("delete ").types(CTRL_C).says(PROMPT)
    shell.types("get tab/onl" + TAB).says("tab/only ").types(ENTER).says("value of tab/only").says(PROMPT)
    shell.types("get lon" + TAB).says("'lonely key' ").types(ENTER).says("value of lonely key").says(PROMPT)
    # What two have in common is filled in, and a second Tab lists them.
    shell.types("get ta" + TAB).says("tab/on").types(TAB + TAB).says("tab/one").says("tab/only")
    shell.types(CTRL_C).says(PROMPT)
    shell.types("get --cons" + TAB).says("--consistency ").types("st" + TAB).says("stale ")


def test_more_keys_than_are_offered_fill_nothing_in(shared_cluster: Cluster, terminal: MakeTerminal) -> None:
    lines = "".join(f"set many/{n:03} 1\n" for n in range(150))
    assert piped(shared_cluster.endpoints, lines).code == 0
    shared_cluster.wait_settled()
    shell = terminal()
    shell.types("get many/" + TAB + TAB).says("many/000").says("many/099").says("and more")


def test_completion_does_not_hang_with_the_cluster(terminal: MakeTerminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shell = terminal(endpoints=f"127.0.0.1:{silent.getsockname()[1]}")
        assert "no endpoint answers" in shell.welcome
        began = time.monotonic()
        shell.types("get x" + TAB).types(CTRL_C).says(PROMPT)
        assert time.monotonic() - began < 10, "it has no timeout of its own"


def test_ctrl_c_abandons_the_line(terminal: MakeTerminal) -> None:
    shell = terminal()
    shell.types("set never typed-to-its-end").types(CTRL_C).says(PROMPT)
    assert shell.line("get never") == 'key "never" not found\n'


def test_ctrl_c_abandons_the_call(terminal: MakeTerminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shell = terminal("--timeout", "600000", endpoints=f"127.0.0.1:{silent.getsockname()[1]}")
        for text, word in (("get k", "interrupted"), ("set k v", "may or may not have happened")):
            shell.types(text + ENTER).says(END_LINE)
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1), "the call is under way"
                shell.types(CTRL_C).says(word).says(PROMPT)
        assert "Usage: get" in shell.line("help get")
        assert shell.leave() == 0


def test_a_terminal_that_hangs_up_ends_it(terminal: MakeTerminal) -> None:
    shell = terminal()
    shell.child.kill(signal.SIGHUP)
    eventually(lambda: not shell.child.isalive(), "it has ended")


def test_lines_from_a_pipe(shared_cluster: Cluster) -> None:
    done = piped(shared_cluster.endpoints, "set a 'x y'\n\n# a comment\nget a\ndelete a")
    out = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert out[0].startswith("set, revision ")
    assert out[1] == "x y"
    assert out[2].startswith("deleted, revision ")
    assert PROMPT.strip() not in done.out


def test_a_pipe_ends_with_the_code_of_the_first_failure(shared_cluster: Cluster) -> None:
    endpoints = shared_cluster.endpoints
    done = piped(endpoints, "get missing\nnonsense\nset b 1\nget b\n")
    assert done.code == 1
    assert done.out.splitlines()[-1] == "1", "it goes on"
    said = done.err.splitlines()
    assert said[0] == 'raft-server: line 1: key "missing" not found'
    assert said[1].startswith("raft-server: line 2: ")
    assert len(said) == 2
    assert piped(endpoints, "nonsense\nget missing\n").code == 2
    assert piped(endpoints, "exit\nnonsense\n").code == 0
    assert piped(endpoints, "").code == 0
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    assert piped(nobody, "get k\n", "--timeout", "500").code == 3


def test_options_of_the_client_hold_for_every_line(shared_cluster: Cluster) -> None:
    done = piped(shared_cluster.endpoints, "set o 1\nget o\nget o --output text\n", "--output", "json")
    assert done.code == 0
    assert '"found":true' in done.out.splitlines()[1]
    assert done.out.splitlines()[2] == "1"


def test_one_session_for_all_lines(shared_cluster: Cluster) -> None:
    leader = shared_cluster.wait_for_leader()
    shared_cluster.wait_settled()
    before = leader.status()["last_log_index"]
    assert piped(shared_cluster.endpoints, "".join(f"set one {n}\n" for n in range(20))).code == 0
    # One entry opens the session, and one is each write's.
    assert leader.status()["last_log_index"] - before == 21
