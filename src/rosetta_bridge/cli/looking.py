"""Look at models: what they take, from whom, where it is written, and the documents made of them."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rosetta_bridge.language.fields import Field

from .common import Usage, catalog, endings, print_json, print_table


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
    fields = {name: _said(field) for name, field in model.contract.fields.items()}
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
        rows.append((name, kind, "; ".join(f"{k}: {_plain(v)}" for k, v in spec.items() if v != "binding")))
    print_table(rows)
    for provider, routes in model.limits().items():
        off = "" if provider in model.providers else "  (not in use: retired, or secondary evidence)"
        for route, lines in routes.items():
            print(f"\n{provider} / {route}{off}")
            print("\n".join(f"  {line}" for line in lines) or "  takes everything")
    return 0


def _said(field: Field) -> dict[str, Any]:
    """What the file says of a field; a default of false and a least value of 0 are said, too."""
    told = {k: v for k, v in asdict(field).items() if v is not None and v is not False and v != ""}
    told |= {"default": field.default} if field.has_default else {}
    return {k: v for k, v in told.items() if k not in ("name", "has_default")}


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
        try:
            Path(args.output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Usage(f"cannot write {args.output}: {error.strerror}") from None
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
        "ending": endings(models, opened.on + timedelta(days=args.within)),
        "overrides": sorted({override.path for model in models for override in model.overrides}),
    }
    if args.json:
        print_json(told)
        return 0
    print_table([(name, _plain(value)) for name, value in told.items() if not isinstance(value, dict)])
    print_table([("evidence", level, str(count)) for level, count in told["routes_by_evidence"].items()])
    return 0
