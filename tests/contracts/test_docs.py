"""README and docs are run, not believed: Python blocks execute, and every command they name exists.

All Python blocks of a document run one after the other in one fresh interpreter, so a later block may use an
earlier one's names, in a folder that holds the files which the page shows. A block that cannot run here is
preceded by `<!-- not run: the reason -->`. The scripts of examples/ are run by tests/examples.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.dev import TARGETS
from tools.packages import ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
]
FENCE = re.compile(
    r"^(?P<mark>```+)(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=mark)\s*$", re.MULTILINE | re.DOTALL
)
FILE = re.compile(r"^```\w+ (?P<path>[\w.-]+/\S+)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: \S[^>]*-->\s*\Z")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SECONDS = 100


def blocks(document: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Yield first line number and text of each block in one of the languages that is meant to run."""
    text = document.read_text("utf-8")
    for found in FENCE.finditer(text):
        if found["language"] in languages and not NOT_RUN.search(text[: found.start()]):
            yield text.count("\n", 0, found.start("body")) + 1, found["body"]


def write_files(document: Path, folder: Path) -> None:
    """Write the files that a page shows: blocks whose first line names a path behind the language."""
    for found in FILE.finditer(document.read_text("utf-8")):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["body"], encoding="utf-8")


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def execute(program: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder with the checkout's packages."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


RUN = """
import json, sys
name, blocks = sys.argv[1], json.loads(sys.argv[2])
sys.argv = [name]
space = {"__name__": "__main__", "__file__": name}
for line, body in blocks:
    exec(compile("\\n" * (line - 1) + body, name, "exec"), space)
"""


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_python_runs(document: Path, tmp_path: Path) -> None:
    """A traceback names the document and the line in it."""
    write_files(document, tmp_path)
    done = execute(RUN, [str(document), json.dumps(list(blocks(document, "python", "py")))], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=label)
def test_commands_exist(document: Path) -> None:
    """Targets, command lines, modules and extras that a document tells its reader to type."""
    unknown = []
    for first, body in blocks(document, "bash", "sh", "shell", "console"):
        for number, line in enumerate(body.splitlines(), first):
            unknown += [f"{label(document)}:{number}: {what}" for what in unknown_in(line)]
    assert not unknown


def unknown_in(line: str) -> Iterator[str]:
    """Yield what a shell line names that this project does not have."""
    line = re.sub(r"^\s*\$\s+|\s#.*$", "", line)
    ours = {*PROJECT["scripts"], "make", "python"}
    for command in re.split(r"&&|\|\|?|;", line):
        words = [word for word in command.split() if not re.match(r"\w+=", word)]
        name = Path(words[0]).name if words else ""
        rest = [word for word in words[1:] if not word.startswith("-")]
        if name == "make":
            yield from (f"make {target}" for target in rest[:1] if target not in TARGETS)
        elif name.startswith("python") and "-m" in words:
            module = words[words.index("-m") + 1]
            if module.partition(".")[0] in ("benchmarks", "examples", "tools") and not found(module):
                yield module
        elif re.match(r"(rosetta|adaptive|ledger|execution)-", name) and name not in ours:
            yield name
        for extras in re.findall(rf"{PROJECT['name']}\[([\w,-]+)\]", command):
            yield from (extra for extra in extras.split(",") if extra not in PROJECT["optional-dependencies"])


def found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("make test ARGS=-x", []),
        ("N=5 make prove && make launch", ["make launch"]),
        ("$ rosetta-brigde check .", ["rosetta-brigde"]),
        (".venv/bin/python -m benchmarks.nonsense  # a comment", ["benchmarks.nonsense"]),
        ("pip install 'babysea-primitives[demo,flying]'", ["flying"]),
    ],
)
def test_a_wrong_command_is_noticed(line: str, named: list[str]) -> None:
    """The check above can fail."""
    assert list(unknown_in(line)) == named


def test_a_wrong_block_is_noticed(tmp_path: Path) -> None:
    """A block that raises fails its document and is shown with its line."""
    document = tmp_path / "page.md"
    document.write_text("# Page\n\n```python\nright = 1\n```\n\ntext\n\n```python\nassert right == 2\n```\n")
    with pytest.raises(AssertionError, match=r'page\.md", line 10'):
        test_python_runs(document, tmp_path)
