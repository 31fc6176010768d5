"""House rules that a person would otherwise have to watch: sizes, leftovers, words that do not belong."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.packages import PACKAGES, ROOT, modules

MODULE_LINES = 300
FUNCTION_LINES = 40
RATCHET = ROOT / "tests" / "contracts" / "ratchet.txt"
SIZED = ("src", "tools", "benchmarks", "examples")

# Put together here so that this file does not name them either.
HOSTS = ("pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org", "deb.debian" + ".org")
PLACES = ("/work" + "/", "/root" + "/", "/opt/" + "wheels", "/opt/" + "pypi", "bash" + "_jobs")
MARKERS = ("FIX" + "ME", "TO" + "DO", "XX" + "X")


def tracked() -> list[Path]:
    """Return the files under version control, or all of an unpacked source archive."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not any(part[:1] == "." for part in path.parts)]
    return [path for path in found if path.is_file()]


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and content of every tracked text file."""
    for path in tracked():
        try:
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def oversized() -> dict[str, int]:
    """Return every module and function above its limit, with its length in lines."""
    found = {}
    for path in tracked():
        name = path.relative_to(ROOT)
        if path.suffix != ".py" or name.parts[0] not in SIZED:
            continue
        source = path.read_text("utf-8")
        if source.count("\n") > MODULE_LINES:
            found[str(name)] = source.count("\n")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    found[f"{name}:{node.name}"] = length
    return found


def test_sizes_only_shrink() -> None:
    """Modules stay within 300 lines and functions within 40; ratchet.txt has the exceptions.

    A line there is `length path[:function]`. An exception may not grow, and one that shrank is written down
    at its new length or taken out, so that it never grows back.
    """
    rows = [line.split(maxsplit=1) for line in RATCHET.read_text("utf-8").splitlines() if line[:1].isdigit()]
    assert oversized() == {name: int(length) for length, name in rows}


def test_nothing_is_left_for_later() -> None:
    """An intention belongs in an issue, where somebody sees it."""
    word = re.compile(rf"\b({'|'.join(MARKERS)})\b")
    kinds = (".py", ".sh", ".md", ".toml", ".yaml")
    assert not [name for name, text in texts() if name.endswith(kinds) and word.search(text)]


def test_text_names_no_machine_and_no_registry() -> None:
    """Where a package comes from is the user's setting; where it was written is nobody's business."""
    named = {(name, word) for name, text in texts() for word in (*HOSTS, *PLACES) if word in text}
    assert not named


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed(package: str) -> None:
    """Type checkers of our users read our annotations only with this file."""
    assert (ROOT / "src" / package / "py.typed").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    """A module without a first sentence has no reason to be one."""
    assert modules(package)
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in modules(package).items()}
    assert not [name for name, tree in trees.items() if not ast.get_docstring(tree)]
