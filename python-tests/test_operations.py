"""docs/operations.md: what it shows is run and compared.

`python -m raft_harness.pages ../docs/operations.md`, in python-tests, writes what has changed. What differs
from run to run is then to be replaced by `…` again.
"""

from pathlib import Path

import pytest
from raft_harness.c_door import need
from raft_harness.namespaces import why_not
from raft_harness.pages import Session, differences, run, sessions, told
from raft_harness.process import REPOSITORY

PAGE = REPOSITORY / "docs/operations.md"
REASON = why_not()


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("session", sessions(PAGE), ids=lambda session: session.title)
def test_it_shows_what_is_printed(session: Session, tmp_path: Path) -> None:
    need("curl")
    found = differences(session, run(session, tmp_path))
    assert not found, told(found)
