"""The simulator, or a named test, notices every listed mistake: `make prove` makes each, the default run two.

A mistake is made in a copy of the package, which is what is run then, in a process of its own. A run in
which nothing ran proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.execution_arrow.proof.mutants import MUTANTS, SIMULATOR, Mutant

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "execution_arrow"
TESTS = Path(__file__).parents[1]
CHOSEN = MUTANTS if os.environ.get("N") else (MUTANTS[2], MUTANTS[6])
FAILED = 1  # what pytest and the simulator say when something ran and was wrong
SEARCH = "30000"  # generations, at most


def test_every_mutant_can_be_made() -> None:
    """Its text stands where it should, once; its killer is there."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
    for mutant in MUTANTS:
        text = (PACKAGE / mutant.file).read_text("utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.name}: not once in {mutant.file}: {mutant.old!r}"
        assert mutant.killer == SIMULATOR or (TESTS / mutant.killer).is_file(), mutant.killer


def mutate(mutant: Mutant, folder: Path) -> None:
    """The package with the mistake in it."""
    shutil.copytree(PACKAGE, folder / "execution_arrow", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "execution_arrow" / mutant.file
    file.write_text(file.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")


def run(folder: Path, killer: str) -> tuple[int, str]:
    """Let the killer look at the package in `folder`; its verdict and its last lines."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith(("N", "COVERAGE"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (folder, ROOT / "src", ROOT)))
    if killer == SIMULATOR:
        command = [sys.executable, "-m", "tests.simulation", "--n", SEARCH, "--any"]
    else:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:randomly"]
        command += ["-o", f"pythonpath={folder} {ROOT / 'src'} {ROOT}", "--rootdir", str(ROOT)]
        command.append(str(TESTS / killer))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout[-3_000:] + done.stderr[-1_000:]


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant, tmp_path: Path, figure: Callable[[str], None]) -> None:
    mutate(mutant, tmp_path)
    code, told = run(tmp_path, mutant.killer)
    assert code == FAILED, f"{mutant.name}: exit {code}\n{told}"
    figure(f"arrow mutants: killed one of {len(MUTANTS)}: {mutant.name}")
