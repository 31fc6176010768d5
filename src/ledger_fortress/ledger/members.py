"""Members of a pool as readers see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger_fortress.credits import Credits
from ledger_fortress.entries import moment
from ledger_fortress.protocol import Loaded
from ledger_fortress.rules import matured
from ledger_fortress.rules.members import rolled
from ledger_fortress.state import NOTHING_DUE, Member


@dataclass(frozen=True, slots=True)
class MemberView:
    """What a member may spend (`limit`, None: anything) and what he has spent and held since `since`.

    `until` is when the window ends, None if it never does.
    """

    account: str
    member: str
    limit: Credits | None
    spent: Credits
    held: Credits
    since: datetime
    until: datetime | None


def member_view(loaded: Loaded, row: Member) -> MemberView:
    """The member at the loaded moment; windows that are over and holds that timed out are accounted for."""
    account = loaded.accounts[row.account]
    _, ended = matured(account, loaded.due.get(row.account, NOTHING_DUE), loaded.now)
    for hold in ended.values():
        if hold.member == row.member and hold.window == row.number:
            row = row._replace(held=row.held - hold.amount)
    row = rolled(row, max(loaded.now, account.at), row.number)
    since = moment(row.start)
    return MemberView(
        row.account,
        row.member,
        None if row.cap is None else Credits.micro(row.cap),
        Credits.micro(row.spent),
        Credits.micro(row.held),
        since,
        since + timedelta(microseconds=row.window) if row.window else None,
    )
