"""The set-up behind every make target: when it is current, what it installs, what it says without Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment
from tools.packages import ROOT

PROJECT = {
    "project": {
        "name": "thing",
        "optional-dependencies": {
            "one": ["first>=1"],
            "two": ["thing[one]", "second[sub]>=2"],
            "all": ["thing[two,one]", "third"],
        },
    },
    "build-system": {},
    "tool": {"hatch": {}},
}


def test_extras_include_each_other() -> None:
    """An environment made for the widest extra serves the narrower ones without another install."""
    assert environment.with_included(PROJECT, {"all"}) == {"", "one", "two", "all"}
    assert environment.with_included(PROJECT, {"", "retired"}) == {""}


def test_widening_installs_other_projects_only() -> None:
    """The project itself stays as installed, so that what runs from .venv meanwhile is not disturbed."""
    assert environment.requirements(PROJECT, frozenset({"", "one", "two"})) == {"first>=1", "second[sub]>=2"}


@pytest.fixture
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))
    return tmp_path / "stamp.json"


def test_a_current_stamp_names_its_extras(stamp: Path) -> None:
    key = environment.stamp_key(PROJECT)
    stamp.write_text(f'{{"key": "{key}", "extras": ["", "one"]}}')
    assert environment.stamped_extras(key) == {"", "one"}


@pytest.mark.parametrize("content", ["", "{", '{"key": "of another pyproject", "extras": ["one"]}'])
def test_anything_else_is_stale(stamp: Path, content: str) -> None:
    """A half-written stamp, or one for other dependencies, means that set-up runs again."""
    stamp.write_text(content)
    assert environment.stamped_extras(environment.stamp_key(PROJECT)) == frozenset()


def test_the_key_notices_dependencies_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linter's setting changes nothing; a dependency or another folder does."""
    key = environment.stamp_key(PROJECT)
    assert environment.stamp_key(PROJECT | {"tool": PROJECT["tool"] | {"ruff": {"line-length": 80}}}) == key
    assert environment.stamp_key(PROJECT | {"build-system": {"requires": ["hatchling"]}}) != key
    monkeypatch.setattr(environment, "ROOT", Path("/elsewhere"))
    assert environment.stamp_key(PROJECT) != key


def without_python(tmp_path: Path, *programs: str) -> dict[str, str]:
    """Return an environment whose PATH holds the shell's own needs and the named programs, but no Python."""
    for name in ("sh", "dirname", "id", *programs):
        found = shutil.which(name) or str(shutil.which("true"))
        (tmp_path / name).symlink_to(found)
    return {name: value for name, value in os.environ.items() if name != "PYTHON"} | {"PATH": str(tmp_path)}


def find_python(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(shutil.which("sh")), str(ROOT / "tools" / "dev.sh"), "demo"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "apt-get install python3 python3-venv"),
        ("dnf", "dnf install python3"),
        ("brew", "brew install"),
    ],
)
def test_without_python_the_command_to_install_it_is_printed(
    tmp_path: Path, manager: str, command: str
) -> None:
    done = find_python(without_python(tmp_path, manager))
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert command in done.stderr


@pytest.mark.parametrize("module", ["venv", "ensurepip", "sqlite3", "ssl"])
def test_a_python_that_lacks_a_module_is_named_with_it(tmp_path: Path, module: str) -> None:
    """Debian's Python comes without `ensurepip`, a hand-built one easily without `sqlite3`."""
    environment = without_python(tmp_path, "apt-get")
    fake = tmp_path / "python3"
    fake.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.modules[\'{module}\'] = None\n$2"\n'
    )
    fake.chmod(0o755)
    done = find_python(environment)
    assert done.returncode == 1
    assert f"has no module {module}" in done.stderr
