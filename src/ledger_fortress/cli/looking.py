"""The commands that read."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import timedelta

from ledger_fortress.credits import Credits
from ledger_fortress.entries import Entry
from ledger_fortress.ledger import Ledger
from ledger_fortress.wire import entry_fields

from .showing import Result, Row


def accounts(ledger: Ledger, arguments: Namespace) -> Result:
    def rows() -> Iterable[Row]:
        after = ""
        while names := ledger.accounts(after):
            for name in names:
                now = ledger.balance(name)
                yield {"account": name, "available": now.available, "held": now.held, "debt": now.debt}
            after = names[-1]

    return rows(), 0


def balance(ledger: Ledger, arguments: Namespace) -> Result:
    at, name = arguments.at, arguments.account
    found = ledger.balance(name) if at is None else ledger.balance_at(name, at)
    total = {"source": "all", "available": found.available, "held": found.held, "debt": found.debt}
    buckets = [
        {
            "source": bucket.source or "-",
            "available": bucket.available,
            "held": bucket.held,
            "waiting": bucket.waiting,
            "priority": bucket.priority,
            "effective": bucket.effective,
            "expires": bucket.expires,
        }
        for bucket in found.buckets
    ]
    return [total, *buckets], 0


def statement(ledger: Ledger, arguments: Namespace) -> Result:
    shape = _SHAPES[arguments.shape if arguments.json else "row"]
    return (shape(entry) for entry in _selected(ledger, arguments)), 0


def _selected(ledger: Ledger, arguments: Namespace) -> Iterator[Entry]:
    """Pages until as many as were asked for have been found, or all."""
    wanted = {name: getattr(arguments, name) for name in ("kind", "since", "until", "key", "hold")}
    after, left = arguments.after, 10_000 if arguments.all else arguments.limit
    while True:
        page = ledger.statement(arguments.account, after, left, **wanted)
        yield from page
        left -= 0 if arguments.all else len(page)
        after = page.next
        if after is None or left == 0:
            return


def _row(entry: Entry) -> Row:
    return {
        "version": entry.version,
        "time": entry.time,
        "kind": entry.kind,
        "amount": entry.credits,
        "available": Credits.micro(entry.available),
        "held": Credits.micro(entry.held),
        "debt": Credits.micro(entry.debt),
        "key": entry.key or "-",
        "hold": entry.hold or "-",
        "hash": entry.hash.hex()[:12],
    }


def _event(entry: Entry) -> Row:
    from ledger_fortress.documents import CreditEventV1

    return CreditEventV1.of(entry).model_dump(mode="json")


_SHAPES = {"row": _row, "entry": entry_fields, "event": _event}


def open_holds(ledger: Ledger, arguments: Namespace) -> Result:
    holds = ledger.open_holds(arguments.account, overdue=arguments.overdue)
    return [
        {
            "account": hold.account,
            "key": hold.key,
            "amount": hold.amount,
            "deadline": hold.deadline,
            "overdue": hold.overdue,
            "on_timeout": hold.on_timeout,
        }
        for hold in holds
    ], 0


def member(ledger: Ledger, arguments: Namespace) -> Result:
    found = ledger.member(arguments.account, arguments.member)
    if found is None:
        raise ValueError(f"{arguments.member!r} has no limit in account {arguments.account!r}")
    row = {
        "member": found.member,
        "limit": found.limit,
        "spent": found.spent,
        "held": found.held,
        "since": found.since,
        "until": found.until,
    }
    return [row], 0


def reconcile(ledger: Ledger, arguments: Namespace) -> Result:
    if arguments.account is not None:
        ledger.balance(arguments.account)  # says so if there is no such account
    stuck = timedelta(hours=arguments.stuck_after)
    found = ledger.reconcile(arguments.account, since=arguments.since, stuck_after=stuck)
    return [
        {
            "trouble": one.trouble.value,
            "account": one.account,
            "key": one.key,
            "amount": one.amount,
            "since": one.since,
            "advice": one.advice,
        }
        for one in found
    ], 1 if found else 0
