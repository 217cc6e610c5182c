"""What the module does to the process it lives in: signals, threads, exits, forks."""

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import raft_py
from raft_harness import eventually
from raft_harness.module import lonely, run, running, solo

# An election of one takes no longer than it has to.
QUICK = {"election_timeout_min": 20, "election_timeout_max": 30, "heartbeat_interval": 10}


def _threads() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            continue  # it has ended this moment
    return sorted(names)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.deadline(300)
def test_200_rounds_leave_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    lasting, ephemeral = solo(data_dir=tmp_path, **QUICK), solo(**QUICK)

    def one_round(n: int) -> None:
        node = (lasting if n % 10 == 0 else ephemeral).start()
        with raft_py.RaftClient([node.address]) as client:
            client.set("k", 1)
        node.stop()

    one_round(0)  # the thread that passes the log on stays
    threads, descriptors = _threads(), _descriptors()
    for n in range(200):
        one_round(n)
    eventually(lambda: _threads() == threads, f"the threads are {threads} again: {_threads()}")
    eventually(lambda: _descriptors() == descriptors, f"there are {descriptors} descriptors again")


def test_a_node_that_nobody_refers_to_is_stopped() -> None:
    node = solo().start()
    before, port = len(_threads()), node.port
    del node
    eventually(lambda: len(_threads()) < before, "its threads are gone")
    raft_py.RaftNode("n", port, peers={"n": f"127.0.0.1:{port}"}, ephemeral=True).start().stop()


def test_a_call_waits_without_the_gil() -> None:
    with lonely() as node:
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                node.get("k", timeout=1)
            except raft_py.RaftError as error:
                errors.append(error)

        waiting = [threading.Thread(target=wait) for _ in range(8)]
        began = time.monotonic()
        for thread in waiting:
            thread.start()
        assert time.monotonic() - began < 1, "starting them waits for none"
        for thread in waiting:
            thread.join()
        assert [type(error) for error in errors] == [raft_py.NoLeaderError] * 8
        assert time.monotonic() - began < 6, "they waited side by side"


def test_a_signal_handler_runs_during_a_call_and_its_error_ends_it() -> None:
    program = """
        class Enough(Exception): pass
        count = []
        def handler(*_):
            count.append(1)
            if len(count) == 2:
                raise Enough
        signal.signal(signal.SIGUSR1, handler)
        for delay in (0.2, 0.5):
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with lonely() as node:
            try:
                node.get("k", timeout=60)
            except Enough:
                print("enough", len(count))
    """
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "enough 2\n"), done.stderr


def test_ctrl_c_with_calls_in_other_threads() -> None:
    """Only the main thread hears of it; a call of another one goes on to its end."""
    program = """
        with lonely() as node:
            def wait():
                try:
                    node.get("k", timeout=1)
                except NoLeaderError:
                    print("no leader", flush=True)
            thread = threading.Thread(target=wait)
            thread.start()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                node.get("k", timeout=60)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            thread.join()
    """
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "interrupted\nno leader\n"), done.stderr


EXITS = {
    "falls off the end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('as planned')", 1),
    "another thread still waits": (
        "threading.Thread(target=lambda: lone.get('k', timeout=60), daemon=True).start(); time.sleep(0.1)",
        0,
    ),
    "a daemon that never rests": (
        "threading.Thread(target=lambda: [node.set('k', n) for n in range(10**9)], daemon=True).start();"
        " time.sleep(0.1)",
        0,
    ),
    "a client still open": ("client = RaftClient([node.address]); client.set('k', 1)", 0),
    "an asyncio client still open": (
        "import asyncio; client = AsyncRaftClient([node.address]); asyncio.run(client.set('k', 1))",
        0,
    ),
    "an asyncio call given up": (
        "import asyncio; client = AsyncRaftClient([lone.address], timeout=60);"
        " client._native.set(print, 'k', 1); time.sleep(0.1)",
        0,
    ),
    "an asyncio call that ends meanwhile": (
        "told = threading.Event(); client = AsyncRaftClient([node.address]);"
        " client._native.set(lambda *_: (told.set(), time.sleep(0.2)), 'k', 1); told.wait()",
        0,
    ),
    "a reference cycle": ("cycle = [node, lone]; cycle.append(cycle); del node, lone", 0),
    "logging is on": ("import logging; logging.basicConfig(level=10); solo().start()", 0),
}


