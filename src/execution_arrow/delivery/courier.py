"""The loop that delivers: take what is due, send it, report what came of it.

Everything that has to be remembered is in the store, so a courier may be killed anywhere: what it had taken
is due again when its time is over. A task exists only while something is under way. One endpoint has `each`
of them at most, one while it fails, and endpoints are served in turn; so an address that answers late, or
never, costs others nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from execution_arrow.delivery.endpoints import endpoint_of, live_secrets, secret_of
from execution_arrow.delivery.payload import body_of, generation_data, headers_of, told_files
from execution_arrow.delivery.policy import Answer, WebhookPolicy, judge, why_disabled
from execution_arrow.driver.lease import StoreClock
from execution_arrow.driver.outage import Outage
from execution_arrow.errors import ArrowError, EgressRefused, StoreUnavailable
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.ports import Credentials
from execution_arrow.signals import EndpointDisabled, Listener, WebhookTried, log
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Fenced, Hint
from execution_arrow.stores.outgoing import (
    Delivery,
    Endpoint,
    KeepEndpoint,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
)

if TYPE_CHECKING:
    from execution_arrow.egress import Egress

logger = logging.getLogger("execution_arrow")

EVERY = 30.0  # seconds between looks that nobody asked for
AGAIN = 1.0  # seconds after which a store that did not answer is asked again
SHORTEST = 0.25  # seconds between two looks that find nothing
_MARGIN = 20.0  # seconds, beside a try's own time, for which a delivery is ours
_KNOWN_FOR = 5.0  # seconds for which endpoints are remembered
_MOST_READ = 16_384  # bytes of an answer; nobody looks at them, but a connection is used again


class Courier:
    """Delivers on one event loop. `link` makes the address of a stored file, where it has one."""

    def __init__(
        self,
        store: Access,
        clock: StoreClock,
        credentials: Credentials,
        policy: WebhookPolicy,
        link: Callable[[str], Awaitable[str | None]],
        tell: Listener = log,
    ) -> None:
        self._store, self._clock, self._credentials = store, clock, credentials
        self.policy, self._link = policy, link
        self._tell = tell
        self._told, self._stopping = asyncio.Event(), False
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._after = ""
        self._endpoints: dict[str, Endpoint] = {}
        self._asked = float("-inf")
        self._outage = Outage(clock)
        self._egress: Egress | None = None

    def hear(self, hints: Sequence[Hint]) -> None:
        """Wake up when something may be taken."""
        if any(hint.kind in ("post", "any") for hint in hints):
            self._told.set()

    async def serve(self) -> None:
        """Deliver whatever is due until `stop`."""
        while not self._stopping:
            self._told.clear()
            pause = AGAIN
            try:
                _, pause = await self._look()
            except StoreUnavailable as error:
                self._outage.failed("taking deliveries", error)
            except Exception:
                logger.exception("taking deliveries failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._told.wait()

    async def deliver(self) -> int:
        """Deliver everything that is due now, and wait for it; returns how many were tried."""
        tried = 0
        while True:
            count, _ = await self._look()
            tried += count
            if not self._busy:
                return tried
            await asyncio.wait(self._tasks)

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what is under way finish for `grace` seconds."""
        self._stopping = True
        self._told.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        under_way = list(self._tasks)  # taken again by somebody when their time is over
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._egress is not None:
            await self._egress.aclose()
            self._egress = None

    async def _look(self) -> tuple[int, float]:
        """Take what there is room for; returns how much, and how long to wait if nobody says anything."""
        room = self.policy.at_once - self._busy.total()
        if room <= 0:
            return 0, EVERY  # whoever ends says so
        take = TakeDeliveries(
            seconds=self.policy.timeout + _MARGIN, limit=room, each=self.policy.each, busy=self._taken_room(),
            after=self._after, keep=self.policy.keep,
        )  # fmt: skip
        taken = await self._store.apply(take)
        assert isinstance(taken, Taken)
        self._clock.learn(taken.now)  # what is signed is stale elsewhere when our clock is wrong
        for delivery in taken.deliveries:
            self._after = delivery.endpoint
            self._busy[delivery.endpoint] += 1
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        wait = EVERY if taken.next_at is None else taken.next_at - taken.now
        return len(taken.deliveries), min(max(wait, SHORTEST), EVERY)

    def _taken_room(self) -> dict[str, int]:
        """What each endpoint may not have: what is under way, and all but one place while it fails."""
        failing = {name: self.policy.each - 1 for name, row in self._endpoints.items() if row.failures}
        return {name: self._busy[name] + failing.get(name, 0) for name in {*self._busy, *failing}}

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            endpoint = await self._endpoint(delivery.endpoint)
            answer = await self._try(delivery, endpoint) if endpoint is not None else Answer(0, "disabled")
            await self._report(delivery, answer, dead=endpoint is None)
        except StoreUnavailable as error:
            self._outage.failed("delivering", error)  # it is taken again when its time is over
        except Exception:
            logger.exception("delivery_failed endpoint=%s subject=%s", delivery.endpoint, delivery.subject)
        finally:
            self._busy[delivery.endpoint] -= 1
            self._busy += Counter()  # forgets those at nought
            self._told.set()  # last: whoever wakes up finds the room

    async def _endpoint(self, name: str) -> Endpoint | None:
        """The endpoint, unless it is disabled or removed: that is looked at anew, as it ends a delivery."""
        now, row = self._clock.monotonic(), self._endpoints.get(name)
        if row is None or row.disabled or now - self._asked > _KNOWN_FOR:
            self._endpoints = {row.id: row for row in await self._store.endpoints()}
            self._asked = now
        row = self._endpoints.get(name)
        return row if row is not None and not row.disabled else None

    async def _try(self, delivery: Delivery, row: Endpoint) -> Answer:
        try:
            endpoint, now = endpoint_of(row), self._clock.now()
            body = await self._body(delivery, now)
            secrets = [secret_of(row.id, r, self._credentials) for r in live_secrets(endpoint, now)]
            headers = headers_of(delivery, body, secrets, now)
            return await self._post(endpoint.url, headers, body)
        except StoreUnavailable:
            raise
        except (ArrowError, ValueError) as error:
            return Answer(0, f"{type(error).__name__}: {error}", ours=True)
        except Exception as error:  # what nobody thought of counts as a try, too: it must come to an end
            logger.exception("delivery_failed endpoint=%s subject=%s", delivery.endpoint, delivery.subject)
            return Answer(0, f"{type(error).__name__}: see the log", ours=True)

    async def _body(self, delivery: Delivery, now: float) -> bytes:
        if delivery.body is not None:
            return body_of(delivery, json.loads(delivery.body), now)
        row = await self._store.load(delivery.subject)
        if row is None:
            raise ArrowError(f"generation {delivery.subject} is not in this store any more")
        run = load_run(load_spec(row.spec), row.state)
        keys = [file.key for file in told_files(delivery, run)]
        links = {key: await self._link(key) or key for key in keys}
        return body_of(delivery, generation_data(delivery, run, links), now)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        import httpcore

        if self._egress is None:
            self._egress = egress_of(self.policy)
        try:
            async with asyncio.timeout(self.policy.timeout), self._egress.post(url, headers, body) as answer:
                read = 0
                async for piece in answer.body:
                    read += len(piece)
                    if read > _MOST_READ:
                        break
                return Answer(answer.status, "", _seconds(answer.headers.get("retry-after", "")))
        except EgressRefused as error:
            return Answer(0, str(error))
        except TimeoutError:
            return Answer(0, f"no answer within {self.policy.timeout:g} s")
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Answer(0, f"{type(error).__name__} {error}".strip())

    async def _report(self, delivery: Delivery, answer: Answer, dead: bool) -> None:
        now = self._clock.now()
        state, next_at = judge(delivery, answer, now, self.policy)
        if dead:
            state = "dead"
        reported = await self._store.apply(
            Report(
                endpoint=delivery.endpoint, subject=delivery.subject, no=delivery.no, claim=delivery.claim,
                state=state, at=now, next_at=next_at, answer=answer.status, error=answer.error[:300],
                failed=None if answer.ours or dead else not answer.good,
            )
        )  # fmt: skip
        self._outage.over()
        self._tell(
            WebhookTried(
                at=now, endpoint=delivery.endpoint, subject=delivery.subject, event=delivery.type,
                state=state, status=answer.status, tries=delivery.tries + 1,
            )
        )  # fmt: skip
        if not isinstance(reported, Reported) or reported.endpoint is None:
            return
        self._endpoints[delivery.endpoint] = reported.endpoint
        why = why_disabled(reported.endpoint, answer, now, self.policy)
        if why and not reported.endpoint.disabled:
            await self._give_up(reported.endpoint, why, now)

    async def _give_up(self, row: Endpoint, why: str, now: float) -> None:
        """Nobody is told at this address any more, until somebody enables it."""
        endpoint = replace(endpoint_of(row), disabled=why)
        self._endpoints.pop(row.id, None)
        if isinstance(await self._store.apply(KeepEndpoint(endpoint=endpoint.row(), at=now)), Fenced):
            return  # somebody has changed it meanwhile, or has said the same
        self._tell(EndpointDisabled(at=now, endpoint=row.id, why=why, failures=row.failures))
        logger.warning(
            "webhook_disabled endpoint=%s why=%s failures=%d: when it is back, `execution-arrow webhooks "
            "enable %s`",
            row.id, why, row.failures, row.id,
        )  # fmt: skip


def egress_of(policy: WebhookPolicy) -> Egress:
    from execution_arrow.egress import Egress, EgressPolicy

    allowed = policy.egress or EgressPolicy(ports=frozenset({443}))
    return Egress(policy=allowed, timeout=policy.timeout)


def _seconds(text: str) -> float | None:
    return float(text[:9]) if text.isascii() and text.isdigit() else None
