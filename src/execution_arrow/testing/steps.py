"""Steps that the job store's contract, and tests of stores, are written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from execution_arrow.stores.base import (
    Beat,
    Claim,
    Claimed,
    Commit,
    Create,
    Inboxed,
    JobStore,
    Op,
    Result,
    Row,
)

R = TypeVar("R", bound=Result)
NOW = 1_800_000_000.0


class ManualClock:
    """A store's clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def one(store: JobStore, op: Op, kind: type[R]) -> R:
    (result,) = store.apply([op])
    assert isinstance(result, kind), f"{op!r} answered {result!r}, expected {kind.__name__}"
    return result


def created_by(identity: str = "gen_1", **changes: Any) -> Create:
    op = Create(
        id=identity, account="acct", model="lab/m", status="pending", spec="{}", state="{}", created_at=NOW,
        next_at=NOW, fingerprint="f1",
    )  # fmt: skip
    return replace(op, **changes)


def commit_of(row: Row, **changes: Any) -> Commit:
    assert row.owner is not None
    op = Commit(
        id=row.id,
        owner=row.owner,
        epoch=row.epoch,
        version=row.version,
        state='{"x":1}',
        status="processing",
        next_at=NOW + 5,
        at=NOW,
    )
    return replace(op, **changes)


def fact(text: str = "a", attempt: str = "att_1", generation: str = "gen_1") -> Inboxed:
    return Inboxed(generation=generation, attempt=attempt, dedup=text, body={"kind": text}, at=NOW)


def owned(store: JobStore, owner: str = "w1", **changes: Any) -> Row:
    """A generation that `owner`, alive for another ten seconds, has created and owns."""
    op = created_by(owner=owner, **changes)
    store.apply([Beat(owner=owner, seconds=10), op])
    return loaded(store, op.id)


def loaded(store: JobStore, identity: str = "gen_1") -> Row:
    row = store.load(identity)
    assert row is not None, f"{identity} was created and cannot be loaded"
    return row


def claimed_by(
    store: JobStore, clock: ManualClock, owner: str, at: float, ids: Sequence[str] = (), limit: int = 10
) -> tuple[Row, ...]:
    """What `owner` takes at a given time."""
    clock.now = at
    return one(store, Claim(owner=owner, seconds=10, limit=limit, ids=ids), Claimed).rows
