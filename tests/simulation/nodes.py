"""A simulated process with an `AsyncArrow` in it, and how the world calls, stops and kills it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from execution_arrow.arrow import AsyncArrow
from execution_arrow.delivery import WebhookPolicy
from execution_arrow.driver.worker import Limits
from execution_arrow.machine.codec import dump_state
from execution_arrow.machine.state import Run
from execution_arrow.policy import Policy
from execution_arrow.ports import ArtifactStore
from execution_arrow.wiring import Parts
from ledger_fortress import AsyncLedger
from tests.simulation.artifacts import DiskArtifacts, MemoryArtifacts, Source
from tests.simulation.loop import WORLD, Process, VirtualLoop
from tests.simulation.oracle import Oracle
from tests.simulation.ports import (
    SimClock,
    SimCredentials,
    SimHolds,
    SimNames,
    SimNormalizer,
    SimRouter,
    SimTransport,
)
from tests.simulation.receivers import Post, Receivers
from tests.simulation.storage import Disk, SimAccess, Weather
from tests.simulation.wires import WIRES
from tests.simulation.world import World

T = TypeVar("T")


class Died(Exception):
    """The process that was asked is dead; nobody knows what it has done."""


@dataclass(slots=True, kw_only=True)
class Site:
    """What all processes share."""

    loop: VirtualLoop
    rng: random.Random
    world: World
    disk: Disk
    ledger: AsyncLedger
    ledger_weather: Weather
    ledger_latency: float
    oracle: Oracle
    folder: Path
    limits: Limits
    policy: Policy = field(default_factory=Policy)
    edition: int = 0
    called_back: bool = False
    favored: Sequence[str] = ()
    files: dict[str, bytes] | Path = field(default_factory=dict)  # a folder where they are real ones
    receivers: Receivers
    webhooks: WebhookPolicy


class _Arrow(AsyncArrow):
    """The product; every durable change is shown to the oracle before anything follows from it."""

    oracle: Oracle
    post: Post
    disk: Disk

    async def __aenter__(self) -> Self:
        self._courier._egress = self.post
        return await super().__aenter__()

    def _changed(self, run: Run) -> None:
        driver = self._driver
        assert driver is not None
        session = driver.sessions.get(run.spec.id)
        try:
            self.oracle.see(run, session.epoch if session is not None else 0)
        except Exception as error:  # a watcher's error is the product's to swallow, but not this one
            if not self._is_old(run):
                asyncio.get_running_loop().failures.append({"message": "seen", "exception": error})  # type: ignore[attr-defined]
        super()._changed(run)

    def _is_old(self, run: Run) -> bool:
        """A session that was replaced while its answer was on the way tells its change after later ones.

        They were written in order, and the next of them is compared again.
        """
        row = self.disk.store.load(run.spec.id)
        return row is not None and row.state != dump_state(run)


class Node:
    """One process. It is made running; after `kill` or `stop` it stays what it is, make another one."""

    def __init__(self, site: Site, name: str, *, serving: bool, skew: float) -> None:
        self.site, self.name, self.serving = site, name, serving
        self.process = Process(name)
        self.clock = SimClock(site.loop, self.process, skew)
        self.arrow = _Arrow(
            self._parts(),
            policy=site.policy,
            worker=serving,
            limits=site.limits,
            public_url="https://we.example/hooks" if site.called_back else None,
            base_urls={provider: f"https://{provider}.example" for provider in site.world.kinds},
            webhooks=site.webhooks,
        )
        self.arrow.oracle, self.arrow.post, self.arrow.disk = site.oracle, Post(site.receivers), site.disk
        self._calls: dict[asyncio.Future[Any], None] = {}  # in order: a set would fail them in another one
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()  # not a future: who stops waiting would cancel it for all
        self.ended = False
        self.error: BaseException | None = None
        self._main = site.loop.spawn(self.process, self._live())
        self._main.add_done_callback(self._over, context=WORLD.context)

    def _parts(self) -> Parts:
        site, nothing = self.site, _Nothing()
        kinds = site.world.kinds
        return Parts(
            normalizer=SimNormalizer(kinds, site.edition),
            router=SimRouter(site.rng, site.favored),
            holds=SimHolds(site.ledger, site.ledger_weather, site.ledger_latency),
            store=site.disk.store,
            artifacts=self._artifacts(),
            transport=SimTransport(site.world, self.process),
            credentials=SimCredentials(),
            providers={name: WIRES[kind].provider for name, kind in kinds.items()},
            spool=site.folder / "spool",
            clock=self.clock,
            names=SimNames(self.name),
            ledger=nothing,
            blocking_ledger=nothing,
            island=nothing,
            catalog=nothing,
            access=lambda store: SimAccess(site.disk, self.process, site.loop),
        )

    def _artifacts(self) -> ArtifactStore:
        source = Source(self.site.world)
        files = self.site.files
        return MemoryArtifacts(source, files) if isinstance(files, dict) else DiskArtifacts(source, files)

    async def _live(self) -> None:
        await self.arrow.__aenter__()
        self._ready.set()
        await self._stop.wait()  # nothing is left to be done by a `finally` when a dead process is forgotten
        await self.arrow.aclose(grace=5.0)

    def _over(self, task: asyncio.Task[None]) -> None:
        self.ended = True
        self.error = None if task.cancelled() else task.exception()
        self._fail_calls()

    @property
    def usable(self) -> bool:
        return not (self.process.stopped or self.ended or self._stop.is_set())

    async def call(self, verb: Callable[[AsyncArrow], Coroutine[Any, Any, T]]) -> T:
        """Run a verb inside the process and wait for its answer. Raises `Died`."""
        if not self.usable:
            raise Died(self.name)
        answer: asyncio.Future[T] = self.site.loop.create_future()
        self._calls[answer] = None
        task = self.site.loop.spawn(self.process, self._ask(verb))

        def done(task: asyncio.Task[T]) -> None:
            self._calls.pop(answer, None)
            if answer.done():
                task.cancelled() or task.exception()
            elif task.cancelled():
                answer.cancel()
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        task.add_done_callback(done, context=WORLD.context)
        try:
            return await answer
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _ask(self, verb: Callable[[AsyncArrow], Coroutine[Any, Any, T]]) -> T:
        await self._ready.wait()
        return await verb(self.arrow)

    def kill(self) -> None:
        self.site.loop.kill(self.process)
        self._fail_calls()

    def stop(self) -> None:
        """End in order, as on SIGTERM."""
        self._stop.set()

    def _fail_calls(self) -> None:
        for answer in list(self._calls):
            if not answer.done():
                answer.set_exception(Died(self.name))
        self._calls.clear()


class _Nothing:
    """Stands where users would find a lower package of their own."""

    async def aclose(self) -> None:
        pass

    def close(self) -> None:
        pass
