"""Running commands against a store.

`run` applies independent commands in one commit: each sees what those before it did, and each has an answer
of its own. A command that raises fails alone. The members of a `Linked` batch are tried on a copy: one
refusal and none of them has happened.

Nothing is remembered between two calls: a ledger that trusts its memory over its store is how ledgers lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Final

from .answers import Answer, Applied, Reason, Refusal, Replayed
from .commands import Command, Item, Linked
from .entries import Entry, Note, notices_of
from .protocol import Changes, Failure, LedgerStore, Loaded, Touch
from .rules import Decision, Policy, decide, refuse, sweep
from .state import Account, Due, Hold, Member

MAX_BATCH: Final = 4_096
"""More commands than this in one commit would keep every other writer waiting for tens of milliseconds."""


class Work:
    """What a batch has changed so far, over what was loaded: the view that `decide` sees."""

    __slots__ = ("_accounts", "_entries", "_holds", "_loaded", "_members", "_notes", "_rows", "now")

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.now = loaded.now
        self._accounts: dict[str, Account] = {}
        self._rows: dict[tuple[str, str], Entry] = {}
        self._holds: dict[tuple[str, str], Hold] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._entries: list[Entry] = []
        self._notes: list[Note] = []

    def account(self, account: str) -> Account | None:
        return self._accounts.get(account) or self._loaded.accounts.get(account)

    def entry(self, account: str, key: str) -> Entry | None:
        pair = account, key
        return self._rows.get(pair) or self._loaded.entries.get(pair)

    def hold(self, account: str, key: str) -> Hold | None:
        pair = account, key
        return self._holds.get(pair) or self._loaded.holds.get(pair)

    def member(self, account: str, member: str) -> Member | None:
        pair = account, member
        return self._members.get(pair) or self._loaded.members.get(pair)

    def due(self, account: str) -> Due:
        return self._loaded.due[account]

    def hash_at(self, account: str, version: int) -> bytes | None:
        found = self._loaded.hashes.get((account, version))
        if found is None:
            for entry in self._entries:
                if entry.account == account and entry.version == version:
                    return entry.hash
        return found

    def fold(self, decision: Decision, command: Command | None) -> None:
        """Add what was decided."""
        _, account, entries, holds, keyed, members, other = decision
        if account is not None:
            self._accounts[account.account] = account
        if other is not None:
            self._accounts[other.account] = other
        if entries:
            self._entries.extend(entries)
        for hold in holds:
            self._holds[hold.account, hold.key] = hold
        for member in members:
            self._members[member.account, member.member] = member
        if keyed is not None and keyed.key is not None and command is not None:
            self._rows[keyed.account, keyed.key] = keyed
            if command.note is not None and command.salt is not None:
                self._notes.append(Note(command.account, keyed.version, command.salt, command.note))

    def copy(self) -> Work:
        """The same work, to be tried further and thrown away."""
        other = Work(self._loaded)
        other._accounts = dict(self._accounts)
        other._rows = dict(self._rows)
        other._holds = dict(self._holds)
        other._members = dict(self._members)
        other._entries = list(self._entries)
        other._notes = list(self._notes)
        return other

    def changes(self, answers: Iterable[Answer | Failure]) -> Changes:
        """What to save."""
        before = self._loaded.accounts
        return Changes(
            tuple(
                [
                    (account, before[name].version if name in before else 0)
                    for name, account in self._accounts.items()
                ]
            ),
            tuple(self._holds.values()),
            tuple(self._entries),
            tuple(self._notes),
            tuple(answers),
            tuple(self._members.values()),
            tuple(
                [
                    notice
                    for entry in self._entries
                    if '"notices":' in entry.body
                    for notice in notices_of(entry)
                ]
            ),
        )


def touch_of(commands: Iterable[Command]) -> Touch:
    """What the commands may look at."""
    accounts: dict[str, None] = {}
    keys: list[tuple[str, str]] = []
    holds: dict[tuple[str, str], None] = {}
    marks: list[tuple[str, int]] = []
    members: dict[tuple[str, str], None] = {}
    for command in commands:
        account = command.account
        accounts[account] = None
        keys.append((account, command.key))
        for key in command.also:
            keys.append((account, key))
        if command.to is not None:
            accounts[command.to] = None
        if command.member is not None:
            members[account, command.member] = None
        about = command.about
        if about is not None:
            holds[account, about] = None
        if command.seen is not None:
            marks.append((command.seen.account, command.seen.version))
    return Touch(tuple(accounts), tuple(keys), tuple(holds), tuple(marks), tuple(members))


def flatten(items: Sequence[Item]) -> list[Command]:
    """The commands in the order in which they are answered."""
    if len(items) == 1 and not isinstance(items[0], Linked):
        return [items[0]]
    flat: list[Command] = []
    for item in items:
        if isinstance(item, Linked):
            flat.extend(item.commands)
        else:
            flat.append(item)
    if len(flat) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} commands in one commit, got {len(flat)}; apply them in parts")
    return flat


def run(store: LedgerStore, items: Sequence[Item], policy: Policy) -> list[Answer | Failure]:
    """Apply the items in one commit and answer each command, in order."""
    return run_group(store, [(items, policy)])[0]


def run_group(
    store: LedgerStore, jobs: Sequence[tuple[Sequence[Item], Policy]]
) -> list[list[Answer | Failure]]:
    """Apply the items of several callers in one commit; each caller's answers, in order."""
    flat = [flatten(items) for items, _ in jobs]
    if not any(flat):
        return [[] for _ in jobs]

    def decide_all(loaded: Loaded) -> Changes:
        work = Work(loaded)
        answers: list[Answer | Failure] = []
        for items, policy in jobs:
            for item in items:
                work = _decide_one(work, item, policy, answers)
        return work.changes(answers)

    given = iter(store.transact(touch_of(chain.from_iterable(flat)), decide_all).answers)
    return [list(islice(given, len(commands))) for commands in flat]


