"""When nothing goes wrong any more: everything has to end, be mended or have a name, and then be quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from execution_arrow.arrow import AsyncArrow
from execution_arrow.delivery import WebhookPolicy
from execution_arrow.driver.lease import TIDY_EVERY
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.policy import Policy
from execution_arrow.reports.reconciling import Finding
from execution_arrow.reports.reconciling import Trouble as Odd
from execution_arrow.stores.base import Row
from tests.simulation.operators import enable
from tests.simulation.oracle import Broken

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


class Healing:
    """The second phase of a world."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._orphans: dict[str, float] = {}  # rows in the name of somebody who does not know it, since when

    def begin(self) -> None:
        """From now on nothing goes wrong any more; what has gone wrong has to come to an end."""
        self._sim.tell("heal", "")
        self._sim.world.dice.healed = True
        self._sim.site.disk.weather.clear()
        self._sim.site.ledger_weather.clear()
        for node in self._sim.nodes:
            if node.process.paused:
                self._sim.loop.resume(node.process)
        if not any(node.usable and node.serving for node in self._sim.nodes):
            self._sim.start(serving=True)

    async def finish(self) -> None:
        """Require liveness: invariants 16 and 17."""
        await self._until_done()
        await self._bring_what_was_missed()
        if self._sim.knobs.hours:
            await self._hours()
        if self._sim.oracle.lenient or any(seen.rewound for seen in self._sim.oracle.known.values()):
            await self._reconcile()
        await self._idle()

    async def _until_done(self) -> None:
        longest = max(self._life(policy) for policy in self._sim.knobs.policies)
        for _ in range(int(longest / 5) + 20):
            if not self._open():
                return
            self._sim.check_nodes()
            self._look_after_orphans()
            await asyncio.sleep(5.0)
        raise Broken(f"16: after {longest:.0f} healthy seconds there are still {self._open()}")

    def _look_after_orphans(self) -> None:
        """A row in the name of a living worker that does not drive it is in nobody's hands: not for long."""
        now = self._sim.loop.time()
        driving = {
            node.arrow._lease.owner: {*node.arrow._lease.making, *node.arrow._driver.sessions}
            for node in self._sim.alive()
            if node.arrow._driver is not None
        }
        rows = self._sim.site.disk.store.page(None, None, None, 10_000)
        lost = {row.id for row in rows if row.owner in driving and row.id not in driving[row.owner]}
        self._orphans = {name: self._orphans.get(name, now) for name in sorted(lost)}
        for name, since in self._orphans.items():
            if now - since > TIDY_EVERY + self._sim.knobs.lease:
                raise Broken(f"16: for {now - since:.0f} s {name} has had an owner who does not know of it")

    async def _bring_what_was_missed(self) -> None:
        """Addresses are switched on again, and get what they have not got."""
        for receiver in self._sim.receivers.all.values():
            if self._sim.rng.random() < 0.5:
                await enable(self._sim, receiver)
                await self._until_done()
                self._sim.inspector.nothing_is_dead(receiver)

    async def _hours(self) -> None:
        """Settlements that the ledger refused are asked for every hour; the first time it is away."""
        await asyncio.sleep(3000.0)
        self._sim.site.ledger_weather.down = True
        await asyncio.sleep(700.0)
        self._sim.site.ledger_weather.down = False
        await asyncio.sleep(3700.0 * (self._sim.knobs.hours - 1))
        await self._until_done()

    def _life(self, policy: Policy) -> float:
        """How long a generation of this policy may take in the worst case, once everything works."""
        attempt = policy.attempt_deadline or 300.0
        generation = policy.generation_deadline or 2 * attempt
        tries = 3 * len(self._sim.knobs.kinds)
        return (
            generation
            + tries * (attempt + policy.collect_deadline)
            + 2 * policy.write_off_after
            + 400.0
            + 2 * self._sim.knobs.skew
            + (3 * _longest(self._sim.knobs.webhooks) if self._sim.knobs.receivers else 0.0)
        )

    def _open(self) -> list[str]:
        """Rows that still need somebody, but for a settlement that the ledger refuses: that needs a human."""
        rows = self._sim.site.disk.store.page(None, None, None, 10_000)
        return [
            f"{row.id} owner={row.owner} next={row.next_at} inbox={len(row.inbox)}"
            for row in rows
            if row.inbox or (row.next_at is not None and not _stuck(row))
        ] + self._sim.inspector.waiting()

    async def _idle(self) -> None:
        """Invariant 17: a system with nothing to do does nothing."""
        while self._sim.world.pending:
            await asyncio.sleep(5.0)
        await asyncio.sleep(30.0)  # who was called back late may have something to do
        await self._until_done()
        rows = {row.id: row.version for row in self._sim.site.disk.store.page(None, None, None, 10_000)}
        calls, entries = self._calls(), self._entries()
        await asyncio.sleep(100.0)
        after = {row.id: row.version for row in self._sim.site.disk.store.page(None, None, None, 10_000)}
        if (calls, entries) != (self._calls(), self._entries()) or rows != after:
            busy = [name for name in after if rows.get(name) != after[name]]
            raise Broken(f"17: an idle system is busy: {calls} calls, {self._calls()} after; {busy}")

    def _calls(self) -> int:
        told = sum(len(receiver.sends) for receiver in self._sim.receivers.all.values())
        return self._sim.world.books.calls + told

    def _entries(self) -> int:
        return sum(
            len(self._sim.books.entries(name, 0, 1_000_000)) for name in self._sim.books.accounts("", 100)
        )

    async def _reconcile(self) -> None:
        """After a store was restored: what can be mended is, and what is left has a name and a reason."""
        node = next(node for node in self._sim.nodes if node.usable and node.serving)
        for repair in (False, True):
            self._sim.tell("repair", str([one.trouble for one in await node.call(_reconcile(repair))]))
            await self._until_done()
        left = await node.call(_reconcile(repair=False))
        if odd := [one for one in left if not self._is_expected(one)]:
            raise Broken(f"6: reconcile has left {odd}")

    def _is_expected(self, found: Finding) -> bool:
        """What no program can mend: both stores have forgotten, and a person has to decide."""
        if found.trouble.startswith("ledger_") or found.trouble == Odd.SETTLEMENT_STUCK:
            return True
        if found.trouble == Odd.HOLD_WITHOUT_GENERATION:
            return found.detail not in self._sim.oracle.known
        return False


def _longest(webhooks: WebhookPolicy) -> float:
    """Seconds that one delivery may take, every try of it in vain but the last."""
    return sum(1.2 * pause + webhooks.timeout for pause in webhooks.pauses) + webhooks.timeout + 60.0


def _reconcile(repair: bool) -> Callable[[AsyncArrow], Coroutine[Any, Any, tuple[Finding, ...]]]:
    return lambda arrow: arrow.reconcile(repair=repair)


def _stuck(row: Row) -> bool:
    if '"stuck":' not in row.state:
        return False
    run = load_run(load_spec(row.spec), row.state)
    return run.settlement is not None and bool(run.settlement.stuck) and all(a.final for a in run.attempts)
