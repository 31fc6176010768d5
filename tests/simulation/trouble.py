"""What happens to processes, stores and clocks while a world goes wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.copies import restore, snapshot
from tests.simulation.nodes import Node

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


class Trouble:
    """Plays the seed's machine troubles at random moments of its span."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim, self._rng = simulation, simulation.rng

    async def make(self) -> None:
        knobs, span = self._sim.knobs, self._sim.knobs.arrivals + 25.0
        plan = [
            *[self._crash] * knobs.crashes,
            *[self._pause] * knobs.pauses,
            *[self._suspend] * knobs.suspends,
            *[self._stop] * knobs.stops,
            *[self._power_loss] * knobs.power_losses,
            *[self._rewind] * knobs.rewinds,
            *[self._ledger_rewind] * knobs.ledger_rewinds,
            *[self._outage] * knobs.outages,
            *[self._step] * knobs.steps,
        ]
        self._rng.shuffle(plan)
        # Most trouble hits when most is going on: soon after the customers came.
        times = sorted(self._rng.choice((span, knobs.arrivals + 2.0)) * self._rng.random() for _ in plan)
        if knobs.early:
            times = [1.0 + at / span for at in times]
        tasks = []
        for at, what in zip(times, plan, strict=True):
            await asyncio.sleep(max(0.0, at - self._sim.loop.time()))
            self._sim.outcome.happened[what.__name__.strip("_")] += 1
            tasks.append(asyncio.ensure_future(what()))
        for task in tasks:
            await task

    def _victim(self) -> Node | None:
        alive = self._sim.alive()
        return self._rng.choice(alive) if alive else None

    def _again(self, node: Node) -> None:
        if self._sim.knobs.new_editions:
            self._sim.site.edition += 1
            owner = node.arrow._lease.owner
            if node.process.dead and self._rng.random() < 0.5:  # the version before this one wrote its rows
                self._sim.tell("aged", f"{self._sim.site.disk.age(owner)} rows of {owner}")
            self._sim.site.policy = self._rng.choice(self._sim.knobs.policies)
        self._sim.start(serving=node.serving)

    async def _crash(self) -> None:
        if (node := self._victim()) is None:
            return
        self._sim.tell("crash", node.name)
        node.kill()
        await asyncio.sleep(self._rng.choice((0.0, 0.5, 20.0)))
        self._again(node)

    async def _pause(self) -> None:
        """Stopped for longer than its lease, then going on as if nothing had happened."""
        await self._hold(self._rng.choice((1.0, 8.0, 30.0)), counted=True)

    async def _suspend(self) -> None:
        await self._hold(self._rng.choice((8.0, 30.0)), counted=False)

    async def _hold(self, seconds: float, *, counted: bool) -> None:
        if (node := self._victim()) is None:
            return
        self._sim.tell("pause", f"{node.name} {seconds} s counted={counted}")
        self._sim.loop.pause(node.process)
        await asyncio.sleep(seconds)
        if node.process.paused:
            if not counted:
                node.process.held += seconds
            self._sim.tell("resume", node.name)
            self._sim.loop.resume(node.process)

    async def _stop(self) -> None:
        if (node := self._victim()) is None:
            return
        self._sim.tell("stop", node.name)
        node.stop()
        await asyncio.sleep(self._rng.choice((0.0, 5.0)))
        self._again(node)

    async def _outage(self) -> None:
        weather = self._rng.choice((self._sim.site.disk.weather, self._sim.site.ledger_weather))
        weather.down = True
        await asyncio.sleep(self._rng.choice((0.5, 5.0, 25.0)))
        weather.down = False

    async def _step(self) -> None:
        if (node := self._victim()) is not None:
            node.clock.skew += self._rng.choice((-600.0, -5.0, 5.0, 600.0))
            self._sim.tell("step", f"{node.name} {node.clock.skew:.1f}")

    # --- stores ---

    async def _power_loss(self) -> None:
        """The machine of all processes goes dark: what nobody had asked to be durable is gone."""
        nodes = self._sim.alive() + [n for n in self._sim.nodes if n.process.paused]
        self._sim.tell("power", "lost")
        self._kill_all()
        self._sim.site.disk.power_loss()
        self._sim.rebase(rewound=False)
        await asyncio.sleep(self._rng.choice((0.0, 5.0)))
        for node in nodes:
            self._again(node)

    def _kill_all(self) -> None:
        """Also those that are ending in order."""
        for node in self._sim.nodes:
            if not node.ended:
                node.kill()

    async def _rewind(self) -> None:
        """The job store is restored from a copy; with or without the processes noticing."""
        knobs = self._sim.knobs
        copy = snapshot(self._sim.site.disk.store)
        await asyncio.sleep(self._rng.choice(knobs.rewind_after))
        restart = self._rng.random() < 0.5 if knobs.restarts is None else knobs.restarts
        nodes = self._sim.alive() if restart else []
        self._sim.tell("rewind", f"restart={restart}")
        if restart:
            self._kill_all()
        restore(self._sim.site.disk.store, copy)
        self._sim.site.disk.forget_durable()
        self._sim.rebase(rewound=True)
        for node in nodes:
            self._again(node)

    async def _ledger_rewind(self) -> None:
        copy = snapshot(self._sim.books)
        await asyncio.sleep(self._rng.choice((0.2, 3.0, 10.0)))
        self._sim.tell("rewind", "ledger")
        restore(self._sim.books, copy)
        self._sim.oracle.lenient = True
