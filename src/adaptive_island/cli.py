"""`adaptive-island`: what an island makes of an attempt log.

A log is a file of `attempt.v1` documents, one JSON object per line, or `-` for standard input, in any
order. Exit codes: 0 yes, 1 no (a document is not valid, a file cannot be read), 2 the command line itself
is wrong. `--json` prints one JSON document on standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from .attempt import Attempt
from .errors import BadDocument, IslandError
from .island import Island


class UnreadableLog(IslandError):
    """The log cannot be read, or a line of it is no attempt."""

    code = "unreadable_log"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except (IslandError, ValueError) as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adaptive-island", description="What an island makes of a log.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="say which lines of a log are no valid attempt.v1 documents")
    explain = commands.add_parser("explain", help="replay a log and explain the order of a model's providers")
    health = commands.add_parser("health", help="replay a log and show how the providers are at its end")
    learn = commands.add_parser("learn", help="replay a log and print the ranking.v1 document of a model")
    for command, run in ((check, _check), (explain, _explain), (health, _health), (learn, _learn)):
        command.add_argument("log", help="a file of attempt.v1 documents, one per line, or -")
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.set_defaults(run=run)
    for command in (explain, learn):
        command.add_argument("model")
        command.add_argument("--region", default="us")
        command.add_argument("--order", default="balanced")
    explain.add_argument("providers", nargs="+", help="eligible providers in fallback order")
    explain.add_argument("--work", default="")
    explain.add_argument("--account", default="")
    return parser


def _lines(log: str) -> Iterator[tuple[int, str]]:
    try:
        text = sys.stdin.read() if log == "-" else Path(log).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableLog(f"{log}: {error}; give a UTF-8 file of attempt.v1 lines, or -") from None
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _attempts(log: str) -> list[Attempt]:
    from .documents import parse_attempt

    attempts = []
    for number, line in _lines(log):
        try:
            attempts.append(parse_attempt(line))
        except BadDocument as error:
            raise UnreadableLog(f"{log}:{number}: {error}") from None
    return sorted(attempts, key=lambda attempt: attempt.at)


def _replayed(log: str) -> Island:
    """An island that lived through the log, each report at its own time; its clock stands at the last one."""
    attempts = _attempts(log)
    now = [attempts[0].at if attempts else 0.0]
    island = Island.open("memory:", clock=lambda: now[0], hook=lambda _event: None, seed=0)
    for attempt in attempts:
        now[0] = max(now[0], attempt.at)
        island.record(attempt)
    return island


def _check(args: argparse.Namespace) -> int:
    from .documents import parse_attempt

    wrong: list[dict[str, Any]] = []
    for number, line in _lines(args.log):
        try:
            parse_attempt(line)
        except BadDocument as error:
            wrong.append({"line": number, "issues": list(error.issues)})
    if args.json:
        _print_json(wrong)
    for entry in () if args.json else wrong:
        print(f"{args.log}:{entry['line']}: {'; '.join(entry['issues'])}")
    return 1 if wrong else 0


def _explain(args: argparse.Namespace) -> int:
    island = _replayed(args.log)
    question = {"region": args.region, "work": args.work, "account": args.account, "order": args.order}
    lines = island.explain(args.model, args.providers, **question)
    _show(args, [asdict(line) for line in lines])
    return 0


def _health(args: argparse.Namespace) -> int:
    health = _replayed(args.log).health()
    if args.json:
        _print_json(asdict(health) if is_dataclass(health) else health)
    else:
        _show(args, [asdict(provider) for provider in health.providers])
    return 0


def _learn(args: argparse.Namespace) -> int:
    island = _replayed(args.log)
    if args.order not in island.policy.orders:
        raise ValueError(f"no order {args.order!r}; choose {', '.join(island.policy.orders)}")
    island.publish(args.model, region=args.region, order=args.order)
    documents = list(island.rankings.read().values())
    if not documents:
        raise ValueError(f"{args.log} has no verdict on {args.model} in {args.region}; nothing to rank")
    print(documents[0])
    return 0


def _show(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """A table with one row each, or JSON."""
    if args.json or not rows:
        _print_json(rows)
        return
    cells = [[_cell(value) for value in row.values()] for row in rows]
    table = [list(rows[0]), *cells]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))
