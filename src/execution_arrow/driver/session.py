"""One owned generation in memory: the folding of facts into a change that can be written.

A session is what a worker holds between claim and release: the last durable state, what was heard since,
and which effects are under way. `fold` is pure in everything but its random ids: it applies facts, rings
timers, plans attempts, and returns the `Change` that has to be committed before anything follows from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from execution_arrow import facts as f
from execution_arrow.driver.fact_codec import decode, encode
from execution_arrow.effects import Effect, Plan, Ring, Submit
from execution_arrow.facts import Fact
from execution_arrow.machine import Step, step, told
from execution_arrow.machine.agenda import Entry, agenda, awake
from execution_arrow.machine.codec import dump_spec, dump_state, load_run, load_spec
from execution_arrow.machine.state import Event, Phase, Run, State
from execution_arrow.stores.base import Commit, Inboxed, Row
from execution_arrow.values import replace

# What is kept of the outside's words, for the record and for a dispute; our own timers and plans are not.
RECORDED = (
    *f.SubmitFact.__args__,
    *f.StatusFact.__args__,
    *f.CancelFact.__args__,
    f.LookupFound,
    f.CalledBack,
    f.UserCancel,
    f.Erase,
)
_MAX_ROUNDS = 64  # timers and plans that can follow each other without anything from outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A fact on its way into the state. `seq` is its inbox row when it came from there."""

    attempt: str | None
    fact: Fact
    seq: int = 0


@dataclass(slots=True)
class Change:
    """What a fold did, ready to be written as one commit. `agenda` is that of `run`."""

    run: Run
    agenda: tuple[Entry, ...]
    durable: bool = False
    applied: list[Heard] = field(default_factory=list)  # all of it; when it is not written, it is heard anew
    heard: list[Heard] = field(default_factory=list)  # what is written down of it
    events: list[Event] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    alerts: list[tuple[str, Heard]] = field(default_factory=list)

    @property
    def folded(self) -> list[int]:
        return [heard.seq for heard in self.heard if heard.seq]

    @property
    def next_at(self) -> float | None:
        """When the generation needs somebody again; None when it never does."""
        return earliest(self.agenda)

    @property
    def frees_key(self) -> bool:
        """Nothing was held, so nothing was begun: the idempotency key may be used again."""
        return self.run.phase is Phase.CLOSED and self.run.settlement is None


@dataclass(slots=True)
class Session:
    """An owned generation. All access is from one event loop.

    `agenda` is `machine.agenda` of `run`, derived once for each run; `become` is the only way to another.
    """

    run: Run
    version: int
    epoch: int
    key: str | None = None  # the idempotency key, for whoever shows the generation
    agenda: tuple[Entry, ...] = field(init=False)
    queue: list[Heard] = field(default_factory=list)
    inflight: set[Effect] = field(default_factory=set)
    submitted: set[str] = field(default_factory=set)  # attempts whose one call this session has begun
    turning: bool = False
    dropped: bool = False
    term: int = 0  # of the lease under which the row was last known to be ours
    alarm: float | None = None  # when it is woken next (`alarms`)
    failure: Exception | None = None  # why the last turn did not end; for whoever waits for quiet

    def __post_init__(self) -> None:
        self.agenda = tuple(agenda(self.run, self.epoch))

    def become(self, change: Change) -> None:
        """Go on from what has been written, or from what only time has changed."""
        self.run, self.agenda = change.run, change.agenda
        if change.frees_key:
            self.key = None

    @property
    def next_at(self) -> float | None:
        """When the generation needs somebody again; None when it never does."""
        return earliest(self.agenda)

    def may_send(self, effect: Effect, term: int) -> bool:
        """Whether the attempt's call may leave now: ours beyond doubt, and nobody has called it off."""
        attempt = self.run.attempt(effect.attempt) if isinstance(effect, Submit) else None
        wanted = attempt is not None and attempt.state is State.SENDING and attempt.stop is None
        return wanted and not self.dropped and self.term == term

    def under_way(self, effect: Effect) -> bool:
        """A submit is begun once per session, whatever happens to it."""
        return effect in self.inflight or (isinstance(effect, Submit) and effect.attempt in self.submitted)

    def startable(self, now: float) -> list[Effect]:
        """Effects for the outside that are due and not under way."""
        return [
            effect
            for at, effect in self.agenda
            if at <= now and not isinstance(effect, Ring | Plan) and not self.under_way(effect)
        ]

    def wake_at(self) -> float | None:
        """When the next thing that is not under way becomes due."""
        return min((at for at, effect in self.agenda if not self.under_way(effect)), default=None)


Planner = Callable[[Run, Sequence[str]], f.Planned]


def earliest(entries: Sequence[Entry]) -> float | None:
    return min((at for at, _ in entries), default=None)


def fold(session: Session, now: float, plan: Planner) -> Change:
    """Drain the queue into a change, then everything that time alone demands."""
    change = Change(awake(session.run, now), session.agenda)
    for heard in session.queue:
        _apply(change, heard, now)
    _derive(change, session)
    for _ in range(_MAX_ROUNDS):
        move = _own_move(change, now, plan)
        if move is None:
            break
        _apply(change, move, now)
        _derive(change, session)
    session.queue.clear()
    return change


