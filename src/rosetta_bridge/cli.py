"""`rosetta-bridge`: look at models, try requests, check and prove mapping files.

A request is JSON text, `@file`, or `-` for standard input. Exit codes: 0 yes, 1 no (refused, wrong, not
proved), 2 the command line itself is wrong. `--json` prints one JSON document on standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from .errors import InvalidCatalog, InvalidRequest, RosettaError
from .loading import Catalog
from .model import Model
from .values import Cost, Request

MAX_INPUT = 1024 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except InvalidRequest as error:
        _fail(args, error, [asdict(issue) for issue in error.issues], map(str, error.issues))
    except InvalidCatalog as error:
        _fail(args, error, [asdict(problem) for problem in error.problems], map(str, error.problems))
    except (RosettaError, _Usage) as error:
        _fail(args, error, [], [str(error)])
    except BrokenPipeError:
        sys.stderr.close()
    return 1


class _Usage(Exception):
    """What was typed cannot be read."""


def _fail(args: argparse.Namespace, error: Exception, details: list[dict[str, Any]], lines: Any) -> None:
    if args.json:
        code = getattr(error, "code", None)
        _print_json({"error": type(error).__name__, "code": code, "message": str(error), "details": details})
    for line in lines:
        print(line, file=sys.stderr)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    common.add_argument(
        "--catalog", action="append", default=[], metavar="DIR", help="a directory laid on top"
    )
    common.add_argument("--no-shipped", action="store_true", help="leave the shipped catalogue out")
    common.add_argument(
        "--on", type=date.fromisoformat, metavar="DATE", help="the catalogue's date (default today)"
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

    command("models", _models, "list the models with their providers")
    command("show", _show, "show a model: fields, providers, limits of each route", "model")
    command("schema", _schema, "print the JSON Schema of a model's request", "model")
    command("normalize", _normalize, "check a request and fill in defaults", "model", "request")
    command("explain", _explain, "say for each provider whether it can honour a request", "model", "request")
    command("render", _render, "print the payload for one provider", "model", "provider", "request")
    command("estimate", _estimate, "print what each eligible provider bills", "model", "request")
    command("check", _check, "check a directory of mapping files over the shipped catalogue", "directory")
    sub = command("prove", _prove, "render every eligible request and validate it against native schemas")
    sub.add_argument("models", nargs="*", help="models to prove (default: all)")
    sub.add_argument("--native", type=Path, metavar="DIR", help="native schemas (default: the checkout's)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--whole", type=int, default=20_000, help="largest product that is enumerated whole")
    return parser


def _catalog(args: argparse.Namespace, *more: str) -> Catalog:
    return Catalog.open(*args.catalog, *more, shipped=not args.no_shipped, on=args.on, include=args.include)


def _request(args: argparse.Namespace) -> tuple[Model, Request]:
    model = _catalog(args)[args.model]
    return model, model.normalize(_read_json(args.request))


def _read_json(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read(MAX_INPUT)
        elif text.startswith("@"):
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(MAX_INPUT)
        return json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, OSError, RecursionError) as error:
        told = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _Usage(f"the request is not JSON: {told}; give an object, @file or -") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return result


def _models(args: argparse.Namespace) -> int:
    catalog = _catalog(args)
    loaded = [catalog[name] for name in catalog.models()]
    if args.json:
        rows = [{"model": m.id, "kind": m.kind, "lab": m.lab, "providers": list(m.providers)} for m in loaded]
        _print_json(rows)
    else:
        _print_table(
            [("MODEL", "KIND", "PROVIDERS"), *((m.id, m.kind, ", ".join(m.providers)) for m in loaded)]
        )
    return 0


def _show(args: argparse.Namespace) -> int:
    model = _catalog(args)[args.model]
    fields = {name: {k: v for k, v in asdict(f).items() if v not in (None, "", False) and k != "name"}
              for name, f in model.contract.fields.items()}  # fmt: skip
    if args.json:
        _print_json({"model": model.id, "kind": model.kind, "lab": model.lab,
                     "providers": list(model.providers),
                     "fields": fields, "limits": model.limits(),
                     "overrides": [override._asdict() for override in model.overrides]})  # fmt: skip
        return 0
    print(f"{model.id} ({model.kind}, {model.lab})\n")
    rows = [("FIELD", "TYPE", "WHAT")]
    for name, spec in fields.items():
        kind = spec.pop("type")
        spec.pop("has_default", None)
        rows.append((name, kind, "; ".join(f"{k}: {_plain(v)}" for k, v in spec.items() if v != "binding")))
    _print_table(rows)
    for provider, routes in model.limits().items():
        off = "" if provider in model.providers else "  (not in use: retired, or secondary evidence)"
        for route, lines in routes.items():
            print(f"\n{provider} / {route}{off}")
            print("\n".join(f"  {line}" for line in lines) or "  takes everything")
    return 0


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _schema(args: argparse.Namespace) -> int:
    _print_json(_catalog(args)[args.model].schema())
    return 0


def _normalize(args: argparse.Namespace) -> int:
    _, request = _request(args)
    order = request.order if isinstance(request.order, str) else ", ".join(request.order)
    _print_json({"values": request.values, "order": order, "asked": request.asked, "work": request.work})
    return 0


def _explain(args: argparse.Namespace) -> int:
    model, request = _request(args)
    verdicts = model.explain(request)
    if args.json:
        _print_json([asdict(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(verdict)
    return 0 if any(verdict.eligible for verdict in verdicts) else 1


def _render(args: argparse.Namespace) -> int:
    model, request = _request(args)
    payload = model.render(request, args.provider)
    _print_json(
        asdict(payload)
        if args.json
        else {"path": payload.path, "body": payload.body, "dropped": payload.dropped}
    )
    return 0


def _estimate(args: argparse.Namespace) -> int:
    model, request = _request(args)
    costs = model.estimate(request) if model.require_eligible(request) else {}
    if args.json:
        _print_json({name: asdict(cost) if cost else None for name, cost in costs.items()})
    else:
        _print_table(
            [("PROVIDER", "USD", "KIND", "EVIDENCE", "DATE"), *((n, *_cost(c)) for n, c in costs.items())]
        )
    return 0


def _cost(cost: Cost | None) -> tuple[str, ...]:
    if cost is None:
        return ("unknown", "", "", "")
    return (f"{cost.micros // 10**6}.{cost.micros % 10**6:06d}", cost.kind, cost.evidence, cost.date)


def _check(args: argparse.Namespace) -> int:
    catalog = _catalog(args, args.directory)
    problems = catalog.problems()
    if problems:
        raise InvalidCatalog(problems)
    overrides = {override for name in catalog.models() for override in catalog[name].overrides}
    if args.json:
        _print_json(
            {"models": len(catalog), "problems": [], "overrides": [o._asdict() for o in sorted(overrides)]}
        )
    else:
        print(f"{len(catalog)} models, no problem")
        for override in sorted(overrides):
            print(f"overrides {override.path} of {override.layer} ({override.digest[:19]})")
    return 0


def _prove(args: argparse.Namespace) -> int:
    from .natives import native_folder
    from .prove import prove

    def progress(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{name}", end="", file=sys.stderr, flush=True)

    proof = prove(_catalog(args), native_folder(args.native), args.models, args.seed, args.whole, progress)
    progress("")
    if args.json:
        _print_json(proof.as_json())
        return 0 if proof.holds else 1
    rows = [("MODEL", "PROVIDER", "ROUTE", "STATUS", "ELIGIBLE", "OF", "BODIES", "REASON")]
    for r in proof.routes:
        row = (
            r.model,
            r.provider,
            r.route,
            r.status,
            str(r.eligible),
            str(r.requests),
            str(r.bodies),
            r.reason[:100],
        )
        rows.append(row)
    _print_table(rows)
    for problem in proof.problems:
        print(problem)
    print("\n" + ", ".join(f"{count} {name}" for name, count in proof.totals().items()))
    return 0 if proof.holds else 1


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
