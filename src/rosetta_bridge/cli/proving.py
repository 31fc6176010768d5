"""Check files, prove them against the providers' own schemas, and see what those have changed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosetta_bridge.errors import InvalidCatalog

from .common import Usage, catalog, endings, print_json, print_table, read_json

if TYPE_CHECKING:
    from rosetta_bridge.loading import Catalog
    from rosetta_bridge.proof.drift import Change
    from rosetta_bridge.proof.findings import Proof


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
    from rosetta_bridge.proof.findings import regressions
    from rosetta_bridge.proof.natives import native_folder
    from rosetta_bridge.proof.prove import prove

    def progress(name: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{name}", end="", file=sys.stderr, flush=True)

    earlier = read_json(f"@{args.since}") if args.since else {"routes": []}
    opened = catalog(args)
    proof = prove(opened, native_folder(args.native), args.models, args.seed, args.whole, progress)
    progress("")
    if not proof.routes:
        raise Usage(
            "there is no route to prove: name a catalogue with --catalog, or see `rosetta-bridge models`"
        )
    try:
        lost = regressions(earlier, proof, args.models or None)
    except ValueError as error:
        raise Usage(f"{args.since}: {error}") from None
    if args.json:
        print_json(proof.as_json() | {"regressions": lost})
    else:
        _print(proof)
        for line in lost:
            print(line)
    return 0 if proof.holds and not lost else 1


def _print(proof: Proof) -> None:
    rows = [("MODEL", "PROVIDER", "ROUTE", "STATUS", "ELIGIBLE", "OF", "SHARE", "BODIES", "REASON")]
    for r in proof.routes:
        counts = (str(r.eligible), str(r.requests), f"{r.share:.0%}", str(r.bodies))
        rows.append((r.model, r.provider, r.route, r.status, *counts, r.reason[:120]))
    print_table(rows)
    for problem in proof.problems:
        print(problem)
    print()
    print_table([(name, str(count)) for name, count in proof.totals().items()])


def drift(args: argparse.Namespace) -> int:
    """Print what newer native schemas changed; 1 where a request that is good today may be refused then."""
    from rosetta_bridge.proof.drift import drift as compared
    from rosetta_bridge.proof.natives import native_folder

    opened = catalog(args)
    models = [opened[name] for name in opened.models()]
    if next(args.newer.glob("*/*.json"), None) is None:
        raise Usage(f"no native schemas in {args.newer}: name the folder that holds <provider>/<model>.json")
    changes = compared(models, native_folder(args.native), args.newer)
    overrides = _overridden(opened, changes)
    ending = endings(models, opened.on + timedelta(days=args.within))
    if args.json:
        listed = [asdict(c) | {"breaks": c.breaks} for c in changes]
        print_json({"changes": listed, "overrides": overrides, "ending": ending})
        return 1 if any(change.breaks for change in changes) else 0
    table = [("PROVIDER", "NATIVE", "CHANGE", "PARAMETER", "BEFORE", "AFTER", "ROUTES")]
    for c in changes:
        values = (_short(c.before), _short(c.after), ", ".join(c.routes[:3]))
        table.append((c.provider, c.native, c.kind + ("!" if c.breaks else ""), c.parameter, *values))
    print_table(table if changes else [("nothing has changed",)])
    for path, concerned in overrides.items():
        print(f"overridden here: {path}" + ("" if concerned else ", which nothing above concerns"))
        for it in concerned:
            told = f"before {_short(it['before'])}, after {_short(it['after'])}"
            print(f"  {it['parameter'] or 'the whole schema'}: {told}, here {it['here'] or 'not set'}")
    for line in ending:
        print(f"ends: {line}")
    return 1 if any(change.breaks for change in changes) else 0


def _overridden(opened: Catalog, changes: list[Change]) -> dict[str, list[dict[str, Any]]]:
    """The files of one's own, each with the changes that concern its routes: before, after, and where the
    parameter is set here."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in (opened[name] for name in opened.models()):
        for override in model.overrides:
            provider = Path(override.path).stem
            origins = opened.origins(model.id).get(provider, {})
            found[override.path] = [
                {
                    "parameter": c.parameter,
                    "before": c.before,
                    "after": c.after,
                    "here": _here(origins, c.parameter),
                }
                for c in changes
                if any(route.startswith(f"{model.id} {provider}/") for route in c.routes)
            ]
    return dict(sorted(found.items()))


def _here(origins: dict[str, tuple[str, int]], parameter: str) -> str:
    """Where a payload's parameter is set; empty when nowhere."""
    places = [
        f"{file}:{line}" for key, (file, line) in origins.items() if f".{key}.".find(f"body.{parameter}.") > 0
    ]
    return ", ".join(dict.fromkeys(places)) if parameter else ""


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
