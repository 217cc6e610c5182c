"""`python -m raft_py` is `raft-server`."""

import sys

from raft_py._command import main

if __name__ == "__main__":
    sys.exit(main())
