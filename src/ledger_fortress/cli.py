"""`ledger-fortress`: look at a ledger from a terminal.

    ledger-fortress accounts   sqlite:///credits.db
    ledger-fortress balance    sqlite:///credits.db acct_1
    ledger-fortress statement  sqlite:///credits.db acct_1 --after 120 --limit 50
    ledger-fortress open-holds sqlite:///credits.db --overdue
    ledger-fortress verify     sqlite:///credits.db
    ledger-fortress migrate    sqlite:///credits.db

Every command takes `--json`: one JSON object per line, amounts as text with six decimals, times in ISO 8601.
Exit codes: 0 fine, 1 the ledger says no or does not verify, 2 wrong usage or the store cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from .credits import Credits
from .entries import Entry
from .errors import LedgerError, Refused
from .ledger import Ledger

Row: TypeAlias = dict[str, Any]
Result: TypeAlias = tuple[Iterable[Row], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        _must_exist(arguments.url)
        migrate = arguments.command == "migrate"
        with Ledger.open(arguments.url, migrate=migrate) as ledger:
            rows, code = arguments.run(ledger, arguments)
            _show(rows, as_json=arguments.json)
            return int(code)
    except Refused as refused:
        print(f"ledger-fortress: {refused}", file=sys.stderr)
        return 1
    except (LedgerError, OSError, ValueError) as error:
        print(f"ledger-fortress: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ledger-fortress", description="Look at a credit ledger.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(
        name: str, run: Callable[[Ledger, argparse.Namespace], Result], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("url", help="for example sqlite:///credits.db")
        command.add_argument("--json", action="store_true", help="one JSON object per line")
        command.set_defaults(run=run)
        return command

    add("accounts", _accounts, "List the accounts with their balances.")
    add("balance", _balance, "Show what an account has, by grant.").add_argument("account")
    statement = add("statement", _statement, "Show the history of an account, oldest first.")
    statement.add_argument("account")
    statement.add_argument("--after", type=int, default=None, help="begin after this version")
    statement.add_argument("--limit", type=int, default=100, help="at most so many entries (100)")
    holds = add("open-holds", _open_holds, "List the holds that can still be settled, by deadline.")
    holds.add_argument("account", nargs="?")
    holds.add_argument("--overdue", action="store_true", help="only those past their deadline")
    verify = add("verify", _verify, "Recompute every hash and replay every entry.")
    verify.add_argument("account", nargs="?")
    add("migrate", _migrate, "Bring the store's tables to this version.")
    return parser


def _must_exist(url: str) -> None:
    """Opening a file that is not there would make an empty ledger out of a typing mistake."""
    if url.startswith("sqlite:///"):
        path = Path(unquote(url.removeprefix("sqlite:///").partition("?")[0]))
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; check the path in {url!r}")


def _accounts(ledger: Ledger, arguments: argparse.Namespace) -> Result:
    def rows() -> Iterable[Row]:
        after = ""
        while names := ledger.accounts(after):
            for name in names:
                balance = ledger.balance(name)
                yield {
                    "account": name,
                    "available": balance.available,
                    "held": balance.held,
                    "debt": balance.debt,
                }
            after = names[-1]

    return rows(), 0


def _balance(ledger: Ledger, arguments: argparse.Namespace) -> Result:
    balance = ledger.balance(arguments.account)
    total = {"source": "all", "available": balance.available, "held": balance.held, "debt": balance.debt}
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
        for bucket in balance.buckets
    ]
    return [total, *buckets], 0


def _statement(ledger: Ledger, arguments: argparse.Namespace) -> Result:
    page = ledger.statement(arguments.account, arguments.after, arguments.limit)
    return map(_line, page), 0


def _line(entry: Entry) -> Row:
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


def _open_holds(ledger: Ledger, arguments: argparse.Namespace) -> Result:
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


def _verify(ledger: Ledger, arguments: argparse.Namespace) -> Result:
    proof = ledger.verify(arguments.account)
    rows: list[Row] = [{"ok": proof.ok, "entries": proof.entries, "accounts": proof.accounts}]
    rows += [{"problem": problem} for problem in proof.problems]
    return rows, 0 if proof.ok else 1


def _migrate(ledger: Ledger, arguments: argparse.Namespace) -> Result:
    return [{"schema": "current", "url": arguments.url}], 0


def _show(rows: Iterable[Row], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False))
        return
    group: list[dict[str, str]] = []
    for row in rows:
        shown = {name: _text(value) for name, value in row.items()}
        if group and list(shown) != list(group[0]):
            _table(group)
            group = []
        group.append(shown)
    if group:
        _table(group)


def _table(rows: list[dict[str, str]]) -> None:
    """Rows with the same columns: a table of `rich` on a terminal that has it, else plain columns."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
        except ModuleNotFoundError:
            pass
        else:
            table = Table(*rows[0], box=None, header_style="bold")
            for row in rows:
                table.add_row(*row.values())
            Console().print(table)
            return
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for row in [{name: name for name in rows[0]}, *rows]:
        print("  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, Credits):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    return value.isoformat(" ", "seconds") if hasattr(value, "isoformat") else str(value)


if __name__ == "__main__":
    sys.exit(main())
