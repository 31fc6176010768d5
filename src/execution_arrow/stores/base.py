"""What a job store must do, and the values it speaks in.

A store keeps rows and decides nothing: it checks who owns a row (`owner`, `epoch`), at which version it
is, and writes all of a change or none of it. Every rule about generations lives in `machine`. All changes
are `Op` values given to `apply` in batches, so that one commit can serve many callers; the results come
back in the same order. A fenced commit is an answer, not an error.

Facts are never fenced: `Append` works for anybody, at any time. What it wrote waits in the inbox until
the owner folds it.

Leases run by the store's own clock, which no operation can argue with: workers say for how long they want
one, and are told the time. What that clock is, each store says: the server's, the host's, a test's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

from execution_arrow.machine.state import Event
from execution_arrow.stores import outgoing as out
from execution_arrow.values import quick

LONGEST_LEASE: Final = 300.0
"""Seconds. A lease that ends later than this from now was written before the store's clock was set back."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Inboxed:
    """A fact somebody heard. `dedup` makes a repeated one a single row per attempt."""

    generation: str
    attempt: str  # "" for a fact about the generation
    dedup: str
    body: Mapping[str, Any]
    at: float
    seq: int = 0  # set by the store


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A new generation. With an owner it is claimed in the same write."""

    id: str
    account: str
    model: str
    status: str
    spec: str
    state: str
    created_at: float
    next_at: float | None
    key: str | None = None
    fingerprint: str = ""
    owner: str | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The next version of a row, written only while `owner` holds it under `epoch`."""

    id: str
    owner: str
    epoch: int
    version: int  # the version this change was made from
    state: str
    status: str
    next_at: float | None  # None = needs nobody any more; the row is handed back with the same write
    at: float
    heard: Sequence[Inboxed] = ()  # facts folded now that were never in the inbox
    folded: Sequence[int] = ()  # inbox rows that are folded with this change
    events: Sequence[Event] = ()
    jobs: Sequence[tuple[str, str, str, str]] = ()  # (provider, credentials, job, attempt) newly bound
    free_key: bool = False
    erased: str | None = None  # a spec without the request, in the spec's place; folded facts are forgotten
    sync: bool = True  # False: may ride on the next durable commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Put a fact into the inbox; no lease is needed."""

    fact: Inboxed


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Take rows that nobody alive owns and that are due (or are named in `ids`), under a lease of `seconds`.

    Where nothing is taken, nothing is written and the lease stays as it is. But for a lease of anybody that
    ends after `LONGEST_LEASE`: that is cut to `seconds` from now, in which whoever lives renews it.
    """

    owner: str
    seconds: float
    limit: int = 1
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Hand rows back with the time when they need somebody again."""

    owner: str
    rows: Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disown:
    """Hand back, as due now, every row of this owner but those in `keep`.

    For an owner that cannot say what it owns: the answer to a claim, a create or a release was lost.
    """

    owner: str
    keep: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Let a worker's lease end `seconds` from now; 0 gives it back."""

    owner: str
    seconds: float


Op = Create | Commit | Append | Claim | Release | Disown | Beat | out.Outgoing


def durable(op: Op) -> bool:
    """Whether an operation has to reach the disk by itself.

    A claim has not: nothing is done under its epoch before a commit that has, and the log keeps their order.
    Neither has what became of a delivery: should that be lost, it is delivered again.
    """
    return isinstance(op, Create | Append | out.KeepEndpoint | out.Replay | out.Publish) or (
        isinstance(op, Commit) and op.sync
    )


def plain(text: str) -> str:
    """Text of a provider as every store can keep it: no half surrogate pair, no NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One generation as stored, with the inbox that nobody folded yet."""

    id: str
    account: str
    key: str | None
    spec: str
    state: str
    version: int
    epoch: int
    owner: str | None
    owner_until: float | None  # the end of the owner's lease
    next_at: float | None
    created_at: float
    inbox: tuple[Inboxed, ...] = ()


@dataclass(frozen=True, slots=True)
class Created:
    """`epoch` is 1 when the row was created with an owner."""


@dataclass(frozen=True, slots=True)
class Existing:
    """The idempotency key is taken by this generation."""

    id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Committed:
    version: int
    posts: int = field(default=0, compare=False)  # deliveries of its events that wait now


@dataclass(frozen=True, slots=True)
class Fenced:
    """Somebody else owns the row now, or it is at another version. Nothing was written."""


@dataclass(frozen=True, slots=True)
class JobTaken:
    """A job id of this commit belongs to another attempt. Nothing was written."""

    attempt: str  # whose it is
    job: str  # which one; others of the same commit may be free


@dataclass(frozen=True, slots=True)
class Done:
    """Appended (`new` says whether the fact was unknown before), released, or disowned."""

    new: bool = True


@dataclass(frozen=True, slots=True)
class Beaten:
    now: float  # by the store's clock; the lease was extended


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was taken, at `now` by the store's clock.

    `next_at`: when there may be something to take if nothing changes until then: a free row becomes due or
    somebody else's lease ends. None: never, or not looked up because the claim was not for whatever is due.
    """

    rows: tuple[Row, ...]
    now: float
    next_at: float | None = None


Result = Created | Existing | Committed | Fenced | JobTaken | Done | Beaten | Claimed | out.OutgoingResult


class Hint(NamedTuple):
    """What a change may mean to somebody who waits. Nobody relies on it; it only saves looking.

    `free`: a row may be claimed; `fact`: one waits for the generation's owner; `end`: it has ended; `post`:
    a delivery may be taken. Without a generation, any may be meant.
    """

    kind: Literal["free", "fact", "end", "post", "any"]
    generation: str = ""


ANYTHING: Final = Hint("any")
Hear = Callable[[Sequence[Hint]], object]


class JobStore(Protocol):
    """Blocking: the grouping writer (`stores.writer`) is the only caller of `apply`; reads may come from any
    thread.

    Raises `errors.StoreUnavailable` when a batch has no answer; everything else is a result.
    """

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        """Perform the batch in one transaction, in order. Durable before it returns if any op says `sync`."""
        ...

    def load(self, generation_id: str) -> Row | None: ...

    def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        """Those of these that there are, in any order, without a question for each: up to a few hundred."""
        ...

    def by_key(self, account: str, key: str) -> tuple[str, str] | None: ...  # (id, fingerprint) of its holder

    def of_job(self, provider: str, job: str) -> list[str]: ...  # generations, whatever the credentials

    def holders(self, text: str) -> list[str]: ...  # generations whose state has this in it; reads them all

    def page(self, account: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
        """Newest first; `before` is the id to continue from."""
        ...

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        """Rows that still need somebody (`next_at` is set), owned or not, by id; `after` is where to go on.

        For a report: it may read many rows, and must not wait for the writer.
        """
        ...

    def events(self, generation_id: str) -> list[Event]: ...

    def inbox(self, owner: str) -> list[Inboxed]:
        """Facts that wait for generations this worker owns."""
        ...

    def endpoints(self) -> list[out.Endpoint]:
        """Every endpoint, by id."""
        ...

    def deliveries(
        self, endpoint: str | None, state: out.DeliveryState | None, subject: str | None, limit: int
    ) -> list[out.Delivery]:
        """Newest event first, then by its name."""
        ...

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Call `hear` about changes that others may wait for, from any thread; returns what ends it.

        A hint may be lost, be late, or say `ANYTHING`: whoever waits looks by himself now and then.
        """
        ...

    def close(self) -> None: ...
