"""The state of a generation, as values.

A `Run` is what the machine knows about one generation: the frozen `Spec` (what was asked, what may be
sent to whom, what it costs, under which policy) and what has happened since. Nothing else has to be
remembered anywhere: whoever loads the row can go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from execution_arrow.facts import Fault, Output, Stored
from execution_arrow.policy import Policy
from execution_arrow.ports import Payload
from execution_arrow.values import quick


class Status(StrEnum):
    """What the customer sees."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Phase(StrEnum):
    """Where a generation is. `settling` knows its verdict and waits for the ledger."""

    NEW = "new"
    RUNNING = "running"
    COLLECTING = "collecting"
    SETTLING = "settling"
    CLOSED = "closed"


class State(StrEnum):
    """Where an attempt is; the last seven are final."""

    SENDING = "sending"  # the row is durable, the one POST may have left
    UNKNOWN = "unknown"  # the POST left, nobody knows whether it was accepted
    LIVE = "live"  # a job id is bound; queued or running
    CLOSING = "closing"  # live, and we asked or must ask for its end
    COLLECTING = "collecting"  # the provider says succeeded; not all bytes are ours
    REJECTED = "rejected"  # certainly not accepted
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"  # dropped by the provider's own deadline
    STORED = "stored"  # outputs are ours, or announced and discarded
    LOST = "lost"  # succeeded, outputs unobtainable
    WRITTEN_OFF = "written_off"  # never resolved


FINAL = frozenset(
    {State.REJECTED, State.FAILED, State.CANCELED, State.EXPIRED, State.STORED, State.LOST, State.WRITTEN_OFF}
)


