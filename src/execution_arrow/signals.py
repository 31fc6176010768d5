"""What an operator can listen to: one hook, `on_event`, told of everything once it is durable.

Signals hold ids, names, amounts and times; never a prompt, a key, or a provider's words. They are about this
process: whoever drives a generation tells of it. For what must not be missed there are webhooks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from execution_arrow.driver.session import Change
from execution_arrow.machine.state import Attempt, Outcome, Phase, Run, Status
from execution_arrow.record import credits
from execution_arrow.values import quick

logger = logging.getLogger("execution_arrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Base of all. `at` is when it happened, unix seconds."""

    at: float


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStarted(Signal):
    """The credits are held; the first provider is about to be asked."""

    generation: str
    account: str
    model: str
    kind: str
    region: str
    chain: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEnded(Signal):
    """The status is final. `stuck`: the ledger refused the settlement, and a person has to look."""

    generation: str
    account: str
    model: str
    kind: str
    region: str
    status: Status
    provider: str | None
    attempts: int
    charged: Decimal
    code: str
    created_at: float
    stuck: bool

    @property
    def seconds(self) -> float:
        """From the request to the end."""
        return self.at - self.created_at


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Signal):
    """The one call to this provider is about to leave."""

    generation: str
    attempt: str
    provider: str
    model: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Signal):
    """It will not change any more. `cost` is what the provider bills, None while nobody knows."""

    generation: str
    attempt: str
    provider: str
    model: str
    outcome: Outcome
    code: str
    cost: Decimal | None
    started_at: float

    @property
    def seconds(self) -> float:
        return self.at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Signal):
    """Something that the table of transitions calls odd or impossible was heard; nothing was done with it."""

    generation: str
    attempt: str | None
    name: str
    fact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTried(Signal):
    """A webhook was sent, or could not be. `status` is the receiver's, 0 without one."""

    endpoint: str
    subject: str
    event: str
    state: str
    status: int
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDisabled(Signal):
    """An address for webhooks was given up; `why` is `failing` or `gone`."""

    endpoint: str
    why: str
    failures: int


Listener = Callable[[Signal], None]


def log(signal: Signal) -> None:
    """What listens by default: ends at INFO, the rest at DEBUG. Warnings are logged where they arise."""
    level = logging.INFO if isinstance(signal, GenerationEnded) else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(level, "%s", signal)


class Announcer:
    """Watches a driver: turns its changes into signals, then tells whoever else wants to know."""

    def __init__(self, listener: Listener, then: Callable[[Run], None], now: Callable[[], float]) -> None:
        self._listener, self._then, self._now = listener, then, now

    def tell(self, signal: Signal) -> None:
        """A listener that raises must not stop the work."""
        try:
            self._listener(signal)
        except Exception:
            logger.exception("on_event_failed signal=%s: a listener must not raise", type(signal).__name__)

    def changed(self, before: Run, change: Change) -> None:
        if self._listener is not log or logger.isEnabledFor(logging.INFO):
            for signal in signals_of(before, change.run, self._now()):
                self.tell(signal)
        self._then(change.run)

    def alerted(self, change: Change) -> None:
        for name, heard in change.alerts:
            self.tell(
                Alert(
                    at=self._now(), generation=change.run.spec.id, attempt=heard.attempt, name=name,
                    fact=type(heard.fact).__name__,
                )
            )  # fmt: skip


def signals_of(before: Run, after: Run, now: float) -> Iterator[Signal]:
    """What a change means to an operator."""
    known = {attempt.id: attempt for attempt in before.attempts}
    spec = after.spec
    if before.phase is Phase.NEW and after.phase is Phase.RUNNING:
        yield GenerationStarted(
            at=after.started_at or now, generation=spec.id, account=spec.account, model=spec.model,
            kind=spec.kind, region=spec.region, chain=spec.chain,
        )  # fmt: skip
    for attempt in after.attempts:
        old = known.get(attempt.id)
        if old is None:
            yield AttemptStarted(
                at=attempt.sent_at, generation=spec.id, attempt=attempt.id, provider=attempt.provider,
                model=spec.model,
            )  # fmt: skip
        if attempt.final and (old is None or not old.final):
            yield _ended(after, attempt, now)
    if after.phase is Phase.CLOSED and before.phase is not Phase.CLOSED:
        yield _closed(after, now)


def _ended(run: Run, attempt: Attempt, now: float) -> AttemptEnded:
    return AttemptEnded(
        at=attempt.ended_at or now, generation=run.spec.id, attempt=attempt.id, provider=attempt.provider,
        model=run.spec.model, outcome=attempt.outcome(run.winner), code=attempt.code,
        cost=credits(attempt.cost) if attempt.cost is not None else None, started_at=attempt.sent_at,
    )  # fmt: skip


def _closed(run: Run, now: float) -> GenerationEnded:
    spec, settlement = run.spec, run.settlement
    winner = run.attempt(run.winner) if run.winner is not None else None
    charged = settlement.amount if settlement is not None and settlement.done else 0
    return GenerationEnded(
        at=run.closed_at or now, generation=spec.id, account=spec.account, model=spec.model, kind=spec.kind,
        region=spec.region, status=run.status, provider=winner.provider if winner is not None else None,
        attempts=len(run.attempts), charged=credits(charged), code=run.error_code,
        created_at=spec.created_at, stuck=settlement is not None and bool(settlement.stuck),
    )  # fmt: skip
