"""The end of a world's post: what everybody who wanted to hear has heard, and what was written of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import JobStore
from execution_arrow.stores.outgoing import Delivery
from tests.simulation.oracle import Broken, Known
from tests.simulation.ports import WEBHOOK_KEY
from tests.simulation.receivers import Receiver, Receivers, known


class Delivered:
    """What has become of every event. `lenient`: the store was restored from a copy."""

    def __init__(
        self,
        store: JobStore,
        receivers: Receivers,
        known: Mapping[str, Known],
        was_disabled: Collection[str],
        *,
        lenient: bool,
    ) -> None:
        self._store, self._receivers, self._known = store, receivers, known
        self._was_disabled, self._lenient = was_disabled, lenient

    def everything(self, punctual: float) -> None:
        """Every event has reached everybody who wants it, or is a dead letter that says why."""
        names: dict[tuple[str, str], tuple[str, str]] = {}
        for receiver in self._receivers.all.values():
            rows = {(row.subject, row.no): row for row in self._all(receiver.endpoint)}
            for subject in self._known:
                stored = self._store.load(subject)
                if stored is None or receiver.account not in (None, stored.account):
                    continue
                for event in self._store.events(subject):
                    if not receiver.events or event.type in receiver.events:
                        self._ended(receiver, subject, event, rows.get((subject, event.no)))
            for send in receiver.sends:
                event_of = names.setdefault((receiver.endpoint, send.headers["webhook-id"]), send.event)
                if event_of != send.event and not self._lenient:
                    raise Broken(
                        f"24: {event_of} and {send.event} have one name, {send.headers['webhook-id']}"
                    )
            if receiver.healthy and punctual:
                self._in_time(receiver, punctual)

    def _all(self, endpoint: str) -> list[Delivery]:
        return self._store.deliveries(endpoint, None, None, 100_000)

    def _ended(self, receiver: Receiver, subject: str, event: Event, row: Delivery | None) -> None:
        what = f"{event.type} of {subject} to {receiver.endpoint}"
        if row is None:
            raise Broken(f"21: {what} is neither delivered nor a dead letter")
        if row.state == "waiting":
            raise Broken(f"21: {what} waits for ever: {row}")
        arrived = any(send.good for send in receiver.sends if send.event == (subject, event.type))
        if row.state == "delivered" and not arrived:
            raise Broken(f"21: {what} counts as delivered and never arrived")
        if row.state == "dead" and not (row.answer or row.error or receiver.endpoint in self._was_disabled):
            raise Broken(f"21: {what} is dead, and nobody says why")

    def _in_time(self, receiver: Receiver, punctual: float) -> None:
        """Whom nothing is wrong with is told at once, whatever others do."""
        told = {send.event: send.at for send in reversed(receiver.sends)}
        for subject, kind in told:
            for event in self._store.events(subject):
                if event.type == kind and told[subject, kind] - event.at > punctual:
                    late = told[subject, kind] - event.at
                    raise Broken(f"28: {receiver.endpoint} was told {kind} of {subject} after {late:.1f} s")

    def secrets(self) -> None:
        """No secret is in what was written about anybody's address."""
        secret = [WEBHOOK_KEY, "very-secret-key", *known(self._receivers.all.values())]
        written = [
            repr(row)
            for row in (*self._store.endpoints(), *self._store.deliveries(None, None, None, 100_000))
        ]
        for text in written:
            if any(word in text for word in secret):
                raise Broken(f"18: a secret is in {text}")
