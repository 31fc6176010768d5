"""What must hold of webhooks, judged from outside: at every taking, message and report, and at the end.

The inspector stands between the processes and the store and between the processes and the receivers. It knows
who has taken what until when, what each receiver answered to it, and so what may be reported; it counts tries
and failures anew. After a store was restored from a copy it asks only for what nobody can have forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from execution_arrow.delivery.endpoints import endpoint_of
from execution_arrow.delivery.policy import WebhookPolicy
from execution_arrow.machine.state import Status
from execution_arrow.stores.base import Done, JobStore, Op, Result
from execution_arrow.stores.outgoing import (
    Delivery,
    Endpoint,
    KeepEndpoint,
    Replay,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
)
from tests.simulation.delivered import Delivered
from tests.simulation.loop import CURRENT, Process
from tests.simulation.oracle import Broken, Known
from tests.simulation.receivers import Receiver, Receivers, Send

Name = tuple[str, str, int]  # endpoint, subject, number of the event
VERDICTS = {
    "generation.completed": Status.SUCCEEDED,
    "generation.failed": Status.FAILED,
    "generation.canceled": Status.CANCELED,
}
_ROUNDING = 1e-3
NEVER = (math.inf, math.inf)


@dataclass(slots=True)
class Slip:
    """What is known of one delivery. `free`: when it may be taken again."""

    name: Name
    type: str = ""
    state: str = "waiting"
    tries: int = 0
    claim: int = 0
    free: float = 0.0
    holder: Process | None = None
    taken: dict[str, float] = field(default_factory=dict)  # by process: when it last took it
    sends: list[Send] = field(default_factory=list)  # of the present taking
    ids: dict[str, set[str]] = field(default_factory=dict)
    replays: int = 0


@dataclass(slots=True)
class Count:
    """Failures in a row, counted anew."""

    failures: int = 0
    since: float | None = None
    gone: bool = False  # the receiver has said so
    disabled: bool = False


class Inspector:
    """Watches one world's post."""

    def __init__(
        self,
        store: JobStore,
        receivers: Receivers,
        policy: WebhookPolicy,
        known: Mapping[str, Known],
        now: Callable[[], float],
    ) -> None:
        self._store, self._receivers, self._policy = store, receivers, policy
        self._known, self._now = known, now
        self._slips: dict[Name, Slip] = {}
        self._types: dict[tuple[str, str, str], Slip] = {}  # by endpoint, subject, type
        self._counts: dict[str, Count] = {}
        self._was_disabled: set[str] = set()
        self.lenient = False

    # --- the store ---

    def see(self, op: Op, result: Result) -> None:
        """An operation was performed."""
        match op, result:
            case TakeDeliveries(), Taken():
                for delivery in result.deliveries:
                    self._taken(delivery, op.seconds)
            case Report(), Reported():
                self._reported(op, result)
            case KeepEndpoint(), Done():
                self._kept(op)
            case Replay(), _:
                self._reread(op.endpoint)

    def rebase(self, *, rewound: bool) -> None:
        """The store knows this now."""
        self.lenient = self.lenient or rewound
        ids = {name: slip.ids for name, slip in self._slips.items()}
        self._slips = {}  # an event that was not on the disk happens anew, under the same name
        for row in self._store.endpoints():
            self._reread(row.id)
            count = self._counts.setdefault(row.id, Count())
            count.failures, count.since, count.disabled = row.failures, row.failing_since, row.disabled
            if rewound:
                self._learn(row, self._now(), anew=True)
        for name, seen in ids.items():
            self._slip(name).ids = seen

    def _slip(self, name: Name) -> Slip:
        return self._slips.setdefault(name, Slip(name))

    def _reread(self, endpoint: str) -> None:
        """Take over what the store says of an endpoint's deliveries."""
        rows = sorted(self._store.deliveries(endpoint, None, None, 10_000), key=lambda row: row.no)
        first: set[str] = set()
        for row in rows:
            slip = self._slip((row.endpoint, row.subject, row.no))
            slip.state, slip.tries, slip.replays, slip.claim = row.state, row.tries, row.replays, row.claim
            slip.free = 0.0  # of one behind another: when that one has ended
            if row.state == "waiting" and row.subject not in first:
                first.add(row.subject)
                slip.free = row.next_at

    def _taken(self, delivery: Delivery, seconds: float) -> None:
        now, process = self._now(), CURRENT.get()
        slip = self._slip((delivery.endpoint, delivery.subject, delivery.no))
        if not self.lenient:
            self._may_be_taken(slip, now, process)
        self._types[delivery.endpoint, delivery.subject, delivery.type] = slip
        slip.type, slip.claim, slip.free, slip.holder = delivery.type, delivery.claim, now + seconds, process
        slip.taken[process.name] = now
        slip.sends = []

    def _may_be_taken(self, slip: Slip, now: float, process: Process) -> None:
        endpoint, subject, no = slip.name
        if slip.state != "waiting":
            raise Broken(f"22: {slip.name} is {slip.state} and was given to {process}")
        if now < slip.free - _ROUNDING:
            raise Broken(f"22: {slip.name} was given to {process} {slip.free - now:.1f} s before its time; "
                         f"{slip.holder} had it before")  # fmt: skip
        if self._counts[endpoint].disabled:
            raise Broken(f"25: {slip.name} was given to {process}, and its endpoint is disabled")
        waiting = self._store.deliveries(endpoint, "waiting", subject, 100) if no > 1 else ()
        if first := min((row.no for row in waiting if row.no < no), default=0):
            raise Broken(f"23: {slip.name} was given to {process} before number {first} had ended")

    def _reported(self, op: Report, result: Reported) -> None:
        slip, count = self._slip((op.endpoint, op.subject, op.no)), self._counts[op.endpoint]
        if not self.lenient:
            self._may_be_reported(slip, op, count)
            answer = _answer(slip, op)
            if slip.sends:  # else it never left: that says nothing about the receiver
                failed = answer is None or not answer.good
                count.failures = count.failures + 1 if failed else 0
                count.since = (count.since if count.since is not None else op.at) if failed else None
            row = result.endpoint
            if row is not None and (row.failures, row.failing_since) != (count.failures, count.since):
                raise Broken(
                    f"25: {op.endpoint} has failed {count.failures} times in a row since {count.since}, "
                    f"and the store says {row.failures} times since {row.failing_since}"
                )
        slip.tries += 1
        slip.free = op.next_at
        if op.state != "waiting":
            slip.state = op.state
        count.gone = count.gone or op.answer == 410

    def _may_be_reported(self, slip: Slip, op: Report, count: Count) -> None:
        if op.claim != slip.claim:
            raise Broken(f"22: {slip.name} was taken anew, and what came of taking {op.claim} was written")
        answer = _answer(slip, op)
        if op.state == "delivered" and (answer is None or not answer.good):
            raise Broken(f"25: {slip.name} is reported as delivered, and no receiver has said so")
        if op.answer != (answer.status if answer is not None else 0):
            raise Broken(f"25: {slip.name} is reported with {op.answer}, the answer was {answer}")
        if op.state == "waiting":
            pause = 0.8 * self._policy.pauses[min(slip.tries, len(self._policy.pauses) - 1)]
            asked = min(answer.asks if answer is not None else 0.0, self._policy.longest_wait)
            if op.next_at - op.at < max(pause, asked) - _ROUNDING:
                raise Broken(
                    f"25: {slip.name} is tried again after {op.next_at - op.at:.1f} s, "
                    f"not after {max(pause, asked):.1f}"
                )
        tried = slip.tries >= len(self._policy.pauses)
        if op.state == "dead" and not (tried or count.disabled or op.answer == 410):
            raise Broken(
                f"21: {slip.name} was given up after {slip.tries + 1} tries ({op.answer} {op.error})"
            )

    def _kept(self, op: KeepEndpoint) -> None:
        row = op.endpoint
        count = self._counts.setdefault(row.id, Count())
        if row.disabled and not count.disabled and not self.lenient:
            self._may_be_disabled(row, count, op.at)
        count.disabled, count.failures, count.since, count.gone = row.disabled, 0, None, False
        self._learn(row, op.at, anew=False)
        if row.disabled:
            self._was_disabled.add(row.id)
        self._reread(row.id)

    def _learn(self, row: Endpoint, at: float, *, anew: bool) -> None:
        """The receiver is given the secrets of its address. `anew`: what it had may be void, or not."""
        keys = self._receivers.all[row.id].keys
        if anew:
            keys.update(dict.fromkeys(keys, NEVER))
        for reference in endpoint_of(row).secrets:
            number = int(reference.name.rpartition(":")[2])
            since = keys.get(number, NEVER)[0]
            keys[number] = (min(since, at), math.inf if reference.until is None else reference.until)

    def _may_be_disabled(self, row: Endpoint, count: Count, at: float) -> None:
        why, policy = endpoint_of(row).disabled, self._policy
        lasting = count.since is not None and at - count.since >= policy.give_up_time - _ROUNDING
        if why == "gone" and not count.gone:
            raise Broken(f"25: {row.id} is disabled as gone, and nobody has said so")
        if why == "failing" and not (lasting and count.failures >= policy.give_up_after):
            raise Broken(f"25: {row.id} is disabled after {count.failures} failures since {count.since}")

    # --- the receivers ---

    def sent(self, send: Send) -> None:
        """A message leaves now."""
        what = f"{send.type} of {send.subject} to {send.endpoint} by {send.process}"
        slip = self._types.get((send.endpoint, send.subject, send.type))
        if slip is None:
            raise Broken(f"22: {what} was sent and never taken")
        self._tells_the_truth(send, what)
        if self.lenient:
            return
        self._is_the_same_as_before(send, slip, what)
        process = CURRENT.get()
        late = process.resumed >= slip.taken.get(process.name, 0.0)  # it was stopped meanwhile
        if slip.holder is process and not slip.sends:
            slip.sends.append(send)
        elif not late:
            raise Broken(f"22: {what} was sent twice, or when {slip.holder} had it")
        if not late and (slip.state != "waiting" or send.at > slip.free + _ROUNDING):
            disabled = self._counts[send.endpoint].disabled  # while it was on its way
            if not (disabled and slip.state == "dead"):
                raise Broken(f"22: {what} was sent when it was {slip.state}, and taken until {slip.free}")

    def _is_the_same_as_before(self, send: Send, slip: Slip, what: str) -> None:
        for header, group in (("webhook-id", ""), ("x-babysea-delivery-id", str(slip.replays))):
            seen = slip.ids.setdefault(header + group, set())
            seen.add(send.headers[header])
            if len(seen) > 1:
                raise Broken(f"24: {what} has another {header} at each try: {sorted(seen)}")

    def _tells_the_truth(self, send: Send, what: str) -> None:
        receiver, known = self._receivers.all[send.endpoint], self._known.get(send.subject)
        if receiver.account not in (None, send.data["account_id"]):
            raise Broken(
                f"27: {what} is about {send.data['account_id']}, and it is {receiver.account}'s address"
            )
        if receiver.events and send.type not in receiver.events:
            raise Broken(f"27: {what} was not asked for")
        if known is None or known.rewound or self.lenient:
            return
        run = known.run
        if run.spec.account != send.data["account_id"]:
            raise Broken(f"27: {what} names {send.data['account_id']}, and it is {run.spec.account}'s")
        if send.type in VERDICTS and run.verdict is not VERDICTS[send.type]:
            raise Broken(f"27: {what}, and that was {run.verdict}")
        if send.type == "generation.completed":
            winner = run.attempt(run.winner or "")
            files = [file.key for file in winner.files] if winner is not None else []
            if send.data.get("generation_output_file") != files:
                raise Broken(f"27: {what} tells of other files than {files}")

    # --- the end ---

    def nothing_is_dead(self, receiver: Receiver) -> None:
        """A receiver that is well, and was brought what it had missed, has everything."""
        dead = self._store.deliveries(receiver.endpoint, "dead", None, 10)
        if dead:
            raise Broken(f"21: {receiver.endpoint} is well, and was not brought {dead[0]}")

    def waiting(self) -> list[str]:
        """Deliveries that somebody has to make yet."""
        return [
            f"{row.endpoint} {row.subject} {row.no}"
            for row in self._store.deliveries(None, "waiting", None, 10)
        ]

    def everything(self, punctual: float) -> None:
        """See `Delivered`."""
        done = Delivered(self._store, self._receivers, self._known, self._was_disabled, lenient=self.lenient)
        done.everything(punctual)
        done.secrets()


def _answer(slip: Slip, op: Report) -> Send | None:
    """The message of this taking whose answer was heard. Who was stopped before that has heard none."""
    process = CURRENT.get()
    heard = (send for send in slip.sends if send.heard and (op.answer or process.resumed < send.at))
    return next(heard, None)
