"""The suite notices every listed mistake: `make prove` makes each of them, the default run a few.

A mistake is made in a copy of the package; the tests that are named for it then run over that copy, in a
process of their own, and must fail. A run in which no test ran, or none could be collected, proves nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ledger_fortress.proof.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "ledger_fortress"
TESTS = Path(__file__).parents[1]
CHOSEN = MUTANTS if os.environ.get("N") else (MUTANTS[0], MUTANTS[11])
FAILED = 1  # what pytest says when tests ran and some of them failed


def test_every_mutant_can_be_made() -> None:
    """Its text stands where it should, once; its killers are there."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    for mutant in MUTANTS:
        text = (PACKAGE / mutant.file).read_text("utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.name}: not once in {mutant.file}: {mutant.old!r}"
        for killer in mutant.killers:
            assert (TESTS / killer.partition("::")[0]).is_file(), f"{mutant.name}: no {killer}"


def mutate(mutant: Mutant, folder: Path) -> None:
    """The package with the mistake in it."""
    shutil.copytree(PACKAGE, folder / "ledger_fortress", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "ledger_fortress" / mutant.file
    file.write_text(file.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")


def run(folder: Path, killers: tuple[str, ...]) -> tuple[int, str]:
    """Run tests over the package in `folder` until one fails; pytest's verdict and its last lines."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("N", "COVERAGE"))
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:randomly"]
    command += ["-o", f"pythonpath={folder} {ROOT}", "--rootdir", str(ROOT)]
    command += [str(TESTS / killer) for killer in dict.fromkeys(killers)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout[-3_000:] + done.stderr[-1_000:]


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant, tmp_path: Path, figure: Callable[[str], None]) -> None:
    mutate(mutant, tmp_path)
    code, told = run(tmp_path, mutant.killers)
    assert code == FAILED, f"{mutant.name}: exit {code}\n{told}"
    figure(f"ledger mutants: killed one of {len(MUTANTS)}: {mutant.name}")


def test_the_copy_is_what_is_tested(tmp_path: Path) -> None:
    """Without a mistake the copy passes, so a failure above is the mistake's."""
    mutate(Mutant("nothing", "state.py", "Final", "Final", ()), tmp_path)
    code, told = run(tmp_path, ("test_scenarios.py::test_scenario[settle-memory]",))
    assert code == 0, told
