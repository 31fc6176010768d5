"""What a log says: is it valid, how are the providers, and why would they be asked in this order."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from adaptive_island.errors import BadDocument

from .logs import Past, attempts, is_store, lines
from .showing import print_json, show


def check(args: argparse.Namespace) -> int:
    """Name every line that is no valid document."""
    from adaptive_island.documents import parse_attempt

    if is_store(args.source):
        attempts(args.source)  # a store holds no other
        return 0
    wrong: list[dict[str, Any]] = []
    for number, line in lines(args.source):
        try:
            parse_attempt(line)
        except BadDocument as error:
            wrong.append({"line": number, "issues": list(error.issues)})
    if args.json:
        print_json(wrong)
    for entry in () if args.json else wrong:
        print(f"{args.source}:{entry['line']}: {'; '.join(entry['issues'])}")
    return 1 if wrong else 0


def explain(args: argparse.Namespace) -> int:
    """One line for each provider, in the order in which they would be asked."""
    island = Past().live(attempts(args.source))
    question = {"region": args.region, "work": args.work, "account": args.account, "order": args.order}
    rows = [asdict(line) for line in island.explain(args.model, args.providers, **question)]
    show(rows, as_json=args.json)
    return 0


def health(args: argparse.Namespace) -> int:
    """How the providers are at the end of the log."""
    found = Past().live(attempts(args.source)).health()
    if args.json:
        print_json(asdict(found))
    else:
        show([asdict(provider) for provider in found.providers], as_json=False)
    return 0
