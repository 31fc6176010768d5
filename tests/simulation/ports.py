"""The other ports of a simulated process: clock, names, ledger, files, catalogue, router, keys."""

from __future__ import annotations

import asyncio
import random
from asyncio import events
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from execution_arrow.errors import MaybeSentError, NotSentError, StoreUnavailable
from execution_arrow.ports import Payload, Prepared, Quote, Ranked, Secret, Verdict
from execution_arrow.providers.base import Call, Reply
from execution_arrow.wiring import FortressLedger
from ledger_fortress import AsyncLedger
from ledger_fortress.answers import Answer, Receipt
from ledger_fortress.commands import Command, Item
from ledger_fortress.engine import run
from ledger_fortress.ledger import making
from ledger_fortress.protocol import Failure
from tests.simulation.loop import START, Process, VirtualLoop
from tests.simulation.storage import Weather
from tests.simulation.wires import WIRES
from tests.simulation.world import World

WEBHOOK_KEY = "the-key-of-all-secrets-of-receivers-of-webhooks"


class SimClock:
    """A process's clocks: the wall may be wrong and step, the monotonic one misses what it slept through."""

    def __init__(self, loop: VirtualLoop, process: Process, skew: float) -> None:
        self._loop, self._process = loop, process
        self.skew = skew

    def now(self) -> float:
        return START + self._loop.time() + self.skew

    def monotonic(self) -> float:
        return self._loop.time() - self._process.held


class SimNames:
    """Ids that tell who drew them; tokens that nobody guesses."""

    def __init__(self, node: str) -> None:
        self._node, self._number = node, 0

    def _next(self, what: str) -> str:
        self._number += 1
        return f"{what}-{self._node}-{self._number}"

    def generation(self) -> str:
        return self._next("gen")

    def attempt(self) -> str:
        return self._next("att")

    def token(self) -> str:
        return self._next("token")


class SimTransport:
    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        try:
            return await self._world.send(call, spool)
        except (NotSentError, MaybeSentError):
            raise
        except Exception as error:  # the world itself is wrong, not the product
            self._world.loop.failures.append({"message": f"the world at {call!r}", "exception": error})
            raise

    async def aclose(self) -> None:
        pass


class InlineLedger(AsyncLedger):
    """The real ledger for coroutines, without its threads: every command is its own commit, on the spot."""

    async def _one(self, command: Command) -> Receipt:
        return making.receipt_of((await self._run((command,)))[0])

    async def _run(self, items: Sequence[Item]) -> list[Answer | Failure]:
        return run(self._ledger._store, [making.with_salt(item) for item in items], self._policy)

    async def _call(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        loop = events._get_running_loop()
        events._set_running_loop(None)  # it may block: no other task's time passes here
        try:
            return verb(*args, **kwargs)
        finally:
            events._set_running_loop(loop)


class SimHolds:
    """The real ledger through the real wiring, over a network that fails."""

    def __init__(self, ledger: AsyncLedger, weather: Weather, slow: float) -> None:
        self._port, self._weather = FortressLedger(ledger), weather
        self._slow = slow  # seconds that a hold is under way each way, at most

    async def hold(self, account: str, key: str, amount: int, timeout: float) -> Any:
        if not self._slow:
            return await self._ask(self._port.hold, account, key, amount, timeout)
        await asyncio.sleep(self._slow * self._weather.rng.random())
        try:
            return await self._ask(self._port.hold, account, key, amount, timeout)
        finally:
            await asyncio.sleep(self._slow * self._weather.rng.random())

    async def settle(self, account: str, key: str, verb: str, amount: int) -> Any:
        return await self._ask(self._port.settle, account, key, verb, amount)

    async def held(self) -> Any:
        return await self._ask(self._port.held)

    async def remarks(self, since: float) -> Any:
        return await self._ask(self._port.remarks, since)

    async def _ask(self, verb: Any, *args: Any) -> Any:
        weather = self._weather
        if not weather.prompt:
            await asyncio.sleep(weather.latency * weather.rng.random() if weather.latency else 0)
        if weather.fails_before():
            raise StoreUnavailable("the ledger is away", maybe_applied=False)
        answer = await verb(*args)
        if weather.latency:
            await asyncio.sleep(weather.latency * weather.rng.random())
        if weather.fails_after():
            raise StoreUnavailable("the ledger's answer was lost", maybe_applied=True)
        return answer


class SimNormalizer:
    """A catalogue whose prices and costs another version of it has changed (`edition`)."""

    def __init__(self, kinds: Mapping[str, str], edition: int) -> None:
        self._kinds, self._edition = kinds, edition

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        asked: int = request["n"]
        return Prepared(
            model=model,
            kind="image",
            values=request,
            order="fastest",
            work="",
            asked=asked,
            quotes=tuple(self._quote(name, kind, request, asked) for name, kind in self._kinds.items()),
            catalog_digest=f"edition-{self._edition}",
        )

    def _quote(self, name: str, kind: str, request: Mapping[str, Any], asked: int) -> Quote:
        cost = 1_000 * (3 + len(name)) * asked + self._edition
        price = request["price"] + (self._edition * 7 if request["price"] else 0) + len(name) * asked
        wire = WIRES[kind]
        body = wire.body(request["prompt"], 1 if wire.single else asked, cost)
        return Quote(
            payload=Payload(
                provider=name, route="main", method="POST", path=wire.path, model="lab/m",
                encoding="json", headers=wire.headers, body=body,
            ),
            cost=cost,
            price=price if request["price"] else 0,
        )  # fmt: skip


class SimRouter:
    """Orders at will and closes breakers at will."""

    def __init__(self, rng: random.Random, favored: Sequence[str]) -> None:
        self._rng, self._favored = rng, favored
        self.verdicts: dict[str, str] = {}

    def rank(self, model: str, allowed: Sequence[str], **_: Any) -> Ranked:
        order = list(allowed)
        self._rng.shuffle(order)
        if self._favored and self._rng.random() < 0.9:
            order.sort(key=lambda name: name not in self._favored)
        return Ranked(providers=tuple(order), source="simulated", reason="any order will do")

    def admit(self, model: str, provider: str, **_: Any) -> bool:
        return self._rng.random() < 0.9

    def record(self, verdict: Verdict) -> None:
        self.verdicts[verdict.id] = verdict.outcome


class SimCredentials:
    def reference(self, provider: str, account: str) -> str:
        return f"key-of-{provider}"

    def get(self, provider: str, reference: str) -> Secret:
        return Secret(WEBHOOK_KEY if provider == "webhooks" else "very-secret-key")

    def settings(self, provider: str, reference: str) -> Mapping[str, str]:
        return {"account_id": "acc"}
