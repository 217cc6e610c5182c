"""What a run of chaos came to, in figures."""

import bisect
import itertools
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from raft_harness.chaos import Arena, Episode
from raft_harness.cluster import Cluster
from raft_harness.history import History

Gap = tuple[int, int]


def gaps(acked: Sequence[int], spells: Iterable[tuple[int, int]]) -> list[Gap]:
    """From one acknowledged write to the next, within each spell; its ends count as ends of gaps too."""
    found: list[Gap] = []
    for begin, end in spells:
        within = acked[bisect.bisect_right(acked, begin) : bisect.bisect_left(acked, end)]
        found.extend(itertools.pairwise([begin, *within, end]))
    return found


def worst(found: Iterable[Gap]) -> int:
    return max((end - begin for begin, end in found), default=0)


def median(found: Iterable[Gap]) -> float:
    return statistics.median([end - begin for begin, end in found] or [0])


def overlapping(found: Iterable[Gap], episode: Episode) -> list[Gap]:
    return [gap for gap in found if gap[0] < episode.end and gap[1] > episode.begin]


def ms(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:,.0f} ms" if nanoseconds >= 1e7 else f"{nanoseconds / 1e6:.1f} ms"


def elections(cluster: Cluster) -> tuple[int, int]:
    """How many terms had a leader, and the latest of them, as the nodes' logs say."""
    terms: set[int] = set()
    for node in cluster:
        text = node.log.read_text(errors="replace")
        terms.update(int(term) for term in re.findall(r" leads term=(\d+)", text))
    return len(terms), max(terms, default=0)


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Rows of Markdown, the first of which is the head."""
    head, *body = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return [head, "| " + " | ".join(["---"] * len(rows[0])) + " |", *body]


def operations(history: History) -> list[str]:
    count = Counter((operation.kind, operation.word) for operation in history.operations)
    words = ("ok", "failed", "unknown")
    rows: list[list[object]] = [["operation", *words]]
    kinds = sorted({kind for kind, _ in count})
    rows.extend([kind, *(f"{count[kind, word]:,}" for word in words)] for kind in kinds)
    return table(rows)


def faults(episodes: Sequence[Episode], all_gaps: Sequence[Gap], connected: Sequence[Gap]) -> list[str]:
    rows: list[list[object]] = [
        ["fault", "times", "longest gap", "… while a majority was connected and alive"]
    ]
    for kind in sorted({episode.kind for episode in episodes}):
        of_kind = [episode for episode in episodes if episode.kind == kind]
        longest = [
            ms(max(worst(overlapping(found, episode)) for episode in of_kind))
            for found in (all_gaps, connected)
        ]
        rows.append([kind, len(of_kind), *longest])
    return table(rows)


def report(
    history: History, arena: Arena, episodes: Sequence[Episode], recoveries: Sequence[float]
) -> list[str]:
    """The figures of a run that is over."""
    acked = sorted(history.acked_writes)
    begin, end = arena.majority_spells[0][0], arena.majority_spells[-1][1]
    all_gaps = gaps(acked, [(begin, end)])
    connected = gaps(acked, arena.majority_spells)
    seconds = (end - begin) / 1e9
    able = sum(end - begin for begin, end in arena.majority_spells) / 1e9
    led, term = elections(arena.cluster)
    return [
        f"{seconds:.0f} s, {len(episodes)} faults, {len(history.operations):,} operations"
        f" ({len(history.operations) / seconds:.0f}/s), {len(acked):,} writes acknowledged",
        f"a majority connected and alive for {able:.0f} s of it",
        f"{led} leaders elected, last term {term}",
        f"without an acknowledged write: median {ms(median(all_gaps))}, longest {ms(worst(all_gaps))}",
        "… while a majority was connected and alive:"
        f" median {ms(median(connected))}, longest {ms(worst(connected))}",
        "from the mending of all to the next acknowledged write:"
        f" median {ms(statistics.median(recoveries) * 1e9)}, longest {ms(max(recoveries) * 1e9)}",
        "",
        *operations(history),
        "",
        *faults(episodes, all_gaps, connected),
        "",
    ]
