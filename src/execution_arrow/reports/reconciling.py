"""What a person should look at: the arrow's rows and the ledger's holds, laid side by side.

The arrow's row is the truth about work and about what is owed, the ledger about whether it moved. The rules
keep the two together by themselves; what they cannot mend is named here, with what to do next. Nothing here
moves anything: a finding is a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from execution_arrow.machine.state import Attempt, Phase, Run
from execution_arrow.ports import Held, Remark
from execution_arrow.record import credits
from execution_arrow.stores.base import Row

LATE = 3600.0  # seconds after the verdict in which a ledger should have moved


class Trouble(StrEnum):
    """What is wrong. The value is the wire name and never changes; the ledger's own begin with `ledger_`."""

    SETTLEMENT_STUCK = "settlement_stuck"
    SETTLEMENT_LATE = "settlement_late"
    HOLD_AFTER_END = "hold_after_end"
    HOLD_WITHOUT_GENERATION = "hold_without_generation"
    HOLD_MISSING = "hold_missing"
    UNATTENDED = "unattended"
    RESIDUE_OVERDUE = "residue_overdue"
    UNREADABLE = "unreadable"


_ADVICE = {
    Trouble.SETTLEMENT_STUCK: "the ledger refused what is owed: mend the account as the reason says, it is "
    "asked again every hour; if it has moved under another key, only note it",
    Trouble.SETTLEMENT_LATE: "the ledger has not answered for an hour: see whether it is up and whether a "
    "worker runs; the settlement is repeated until it is answered",
    Trouble.HOLD_AFTER_END: "settled by our row, open in the ledger: the hold came late, or the ledger was "
    "restored; settle it again by the same key with `execution-arrow reconcile --repair`",
    Trouble.HOLD_WITHOUT_GENERATION: "no row here has this id: another program's hold, or this store was "
    "restored and lost it; if it is ours, see what the provider did, then charge or release it in the ledger",
    Trouble.HOLD_MISSING: "work goes on without a hold: somebody released it, or the ledger was restored; "
    "a result will be charged as a debt, so cancel the generation if that is not wanted",
    Trouble.UNATTENDED: "due, and nobody has looked at it: start `execution-arrow worker` over this store, "
    "or find out why it does not claim",
    Trouble.RESIDUE_OVERDUE: "an attempt should have been written off by now: start a worker over this store",
    Trouble.UNREADABLE: "written by a newer version: upgrade this program; the row is left alone until then",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at. `repaired`: it has just been set going again."""

    trouble: str
    account: str
    generation: str | None
    amount: Decimal
    since: float  # unix seconds
    detail: str
    advice: str
    repaired: bool = False


def of_row(row: Row, run: Run, now: float, grace: float) -> Iterator[Finding]:
    """What an unfinished generation says by itself. `grace`: seconds that a worker may be late."""
    owed = run.settlement
    if owed is not None and owed.stuck:
        yield _about(run, Trouble.SETTLEMENT_STUCK, owed.amount, run.closed_at, f"{owed.verb}: {owed.stuck}")
    elif run.phase is Phase.SETTLING and owed is not None and (run.decided_at or now) + LATE <= now:
        yield _about(run, Trouble.SETTLEMENT_LATE, owed.amount, run.decided_at, owed.verb)
    alone = row.owner is None or (row.owner_until or 0.0) + grace <= now
    if alone and row.next_at is not None and row.next_at + grace <= now:
        yield _about(run, Trouble.UNATTENDED, run.spec.hold, row.next_at, run.phase.value)
    for attempt in run.attempts:
        since = _write_off_at(run, attempt)
        if since is not None and since + grace <= now:
            cost = run.route(attempt).cost or 0
            yield _about(run, Trouble.RESIDUE_OVERDUE, cost, since, f"{attempt.provider} {attempt.id}")


def of_hold(held: Held, run: Run | None) -> Finding | None:
    """What an open hold says about the generation it is named after; None while that is at work."""
    if run is None:
        return Finding(
            trouble=Trouble.HOLD_WITHOUT_GENERATION,
            account=held.account,
            generation=None,
            amount=credits(held.amount),
            since=held.since,
            detail=held.key,
            advice=_ADVICE[Trouble.HOLD_WITHOUT_GENERATION],
        )
    if run.phase is not Phase.CLOSED or (run.settlement is not None and run.settlement.stuck):
        return None
    owed = run.settlement
    detail = f"{owed.verb} {credits(owed.amount)}" if owed is not None else "the hold was refused"
    return _about(run, Trouble.HOLD_AFTER_END, held.amount, held.since, detail)


def missing(run: Run) -> Finding:
    """Work without a hold."""
    return _about(run, Trouble.HOLD_MISSING, run.spec.hold, run.started_at, run.phase.value)


def needs_hold(run: Run) -> bool:
    return run.phase in (Phase.RUNNING, Phase.COLLECTING) and run.spec.hold > 0


def unreadable(row: Row, error: Exception) -> Finding:
    return Finding(
        trouble=Trouble.UNREADABLE,
        account=row.account,
        generation=row.id,
        amount=credits(0),
        since=row.next_at or 0.0,
        detail=str(error)[:200],
        advice=_ADVICE[Trouble.UNREADABLE],
    )


def of_remark(remark: Remark) -> Finding:
    """What the ledger itself has to say, under a name of its own."""
    return Finding(
        trouble=f"ledger_{remark.trouble}",
        account=remark.account,
        generation=remark.key,
        amount=credits(remark.amount),
        since=remark.since,
        detail="",
        advice=remark.advice,
    )


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """By trouble, the oldest first; the ledger's own last."""
    order = {trouble.value: number for number, trouble in enumerate(Trouble)}

    def place(one: Finding) -> tuple[int, str, float, str]:
        return order.get(one.trouble, len(order)), one.trouble, one.since, one.generation or one.detail

    return tuple(sorted(found, key=place))


def _about(run: Run, trouble: Trouble, amount: int, since: float | None, detail: str) -> Finding:
    return Finding(
        trouble=trouble,
        account=run.spec.account,
        generation=run.spec.id,
        amount=credits(amount),
        since=since if since is not None else run.spec.created_at,
        detail=detail,
        advice=_ADVICE[trouble],
    )


def _write_off_at(run: Run, attempt: Attempt) -> float | None:
    since = attempt.closing_at or attempt.unknown_at
    return None if attempt.final or since is None else since + run.spec.policy.write_off_after
