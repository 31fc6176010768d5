"""Members of a pool and their limits.

A pool is an account like any other; a member is a row inside it. What a member may still reserve is
`cap - (spent + held)` in the current window. A hold counts in the window in which it was reserved, whenever
it is settled: the window's number is kept in the hold, and once the member has moved on to another window,
settling the hold changes no count. Limits stop new holds only.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger_fortress.answers import Reason
from ledger_fortress.commands import SetMember
from ledger_fortress.entries import canonical
from ledger_fortress.state import CLOSED, Hold, Member

from .cases import Case, Denial, Ruling, View
from .posting import post


def set_member(case: Case, command: SetMember) -> Ruling | Denial:
    account, now = case.account, case.now
    if account.status == CLOSED:
        return Denial(Reason.CLOSED)
    row = member_of(case, command.member)
    if row is None or row.window != command.window:
        number = account.version + 1
        row = Member(account.account, command.member, command.cap, command.window, now, number, 0, 0)
    else:
        row = rolled(row, now, account.version + 1)._replace(cap=command.cap)
    body = canonical(
        {
            "cap": row.cap,
            "legs": [],
            "member": row.member,
            "number": row.number,
            "start": row.start,
            "window": row.window,
        }
    )
    after, entry = post(account, case.origin, "member", None, now, 0, (0, 0, 0), body)
    return Ruling(after, entry, member=row)


def member_of(case: Case, name: str) -> Member | None:
    """The member's row as it stands now."""
    return case.members.get(name) or case.view.member(case.account.account, name)


def rolled(row: Member, now: int, version: int) -> Member:
    """The row in the window that `now` belongs to, which entry `version` opens if it is a new one."""
    if row.window == 0 or now < row.start + row.window:
        return row
    start = now - (now - row.start) % row.window
    return row._replace(start=start, number=version, spent=0, held=0)


def counted(case: Case, hold: Hold, held: int, spent: int) -> Member | None:
    """The member of a hold after a change of what he holds and has spent; None where nothing counts."""
    if hold.window == 0 or hold.member is None:
        return None
    row = member_of(case, hold.member)
    if row is None or row.number != hold.window:
        return None
    return row._replace(held=row.held + held, spent=row.spent + spent)


def freed(view: View, holds: Iterable[Hold]) -> dict[str, Member]:
    """The members whose holds have just timed out, by name."""
    members: dict[str, Member] = {}
    for hold in holds:
        if hold.window and hold.member is not None:
            row = members.get(hold.member) or view.member(hold.account, hold.member)
            if row is not None and row.number == hold.window:
                members[hold.member] = row._replace(held=row.held - hold.amount)
    return members
