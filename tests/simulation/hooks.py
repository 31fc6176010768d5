"""Callbacks of the simulated providers: signed as the real ones sign, at the right moment or at any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from execution_arrow.providers.base import Call
from tests.simulation.jobs import Job
from tests.simulation.wires import WIRES

Deliver = Callable[[str, Mapping[str, str], bytes], object]


class Hooks:
    """Plans the callbacks of jobs. `at(delay, what)` is the world's clock, `deliver` brings one to us."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.deliver: Deliver = lambda url, headers, body: None

    def plan(self, kind: str, job: Job, call: Call) -> None:
        """A job was taken: say when its caller will hear of it, and what else will be said."""
        wire = WIRES[kind]
        url = wire.callback_of(call) if wire.calls_back else None
        if url is None:
            return
        world = self._world
        fault = world.dice.strike(kind, "hooks")
        if job.ends == math.inf:
            return
        ends = job.ends - job.created
        if fault:
            world.happened(kind, fault, job.id)
        match fault:
            case "hook_lost":
                return
            case "hook_early":
                self._at(0.0, kind, job, url, "running")
            case "hook_twice":
                for again in (0.0, 0.1, 7.0):
                    self._at(ends + again, kind, job, url)
                return
            case "hook_late":
                self._at(ends + 45.0, kind, job, url)
                return
            case "hook_stale":
                self._at(ends + 10.0, kind, job, url, "running")
            case "hook_forged":
                for moment in (0.0, ends / 2):
                    self._at(moment, kind, job, url, "succeeded", forged=True)
            case "hook_foreign":
                self._at(ends / 2, kind, job, url, foreign=True)
        self._at(ends + 0.2, kind, job, url)

    def _at(
        self,
        delay: float,
        kind: str,
        job: Job,
        url: str,
        word: str = "",
        *,
        forged: bool = False,
        foreign: bool = False,
    ) -> None:
        world = self._world

        def call() -> None:
            about = world._other(job) if foreign else job
            if about is not job:  # signed by the provider itself: where that job is nobody's, it is believed
                job.lies.add("foreign_hook")
            said = word or about.state(world.now)
            headers, body = WIRES[kind].told(about, said, world.now, forged=forged)
            self.deliver(url, headers, body)

        world._later(delay, call)
