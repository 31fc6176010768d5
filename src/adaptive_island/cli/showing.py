"""Rows on a screen, or for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def show(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A table with one line for each row, or one JSON document."""
    if as_json or not rows:
        print_json(list(rows))
        return
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    if sys.stdout.isatty() and _rich(table):
        return
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_json(data: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def _rich(table: list[list[str]]) -> bool:
    """Print it with `rich` where that is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        return False
    shown = Table(*table[0], box=None, header_style="bold")
    for row in table[1:]:
        shown.add_row(*map(Text, row))  # a name such as [red] is no markup
    Console().print(shown)
    return True


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