class Outcome(StrEnum):
    """What an attempt came to, in the attempt log."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    USED = "used"
    FAILED = "failed"
    CANCELED = "canceled"
    DISCARDED = "discarded"


_OUTCOMES = {
    State.UNKNOWN: Outcome.UNKNOWN,
    State.WRITTEN_OFF: Outcome.UNKNOWN,
    State.REJECTED: Outcome.FAILED,
    State.FAILED: Outcome.FAILED,
    State.EXPIRED: Outcome.FAILED,
    State.LOST: Outcome.FAILED,
    State.CANCELED: Outcome.CANCELED,
}


class Stop(StrEnum):
    """Why an attempt is to end without a result for the customer."""

    OVERDUE = "overdue"
    USER = "user"
    LOST_RACE = "lost_race"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A provider's declared behaviour for this request, frozen with the quote. Times are seconds."""

    sync: bool = False
    deadline: float = 300.0
    poll_every: float = 1.0
    patience: float = 0.0  # how long an unknown submit waits before another provider is asked
    lookup: bool = False
    webhook: bool = False
    cancel: bool = False
    cancel_erases: bool = False
    cancel_free: bool = False  # a canceled job is not billed
    billed: frozenset[str] = frozenset()  # ends other than success that the provider bills
    renewed_for: float = 0.0  # how long the job can be asked for new addresses of its results


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One eligible provider: what would be sent, its cost to us, its price to the account."""

    payload: Payload
    cost: int | None
    price: int
    terms: Terms


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is frozen when a generation is created. Amounts are micro-credits, times unix seconds."""

    id: str
    account: str
    model: str
    kind: str
    region: str
    request: Mapping[str, Any]
    order: str | tuple[str, ...]
    chain: tuple[str, ...]  # providers in the order they will be asked
    chain_source: str
    chain_reason: str
    work: str
    asked: int
    routes: Mapping[str, Route]
    hold: int
    policy: Policy
    catalog_digest: str
    created_at: float
    deadline_at: float
    erased: bool = False  # request and payloads are forgotten

    @property
    def longest_life(self) -> float:
        """Seconds after which a hold that is still open deserves a look."""
        return self.deadline_at - self.created_at + self.policy.collect_deadline


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One submission to one provider."""

    id: str
    provider: str
    token: str
    credentials: str
    epoch: int
    sent_at: float
    state: State = State.SENDING
    stop: Stop | None = None
    hedge: bool = False  # asked beside one that was slow, at the operator's cost
    job: str | None = None
    hint: str | None = None  # a job that an unsigned callback named and nobody has confirmed
    urls: Mapping[str, str] = field(default_factory=dict)
    accepted_at: float | None = None
    unknown_at: float | None = None
    closing_at: float | None = None
    ended_at: float | None = None
    next_at: float = 0.0  # the next poll, lookup or copy
    seen_at: float = 0.0  # the last answer to one, whatever it said
    errors: int = 0  # polls or copies in a row without a usable answer
    lapsed: bool = False  # patience is over: another provider may be asked
    risked: bool = False  # another provider was asked while nobody knew: possibly paid twice by us
    retry_at: float | None = None  # "come back then", after a refusal of that kind
    fault: Fault | None = None
    code: str = ""
    message: str = ""
    moderation: bool = False
    missing: tuple[float, ...] = ()  # times of the last answers "no such job"
    empty_at: float | None = None  # first success without outputs
    cancel_tries: int = 0
    cancel_at: float | None = None  # when the next cancel may be sent
    cancel_answered: bool = False
    cancel_final: bool = False  # the provider says it has ended: never cancel again
    erased: bool = False  # our DELETE was acknowledged where DELETE erases records
    outputs: tuple[Output, ...] = ()
    files: tuple[Stored, ...] = ()
    lost: tuple[int, ...] = ()
    collecting_at: float | None = None
    edition: int = 0  # of the results' addresses: how often the job was asked for new ones
    dead: int = 0  # editions in a row of which an address led nowhere
    stale_at: float | None = None  # an address of this edition leads nowhere: the job is to be asked
    announced: int | None = None  # micro-credits that a success takes, as the provider said when it accepted
    cost: int | None = None  # micro-credits billed to us
    cost_source: str = "unknown"  # "quoted", "reported" or "unknown"

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def outcome(self, winner: str | None) -> Outcome:
        """`used` is the winner's alone; a success nobody waited for is `discarded`."""
        if self.state is State.STORED:
            return Outcome.USED if winner == self.id else Outcome.DISCARDED
        return _OUTCOMES.get(self.state, Outcome.PENDING)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is owed to the ledger, and whether it moved. `stuck` names the ledger's refusal."""

    verb: str  # "charge" or "release"
    amount: int
    done: bool = False
    stuck: str = ""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to tell the outside, created with the change it tells of."""

    no: int
    type: str
    at: float
    settled: bool = True


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A generation as the machine sees it."""

    spec: Spec
    phase: Phase = Phase.NEW
    verdict: Status | None = None  # known from `settling` on
    error_code: str = ""
    error: str = ""
    attempts: tuple[Attempt, ...] = ()
    winner: str | None = None
    cancel: bool = False  # the user asked for it
    erase: bool = False  # the request is to be forgotten when nothing is left to watch
    settlement: Settlement | None = None
    overdue: bool = False  # the generation's own deadline has passed
    started_at: float | None = None
    decided_at: float | None = None
    closed_at: float | None = None
    announced: bool = False
    event_no: int = 0
    retry_at: float = 0.0  # the ledger's next try
    errors: int = 0

    @property
    def status(self) -> Status:
        """The public status; it is final only when the ledger has moved, or is known to be stuck."""
        if self.phase is Phase.CLOSED:
            assert self.verdict is not None
            return self.verdict
        return Status.PENDING if self.phase is Phase.NEW else Status.PROCESSING

    @property
    def open(self) -> bool:
        """Whether a result could still be given to the customer."""
        return self.phase in (Phase.NEW, Phase.RUNNING, Phase.COLLECTING)

    @property
    def done(self) -> bool:
        """Closed, and no attempt left to watch."""
        return self.phase is Phase.CLOSED and all(attempt.final for attempt in self.attempts)

    def attempt(self, attempt_id: str) -> Attempt | None:
        for attempt in self.attempts:
            if attempt.id == attempt_id:
                return attempt
        return None

    def route(self, attempt: Attempt) -> Route:
        return self.spec.routes[attempt.provider]
