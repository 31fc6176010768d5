"""What the commands share: the catalogue that was asked for, JSON from text or file, tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosetta_bridge.loading import Catalog

MAX_INPUT = 1024 * 1024


class Usage(Exception):
    """What was typed cannot be read."""


def catalog(args: argparse.Namespace, *more: str) -> Catalog:
    return Catalog.open(*args.catalog, *more, shipped=not args.no_shipped, on=args.on, include=args.include)


def read_json(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read(MAX_INPUT)
        elif text.startswith("@"):
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(MAX_INPUT)
        return json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, OSError, RecursionError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Usage(f"the request is not JSON: {told}; give an object, @file or -") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return result


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
