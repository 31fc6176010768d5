"""`ledger-fortress`: look at a ledger from a terminal, keep copies of it, and put it right.

    ledger-fortress accounts   sqlite:///credits.db
    ledger-fortress balance    sqlite:///credits.db acct_1 --at 2026-11-01
    ledger-fortress statement  sqlite:///credits.db acct_1 --kind charge --since 2026-11-01 --all
    ledger-fortress open-holds sqlite:///credits.db --overdue
    ledger-fortress reconcile  sqlite:///credits.db
    ledger-fortress verify     sqlite:///credits.db
    ledger-fortress audit      sqlite:///credits.db
    ledger-fortress seal       sqlite:///credits.db
    ledger-fortress export     sqlite:///credits.db --output credits.jsonl
    ledger-fortress import     sqlite:///copy.db credits.jsonl --create

Every command takes `--json`: one JSON object per line, amounts as text with six decimals, times in ISO 8601.
Exit codes: 0 fine, 1 the ledger says no, does not verify, or has something that a person should look at,
2 wrong usage or the store cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from ledger_fortress.errors import LedgerError, Refused
from ledger_fortress.exporting import BadExport
from ledger_fortress.ledger import Ledger

from . import keeping, looking
from .showing import Result, show


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        create = getattr(arguments, "create", False)
        url = arguments.url if create else _existing(arguments.url)
        with Ledger.open(url, migrate=arguments.command == "migrate") as ledger:
            rows, code = arguments.run(ledger, arguments)
            show(rows, as_json=arguments.json)
            return int(code)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        with suppress(BrokenPipeError):
            sys.stdout.close()
        return 0
    except (Refused, BadExport) as error:
        print(f"ledger-fortress: {error}", file=sys.stderr)
        return 1
    except (LedgerError, OSError, ValueError) as error:
        print(f"ledger-fortress: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ledger-fortress", description="Look at a credit ledger.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(
        name: str, run: Callable[[Ledger, argparse.Namespace], Result], text: str, account: str | None = None
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("url", help="for example sqlite:///credits.db")
        if account is not None:
            command.add_argument("account", nargs=account)
        command.add_argument("--json", action="store_true", help="one JSON object per line")
        command.set_defaults(run=run)
        return command

    _add_looking(add)
    _add_keeping(add)
    return parser


_Add = Callable[..., argparse.ArgumentParser]


def _add_looking(add: _Add) -> None:
    add("accounts", looking.accounts, "List the accounts with their balances.")
    balance = add("balance", looking.balance, "Show what an account has, by grant.")
    balance.add_argument("account")
    balance.add_argument("--at", type=_moment_or_version, help="then: a version, or a time in ISO 8601")
    statement = add("statement", looking.statement, "Show the history of an account, oldest first.")
    statement.add_argument("account")
    statement.add_argument("--after", type=int, default=None, help="begin after this version")
    statement.add_argument("--limit", type=int, default=100, help="at most so many entries (100)")
    statement.add_argument("--all", action="store_true", help="all entries, however many")
    statement.add_argument("--kind", action="append", help="only entries of this kind; may be repeated")
    statement.add_argument("--since", type=_moment, help="from this time on, ISO 8601 (UTC if not said)")
    statement.add_argument("--until", type=_moment, help="before this time")
    statement.add_argument("--key", help="only the entry of this key")
    statement.add_argument("--hold", help="only entries about this hold")
    shape = "with --json: short rows, ledger-entry.v1 or credit-event.v1 documents"
    statement.add_argument("--as", dest="shape", choices=("row", "entry", "event"), default="row", help=shape)
    holds = add(
        "open-holds", looking.open_holds, "List the holds that can still be settled, by deadline.", "?"
    )
    holds.add_argument("--overdue", action="store_true", help="only those past their deadline")
    member = add("member", looking.member, "Show what a member of a pool may spend and has spent.")
    member.add_argument("account")
    member.add_argument("member")
    reconcile = add(
        "reconcile", looking.reconcile, "List what a person should look at; 1 if there is any.", "?"
    )
    reconcile.add_argument("--since", type=_moment, help="late charges from this time on")
    reconcile.add_argument("--stuck-after", type=float, default=24, metavar="HOURS", help="(24)")
    alerts = add("alerts", keeping.alerts, "List alerts that nobody has acknowledged.", "?")
    alerts.add_argument("--limit", type=int, default=100, help="at most so many (100)")
    alerts.add_argument("--ack", action="store_true", help="acknowledge those that are shown")


def _add_keeping(add: _Add) -> None:
    verify = add("verify", keeping.verify, "Check the chain, the sums and the seals; 1 if one is wrong.", "?")
    verify.add_argument(
        "--since", metavar="HASH", help="believe everything up to the checkpoint of this hash"
    )
    every = "Check all that verify does, and replay every entry against every row beside the entries."
    add("audit", keeping.audit, every, "?")
    add("digest", keeping.digest, "Print a digest of everything that is stored.", "?")
    add("seal", keeping.seal, "Write a checkpoint; keep its hash somewhere else.")
    add("sweep", keeping.sweep, "Write down what time has done: expiry, timeouts.")
    old = add(
        "archive", keeping.archive, "Move old entries of a ledger in Redis to its archive: ?archive=FILE."
    )
    old.add_argument("--older-than", type=float, required=True, metavar="DAYS", help="only those")
    export = add("export", keeping.export, "Write the ledger, or one account, as JSON Lines.", "?")
    export.add_argument("--output", type=Path, help="a new file (standard output)")
    into = add("import", keeping.import_file, "Bring the accounts of an export into this ledger.")
    into.add_argument("file", type=Path)
    into.add_argument("--create", action="store_true", help="make a new ledger where there is none")
    add("migrate", keeping.migrate, "Bring the store's tables to this version.")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like 2026-11-01T12:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _moment_or_version(text: str) -> int | datetime:
    return int(text) if text.isdecimal() else _moment(text)


def _existing(url: str) -> str:
    """The URL of what has to be there: to open another would make an empty ledger out of a typing mistake."""
    if url.startswith("sqlite:///"):
        path = Path(unquote(url.removeprefix("sqlite:///").partition("?")[0]))
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; check the path in {url!r}")
    if url.startswith("redis"):
        return f"{url}{'&' if '?' in url else '?'}create=no"
    return url
