"""What the Makefile's targets do: `python -m tools.dev TARGET`, with the standard library alone.

Each target names the extra of pyproject.toml that it needs; `tools.environment` sees to it that .venv has it.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable

from tools.environment import PYTHON, VENV, call, say, set_up
from tools.packages import ROOT

# Two for each core: half of the time a test waits, for a disk, a server, a clock.
WORKERS = ("--numprocesses", str(min(8, 2 * (os.cpu_count() or 1))))
FOLDERS = ("src", "tests", "benchmarks", "examples", "tools")

# What runs leave behind, beside byte code and coverage data; `clean` removes it and .gitignore names it.
LEFTOVERS = (
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    "build",
    "dist",
    "demo-output",
    "bench-output",
)


def main() -> int:
    """Run one target and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.dev", description="Run one of the project's targets."
    )
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


def demo(args: list[str]) -> int:
    """Become the demonstration, so that its screen and an interrupt are its own."""
    os.execv(PYTHON, [str(PYTHON), "-m", "examples.demo", *args])


def test(args: list[str]) -> int:
    """Run the tests on all cores."""
    return call(PYTHON, "-m", "pytest", *WORKERS, *args)


def coverage(args: list[str]) -> int:
    """Run the tests with branch coverage, child processes included: the tracer takes as long as the tests."""
    call(PYTHON, "-m", "coverage", "erase")
    failed = call(PYTHON, "-m", "coverage", "run", "-m", "pytest", *WORKERS, *args)
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
        "documentation": ("properdocs", "build", "--strict", "--quiet"),
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
    return call(PYTHON, "-m", "pytest", *WORKERS, *args) or mapping


def simulate(args: list[str]) -> int:
    """Run generations through the simulated world, as many as N says; `--replay SEED` shows one seed."""
    os.environ["PYTHONPATH"] = os.pathsep.join(("src", "."))
    return call(PYTHON, "-m", "tests.simulation", *args)


def schemas(args: list[str]) -> int:
    """Write the published schemas."""
    return call(PYTHON, "-m", "tools.schemas", *args)


def docs(args: list[str]) -> int:
    """Build the site of docs/; a dead link, a missing anchor or a page outside the menu is an error."""
    failed = call(PYTHON, "-m", "properdocs", "build", "--strict", "--quiet", *args)
    if not failed:
        say("open build/site/index.html")
    return failed


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
    "coverage": ("test", coverage),
    "check": ("dev", check),
    "bench": ("bench", bench),
    "prove": ("test", prove),
    "simulate": ("test", simulate),
    "docs": ("docs", docs),
    "schemas": ("", schemas),
    "wheel": ("test", wheel),
    "setup": ("dev", done),
    "clean": (None, clean),
}


if __name__ == "__main__":
    sys.exit(main())
