"""The commands that prove, copy and tidy up."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import timedelta

from ledger_fortress.ledger import Ledger
from ledger_fortress.outbox import AlertView
from ledger_fortress.views import Verification

from .showing import Result, Row, progress


def verify(ledger: Ledger, arguments: Namespace) -> Result:
    with progress("verifying") as tell:
        return _proved(ledger.verify(arguments.account, since=arguments.since, progress=tell))


def audit(ledger: Ledger, arguments: Namespace) -> Result:
    with progress("auditing") as tell:
        return _proved(ledger.audit(arguments.account, progress=tell))


def _proved(proof: Verification) -> Result:
    told = {"ok": proof.ok, "entries": proof.entries, "accounts": proof.accounts}
    rows: list[Row] = [told | {"checked": proof.checked}]
    if proof.since is not None:
        rows[0]["since"] = proof.since
    rows += [{"problem": problem} for problem in proof.problems]
    return rows, 0 if proof.ok else 1


def digest(ledger: Ledger, arguments: Namespace) -> Result:
    return [{"digest": ledger.digest(arguments.account)}], 0


def seal(ledger: Ledger, arguments: Namespace) -> Result:
    checkpoint = ledger.seal()
    row = {"number": checkpoint.number, "accounts": checkpoint.accounts, "hash": checkpoint.hash.hex()}
    return [row], 0


def sweep(ledger: Ledger, arguments: Namespace) -> Result:
    written = 0
    with progress("sweeping") as tell:
        while count := ledger.sweep():
            written += count
            if tell is not None:
                tell(written)
    return [{"written": written}], 0


def archive(ledger: Ledger, arguments: Namespace) -> Result:
    with progress("archiving") as tell:
        moved = ledger.archive(timedelta(days=arguments.older_than), progress=tell)
    return [{"moved": moved}], 0


def alerts(ledger: Ledger, arguments: Namespace) -> Result:
    found = ledger.alerts(arguments.account, arguments.limit)

    def rows() -> Iterator[Row]:
        yield from map(_document if arguments.json else _row, found)
        if arguments.ack:  # only what has been shown
            sys.stdout.flush()
            ledger.ack(found)

    return rows(), 0


def _document(alert: AlertView) -> Row:
    from ledger_fortress.documents import CreditAlertV1

    return CreditAlertV1.of(alert).model_dump(mode="json", exclude_none=True)


def _row(alert: AlertView) -> Row:
    about = ", ".join(f"{name} {said}" for name, said in alert.details.items())
    return {"time": alert.at, "kind": alert.kind, "account": alert.account, "about": about}


def export(ledger: Ledger, arguments: Namespace) -> Result:
    if arguments.account is not None:
        ledger.balance(arguments.account)  # says so if there is no such account
    with progress("exporting") as tell:
        if arguments.output is None:
            ledger.export(sys.stdout, arguments.account, progress=tell)
            return [], 0
        with arguments.output.open("x", encoding="utf-8") as file:
            ledger.export(file, arguments.account, progress=tell)
    return [{"file": str(arguments.output), "bytes": arguments.output.stat().st_size}], 0


def import_file(ledger: Ledger, arguments: Namespace) -> Result:
    with arguments.file.open(encoding="utf-8") as file, progress("importing") as tell:
        done = ledger.import_lines(file, progress=tell)
    row = {"entries": done.entries, "fresh": done.fresh, "accounts": done.accounts, "digest": done.digest}
    return [row], 0


def migrate(ledger: Ledger, arguments: Namespace) -> Result:
    return [{"schema": "current", "url": arguments.url}], 0
