"""The SQL of the stores, in files: `schema.sql` per dialect, and `queries.sql` with one named block each."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def schema(dialect: str) -> str:
    """The statements that make an empty ledger."""
    return (files(__name__) / dialect / "schema.sql").read_text("utf-8")


@cache
def queries(dialect: str) -> dict[str, str]:
    """Every named statement of the dialect."""
    parts = _NAME.split((files(__name__) / dialect / "queries.sql").read_text("utf-8"))
    return {name: text.strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)}
