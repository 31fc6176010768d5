"""Every money rule, as one pure function.

`decide(view, command, now)` says what a command does to what the view shows: the accounts and holds
afterwards, the entries in between, and the answer. It reads no clock and changes nothing. The order is fixed:

1. a presented receipt that this ledger does not know → `rewound`, and the account takes no new holds;
2. a known key → the first answer again, or `key_conflict`;
3. an unknown account → `unknown_account`, unless the command may open it;
4. time: whatever fell due up to now happens first;
5. the verb's own rule; a verdict about balance or state is written down and final for its key.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ledger_fortress.answers import (
    UNRECORDED,
    Answer,
    Applied,
    Reason,
    Receipt,
    Refusal,
    Replayed,
    first_answer,
)
from ledger_fortress.commands import NEVER, Command, Grant, OpenAccount
from ledger_fortress.entries import GENESIS, Entry
from ledger_fortress.state import CLOSED, OPEN, REWOUND, Account, Due, Hold

from .cases import Case, Denial, Policy
from .mature import mature, matured
from .posting import TIME, Origin, post
from .verbs import RULES

__all__ = ["Decision", "Policy", "View", "decide", "mature", "matured", "refuse", "sweep"]

DEFAULT = Policy()


class View(Protocol):
    """What `decide` may look at. Everything that a command touches has been loaded."""

    def account(self, account: str) -> Account | None: ...
    def entry(self, account: str, key: str) -> Entry | None: ...
    def hold(self, account: str, key: str) -> Hold | None: ...
    def due(self, account: str) -> Due: ...
    def hash_at(self, account: str, version: int) -> bytes | None: ...


class Decision(NamedTuple):
    """What to save and what to answer. `keyed` is the entry that the command's key now stands for."""

    answer: Answer | None
    account: Account | None = None
    entries: tuple[Entry, ...] = ()
    holds: tuple[Hold, ...] = ()
    keyed: Entry | None = None


def decide(
    view: View, command: Command, now: int, link: str | None = None, policy: Policy = DEFAULT
) -> Decision:
    """Judge one command. The answer is a value; nothing is raised for anything that can be expected."""
    name, key = command.account, command.key
    account = view.account(name)
    if command.seen is not None:
        rewound = _check_seen(view, account, command, command.seen, now)
        if rewound is not None:
            return rewound
    fingerprint = command.fingerprint(link)
    known = view.entry(name, key)
    if known is not None:
        return Decision(_repeat(view, known, fingerprint, command, now))
    entries: list[Entry] = []
    holds: list[Hold] = []
    if account is None:
        account = Account(name, 0, GENESIS, 0, OPEN, 0, 0, 0, NEVER, ())
        if type(command) is Grant and command.create:
            account, entry = post(account, TIME, "open", None, now, 0, (0, 0, 0), '{"legs":[]}')
            entries.append(entry)
        elif type(command) is not OpenAccount:
            return Decision(Refusal(Reason.UNKNOWN_ACCOUNT, name, key))
    if now < account.at:
        now = account.at
    if account.due <= now:
        account, entries, holds = mature(account, view.due(name), now)
    hold = _hold(view, holds, name, command.about)
    origin = Origin(key, fingerprint, link, None if command.note is None else command.note_hash())
    ruling = RULES[type(command)](Case(account, hold, now, origin, policy), command)
    if isinstance(ruling, Denial):
        return _deny(account, entries, holds, command, origin, ruling, now)
    entries.append(ruling.entry)
    if ruling.hold is not None:
        holds.append(ruling.hold)
    opened = ruling.hold is not None and ruling.hold.state == OPEN
    answer = Applied(ruling.entry, opened)
    return Decision(answer, ruling.account, tuple(entries), tuple(holds), ruling.entry)


def refuse(view: View, command: Command, link: str, denial: Denial, now: int) -> Decision:
    """Write down the verdict on the command that made a linked batch fail, so that its key stays refused."""
    account = view.account(command.account)
    origin = Origin(command.key, command.fingerprint(link), link, command.note_hash())
    if account is None:
        return Decision(Refusal(denial.reason, command.account, command.key, denial.needed))
    now = max(now, account.at)
    entries: list[Entry] = []
    holds: list[Hold] = []
    if account.due <= now:
        account, entries, holds = mature(account, view.due(command.account), now)
    return _deny(account, entries, holds, command, origin, denial, now)


def sweep(view: View, name: str, now: int) -> Decision:
    """Let time act on one account and write down what it did."""
    account = view.account(name)
    if account is None or account.due > now:
        return Decision(None)
    account, entries, holds = mature(account, view.due(name), max(now, account.at))
    return Decision(None, account, tuple(entries), tuple(holds))


def _repeat(view: View, known: Entry, fingerprint: bytes, command: Command, now: int) -> Answer:
    account = view.account(command.account)
    assert account is not None  # a key has an entry, an entry has an account
    if known.fingerprint != fingerprint:
        return Refusal(
            Reason.KEY_CONFLICT,
            command.account,
            command.key,
            0,
            account.available,
            account.held,
            account.debt,
        )
    hold = view.hold(command.account, known.hold) if known.hold is not None else None
    return Replayed(first_answer(known), hold is not None and hold.is_open(max(now, account.at)))


def _deny(
    account: Account,
    entries: list[Entry],
    holds: list[Hold],
    command: Command,
    origin: Origin,
    denial: Denial,
    now: int,
) -> Decision:
    reason, needed = denial
    recorded: Entry | None = None
    if reason not in UNRECORDED:
        body = f'{{"legs":[],"reason":"{reason.value}","verb":"{command.verb}"}}'
        account, recorded = post(account, origin, "refused", command.hold, now, needed, (0, 0, 0), body)
        entries.append(recorded)
    answer = Refusal(
        reason, command.account, command.key, needed, account.available, account.held, account.debt, recorded
    )
    return Decision(answer, account if entries else None, tuple(entries), tuple(holds), recorded)


def _check_seen(
    view: View, account: Account | None, command: Command, seen: Receipt, now: int
) -> Decision | None:
    """Refuse, and stop new holds, when the caller has a receipt for an entry that is not here."""
    if seen.account != command.account:
        raise ValueError(f"the receipt is of account {seen.account!r}, the command of {command.account!r}")
    if account is not None and account.version >= seen.version:
        here = view.hash_at(command.account, seen.version)
        if here is not None and here.hex() == seen.hash:
            return None
    if account is None:
        return Decision(Refusal(Reason.REWOUND, command.account, command.key))
    entries: tuple[Entry, ...] = ()
    if account.status not in (REWOUND, CLOSED):
        body = f'{{"hash":"{seen.hash}","legs":[],"reason":"rewound","version":{seen.version}}}'
        account, entry = post(
            account, TIME, "freeze", None, max(now, account.at), 0, (0, 0, 0), body, status=REWOUND
        )
        entries = (entry,)
    refusal = Refusal(
        Reason.REWOUND, command.account, command.key, 0, account.available, account.held, account.debt
    )
    return Decision(refusal, account, entries)


def _hold(view: View, changed: list[Hold], account: str, key: str | None) -> Hold | None:
    if key is None:
        return None
    for hold in changed:
        if hold.key == key:
            return hold
    return view.hold(account, key)
