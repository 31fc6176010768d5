"""Taking credits back: grants that are ended early, payments that are refunded or disputed.

What is left of the grant in question goes first, then anything that is available; what is missing is owed,
and the next credits that come in pay it. A dispute takes in the same way but remembers what it took, so that
a dispute that is won gives everything back where it came from; one that is lost has nothing left to do.
"""

from __future__ import annotations

import json
from typing import Any

from ledger_fortress.answers import Reason
from ledger_fortress.commands import NEVER, Clawback, Dispute, DisputeLost, DisputeWon, Expire
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import Entry, canonical
from ledger_fortress.state import DISPUTED, LOST, OWED, WON, Hold, Slice

from .buckets import Leg, burn_from, collect, refundable
from .cases import GONE, Case, Denial, Ruling
from .charging import returned
from .posting import post


def expire(case: Case, command: Expire) -> Ruling | Denial:
    account = case.account
    granted = _granted(case, command.grant)
    if granted is None:
        return Denial(Reason.UNKNOWN_GRANT)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    gone = burn_from(buckets, _bucket_of(granted), granted.amount, legs)
    amount = sum(piece.amount for piece in gone)
    legs = [("void" if op == "take" else op, number, part) for op, number, part in legs]
    lost = sum(part for op, _, part in legs if op == "void")
    body = canonical({"grant": command.grant, "legs": legs})
    after, entry = post(
        account, case.origin, "expire", None, case.now, amount, (-lost, 0, 0), body, tuple(buckets)
    )
    return Ruling(after, entry)


def clawback(case: Case, command: Clawback) -> Ruling | Denial:
    taken = _take(case, command, "clawback", None)
    return taken if isinstance(taken, Denial) else taken[0]


def dispute(case: Case, command: Dispute) -> Ruling | Denial:
    if case.hold is not None:
        return Denial(GONE[case.hold.state], command.amount)
    taken = _take(case, command, "dispute", command.key)
    if isinstance(taken, Denial):
        return taken
    ruling, slices = taken
    account, now, amount = ruling.account, case.now, command.amount
    begins = json.loads(ruling.entry.body).get("effective", now)
    row = Hold(
        account.account, command.key, DISPUTED, begins, "report", account.version, now, amount, amount, 0,
        None, 0, slices,
    )  # fmt: skip
    return ruling._replace(hold=row)


def dispute_won(case: Case, command: DisputeWon) -> Ruling | Denial:
    row = case.hold
    if row is None or row.state != DISPUTED:
        return _undecidable(row)
    parts = refundable(row.slices, row.charged, row.charged)
    waiting = row.slices[0].bucket, row.deadline  # only the disputed grant's own bucket may not have begun
    ruling = returned(case, "dispute_won", row, parts, row.charged, waiting)
    if isinstance(ruling, Denial):
        return ruling
    return ruling._replace(hold=row._replace(state=WON, refunded=row.charged))


def dispute_lost(case: Case, command: DisputeLost) -> Ruling | Denial:
    row = case.hold
    if row is None or row.state != DISPUTED:
        return _undecidable(row)
    after, entry = post(
        case.account, case.origin, "dispute_lost", row.key, case.now, 0, (0, 0, 0), '{"legs":[]}'
    )
    return Ruling(after, entry, row._replace(state=LOST))


def _take(
    case: Case, command: Clawback, kind: str, name: str | None
) -> tuple[Ruling, tuple[Slice, ...]] | Denial:
    account, amount = case.account, command.amount
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices: list[Slice] = []
    owed_as = Slice(OWED, 0, 0, NEVER, kind)
    if command.grant is not None:
        granted = _granted(case, command.grant)
        if granted is None:
            return Denial(Reason.UNKNOWN_GRANT, amount)
        if amount > granted.amount:
            return Denial(Reason.EXCEEDS_GRANT, amount)
        sold = json.loads(granted.body)
        expires = NEVER if sold["expires"] is None else sold["expires"]
        owed_as = Slice(OWED, 0, sold["priority"], expires, sold["source"])
        slices = burn_from(buckets, _bucket_of(granted), amount, legs)
    first = sum(piece.amount for piece in slices)
    free = account.available - sum(part for op, _, part in legs if op == "take")
    more, owed = collect(buckets, free, amount - first, legs, owed_as)
    if account.debt + owed > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    taken = sum(part for op, _, part in legs if op == "take")
    body: dict[str, Any] = {"legs": legs}
    if command.grant is not None:
        body["grant"] = command.grant
    begins = [bucket.effective for bucket in account.buckets if slices and bucket.id == slices[0].bucket]
    if begins and begins[0]:
        body["effective"] = begins[0]
    after, entry = post(
        account, case.origin, kind, name, case.now, amount, (-taken, 0, owed), canonical(body), tuple(buckets)
    )
    return Ruling(after, entry), (*slices, *more)


def _undecidable(row: Hold | None) -> Denial:
    if row is not None and row.state in (WON, LOST):
        return Denial(GONE[row.state])
    return Denial(Reason.UNKNOWN_DISPUTE)


def _granted(case: Case, key: str) -> Entry | None:
    entry = case.view.entry(case.account.account, key)
    return entry if entry is not None and entry.kind == "grant" else None


def _bucket_of(granted: Entry) -> int:
    number: int = json.loads(granted.body)["legs"][0][1]
    return number
