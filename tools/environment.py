"""The environment `.venv` that every make target runs in, built with the standard library alone.

It is built once and then only widened: a stamp in it says for which dependencies, Python and folder it
was made and which extras it holds, so that the second call starts at once, and a changed
pyproject.toml, another Python or a moved folder is noticed. The stamp is written last: an interrupted
set-up is simply repeated. A lock on the project folder lets several calls run side by side.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.packages import ROOT

__all__ = ["PYTHON", "VENV", "call", "say", "set_up"]

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "babysea.json"

# Megabytes downloaded for each extra on Linux x86-64 in November 2026, shown before the download starts.
DOWNLOAD_MB = {"": 5, "demo": 48, "bench": 125, "test": 92, "docs": 7, "dev": 276}

Project = dict[str, Any]  # the parsed pyproject.toml


def set_up(extra: str) -> None:
    """Make sure that .venv exists and holds the project with this extra; return at once when it does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    key = stamp_key(project)
    if extra in stamped_extras(key):
        return
    with locked():
        held = stamped_extras(key)
        if extra in held:
            return
        build(project, key, extra, held)


def stamp_key(project: Project) -> str:
    """Digest everything that makes an environment stale: metadata, dependencies, Python, the folder."""
    facts = [
        project["project"],
        project["build-system"],
        project["tool"]["hatch"],
        sys.version_info[:2],
        str(ROOT),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def stamped_extras(key: str) -> frozenset[str]:
    """Return the extras that .venv holds for this key; none when it is absent, stale or half built."""
    try:
        stamp = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(stamp["extras"]) if stamp["key"] == key and PYTHON.exists() else frozenset()


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the project folder's lock, waiting for another set-up; it ends with the process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running in this folder; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def build(project: Project, key: str, extra: str, held: frozenset[str]) -> None:
    """Create .venv where needed and install into it, then stamp it."""
    began = time.monotonic()
    wanted = with_included(project, {extra} | earlier_extras())
    widest = max(wanted, key=lambda name: DOWNLOAD_MB.get(name, 0))
    megabytes = DOWNLOAD_MB[widest] - max((DOWNLOAD_MB.get(name, 0) for name in held), default=0)
    version = ".".join(map(str, sys.version_info[:3]))
    what = f"Python {version}" + (f" and the extra '{widest}'" if widest else "")
    say(f"setting up .venv with {what}: once, downloads about {max(megabytes, 1)} MB where none is cached")
    if not usable():
        run(sys.executable, "-m", "venv", "--clear", VENV)
    if held:
        # Only more packages: a demo that runs meanwhile keeps the project's own installation untouched.
        targets = sorted(requirements(project, wanted))
    else:
        targets = ["--editable", f".[{','.join(sorted(wanted - {''}))}]" if wanted - {""} else "."]
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    os.environ["PIP_USER"] = "0"  # a machine-wide `user = true` would be refused inside an environment
    run(PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *quiet, *targets)
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps({"key": key, "extras": sorted(wanted)}), "utf-8")
    fresh.replace(STAMP)
    say(f".venv is ready ({time.monotonic() - began:.0f} s)")


def earlier_extras() -> set[str]:
    """Return the extras that .venv was made with, also for an older pyproject.toml: none is lost."""
    try:
        return set(json.loads(STAMP.read_text("utf-8"))["extras"])
    except (OSError, ValueError, KeyError):
        return set()


def with_included(project: Project, extras: set[str]) -> frozenset[str]:
    """Add the extras that these name in turn, and the empty one, which stands for the bare project."""
    found: set[str] = {""}
    waiting = [name for name in extras if name in project["project"]["optional-dependencies"]]
    while waiting:
        name = waiting.pop()
        found.add(name)
        for requirement in project["project"]["optional-dependencies"][name]:
            waiting += [inner for inner in included(project, requirement) if inner not in found]
    return frozenset(found)


def included(project: Project, requirement: str) -> list[str]:
    """Split `babysea-primitives[demo,clients]` into its extras; nothing for another project's requirement."""
    name, _, rest = requirement.partition("[")
    if name.strip() != project["project"]["name"]:
        return []
    return [extra.strip() for extra in rest.partition("]")[0].split(",")]


def requirements(project: Project, extras: frozenset[str]) -> set[str]:
    """Return the requirements of these extras without the project itself."""
    lists = [project["project"]["optional-dependencies"][name] for name in extras if name]
    return {line for lines in lists for line in lines if not included(project, line)}


def usable() -> bool:
    """Say whether .venv has a working Python of this version with pip, and was made in this folder."""
    probe = "import sys, pip; print(*sys.version_info[:2])"
    try:
        here = str(VENV) in (VENV / "bin" / "activate").read_text("utf-8")
        answer = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True)
    except OSError:
        return False
    return here and answer.stdout.split() == [str(part) for part in sys.version_info[:2]]


def call(*command: str | Path) -> int:
    """Run a command in the project folder and return its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT).returncode


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    if code := call(*command):
        say(f"this failed with exit code {code}; mend its cause and call make again:")
        say(" ".join(map(str, command)))
        raise SystemExit(1)


def say(text: str) -> None:
    """Print one line of ours between the lines of the tools."""
    print(f"[make] {text}", flush=True)
