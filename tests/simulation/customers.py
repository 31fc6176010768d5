"""Who asks for generations: patient, impatient, repeating, canceling, or driving them by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from execution_arrow.driver.following import Advanced
from execution_arrow.errors import (
    CancelTooLate,
    GenerationFailed,
    InsufficientCredits,
    LedgerRefused,
    StoreUnavailable,
    UnknownGeneration,
    WaitTimeout,
    WrongLoop,
)
from tests.simulation.knobs import Knobs
from tests.simulation.loop import START, VirtualLoop
from tests.simulation.nodes import Died, Node

_AGAIN = (Died, StoreUnavailable, WrongLoop, WaitTimeout)

# Most leave the rest to the workers, as services do; every other way costs more than the product's own work.
MANNERS = ("leave",) * 7 + ("wait", "together", "advance")

TURNS = 12  # that a customer stays; who advances a generation by hand leaves the rest of it to the workers


@dataclass(slots=True)
class Order:
    """What one customer asked for, and what came of it so far."""

    number: int
    account: str
    key: str | None
    request: dict[str, Any]
    generation: str | None = None
    refused: bool = False
    told: str = ""  # the last final status that the customer was shown


class Customer:
    """One order, from asking to the end, whatever happens to the processes meanwhile."""

    def __init__(
        self,
        order: Order,
        knobs: Knobs,
        rng: random.Random,
        loop: VirtualLoop,
        nodes: Callable[[], list[Node]],
    ) -> None:
        self.order, self._knobs, self._rng, self._loop, self._nodes = order, knobs, rng, loop, nodes
        self._policy = rng.choice(knobs.policies)
        self._manner = rng.choice(MANNERS)

    async def live(self) -> None:
        rng = self._rng
        await asyncio.sleep(rng.random() * self._knobs.arrivals)
        again = self.order.key is not None and rng.random() < self._knobs.repeats
        cancels = rng.random() < self._knobs.cancels
        tasks = [asyncio.ensure_future(self._order())]
        if again:
            tasks.append(asyncio.ensure_future(self._order()))
        if cancels:
            tasks.append(asyncio.ensure_future(self._cancel(rng.choice((0.0, 0.1, 3.0, 20.0)))))
        for task in tasks:
            await task
        if self.order.generation is not None:
            await self._follow()
            if rng.random() < 0.1:
                await self._delete(self.order.generation)

    async def _somewhere(self, verb: Callable[[Any], Any]) -> Any:
        """Ask a process that lives; sometimes stop waiting in the middle."""
        nodes = [node for node in self._nodes() if node.usable]
        if not nodes:
            await asyncio.sleep(1.0)
            raise Died("nobody")
        asked = self._rng.choice(nodes).call(verb)
        if self._rng.random() >= self._knobs.impatience:
            return await asked
        try:
            async with asyncio.timeout(self._rng.choice((0.0, 0.001, 0.05, 1.0, 10.0))):
                return await asked
        except TimeoutError:
            raise Died("impatient") from None

    async def _order(self) -> None:
        """Until somebody has said yes or no. Without a key nobody dares to ask twice."""
        order = self.order
        options: dict[str, Any] = {"account": order.account, "policy": self._policy}
        if order.key is not None:
            options["idempotency_key"] = order.key
        for turn in range(200):
            try:
                if self._manner == "together":
                    found = await self._somewhere(
                        lambda arrow: arrow.generate_and_wait("lab/m", order.request, timeout=30.0, **options)
                    )
                else:
                    found = await self._somewhere(
                        lambda arrow: arrow.generate("lab/m", order.request, **options)
                    )
            except WaitTimeout as late:
                order.generation = late.generation_id
                return
            except GenerationFailed as failed:
                order.generation = failed.generation.id
                return
            except (InsufficientCredits, LedgerRefused):
                order.refused = True
                return
            except (*_AGAIN, UnknownGeneration):  # the store was restored while somebody waited
                if order.key is None:
                    return
                await asyncio.sleep(self._rng.random() * (3 + turn))
                continue
            order.generation = found.id
            return

    async def _cancel(self, after: float) -> None:
        await asyncio.sleep(after)
        for _ in range(20):
            if self.order.generation is None:
                await asyncio.sleep(0.5)
                continue
            generation = self.order.generation
            try:
                await self._somewhere(lambda arrow, name=generation: arrow.cancel(name))
            except _AGAIN:
                await asyncio.sleep(self._rng.random() * 2)
            except (CancelTooLate, UnknownGeneration):
                return
            else:
                return

    async def _delete(self, generation: str) -> None:
        for _ in range(5):
            try:
                await self._somewhere(lambda arrow: arrow.delete(generation))
            except _AGAIN:
                await asyncio.sleep(self._rng.random() * 5)
            except UnknownGeneration:
                return
            else:
                return

    async def _follow(self) -> None:
        generation = self.order.generation
        assert generation is not None
        if self._manner == "leave":
            return
        for turn in range(TURNS):
            try:
                if self._manner == "advance":
                    moved = await self._somewhere(lambda arrow: arrow.advance(generation))
                    if isinstance(moved, Advanced):
                        if moved.done:
                            return
                        wait = (moved.next_at or 0) - START - self._loop.time()
                        await asyncio.sleep(min(30.0, max(0.02 * turn, wait)))
                    else:
                        await asyncio.sleep(1.0 + turn)
                else:
                    found = await self._somewhere(lambda arrow: arrow.wait(generation, timeout=60.0))
                    self.order.told = str(found.status)
                    return
            except UnknownGeneration:
                return
            except _AGAIN:
                await asyncio.sleep(1.0)
