"""From what an event means to ledger commands, so that repeats and any order end at the same balance.

Each command's key is made of Stripe's own ids, and each is decided by looking at what stands under such keys:

- a payment is granted under its invoice or payment intent: once, whoever tells it;
- refunds say how much of a charge is given back in all. The key of a clawback is the charge and *the amount
  that was taken back before it*, so two deliveries that start from the same amount want the same key, and
  only one gets it; the other looks again and takes what is missing, or finds that nothing is;
- a dispute is opened once. One that is won is opened first where that news has not arrived, so that the news
  finds nothing left to do. Money that comes back after a dispute was lost is granted.

A clawback names the grant of its payment where that is known, so that the credits that were bought go first,
at the rate at which they were sold: the grant's source says it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from ledger_fortress.commands import NEVER, Clawback, Command, Dispute, DisputeLost, DisputeWon, Grant
from ledger_fortress.entries import Entry
from ledger_fortress.packing import SETTLE

from .meanings import Disputed, Meaning, Money, Paid, Refunded

SOURCE: Final = "stripe"
MOST_STEPS: Final = 1_000

Known: TypeAlias = Mapping[str, Entry | None]
"""What stands under a key of the account; a key that was not looked up is absent."""


class Need(NamedTuple):
    """What stands under `key` must be known before anything can be decided."""

    key: str


class Terms(NamedTuple):
    """How bought credits are granted: burn priority, and microseconds that they live (None: for ever)."""

    priority: int = 0
    life: int | None = None


class Step(NamedTuple):
    """The commands of an event, in order; none: the ledger has it already, as `done` shows."""

    commands: tuple[Command, ...]
    done: Entry | None = None


def book(meaning: Meaning, known: Known, terms: Terms, created: int) -> Step | Need:
    """What to do next. `created` is the event's own time in microseconds, from which credits live."""
    try:
        if isinstance(meaning, Paid):
            return _grant(meaning, known, terms, created)
        if isinstance(meaning, Refunded):
            return _take_back(meaning, known)
        return _dispute(meaning, known) if isinstance(meaning, Disputed) else Step(())
    except _Unknown as unknown:
        return Need(unknown.args[0])


class _Unknown(Exception):
    """A key that has to be looked up first."""


def _look(known: Known, key: str) -> Entry | None:
    if key not in known:
        raise _Unknown(key)
    return known[key]


def _grant(paid: Paid, known: Known, terms: Terms, created: int) -> Step:
    done = _look(known, paid.key)
    if done is not None and done.kind == "grant":
        return Step((), done)
    command = Grant(
        account=paid.account,
        key=paid.key,
        amount=paid.money.micros,
        source=f"{SOURCE}:{paid.money.currency}@{paid.money.rate}",
        priority=terms.priority,
        expires=NEVER if terms.life is None else created + terms.life,
        create=True,
    )
    return Step((command,))


def _take_back(refunded: Refunded, known: Known) -> Step:
    grant, rate = _granted(refunded.grants, known, refunded.money)
    total, taken, done, key = refunded.money.minor * rate, 0, None, ""
    for _ in range(MOST_STEPS):
        key = f"stripe:refund:{refunded.charge}:{taken}"
        step = _look(known, key)
        if step is None or step.kind != "clawback":
            break
        taken, done = taken + step.amount, step
    if taken >= total:
        return Step((), done)
    missing = total - taken
    return Step((Clawback(account=refunded.account, key=key, amount=missing, grant=_within(grant, missing)),))


def _dispute(disputed: Disputed, known: Known) -> Step:
    account, key = disputed.account, f"stripe:dispute:{disputed.dispute}"
    opened = _look(known, key)
    if disputed.state == "opened" and opened is not None and opened.kind == "dispute":
        return Step((), opened)
    commands: list[Command] = []
    if opened is None or opened.kind != "dispute":
        grant, rate = _granted(disputed.grants, known, disputed.money)
        amount = disputed.money.minor * rate
        commands.append(Dispute(account=account, key=key, amount=amount, grant=_within(grant, amount)))
    if disputed.state == "opened":
        return Step(tuple(commands))
    end = _look(known, key + SETTLE)
    if disputed.state == "lost":
        return Step((), end) if end is not None else Step((*commands, DisputeLost(account=account, hold=key)))
    if end is None:
        return Step((*commands, DisputeWon(account=account, hold=key)))
    return (
        Step((), end) if end.kind == "dispute_won" else _reinstate(account, disputed.dispute, opened, known)
    )


def _reinstate(account: str, dispute: str, opened: Entry | None, known: Known) -> Step:
    """The bank gave the money back after all: what the lost dispute took is granted again."""
    key = f"stripe:reinstated:{dispute}"
    done = _look(known, key)
    if done is not None and done.kind == "grant":
        return Step((), done)
    assert opened is not None  # a dispute that ended was opened
    return Step((Grant(account=account, key=key, amount=opened.amount, source=SOURCE, create=True),))


def _granted(keys: tuple[str, ...], known: Known, money: Money) -> tuple[Entry | None, int]:
    """The grant of the payment, and the rate at which it was sold."""
    for key in keys:
        entry = _look(known, key)
        if entry is not None and entry.kind == "grant":
            source = str(json.loads(entry.body).get("source"))
            kind, _, rate = source.partition("@")
            same = kind == f"{SOURCE}:{money.currency}" and rate.isdecimal()
            return entry, int(rate) if same else money.rate
    return None, money.rate


def _within(grant: Entry | None, amount: int) -> str | None:
    """The grant's key, unless more is taken than it gave: then anything that is available pays."""
    return grant.key if grant is not None and amount <= grant.amount else None
