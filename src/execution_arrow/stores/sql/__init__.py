"""The SQL of the job stores, in files: one with the tables per dialect, and named statements."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def text(name: str) -> str:
    """A file of this folder."""
    return (files(__name__) / name).read_text("utf-8")


@cache
def queries(dialect: str) -> dict[str, str]:
    """Every named statement of the dialect."""
    parts = _NAME.split(text(f"{dialect}/queries.sql"))
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@cache
def migrations(dialect: str) -> dict[int, str]:
    """The script that makes each version out of the one before it."""
    folder = files(__name__) / dialect / "migrations"
    found = {int(file.name[:4]): file.read_text("utf-8") for file in folder.iterdir() if ".sql" in file.name}
    return dict(sorted(found.items()))
