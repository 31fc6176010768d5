"""Endpoints and deliveries of the memory store: dictionaries, and the promises of `stores.outgoing`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Done, Fenced, Result
from execution_arrow.stores.operations import OutgoingOperations
from execution_arrow.stores.outgoing import (
    FORGOTTEN,
    Delivery,
    DeliveryState,
    Endpoint,
    KeepEndpoint,
    Posted,
    Publish,
    Replay,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
    in_turn,
    wants,
)
from execution_arrow.values import replace

_Name = tuple[str, str, int]


def delivery_of(account: str, generation: str, event: Event) -> Delivery:
    """A generation's event, for nobody in particular yet."""
    return Delivery(
        endpoint="", subject=generation, no=event.no, account=account, type=event.type, at=event.at,
        settled=event.settled, next_at=event.at,
    )  # fmt: skip


class Outbox(OutgoingOperations[Result]):
    """The store's second half."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._endpoints: dict[str, Endpoint] = {}
        self._deliveries: dict[_Name, Delivery] = {}

    def know(self, one: Endpoint | Delivery) -> None:
        """Put in what another store has kept."""
        if isinstance(one, Endpoint):
            self._endpoints[one.id] = one
        else:
            self._put(one)

    def post(self, event: Delivery, only: str | None = None) -> int:
        """Make a delivery of `event` (whose endpoint is left open) for everybody who wants it."""
        made = 0
        for endpoint in self._endpoints.values():
            chosen = endpoint.id == only if only is not None else wants(endpoint, event.account, event.type)
            name = (endpoint.id, event.subject, event.no)
            if not chosen or name in self._deliveries:
                continue
            ended = event.at if endpoint.disabled else None
            state: DeliveryState = "dead" if endpoint.disabled else "waiting"
            self._deliveries[name] = replace(event, endpoint=endpoint.id, state=state, ended_at=ended)
            made += not endpoint.disabled
        return made

    def _publish(self, op: Publish) -> Result:
        event = Delivery(
            endpoint="", subject=op.subject, no=1, account=op.account, type=op.type, at=op.at, body=op.body,
            next_at=op.at,
        )  # fmt: skip
        return Posted(self.post(event, op.endpoint))

    def _keep(self, op: KeepEndpoint) -> Result:
        known = self._endpoints.get(op.endpoint.id)
        if (known.version if known is not None else 0) != op.endpoint.version:
            return Fenced()
        if op.remove:
            self._endpoints.pop(op.endpoint.id, None)
            for name in [name for name in self._deliveries if name[0] == op.endpoint.id]:
                del self._deliveries[name]
            return Done()
        version = op.endpoint.version + 1
        self._endpoints[op.endpoint.id] = replace(
            op.endpoint, version=version, failures=0, failing_since=None
        )
        if op.endpoint.disabled:
            for name, delivery in self._deliveries.items():
                if name[0] == op.endpoint.id and delivery.state == "waiting":
                    self._deliveries[name] = replace(delivery, state="dead", ended_at=op.at)
        return Done()

    def _take(self, op: TakeDeliveries) -> Result:
        now = self._clock()
        edge = now - op.keep
        old = [n for n, d in self._deliveries.items() if d.ended_at is not None and d.ended_at < edge]
        for name in old[:FORGOTTEN]:
            del self._deliveries[name]
        heads: dict[tuple[str, str], Delivery] = {}
        for delivery in self._waiting():
            first = heads.setdefault((delivery.endpoint, delivery.subject), delivery)
            if delivery.no < first.no:
                heads[delivery.endpoint, delivery.subject] = delivery
        due = sorted((d for d in heads.values() if d.next_at <= now), key=lambda d: d.next_at)
        taken: list[Delivery] = []
        for endpoint in in_turn(sorted({d.endpoint for d in due}), op.after):
            room = min(op.each - op.busy.get(endpoint, 0), op.limit - len(taken))
            taken.extend(islice((d for d in due if d.endpoint == endpoint), max(room, 0)))
        held = [replace(d, claim=d.claim + 1, next_at=now + op.seconds) for d in taken]
        for delivery in held:
            self._put(delivery)
            self._line_up(delivery)
        later = min((d.next_at for d in self._waiting()), default=None)
        return Taken(tuple(held), now, now if len(old) >= FORGOTTEN else later)

    def _report(self, op: Report) -> Result:
        delivery = self._deliveries.get((op.endpoint, op.subject, op.no))
        if delivery is None or delivery.claim != op.claim:
            return Fenced()
        state = delivery.state if op.state == "waiting" else op.state
        ended = op.at if op.state != "waiting" else delivery.ended_at
        changed = replace(
            delivery, state=state, ended_at=ended, next_at=op.next_at, tries=delivery.tries + 1,
            answer=op.answer, error=op.error,
        )  # fmt: skip
        self._put(changed)
        self._line_up(changed)
        endpoint = self._endpoints.get(op.endpoint)
        if endpoint is not None and op.failed is not None:
            since = endpoint.failing_since if endpoint.failing_since is not None else op.at
            count = (endpoint.failures + 1, since) if op.failed else (0, None)
            endpoint = replace(endpoint, failures=count[0], failing_since=count[1])
            self._endpoints[op.endpoint] = endpoint
        return Reported(endpoint)

    def _replay(self, op: Replay) -> Result:
        endpoint = self._endpoints.get(op.endpoint)
        if endpoint is None or endpoint.disabled:
            return Posted(0)
        ended = ("dead",) if op.no is None else ("dead", "delivered")
        found = [
            delivery
            for (name, subject, no), delivery in self._deliveries.items()
            if name == op.endpoint and op.subject in (None, subject) and op.no in (None, no)
            if delivery.state in ended
        ]
        found.sort(key=lambda delivery: delivery.ended_at or 0.0)
        for delivery in found[: op.most]:
            self._put(
                replace(
                    delivery, state="waiting", tries=0, replays=delivery.replays + 1, next_at=op.at,
                    ended_at=None,
                )
            )  # fmt: skip
        return Posted(len(found[: op.most]))

    def _put(self, delivery: Delivery) -> None:
        self._deliveries[delivery.endpoint, delivery.subject, delivery.no] = delivery

    def _line_up(self, first: Delivery) -> None:
        """Those behind it are due when it is."""
        for delivery in self._waiting():
            same = (delivery.endpoint, delivery.subject) == (first.endpoint, first.subject)
            if same and delivery.no > first.no:
                self._put(replace(delivery, next_at=first.next_at))

    def _waiting(self) -> Iterable[Delivery]:
        return [delivery for delivery in self._deliveries.values() if delivery.state == "waiting"]

    def all(self) -> list[Delivery]:
        return list(self._deliveries.values())

    def endpoints(self) -> list[Endpoint]:
        return [self._endpoints[name] for name in sorted(self._endpoints)]

    def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        found = [
            delivery
            for delivery in self._deliveries.values()
            if endpoint in (None, delivery.endpoint)
            and state in (None, delivery.state)
            and subject in (None, delivery.subject)
        ]
        return sorted(found, key=lambda d: (-d.at, d.endpoint, d.subject, d.no))[:limit]
