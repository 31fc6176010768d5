"""Rows on a screen, rows for a program, and how far a long piece of work is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from ledger_fortress.credits import Credits
from ledger_fortress.progress import Progress

Row: TypeAlias = dict[str, Any]
Result: TypeAlias = tuple[Iterable[Row], int]


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows as JSON lines, or as tables: a new one wherever the columns change."""
    if as_json:
        for row in rows:
            told = {name: _plain(value) for name, value in row.items()}
            print(json.dumps(told, ensure_ascii=False))
        return
    group: list[dict[str, str]] = []
    for row in rows:
        shown = {name: _text(value) for name, value in row.items()}
        if group and list(shown) != list(group[0]):
            _table(group)
            group = []
        group.append(shown)
    if group:
        _table(group)


@contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """A line on a terminal's error output that counts; None, and nothing is shown, where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return

    def tell(count: int) -> None:
        print(f"\r{what}: {count:,} rows", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _table(rows: list[dict[str, str]]) -> None:
    """Rows with the same columns: a table of `rich` on a terminal that has it, else plain columns."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
            from rich.text import Text
        except ModuleNotFoundError:
            pass
        else:
            table = Table(*rows[0], box=None, header_style="bold")
            for row in rows:
                table.add_row(*map(Text, row.values()))  # a key such as [red] is a name and no markup
            Console().print(table)
            return
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for row in [{name: name for name in rows[0]}, *rows]:
        print("  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, Credits):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return ", ".join(value)
    return value.isoformat(" ", "seconds") if hasattr(value, "isoformat") else str(value)
