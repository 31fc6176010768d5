"""Many seeds: on one core or several, with a line of progress, in bounded memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count, islice

from tests.simulation.coverage import SOME, Covered, counting
from tests.simulation.faults import CELLS
from tests.simulation.knobs import FOCUSED, draw
from tests.simulation.run import Outcome, simulate
from tests.simulation.scenes import EVERY, NAMES, scene_of

ROUNDS = 20  # of worlds about what is missing, at most
ENOUGH = 8  # worlds about one thing that is asked for
CYCLE = EVERY * len(NAMES)  # seeds in which every scene is played once
TWICE = 100  # every so many seeds run a second time, in another process under another hash seed


@dataclass(slots=True)
class Total:
    """What a batch came to."""

    seeds: int = 0
    generations: int = 0
    seconds: float = 0.0
    covered: Covered = field(default_factory=Covered)
    failures: list[Outcome] = field(default_factory=list)
    unequal: list[int] = field(default_factory=list)

    def add(self, other: Total) -> None:
        self.seeds += other.seeds
        self.generations += other.generations
        self.seconds += other.seconds
        self.covered.add(other.covered)
        self.failures.extend(other.failures)
        self.unequal.extend(other.unequal)


def batch(seeds: Sequence[int], store: str, stop_at: int = 3) -> Total:
    """Run seeds one after the other in this process. `stop_at` failures are enough."""
    total, began = Total(), time.process_time()
    digests: dict[int, str] = {}
    with counting() as rows, collecting_between() as collect:
        for seed in seeds:
            knobs, before = draw(seed, store), rows.copy()
            outcome = simulate(knobs)
            collect()
            if knobs.scene:
                total.covered.leads(knobs.scene, rows - before)
            total.seeds += 1
            total.generations += outcome.generations
            total.covered.cells.update(outcome.struck)
            total.covered.happened.update(outcome.happened)
            if seed % TWICE == 0:
                digests[seed] = outcome.digest
            if outcome.error:
                total.failures.append(outcome)
                if len(total.failures) >= stop_at:
                    break
    total.covered.rows.update(rows)
    total.seconds = time.process_time() - began
    total.unequal = [seed for seed, digest in digests.items() if elsewhere(seed, store) != digest]
    return total


@contextmanager
def collecting_between() -> Iterator[Callable[[], object]]:
    """Worlds are one web of cycles: they are collected when they have ended, not looked through meanwhile."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield gc.collect
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def elsewhere(seed: int, store: str) -> str:
    """The trace's hash of the same seed in a process whose hashes and addresses are others."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed % 1000 + 1),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "tests.simulation", "--digest", str(seed), "--store", store]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    return done.stdout.strip() or done.stderr[-2000:]


def told(outcome: Outcome, store: str) -> str:
    """A failure with the command that plays it again."""
    again = f"make simulate ARGS='--store {store} --replay {outcome.seed}'"
    return f"seed {outcome.seed}: {outcome.error}\n  replay it: {again}"


def _batch(task: tuple[Sequence[int], str, int]) -> Total:
    return batch(*task)


def run(
    generations: int,
    *,
    first: int,
    store: str,
    jobs: int,
    say: Callable[[str], None],
    about: Sequence[str] = (),
    stop_at: int = 3,
) -> Total:
    """Until so many generations have run, or something has failed. First the worlds `about` something."""
    total, began = Total(), time.monotonic()
    lots = chain(([seed] for seed in directed(about)), _from(first))
    for part in _parts(lots, store, jobs, stop_at):
        total.add(part)
        rate = total.generations / max(1e-9, time.monotonic() - began)
        core = total.generations / max(1e-9, total.seconds)
        say(
            f"{total.generations} of {generations} generations, {total.seeds} seeds, {rate:.0f}/s "
            f"({core:.0f}/s of processor time), {len(total.failures)} failed"
        )
        if total.failures or total.unequal or total.generations >= generations:
            break
    return total


def complete(total: Total, *, first: int, store: str, jobs: int) -> None:
    """Add the worlds about what was taken too rarely so far: the scenes from `first` on, and focused seeds.

    Chance needs many worlds for the last of five hundred faults. Of the scenes, those are played again that
    have led to a rare row.
    """
    for turn in range(ROUNDS):
        if total.failures or not total.covered.missing(max(total.generations, SOME)):
            return
        wanted = {scene for row in total.covered.rare_rows() for scene in total.covered.led.get(row, NAMES)}
        cycle = range(first + turn * CYCLE, first + (turn + 1) * CYCLE)
        played = [seed for seed in cycle if scene_of(seed) in wanted]
        seeds = _focused(set(total.covered.rare_cells()), turn)
        lots = [*([seed] for seed in played), *(seeds[at : at + 4] for at in range(0, len(seeds), 4))]
        for part in _parts(iter(lots), store, jobs):
            total.add(part)


def directed(words: Sequence[str]) -> Iterator[int]:
    """Worlds that play these scenes or are to meet these faults, in turn."""
    for turn in range(ENOUGH):
        for word in words:
            if word in NAMES:
                yield turn * CYCLE + NAMES.index(word) * EVERY + EVERY - 1
            else:
                yield from _focused([cell for cell in CELLS if cell[1] == word], turn)


def _focused(cells: Collection[tuple[str, str]], turn: int) -> list[int]:
    """A small world about each of these faults; another one every turn."""
    around = (FOCUSED // len(CELLS) + 1 + turn) * len(CELLS)
    return [around + number for number, cell in enumerate(CELLS) if cell in cells]


def _parts(lots: Iterator[Sequence[int]], store: str, jobs: int, stop_at: int = 3) -> Iterator[Total]:
    tasks = ((lot, store, stop_at) for lot in lots)
    if jobs == 1:
        yield from map(_batch, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=50) as pool:
        waiting = [pool.apply_async(_batch, (task,)) for task in islice(tasks, 2 * jobs)]
        while waiting:
            yield waiting.pop(0).get()
            waiting += [pool.apply_async(_batch, (task,)) for task in islice(tasks, 1)]


def _from(seed: int, step: int = 20) -> Iterator[range]:
    for at in count(seed, step):
        yield range(at, at + step)
