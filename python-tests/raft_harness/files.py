"""The files of a node that runs: it removes some while others look at them."""

from pathlib import Path


def bytes_in(directory: Path) -> int:
    """What the files of a directory hold together. One that is removed meanwhile counts as nothing."""
    return sum(size(path) for path in directory.iterdir())


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
