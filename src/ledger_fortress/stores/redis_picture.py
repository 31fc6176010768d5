"""A scan of a Redis ledger: each account at one moment of its own, since Redis has none for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.protocol import Rows
from ledger_fortress.state import Account, Hold, Member

from .json_rows import account_of, hold_of, member_of, note_of, notice_of
from .redis_rows import Layout, Script, read_entries
from .redis_server import Server, call

PAGE: Final = 500


class State(NamedTuple):
    """An account and the rows beside it, as they were together."""

    account: Account
    holds: list[bytes]
    notes: list[bytes]
    members: list[bytes]
    notices: list[bytes]


class Picture:
    """Accounts as they were when the scan began; their entries are read while they are asked for.

    An entry never changes, so those up to an account's version are the ones of that moment.
    """

    def __init__(self, server: Server, layout: Layout, names: Iterable[str]) -> None:
        self._server, self._layout = server, layout
        states = (state_of(server, layout, name) for name in names)
        self._states = {state.account.account: state for state in states if state is not None}

    def parts(self) -> Iterator[tuple[str, Rows]]:
        for name, state in self._states.items():
            part = Picture(self._server, self._layout, ())
            part._states[name] = state
            yield name, part

    def entries(self) -> Iterator[Entry]:
        for state in self._states.values():
            account, version, *_ = state.account
            yield from entries(self._server, self._layout, account, 0, version)

    def accounts(self) -> Iterator[Account]:
        return (state.account for state in self._states.values())

    def holds(self) -> Iterator[Hold]:
        return (hold_of(row) for state in self._states.values() for row in state.holds)

    def notes(self) -> Iterator[Note]:
        return (note_of(row) for state in self._states.values() for row in state.notes)

    def members(self) -> Iterator[Member]:
        return (member_of(row) for state in self._states.values() for row in state.members)

    def notices(self) -> Iterator[Notice]:
        return (notice_of(row) for state in self._states.values() for row in state.notices)


def state_of(server: Server, layout: Layout, account: str) -> State | None:
    """Everything of one account but its entries, in one step."""
    asked = Script()
    for kind in ("account", "open", "hold", "note", "member", "notice"):
        asked.key(layout.of(account, kind))
    row, opened, settled, notes, members, notices = server.ask(
        lambda client: call(client, "look", asked, b"")
    )
    return None if row is None else State(account_of(row), [*opened, *settled], notes, members, notices)


def entries(server: Server, layout: Layout, account: str, after: int, limit: int) -> Iterator[Entry]:
    """Up to `limit` entries with a version above `after`, read page by page."""
    key = layout.of(account, "entry")
    for first in range(after + 1, after + limit + 1, PAGE):
        wanted = range(first, min(first + PAGE, after + limit + 1))
        rows = server.fetch("hmget", key, list(wanted))
        yield from read_entries((row for row in rows if row is not None), server.archive)
        if rows[-1] is None:
            return
