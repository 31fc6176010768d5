"""The simulator, or a named test, notices every listed mistake: `make prove` makes each, the default run two.

A mistake is made in a copy of the package, which is what is run then, in a process of its own. A run in
which nothing ran proves nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.execution_arrow.proof.mutants import MUTANTS, SIMULATOR, Mutant
from tests.simulation.faults import CELLS
from tests.simulation.scenes import NAMES

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "execution_arrow"
TESTS = Path(__file__).parents[1]
CHOSEN = MUTANTS if os.environ.get("N") else (MUTANTS[2], MUTANTS[6])
FAILED = 1  # what pytest and the simulator say when something ran and was wrong
SEARCH = "15000"  # generations, at most; those that are noticed are noticed within the first hundreds
# What a killer says of what it has found.
SAID = {
    True: re.compile(r"^seed \d+: \w+: (?P<promise>\d+): .*", re.MULTILINE),
    False: re.compile(r"^FAILED .*", re.MULTILINE),
}


def test_every_mutant_can_be_made() -> None:
    """Its text stands where it should, once; its killer is there."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
    for mutant in MUTANTS:
        text = (PACKAGE / mutant.file).read_text("utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.name}: not once in {mutant.file}: {mutant.old!r}"
        assert mutant.killer == SIMULATOR or (TESTS / mutant.killer.partition("::")[0]).is_file(), (
            mutant.killer
        )
        assert (mutant.killer == SIMULATOR) == bool(mutant.promise), mutant.name
        assert not list(unknown(mutant.about)), mutant.name


def unknown(about: str) -> Iterator[str]:
    faults = {fault for _, fault in CELLS}
    yield from (word for word in about.split(",") if word and word not in NAMES and word not in faults)


def mutate(mutant: Mutant, folder: Path) -> None:
    """The package with the mistake in it."""
    shutil.copytree(PACKAGE, folder / "execution_arrow", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "execution_arrow" / mutant.file
    file.write_text(file.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")


def run(folder: Path, mutant: Mutant) -> tuple[int, str]:
    """Let the killer look at the package in `folder`; its verdict and its last lines."""
    killer = mutant.killer
    environment = {name: v for name, v in os.environ.items() if not name.startswith(("N", "COVERAGE"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (folder, ROOT / "src", ROOT)))
    if killer == SIMULATOR:
        command = [sys.executable, "-m", "tests.simulation", "--n", SEARCH, "--any"]
        command += ["--about", mutant.about]
    else:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:randomly"]
        command += ["-o", f"pythonpath={folder} {ROOT / 'src'} {ROOT}", "--rootdir", str(ROOT)]
        command.append(str(TESTS / killer))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout[-3_000:] + done.stderr[-1_000:]


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant, tmp_path: Path, figure: Callable[[str], None]) -> None:
    mutate(mutant, tmp_path)
    code, told = run(tmp_path, mutant)
    assert code == FAILED, f"{mutant.name}: exit {code}\n{told}"
    found = SAID[mutant.killer == SIMULATOR].search(told)
    assert found, f"{mutant.name}: something else was noticed\n{told}"
    if mutant.killer == SIMULATOR:
        assert found["promise"] in mutant.promise.split(), f"{mutant.name}: {found[0]}"
    figure(f"arrow mutants: {mutant.name}: noticed by {found[0][:160]}")
