"""A crash at every step of a short run, and a second one at every step of what follows.

One generation, one worker, nothing else goes wrong but what the seed says of its provider. The run is
repeated with the process killed before its first step, its second, and so on, and started anew each time;
then with pairs of crashes, the second of which hits the recovery from the first. A step is what runs between
two awaits that wait, so nothing that can be told apart is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from execution_arrow.delivery import WebhookPolicy
from execution_arrow.machine.state import Run
from execution_arrow.stores.base import Op, Result
from execution_arrow.stores.outgoing import Report
from tests.simulation.knobs import Knobs, draw
from tests.simulation.loop import CURRENT, WORLD, Process, Ready, VirtualLoop
from tests.simulation.run import Outcome, Simulation, simulate


class CrashingLoop(VirtualLoop):
    """Counts the steps of processes and kills whoever is about to take one of `deaths`."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.deaths: frozenset[int] = frozenset()
        self.count = 0

    def _perform(self, one: Ready) -> None:
        process = one[0][CURRENT]
        if process is not WORLD and not process.stopped:
            self.count += 1
            if self.count in self.deaths:
                self.on_death(process)
        super()._perform(one)

    def on_death(self, process: Process) -> None:
        raise NotImplementedError


class Crashes(Simulation):
    """One run with deaths at these steps; `steps_to_end` is where the last change was durable."""

    loop_class = CrashingLoop

    def __init__(self, knobs: Knobs, folder: Path, *, deaths: frozenset[int], dark: bool) -> None:
        self.keeps_durable = dark
        super().__init__(knobs, folder)
        assert isinstance(self.loop, CrashingLoop)
        self.loop.deaths, self.loop.on_death = deaths, self._die  # type: ignore[method-assign]
        self._dark, see, change = dark, self.oracle.see, self.site.disk.on_change

        def changed(op: Op, result: Result) -> None:
            change(op, result)
            if isinstance(op, Report):
                self.outcome.steps_to_end = self.loop.count  # type: ignore[attr-defined]

        self.site.disk.on_change = changed

        def watched(run: Run, epoch: int) -> None:
            see(run, epoch)
            self.outcome.steps_to_end = self.loop.count  # type: ignore[attr-defined]

        self.oracle.see = watched  # type: ignore[method-assign]

    def _die(self, process: Process) -> None:
        node = next(node for node in self.nodes if node.process is process)
        node.kill()
        if self._dark:  # the machine, too: what nobody asked to be durable is gone
            self.site.disk.power_loss()
            self.rebase(rewound=False)
        self.start(serving=node.serving)


def short(
    seed: int, kind: str, store: str, fault: tuple[str, str] | None = None, receivers: int = 0
) -> Knobs:
    """A world of one generation at one provider, and one fault that is certain, if any (place, fault)."""
    calm = draw(seed, store)
    policies = [
        replace(policy, attempt_deadline=15.0, generation_deadline=90.0, hedge_after=None)
        for policy in calm.policies
    ]
    return Knobs(
        seed=seed,
        store=store,
        kinds={kind: kind},
        odds={(kind, fault[0]): [(0.7, fault[1])]} if fault else {},
        generations=1,
        arrivals=0.0,
        workers=1,
        serving=1,
        lease=15.0,
        look_every=10.0,
        called_back=calm.called_back,
        real_files=seed % 2 == 0,
        policies=policies,
        receivers=receivers,
        webhooks=WebhookPolicy(pauses=(0.5, 1.5, 3.0), timeout=3.0),
    )


def once(knobs: Knobs, deaths: frozenset[int] = frozenset(), *, dark: bool = False) -> Outcome:
    return simulate(knobs, lambda knobs, folder: Crashes(knobs, folder, deaths=deaths, dark=dark))


def everywhere(knobs: Knobs, *, dark: bool = False) -> Iterator[tuple[int, Outcome]]:
    """A crash before each step in turn, up to the first step that is not there any more."""
    steps = once(knobs).steps_to_end
    for step in range(1, steps + 1):
        yield step, once(knobs, frozenset({step}), dark=dark)


def pairs(knobs: Knobs, every: int, *, dark: bool = False) -> Iterator[tuple[tuple[int, int], Outcome]]:
    """Two crashes, the second while the first is being recovered from; each `every`th of all pairs."""
    number = 0
    for first in range(1, once(knobs).steps_to_end + 1):
        steps = once(knobs, frozenset({first}), dark=dark).steps_to_end
        for second in range(first + 1, steps + 1):
            number += 1
            if number % every == 0:
                yield (first, second), once(knobs, frozenset({first, second}), dark=dark)
