"""What the Makefile's targets do, with the standard library alone.

Each target needs one extra of pyproject.toml. The environment `.venv` is built once and then only
widened: a stamp in it says for which dependencies, Python and folder it was made and which extras it
holds, so that the second call starts at once, and a changed pyproject.toml, another Python or a moved
folder is noticed. The stamp is written last: an interrupted set-up is simply repeated. A lock on the
project folder lets several calls run side by side.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "babysea.json"

Project = dict[str, Any]  # the parsed pyproject.toml

FOLDERS = ("src", "tests", "benchmarks", "examples", "tools")

# Megabytes downloaded for each extra on Linux x86-64 in November 2026, shown before the download starts.
DOWNLOAD_MB = {"": 5, "demo": 48, "bench": 48, "test": 56, "dev": 160}

# What runs leave behind, beside byte code and coverage data; `clean` removes it and .gitignore names it.
LEFTOVERS = (".venv", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "dist", "demo-output")


def main() -> int:
    """Run one target and return its exit code."""
    parser = argparse.ArgumentParser(prog="dev.py", description="Run one of the project's targets.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("args", nargs=argparse.REMAINDER, help="passed on to what the target runs")
    given = parser.parse_args()
    os.chdir(ROOT)
    extra, action = TARGETS[given.target]
    if extra is not None:
        set_up(extra)
    try:
        return action(given.args)
    except KeyboardInterrupt:
        return 130


# --- the environment


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


# --- the targets


def demo(args: list[str]) -> int:
    """Become the demonstration, so that its screen and an interrupt are its own."""
    os.execv(PYTHON, [str(PYTHON), "-m", "examples.demo", *args])


def test(args: list[str]) -> int:
    """Run the tests on all cores with branch coverage, child processes included."""
    call(PYTHON, "-m", "coverage", "erase")
    workers = ["--numprocesses", "auto", "--maxprocesses", "8"]
    failed = call(PYTHON, "-m", "coverage", "run", "-m", "pytest", *workers, *args)
    call(PYTHON, "-m", "coverage", "combine", "--quiet")
    say("branch coverage of src in percent (by module: .venv/bin/coverage report)")
    call(PYTHON, "-m", "coverage", "report", "--format=total")
    return failed


def check(_: list[str]) -> int:
    """Run every static check, also after one has failed, and name the failed ones at the end."""
    folders = [name for name in FOLDERS if (ROOT / name).exists()]
    steps = {
        "lint": ("ruff", "check", "--quiet", *folders),
        "format": ("ruff", "format", "--check", "--quiet", *folders),
        "types (mypy)": ("mypy",),
        "types (basedpyright)": ("basedpyright", "--level", "error"),
        "import contracts": ("lint-imports", "--no-cache", "--no-logo"),
    }
    failed = []
    for name, (tool, *options) in steps.items():
        began = time.monotonic()
        if call(VENV / "bin" / tool, *options):
            failed.append(name)
        say(f"{name}: {'FAILED' if name in failed else 'ok'} ({time.monotonic() - began:.1f} s)")
    say(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def bench(args: list[str]) -> int:
    """Run the named benchmarks, or all; one that misses a target does not stop the others."""
    names = args or benchmark_names()
    if not names:
        say("there is no benchmark to run")
        return 1
    missed = [name for name in names if call(PYTHON, "-m", f"benchmarks.{name}")]
    say(f"missed a target: {', '.join(missed)}" if missed else f"{len(names)} benchmarks, every target holds")
    return 1 if missed else 0


def benchmark_names() -> list[str]:
    """Return what runs under benchmarks/: modules and packages with a `__main__`."""
    folder = ROOT / "benchmarks"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "harness"}
    return sorted(modules | {path.parent.name for path in folder.glob("*/__main__.py")})


def prove(args: list[str]) -> int:
    """Prove the mapping catalogue and run the tests, uninstrumented, at the sizes that N asks for."""
    mapping = call(VENV / "bin" / "rosetta-bridge", "prove")
    return call(PYTHON, "-m", "pytest", "--numprocesses", "auto", *args) or mapping


def schemas(args: list[str]) -> int:
    """Write the published schemas."""
    return call(PYTHON, "-m", "tools.schemas", *args)


def wheel(_: list[str]) -> int:
    """Build the wheel and try it without this folder's sources."""
    return call(PYTHON, "-m", "tools.try_wheel")


def clean(_: list[str]) -> int:
    """Remove what runs leave behind."""
    caches = [path for name in FOLDERS for path in (ROOT / name).rglob("__pycache__")]
    for path in [*(ROOT / name for name in LEFTOVERS), *caches]:
        shutil.rmtree(path, ignore_errors=True)
    for path in ROOT.glob(".coverage*"):
        path.unlink()
    return 0


def done(_: list[str]) -> int:
    """Say where the environment is."""
    say("run its programs as .venv/bin/rosetta-bridge, .venv/bin/pytest ...")
    return 0


TARGETS: dict[str, tuple[str | None, Callable[[list[str]], int]]] = {
    "demo": ("demo", demo),
    "test": ("test", test),
    "check": ("dev", check),
    "bench": ("bench", bench),
    "prove": ("test", prove),
    "schemas": ("", schemas),
    "wheel": ("test", wheel),
    "setup": ("dev", done),
    "clean": (None, clean),
}


# --- helpers


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


if __name__ == "__main__":
    sys.exit(main())