def _decide_one(work: Work, item: Item, policy: Policy, answers: list[Answer | Failure]) -> Work:
    now = work.now
    if isinstance(item, Linked):
        work, linked = _try_linked(work, item, now, policy)
        answers.extend(linked)
        return work
    try:
        decision = decide(work, item, now, None, policy)
    except Exception as error:  # noqa: BLE001  (a bug in one command must not take the others with it)
        answers.append(Failure(error))
        return work
    work.fold(decision, item)
    assert decision.answer is not None
    answers.append(decision.answer)
    return work


def run_sweep(store: LedgerStore, accounts: Sequence[str]) -> int:
    """Let time act on the accounts; returns how many entries that wrote."""

    def sweep_all(loaded: Loaded) -> Changes:
        work = Work(loaded)
        for name in accounts:
            work.fold(sweep(work, name, loaded.now), None)
        return work.changes(())

    return len(store.transact(Touch(tuple(accounts)), sweep_all).entries) if accounts else 0


def _try_linked(work: Work, batch: Linked, now: int, policy: Policy) -> tuple[Work, list[Answer | Failure]]:
    trial = work.copy()
    answers: list[Answer | Failure] = []
    links = batch.links()
    for place, (command, link) in enumerate(zip(batch.commands, links, strict=True)):
        try:
            decision = decide(trial, command, now, link, policy)
        except Exception as error:  # noqa: BLE001  (as above; the batch fails as one)
            return work, [Failure(error)] * len(batch.commands)
        answer = decision.answer
        assert answer is not None
        refusal = _refusal(answer)
        if refusal is not None:
            return work, _refuse_linked(work, batch, place, answer, refusal, now)
        trial.fold(decision, command)
        answers.append(answer)
    return trial, answers


def _refusal(answer: Answer) -> Refusal | None:
    if isinstance(answer, Replayed):
        return answer.first if isinstance(answer.first, Refusal) else None
    return None if isinstance(answer, Applied) else answer


def _refuse_linked(
    work: Work, batch: Linked, culprit: int, answer: Answer, refusal: Refusal, now: int
) -> list[Answer | Failure]:
    """Nobody moves. The culprit's verdict is written down, so that a repeat of the batch meets it again."""
    command, link = batch.commands[culprit], batch.links()[culprit]
    if refusal.reason is Reason.REWOUND:
        work.fold(decide(work, command, now, link), None)  # what stops the account must not be undone
    elif isinstance(answer, Refusal) and answer.entry is not None:
        decision = refuse(work, command, link, refusal, now)
        work.fold(decision, command)
        assert decision.answer is not None
        answer = decision.answer
    return [
        answer if place == culprit else Refusal(Reason.LINK_REFUSED, other.account, other.key)
        for place, other in enumerate(batch.commands)
    ]