def _derive(change: Change, session: Session) -> None:
    if change.run is not session.run:
        change.agenda = tuple(agenda(change.run, session.epoch))


def _own_move(change: Change, now: float, plan: Planner) -> Heard | None:
    for at, effect in change.agenda:
        if at <= now:
            if isinstance(effect, Ring):
                return Heard(attempt=effect.attempt, fact=f.TimeUp(timer=effect.timer))
            if isinstance(effect, Plan):
                return Heard(attempt=None, fact=plan(change.run, effect.candidates))
    return None


def _apply(change: Change, heard: Heard, now: float) -> None:
    change.applied.append(heard)
    result = _step(change, heard, now)
    # A fact from the inbox must leave it even when it changed nothing.
    change.durable = change.durable or result.durable or heard.seq > 0
    if result.durable or heard.seq:
        change.heard.append(heard)
    if (content := told(change.run, heard.fact, heard.attempt)) is not None:
        result = _step(change, replace(heard, fact=content), now)
        change.durable = change.durable or result.durable


def _step(change: Change, heard: Heard, now: float) -> Step:
    result = step(change.run, heard.fact, now, heard.attempt)
    change.run = result.run
    change.events.extend(result.events)
    change.rows.append(result.row)
    if result.alert:
        change.alerts.append((result.alert, heard))
    return result


_canonical = json.JSONEncoder(sort_keys=True).encode


def to_inbox(generation: str, heard: Heard, now: float) -> Inboxed:
    """The stored form. The same words about the same attempt are one row."""
    body = encode(heard.fact)
    digest = hashlib.blake2b(_canonical(body).encode(), digest_size=12).hexdigest()
    return Inboxed(
        generation=generation,
        attempt=heard.attempt or "",
        dedup=f"{body['kind']}:{digest}",
        body=body,
        at=now,
    )


def from_inbox(item: Inboxed) -> Heard:
    return Heard(attempt=item.attempt or None, fact=decode(item.body), seq=item.seq)


def read_row(row: Row, heard: Sequence[Heard], term: int) -> Session:
    """A row that was claimed under a lease of this term, with what waited in its inbox."""
    session = Session(load_run(load_spec(row.spec), row.state), row.version, row.epoch, row.key, term=term)
    session.queue.extend(heard)
    return session


def mark_taken(heard: Sequence[Heard], taken: Sequence[tuple[str, str]], holder: str) -> list[Heard]:
    """Say of the facts that bound a job that this job is another attempt's (row 6).

    `taken` are (attempt, job), `holder` is whose it is. What was heard of other jobs, or says nothing of any,
    stays as it is. A synchronous answer holds its results; it is taken without the job's id.
    """
    return [
        replace(item, fact=_taken(item.fact))
        if item.attempt != holder and (item.attempt, getattr(item.fact, "job", None)) in taken
        else item
        for item in heard
    ]


def _taken(fact: Fact) -> Fact:
    match fact:
        case f.Completed():
            return replace(fact, job=None)
        case f.Accepted() | f.LookupFound() | f.CalledBack():
            return replace(fact, taken=True)
        case _:
            return fact


def new_jobs(before: Run, after: Run) -> list[tuple[str, str, str, str]]:
    """(provider, credentials, job, attempt) for every job that this change binds."""
    known = {attempt.id: attempt.job for attempt in before.attempts}
    return [
        (attempt.provider, attempt.credentials, attempt.job, attempt.id)
        for attempt in after.attempts
        if attempt.job is not None and known.get(attempt.id) is None
    ]


def to_commit(session: Session, change: Change, owner: str, now: float) -> Commit:
    """The write that makes a change true."""
    before, after = session.run, change.run
    return Commit(
        id=after.spec.id,
        owner=owner,
        epoch=session.epoch,
        version=session.version,
        state=dump_state(after),
        status=after.status.value,
        next_at=change.next_at,
        at=now,
        heard=[
            to_inbox(after.spec.id, heard, now)
            for heard in change.heard
            if not heard.seq and isinstance(heard.fact, RECORDED)
        ],
        folded=change.folded,
        events=change.events,
        jobs=new_jobs(before, after),
        erased=dump_spec(after.spec) if after.spec.erased else None,
        free_key=change.frees_key,
        sync=_needs_sync(before, after),
    )


def _needs_sync(before: Run, after: Run) -> bool:
    """Only what could not be obtained again must reach the disk before we go on.

    That is: an attempt about to be sent, a job id, a stop, and a verdict. Whether the ledger moved, or how
    far the copying is, can be asked again; those ride on the next durable commit.
    """
    if len(after.attempts) != len(before.attempts) or after.decided_at != before.decided_at:
        return True
    if after.spec.erased:
        return True
    known = {attempt.id: (attempt.job, attempt.stop) for attempt in before.attempts}
    return any(known[attempt.id] != (attempt.job, attempt.stop) for attempt in after.attempts)