@pytest.mark.deadline(300)
@pytest.mark.parametrize("way", EXITS, ids=str)
def test_an_interpreter_with_live_nodes_exits(way: str) -> None:
    """Five times each way, side by side: no exit hangs, or ends otherwise."""
    program, code = EXITS[way]
    whole = f"""
        node, lone = solo().start(), lonely().start()
        node.set("k", 1)
        print("alive", flush=True)
        {program}
    """
    with ThreadPoolExecutor(5) as pool:
        exits = list(pool.map(partial(run, timeout=30), [whole] * 5))
    for done in exits:
        assert done.returncode == code, done.stderr
        assert done.stdout.startswith("alive\n")
        assert "panicked" not in done.stderr
        assert "Fatal Python error" not in done.stderr
        if code == 0 and way != "logging is on":
            assert done.stderr == ""


def test_a_node_stops_cleanly_at_exit() -> None:
    done = run("""
        import logging
        logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
        node = solo().start()
        node.set("k", 1)
        import atexit
        atexit.register(lambda: time.sleep(0.3))
    """)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^raft_py\S* INFO .*leads", done.stderr, re.MULTILINE), done.stderr


def test_without_logging_nothing_is_said() -> None:
    done = run("""
        with lonely() as node:
            time.sleep(0.5)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FORKED = """
    with solo() as node, RaftClient([node.address]) as client:
        node.set("k", 1); client.get("k")
        if (child := os.fork()) == 0:
            for call in (lambda: node.get("k"), lambda: client.set("k", 2), node.stop):
                try:
                    call()
                    print("not refused", flush=True)
                except ForkedError as error:
                    print(error.code, flush=True)
            with solo() as own:
                print("own", own.set("k", 3) > 0, flush=True)
            {end}
        _, status = os.waitpid(child, 0)
        print("child", os.waitstatus_to_exitcode(status), node.get("k"), client.get("k"), flush=True)
"""


@pytest.mark.parametrize("end", ["os._exit(5)", "sys.exit(5)"])
def test_a_forked_child_is_told_so_and_may_have_its_own(end: str) -> None:
    done = run(FORKED.format(end=end))
    said = ["forked", "forked", "forked", "own True"]
    assert done.stdout.splitlines()[:4] == said, done.stderr
    assert done.stdout.splitlines()[-1] == "child 5 1 1", done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"""
import multiprocessing, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from raft_py import RaftClient, RaftError
from raft_harness.module import solo

def work(address, n):
    with RaftClient([address]) as client:
        return client.set(f"by/{{n}}", n)

def fail(_):
    return RaftClient(["127.0.0.1:1"], timeout=0.2).get("k")

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with solo() as node, context.Pool(2) as pool:
        pool.starmap(work, [(node.address, n) for n in range(4)])
        print(node.keys())
        try:
            pool.map(fail, [1])
        except RaftError as error:
            print(error.code, sorted(error.endpoints))
""")
    done = run(
        f"import runpy; sys.argv = [{str(script)!r}]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['by/0', 'by/1', 'by/2', 'by/3']",
        "unreachable ['127.0.0.1:1']",
    ]


def test_kill_9_of_a_python_process_loses_nothing(tmp_path: Path) -> None:
    program = f"""
        node = solo(data_dir={str(tmp_path)!r}).start()
        print(node.port, flush=True)
        for n in range(10**9):
            node.set("n", n)
            print(n, flush=True)
    """
    with running(program) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        for _ in range(100):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        last = max(last, *map(int, process.stdout.read().rpartition("\n")[0].split()), 0)
    peers = {"solo": f"127.0.0.1:{port}"}
    with raft_py.RaftNode("solo", port, peers=peers, data_dir=tmp_path) as node:
        assert node.get("n") in (last, last + 1)
