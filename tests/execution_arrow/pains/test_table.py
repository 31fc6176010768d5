"""docs/pains.md and the tests beside this file name each other, one by one."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "pains.md"


def described() -> dict[str, str]:
    """`file::test` with the first line that it says of itself."""
    found = {}
    for file in HERE.glob("test_*.py"):
        if file == Path(__file__):
            continue
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found[f"{file.name}::{node.name}"] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def rows() -> dict[int, list[str]]:
    lines = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text("utf-8"), re.M)
    return {int(number): re.findall(r"`(test_\w+\.py::\w+)`", cells) for number, cells in lines}


def test_every_pain_has_its_tests_and_every_test_its_pain() -> None:
    table, tests = rows(), described()
    assert list(table) == list(range(1, 17))
    assert all(table.values()), "a pain without a test"
    listed = {test: number for number, named in table.items() for test in named}
    assert set(listed) == set(tests)
    for test, says in tests.items():
        expected = f"Pain {listed[test]}: " if listed[test] <= 15 else "Also reported: "
        assert says.startswith(expected), f"{test} says {says!r}"
