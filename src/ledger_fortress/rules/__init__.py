"""Every money rule, as one pure function.

`decide(view, command, now)` says what a command does to what the view shows: the accounts and holds
afterwards, the entries in between, and the answer. It reads no clock and changes nothing. The order is fixed:

1. a presented receipt that this ledger does not know → `rewound`, and the account takes no new holds;
2. a known key → the first answer again, or `key_conflict`; but a charge that finds its hold's settlement key
   taken by a release is a late charge, and goes on under the hold's late key;
3. an unknown key older than the horizon → `key_too_old`; an unknown account → `unknown_account`, unless the
   command may open it;
4. time: whatever fell due up to now happens first;
5. the verb's own rule; a verdict about balance or state is written down and final for its key.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

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
from ledger_fortress.checks import SETTLE
from ledger_fortress.commands import NEVER, Charge, Command, Grant, OpenAccount
from ledger_fortress.entries import GENESIS, Entry, canonical, notices_of
from ledger_fortress.state import CLOSED, OPEN, REWOUND, Account, Hold, Member
from ledger_fortress.tuples import new

from .cases import Case, Denial, Policy, Ruling, View
from .mature import mature, matured
from .members import freed
from .posting import TIME, Origin, post
from .verbs import RULES

__all__ = ["Decision", "Policy", "View", "decide", "mature", "matured", "refuse", "sweep"]

DEFAULT = Policy()


_UUID7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)


class Decision(NamedTuple):
    """What to save and what to answer.

    `keyed` is the entry that the command's key now stands for, `other` the second account of a transfer,
    whose entries, holds and members are among the rest.
    """

    answer: Answer | None
    account: Account | None = None
    entries: tuple[Entry, ...] = ()
    holds: tuple[Hold, ...] = ()
    keyed: Entry | None = None
    members: tuple[Member, ...] = ()
    other: Account | None = None


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
    if known is not None and type(command) is Charge and known.kind == "release" and command.late_key:
        key = command.late_key
        known = view.entry(name, key)
    if known is not None:
        return Decision(_repeat(view, known, fingerprint, command, now))
    if policy.key_horizon is not None and _too_old(view, command, now - policy.key_horizon):
        return Decision(_unrecorded(Reason.KEY_TOO_OLD, command, account))
    entries: list[Entry] = []
    holds: list[Hold] = []
    members: dict[str, Member] = {}
    if account is None:
        account = Account(name, 0, GENESIS, 0, OPEN, 0, 0, 0, NEVER, ())
        if type(command) is Grant and command.create:
            account, entry = post(account, TIME, "open", None, now, 0, (0, 0, 0), '{"legs":[]}')
            entries.append(entry)
        elif type(command) is not OpenAccount:
            return Decision(Refusal(Reason.UNKNOWN_ACCOUNT, name, command.key))
    clock, now = now, max(now, account.at)  # time never goes backwards for an account
    if account.due <= now:
        account, entries, holds = mature(account, view.due(name), now)
        members = freed(view, holds)
    hold = _hold(view, holds, name, command.about)
    origin = new(Origin, (key, fingerprint, link, None if command.note is None else command.note_hash()))
    case = new(Case, (account, hold, now, origin, policy, view, members, clock))
    ruling = RULES[type(command)](case, command)
    if isinstance(ruling, Denial):
        return _deny(account, entries, holds, members, command, origin, ruling, now)
    return _rule(ruling, entries, holds, members)


def _rule(ruling: Ruling, entries: list[Entry], holds: list[Hold], members: dict[str, Member]) -> Decision:
    account, entry, hold, member, far = ruling
    entries.append(entry)
    if hold is not None:
        holds.append(hold)
    if member is not None:
        members[member.member] = member
    touched = tuple(members.values()) if members else ()
    answer = Applied(entry, hold is not None and hold.state == OPEN)
    if far is None:
        return new(Decision, (answer, account, tuple(entries), tuple(holds), entry, touched, None))
    return Decision(
        answer,
        account,
        (*entries, *far.entries),
        (*holds, *far.holds),
        entry,
        (*touched, *far.members),
        far.account,
    )


def refuse(view: View, command: Command, link: str, refusal: Refusal, now: int) -> Decision:
    """Write down the verdict on the command that made a linked batch fail, so that its key stays refused.

    `refusal` is that verdict as it was tried, with its entry.
    """
    account = view.account(command.account)
    if account is None or refusal.entry is None:
        return Decision(Refusal(refusal.reason, command.account, command.key, refusal.needed))
    origin = Origin(refusal.entry.key, command.fingerprint(link), link, command.note_hash())
    told = [(notice.kind, json.loads(notice.body)) for notice in notices_of(refusal.entry)]
    denial = Denial(refusal.reason, refusal.needed, tuple(told))
    now = max(now, account.at)
    entries: list[Entry] = []
    holds: list[Hold] = []
    if account.due <= now:
        account, entries, holds = mature(account, view.due(command.account), now)
    return _deny(account, entries, holds, freed(view, holds), command, origin, denial, now)


def sweep(view: View, name: str, now: int) -> Decision:
    """Let time act on one account and write down what it did."""
    account = view.account(name)
    if account is None or account.due > now:
        return Decision(None)
    account, entries, holds = mature(account, view.due(name), max(now, account.at))
    members = freed(view, holds)
    return Decision(None, account, tuple(entries), tuple(holds), None, tuple(members.values()))


def _too_old(view: View, command: Command, oldest: int) -> bool:
    """Whether the ledger may have forgotten this key.

    The settlement of a hold that is still there is never too old: the hold itself knows what became of it.
    """
    if command.hold is not None and command.key == command.hold + SETTLE:
        return view.hold(command.account, command.hold) is None and _made_before(command.key, oldest)
    return _made_before(command.key, oldest)


def _made_before(key: str, oldest: int) -> bool:
    found = _UUID7.match(key)
    return found is not None and int(found[1] + found[2], 16) * 1_000 < oldest


def _unrecorded(reason: Reason, command: Command, account: Account | None) -> Refusal:
    if account is None:
        return Refusal(reason, command.account, command.key)
    return Refusal(reason, command.account, command.key, 0, account.available, account.held, account.debt)


def _repeat(view: View, known: Entry, fingerprint: bytes, command: Command, now: int) -> Answer:
    account = view.account(command.account)
    assert account is not None  # a key has an entry, an entry has an account
    if known.fingerprint != fingerprint:
        return _unrecorded(Reason.KEY_CONFLICT, command, account)
    hold = view.hold(command.account, known.hold) if known.hold is not None else None
    return Replayed(first_answer(known), hold is not None and hold.is_open(max(now, account.at)))


def _deny(
    account: Account,
    entries: list[Entry],
    holds: list[Hold],
    members: dict[str, Member],
    command: Command,
    origin: Origin,
    denial: Denial,
    now: int,
) -> Decision:
    reason, needed, notices = denial
    recorded: Entry | None = None
    if reason not in UNRECORDED:
        body = f'{{"legs":[],"reason":"{reason.value}","verb":"{command.verb}"}}'
        if notices:
            body = canonical({"legs": [], "notices": notices, "reason": reason.value, "verb": command.verb})
        account, recorded = post(account, origin, "refused", command.hold, now, needed, (0, 0, 0), body)
        entries.append(recorded)
    key = command.key if recorded is None or recorded.key is None else recorded.key
    answer = Refusal(
        reason, command.account, key, needed, account.available, account.held, account.debt, recorded
    )
    changed = account if entries else None
    return Decision(
        answer, changed, tuple(entries), tuple(holds), recorded, tuple(members.values()) if members else ()
    )


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
