"""Holds, disputes and members as their entries tell them."""

from __future__ import annotations

from typing import Any, Final

from ledger_fortress.entries import Entry
from ledger_fortress.state import Member

from .chain import Wrong
from .moves import Parts

ENDS: Final = {
    "charge": "charged",
    "release": "released",
    "timeout": "timed_out",
    "dispute_won": "won",
    "dispute_lost": "lost",
}


class Hold:
    """A hold or a dispute: what it set aside and what became of it."""

    __slots__ = ("amount", "charged", "deadline", "member", "parts", "read", "refunded", "state", "window")

    def __init__(self, amount: int, deadline: int, state: str = "open", parts: Parts = ()) -> None:
        self.amount, self.deadline, self.state, self.parts = amount, deadline, state, parts
        self.charged = self.refunded = 0
        self.member: str | None = None
        self.window = 0
        self.read = False


class People:
    """The holds and members of one account."""

    __slots__ = ("holds", "members")

    def __init__(self) -> None:
        self.holds: dict[str, Hold] = {}
        self.members: dict[str, Member] = {}

    def take(self, entry: Entry, body: dict[str, Any], parts: Parts) -> None:
        """Follow one entry."""
        kind = entry.kind
        if kind == "reserve":
            self._reserve(entry, body, parts)
        elif kind == "dispute":
            self._begin(
                entry, Hold(entry.amount, body.get("effective", entry.at), "disputed", parts)
            ).charged = entry.amount
        elif kind in ENDS:
            self._end(entry, body, parts)
        elif kind == "extend":
            self.holds[entry.hold or ""].deadline = body["deadline"]
        elif kind == "refund":
            hold = self.holds[entry.hold or ""]
            hold.refunded += entry.amount
            if hold.state != "charged" or hold.refunded > hold.charged:
                raise Wrong(f"refunds hold {entry.hold!r} beyond what was charged")
            self._count(entry.account, hold, 0, -entry.amount)
        elif kind == "member":
            self._member(entry, body)

    def _begin(self, entry: Entry, hold: Hold) -> Hold:
        if entry.hold is None or entry.hold in self.holds:
            raise Wrong(f"begins {entry.hold!r} a second time")
        self.holds[entry.hold] = hold
        return hold

    def _reserve(self, entry: Entry, body: dict[str, Any], parts: Parts) -> None:
        hold = self._begin(entry, Hold(entry.amount, body["deadline"], "open", parts))
        hold.member = body.get("member")
        hold.window = body.get("window", 0)
        row = None if hold.member is None else self.members.get(hold.member)
        if row is None:
            if hold.window:
                raise Wrong(f"counts in a window of member {hold.member!r}, who has none")
            return
        row = _rolled(row, entry)
        row = row._replace(held=row.held + entry.amount)
        if row.number != hold.window:
            raise Wrong(f"counts in window {hold.window} of member {hold.member!r}, who is in {row.number}")
        if row.cap is not None and row.held + row.spent > row.cap:
            raise Wrong(f"goes beyond the limit of member {hold.member!r}")
        self.members[row.member] = row

    def _end(self, entry: Entry, body: dict[str, Any], parts: Parts) -> None:
        key = entry.hold or ""
        hold = self.holds.get(key)
        if entry.kind in ("dispute_won", "dispute_lost"):
            if hold is None or hold.state != "disputed":
                raise Wrong(f"decides {key!r}, which is no open dispute")
            hold.state = ENDS[entry.kind]
            hold.refunded = entry.amount
            if entry.kind == "dispute_won" and entry.amount != hold.amount:
                raise Wrong(f"gives back {entry.amount} of dispute {key!r}, which took {hold.amount}")
            return
        late = body.get("late", False)
        if hold is None and late:
            hold = self.holds[key] = Hold(entry.amount, entry.at)
        elif hold is None or (hold.state not in ("released", "timed_out") if late else hold.state != "open"):
            raise Wrong(f"settles hold {key!r}, which is {'unknown' if hold is None else hold.state}")
        if late:
            hold.parts = parts
        else:
            hold.parts += parts  # what was charged beyond the hold
            if -entry.d_held != hold.amount:
                raise Wrong(f"frees {-entry.d_held} of hold {key!r}, which held {hold.amount}")
        hold.state = ENDS[entry.kind]
        hold.charged = entry.amount if entry.kind == "charge" else 0
        self._count(entry.account, hold, 0 if late else -hold.amount, hold.charged)

    def _member(self, entry: Entry, body: dict[str, Any]) -> None:
        name, cap, window = body["member"], body["cap"], body["window"]
        row = self.members.get(name)
        if row is None or row.window != window:
            row = Member(entry.account, name, cap, window, entry.at, entry.version, 0, 0)
        else:
            row = _rolled(row, entry)._replace(cap=cap)
        if (row.number, row.start) != (body["number"], body["start"]):
            raise Wrong(f"puts member {name!r} into a window that is not his")
        self.members[name] = row

    def _count(self, account: str, hold: Hold, held: int, spent: int) -> None:
        row = None if hold.member is None else self.members.get(hold.member)
        if row is not None and hold.window and row.number == hold.window:
            row = row._replace(held=row.held + held, spent=row.spent + spent)
            self.members[row.member] = row
            if row.held < 0 or row.spent < 0:
                raise Wrong(f"counts member {row.member!r} of {account!r} below nothing")


def _rolled(row: Member, entry: Entry) -> Member:
    """The row in the window of the entry."""
    passed = 0 if row.window == 0 else (entry.at - row.start) // row.window
    if passed == 0:
        return row
    return row._replace(start=row.start + passed * row.window, number=entry.version, spent=0, held=0)
