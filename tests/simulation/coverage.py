"""What has been taken so far: every row of the transition table, every fault at every kind of provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from execution_arrow.machine import table
from tests.simulation.faults import CELLS, KINDS, apply_to

LEAST = 20

# Rows that the simulated world does not reach yet, with what it would take; each has a test of its own in
# tests/execution_arrow/machine.
UNREACHED: dict[str, str] = {
    "H5 -> closed (settled before)": "a restored job store and a ledger that remembers the end",
    "H6 -> same (opened after its end)": "a hold whose answer is overtaken by its generation's end",
    "S5 -> same (it was stuck)": "an hour, and a ledger that was repaired",
    "S6 -> same (still stuck)": "an hour",
    "S6 -> same (stuck for another reason)": "an hour, and a ledger that was changed",
    "S7 -> same (the ledger is away)": "an hour, and an outage after it",
    "S8 -> same (settled before)": "two answers of the ledger at once",
    "7 -> failed (without outputs)": "a synchronous provider that announces nothing",
    "11 -> same (of which job?)": "a status for a job that nobody has named",
    "11 -> rejected (the caller's fault)": "a refusal that arrives after its owner was given up",
    "11 -> rejected (late reply)": "a refusal that arrives after its owner was given up",
}
# Rows that take many worlds: asked for from `MANY` generations on.
RARE = frozenset(
    {
        "H7 -> same (answered before)",
        "4 -> rejected (the caller's fault, decided before)",
        "10 -> same (the callback was faster)",
        "10 -> same (a job is bound)",
        "11 -> same (look now)",
        "11 -> collecting (nobody won yet)",
        "11 -> stored (too late)",
        "11 -> live (the bound job runs)",
        "27a -> closing (cancel unanswered for 15 s)",
        "34 -> stored (deadline, some are ours)",
        "38 -> collecting (nobody won yet)",
        "38 -> live (a job turned up)",
        "38 -> same (another end was told before)",
    }
)
MANY = 100_000  # generations; from here on everything has to be taken `LEAST` times, below it once
SOME = 5_000  # fewer generations are not asked what they covered


def name_of(row: table.Row) -> str:
    """A number may have several ways, told apart by where they lead and when."""
    return f"{row.number} -> {row.to}" + (f" ({row.when})" if row.when else "")


NAMES = tuple(dict.fromkeys(map(name_of, table.ROWS)))


@dataclass(slots=True)
class Covered:
    """Counts of one run or of many."""

    rows: Counter[str] = field(default_factory=Counter)
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)

    def add(self, other: Covered) -> None:
        self.rows.update(other.rows)
        self.cells.update(other.cells)
        self.happened.update(other.happened)

    def missing(self, generations: int) -> list[str]:
        """What was taken too rarely in a run of this size, one line each."""
        if generations < SOME:
            return []
        least, passed = (LEAST, UNREACHED.keys()) if generations >= MANY else (1, UNREACHED.keys() | RARE)
        rows = [f"row {name}: {self.rows[name]}" for name in NAMES
                if self.rows[name] < least and name not in passed]  # fmt: skip
        cells = [f"{fault} at {kind}: {self.cells[kind, fault]}" for kind, fault in CELLS
                 if self.cells[kind, fault] < least]  # fmt: skip
        troubles = [f"{name}: {self.happened[name]}" for name in TROUBLES if self.happened[name] < least]
        return [*rows, *cells, *troubles]

    def table(self) -> str:
        """Both tables, for people."""
        lines = ["rows of the transition table"]
        lines += [f"{self.rows[name]:9}  {name}" for name in NAMES]
        lines += ["", "faults by kind of provider", " " * 18 + "".join(f"{kind:>11}" for kind in KINDS)]
        for fault in dict.fromkeys(fault for _, fault in CELLS):
            cells = "".join(
                f"{self.cells[kind, fault]:11}" if (kind, fault) in _CELLS else " " * 10 + "-"
                for kind in KINDS
            )
            lines.append(f"{fault:18}{cells}")
        lines += ["", "troubles of machines and stores"]
        lines += [f"{self.happened[name]:9}  {name}" for name in sorted(self.happened)]
        return "\n".join(lines)


_CELLS = frozenset(CELLS)
TROUBLES = (
    "crash", "pause", "suspend", "stop", "power_loss", "rewind", "ledger_rewind", "outage", "step",
)  # fmt: skip
assert all(names for kind in KINDS for names in apply_to(kind).values())


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the rows that are taken in this process meanwhile."""
    counts: Counter[str] = Counter()
    original = dict(table.INDEX)
    counted = {id(row): _counted(row, name_of(row), counts) for row in table.ROWS}
    for key, rows in original.items():
        table.INDEX[key] = tuple(counted[id(row)] for row in rows)
    try:
        yield counts
    finally:
        table.INDEX.update(original)


def _counted(row: table.Row, name: str, counts: Counter[str]) -> table.Row:
    deed = row.deed

    def count(run: Any, attempt: Any, fact: Any, now: float) -> Any:
        counts[name] += 1
        return deed(run, attempt, fact, now)

    return replace(row, deed=count)
