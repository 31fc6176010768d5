"""What the commands share: the catalogue that was asked for, JSON from text or file, tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rosetta_bridge.loading import Catalog
from rosetta_bridge.model import Model

MAX_INPUT = 1024 * 1024
MAX_DIGITS = 1000


class Usage(Exception):
    """What was typed cannot be read."""


def catalog(args: argparse.Namespace, *more: str) -> Catalog:
    return Catalog.open(*args.catalog, *more, shipped=not args.no_shipped, on=args.on, include=args.include)


def read_json(text: str) -> Any:
    """The JSON of an argument: the text itself, `@file` (with or without a byte order mark) or `-`."""
    source = text[1:] if text.startswith("@") else "standard input"
    try:
        if text == "-":
            text = sys.stdin.read(MAX_INPUT)
        elif text.startswith("@"):
            with Path(source).open(encoding="utf-8-sig") as file:
                text = file.read(MAX_INPUT)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise Usage(f"cannot read the request from {source}: {why}") from None
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Usage(f"the request is not JSON: {told}; give an object, @file or -") from None


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return result


def endings(models: Iterable[Model], until: date) -> list[str]:
    """Models and routes that are retired by a day, those that are already retired included."""
    ends = []
    for model in models:
        ends.append((model.id, model.contract.retired))
        for provider, mapping in model.mappings.items():
            ends += [(f"{model.id} {provider}/{route.name}", route.retired) for route in mapping.routes]
    return sorted(f"{name} on {end.date}" for name, end in ends if end is not None and end.by(until))


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
