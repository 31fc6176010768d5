"""`rosetta-bridge`: look at models, try requests, check and prove mapping files.

A request is JSON text, `@file`, or `-` for standard input. Exit codes: 0 yes, 1 no (refused, wrong, not
proved), 2 the command line itself is wrong. `--json` prints one JSON document on standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rosetta_bridge.errors import InvalidCatalog, InvalidRequest, Issue, RosettaError

from . import asking, looking, proving
from .common import Usage, print_json


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except InvalidRequest as error:
        _fail(args, error, [_told(issue) for issue in error.issues], map(str, error.issues))
    except InvalidCatalog as error:
        _fail(args, error, [asdict(problem) for problem in error.problems], map(str, error.problems))
    except (RosettaError, Usage) as error:
        _fail(args, error, [], [str(error)])
    except BrokenPipeError:
        sys.stderr.close()
    return 1


def _told(issue: Issue) -> dict[str, Any]:
    return {"field": issue.field, "code": issue.code, "message": issue.message, "hint": issue.hint}


def _fail(args: argparse.Namespace, error: Exception, details: list[dict[str, Any]], lines: Any) -> None:
    if args.json:
        code = getattr(error, "code", None)
        print_json({"error": type(error).__name__, "code": code, "message": str(error), "details": details})
    for line in lines:
        print(line, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument(
        "--catalog", action="append", default=[], metavar="DIR", help="a directory laid on top"
    )
    common.add_argument("--no-shipped", action="store_true", help="leave the shipped catalogue out")
    common.add_argument(
        "--on", type=_day, metavar="DATE", help="the catalogue's date, as in 2026-11-20 (default today)"
    )
    common.add_argument("--include", choices=("confirmed", "secondary"), default="confirmed",
                        help="secondary: also routes whose evidence is secondary")  # fmt: skip
    parser = argparse.ArgumentParser(prog="rosetta-bridge", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], about: str, *names: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about, parents=[common])
        for argument in names:
            sub.add_argument(argument)
        sub.set_defaults(run=run)
        return sub

    _add_looking(command)
    _add_asking(command)
    _add_proving(command)
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-11-20") from None


def _days(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 5):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 0 to 99999")
    return int(text)


_Add = Callable[..., argparse.ArgumentParser]


def _add_looking(add: _Add) -> None:
    add("models", looking.models, "list the models with their providers")
    show = add("show", looking.show, "show a model: fields, providers, limits of each route", "model")
    show.add_argument("--origin", action="store_true", help="file and line of every key instead")
    add("schema", looking.schema, "print the JSON Schema of a model's request", "model")
    openapi = add("openapi", looking.openapi, "print an OpenAPI document for a service that takes requests")
    openapi.add_argument("models", nargs="*", help="(all)")
    types = add("types", looking.types, "write a Python module with a TypedDict for each model's request")
    types.add_argument("models", nargs="*", help="(all)")
    types.add_argument("--output", metavar="FILE", help="a file (standard output)")
    status = add("status", looking.status, "print the size of the catalogue, its digest, and what ends soon")
    status.add_argument("--within", type=_days, default=60, metavar="DAYS", help="what ends by then (60)")


def _add_asking(add: _Add) -> None:
    add("normalize", asking.normalize, "check a request and fill in defaults", "model", "request")
    add("explain", asking.explain, "say of each provider whether it can honour a request", "model", "request")
    add("render", asking.render, "print the payload for one provider", "model", "provider", "request")
    add("estimate", asking.estimate, "print what each eligible provider bills", "model", "request")


def _add_proving(add: _Add) -> None:
    add("check", proving.check, "check a folder of mapping files over the shipped catalogue", "directory")
    prove = add("prove", proving.prove, "render every eligible request and validate it natively")
    prove.add_argument("models", nargs="*", help="models to prove (default: all)")
    prove.add_argument("--seed", type=int, default=0, help="draws another sample of the large products")
    prove.add_argument("--whole", type=int, default=20_000, help="largest product that is enumerated whole")
    text = "an earlier `prove --json`; 1 also where a route is less than it was"
    prove.add_argument("--since", metavar="FILE", help=text)
    drift = add("drift", proving.drift, "say what newer native schemas changed, and which routes it concerns")
    drift.add_argument("newer", type=Path, metavar="NEWER_DIR", help="the newer folder")
    drift.add_argument("--within", type=_days, default=60, metavar="DAYS", help="also what ends by then (60)")
    for command in (prove, drift):
        text = "native schemas (default: the checkout's)"
        command.add_argument("--native", type=Path, metavar="DIR", help=text)
