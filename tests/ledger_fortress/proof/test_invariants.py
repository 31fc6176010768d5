"""The published list of invariants names mechanisms and tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "ledger_fortress"
TESTS = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "ledger" / "invariants.md"
_DEFINED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def names(file: Path) -> set[str]:
    """What a module defines at its top."""
    found: set[str] = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, _DEFINED):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def wrong(folder: Path, named: str, mark: str) -> str | None:
    """What is wrong with a reference `path` or `path<mark>name`; None: it is there."""
    path, _, name = named.partition(mark)
    file = folder / path
    if not file.is_file():
        return f"{named}: there is no {path}"
    if file.suffix == ".py" and not name:
        return f"{named}: name what in {path}"
    return f"{named}: {path} has no {name}" if name and name not in names(file) else None


def rows() -> list[list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)
    ]


def test_everything_named_exists() -> None:
    """Thirty rules, each with what enforces it and with a test or a readable history."""
    found = rows()
    assert [row[0] for row in found] == [str(number) for number in range(1, 31)]
    problems = []
    for number, rule, mechanisms, tests in found:
        assert rule.endswith("."), number
        for folder, cell, mark in ((PACKAGE, mechanisms, ":"), (TESTS, tests, "::")):
            references = re.findall(r"`([^`]+)`", cell)
            assert references, f"rule {number} names nothing in {cell!r}"
            problems += [problem for named in references if (problem := wrong(folder, named, mark))]
    assert not problems, "\n".join(problems)


def test_what_does_not_exist_is_noticed() -> None:
    assert wrong(TESTS, "test_audit.py::test_tampering_is_found", "::") is None
    assert wrong(TESTS, "test_audit.py::test_nothing", "::")
    assert wrong(TESTS, "test_nothing.py::test_nothing", "::")
    assert wrong(PACKAGE, "engine.py", ":")
