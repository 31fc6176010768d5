"""Look at models: what they take, from whom, where it is written, and the documents made of them."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rosetta_bridge.model import Model

from .common import Usage, catalog, print_json, print_table


def models(args: argparse.Namespace) -> int:
    opened = catalog(args)
    loaded = [opened[name] for name in opened.models()]
    if args.json:
        rows = [{"model": m.id, "kind": m.kind, "lab": m.lab, "providers": list(m.providers)} for m in loaded]
        print_json(rows)
    else:
        print_table(
            [("MODEL", "KIND", "PROVIDERS"), *((m.id, m.kind, ", ".join(m.providers)) for m in loaded)]
        )
    return 0


def show(args: argparse.Namespace) -> int:
    if args.origin:
        return _origin(args)
    model = catalog(args)[args.model]
    fields = {name: {k: v for k, v in asdict(f).items() if v not in (None, "", False) and k != "name"}
              for name, f in model.contract.fields.items()}  # fmt: skip
    if args.json:
        print_json({"model": model.id, "kind": model.kind, "lab": model.lab,
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
    print_table(rows)
    for provider, routes in model.limits().items():
        off = "" if provider in model.providers else "  (not in use: retired, or secondary evidence)"
        for route, lines in routes.items():
            print(f"\n{provider} / {route}{off}")
            print("\n".join(f"  {line}" for line in lines) or "  takes everything")
    return 0


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def schema(args: argparse.Namespace) -> int:
    print_json(catalog(args)[args.model].schema())
    return 0


def _origin(args: argparse.Namespace) -> int:
    """Print file and line of every key of a model's files."""
    found = catalog(args).origins(args.model)
    if args.json:
        print_json(found)
        return 0
    rows = [("FILE OF", "KEY", "STANDS IN")]
    for provider, keys in found.items():
        rows += [(provider or "model", key, f"{file}:{line}") for key, (file, line) in sorted(keys.items())]
    print_table(rows)
    return 0


def openapi(args: argparse.Namespace) -> int:
    """Print one OpenAPI 3.1 document of all models, or of those named."""
    from rosetta_bridge.openapi import openapi as document

    opened = catalog(args)
    print_json(document([opened[name] for name in args.models or opened.models()], opened.digest))
    return 0


def types(args: argparse.Namespace) -> int:
    """Print a Python module with a TypedDict for each model's request, or write it."""
    from rosetta_bridge.typed import typed_module

    opened = catalog(args)
    names = args.models or opened.models()
    command = " ".join(["rosetta-bridge types", *(args.models or ())])
    try:
        text = typed_module([opened[name].contract for name in names], command)
    except ValueError as error:
        raise Usage(str(error)) from None
    if args.output is None:
        print(text, end="")
    else:
        Path(args.output).write_text(text, encoding="utf-8")
    return 0


def status(args: argparse.Namespace) -> int:
    """Print the size of the catalogue, its digest, what was overridden, and what ends soon."""
    opened = catalog(args)
    models = [opened[name] for name in opened.models()]
    routes = [
        (model, provider, r) for model in models for provider, m in model.mappings.items() for r in m.routes
    ]
    levels = Counter(route.evidence.level for _model, _provider, route in routes)
    told: dict[str, Any] = {
        "digest": opened.digest,
        "on": opened.on.isoformat(),
        "models": len(models),
        "labs": len({model.lab for model in models}),
        "providers": len({provider for model in models for provider in model.providers}),
        "routes": len(routes),
        "routes_by_evidence": dict(sorted(levels.items())),
        "routes_with_price": sum(route.price is not None for _model, _provider, route in routes),
        "aliases": len(opened.aliases()),
        "ending": _ending(models, routes, opened.on + timedelta(days=args.within)),
        "overrides": sorted({override.path for model in models for override in model.overrides}),
    }
    if args.json:
        print_json(told)
        return 0
    print_table([(name, _plain(value)) for name, value in told.items() if not isinstance(value, dict)])
    print_table([("evidence", level, str(count)) for level, count in told["routes_by_evidence"].items()])
    return 0


def _ending(models: list[Model], routes: list[Any], until: date) -> list[str]:
    """Models and routes that are retired by a day, those that are already retired included."""
    ends = [(model.id, model.contract.retired) for model in models]
    ends += [(f"{model.id} {provider}/{route.name}", route.retired) for model, provider, route in routes]
    return sorted(f"{name} on {end.date}" for name, end in ends if end is not None and end.by(until))
