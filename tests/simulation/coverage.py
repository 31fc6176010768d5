"""What has been taken so far: every row of the transition table, every fault at every kind of provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from execution_arrow.machine import table
from tests.simulation.faults import CELLS, KINDS, TOLD, apply_to

LEAST = 20  # times that everything is to be taken in a run of `SOME` generations and more
SOME = 5_000


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
    led: dict[str, dict[str, None]] = field(default_factory=dict)  # row -> scenes in which it was taken

    def leads(self, scene: str, rows: Iterable[str]) -> None:
        for row in rows:
            self.led.setdefault(row, {})[scene] = None

    def add(self, other: Covered) -> None:
        for row, scenes in other.led.items():
            self.led.setdefault(row, {}).update(scenes)
        self.rows.update(other.rows)
        self.cells.update(other.cells)
        self.happened.update(other.happened)

    def missing(self, generations: int) -> list[str]:
        """What was taken too rarely in a run of this size, one line each."""
        if generations < SOME:
            return []
        rows = [f"row {name}: {self.rows[name]}" for name in self.rare_rows()]
        cells = [f"{fault} at {kind}: {self.cells[kind, fault]}" for kind, fault in self.rare_cells()]
        troubles = [f"{name}: {self.happened[name]}" for name in TROUBLES if self.happened[name] < LEAST]
        return [*rows, *cells, *troubles]

    def rare_rows(self) -> list[str]:
        return [name for name in NAMES if self.rows[name] < LEAST]

    def rare_cells(self) -> list[tuple[str, str]]:
        return [cell for cell in CELLS if self.cells[cell] < LEAST]

    def table(self) -> str:
        """Both tables, for people."""
        lines = ["rows of the transition table"]
        lines += [f"{self.rows[name]:9}  {name}" for name in NAMES]
        lines += ["", "faults by kind of provider", " " * 18 + "".join(f"{kind:>11}" for kind in COLUMNS)]
        for fault in dict.fromkeys(fault for _, fault in CELLS):
            cells = "".join(
                f"{self.cells[kind, fault]:11}" if (kind, fault) in _CELLS else " " * 10 + "-"
                for kind in COLUMNS
            )
            lines.append(f"{fault:18}{cells}")
        lines += ["", "troubles of machines and stores"]
        lines += [f"{self.happened[name]:9}  {name}" for name in sorted(self.happened)]
        return "\n".join(lines)


_CELLS = frozenset(CELLS)
COLUMNS = (*KINDS, TOLD)
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
