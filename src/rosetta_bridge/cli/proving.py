"""Check files, prove them against the providers' own schemas, and see what those have changed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from rosetta_bridge.errors import InvalidCatalog

from .common import catalog, print_json, print_table


def check(args: argparse.Namespace) -> int:
    opened = catalog(args, args.directory)
    problems = opened.problems()
    if problems:
        raise InvalidCatalog(problems)
    overrides = {override for name in opened.models() for override in opened[name].overrides}
    if args.json:
        print_json(
            {"models": len(opened), "problems": [], "overrides": [o._asdict() for o in sorted(overrides)]}
        )
    else:
        print(f"{len(opened)} models, no problem")
        for override in sorted(overrides):
            print(f"overrides {override.path} of {override.layer} ({override.digest[:19]})")
    return 0


def prove(args: argparse.Namespace) -> int:
    from rosetta_bridge.natives import native_folder
    from rosetta_bridge.prove import prove

    def progress(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{name}", end="", file=sys.stderr, flush=True)

    proof = prove(catalog(args), native_folder(args.native), args.models, args.seed, args.whole, progress)
    progress("")
    if args.json:
        print_json(proof.as_json())
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
    print_table(rows)
    for problem in proof.problems:
        print(problem)
    print("\n" + ", ".join(f"{count} {name}" for name, count in proof.totals().items()))
    return 0 if proof.holds else 1


def drift(args: argparse.Namespace) -> int:
    """Print what newer native schemas changed; 1 where a request that is good today may be refused then."""
    from rosetta_bridge.drift import drift as compared
    from rosetta_bridge.natives import native_folder

    opened = catalog(args)
    models = [opened[name] for name in opened.models()]
    changes = compared(models, native_folder(args.native), native_folder(args.newer))
    overrides = sorted({override.path for model in models for override in model.overrides})
    if args.json:
        print_json({"changes": [asdict(c) | {"breaks": c.breaks} for c in changes], "overrides": overrides})
        return 1 if any(change.breaks for change in changes) else 0
    rows = [("PROVIDER", "NATIVE", "CHANGE", "PARAMETER", "BEFORE", "AFTER", "ROUTES")]
    for c in changes:
        values = (_short(c.before), _short(c.after), ", ".join(c.routes[:3]))
        rows.append((c.provider, c.native, c.kind + ("!" if c.breaks else ""), c.parameter, *values))
    print_table(rows)
    for path in overrides:
        print(f"overridden here, so look at it by hand: {path}")
    return 1 if any(change.breaks for change in changes) else 0


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
