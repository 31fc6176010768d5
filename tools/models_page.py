"""Write `docs/bridge/models.md`: every model, who serves it, its proof, its sources and its price.

    python -m tools.models_page

A test checks that the page is current. Proof here means what the schemas allow to prove; that the proof
holds is for `rosetta-bridge prove` and the tests to say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from rosetta_bridge import Catalog
from rosetta_bridge.language.expressions import Expr, Literal, walk
from rosetta_bridge.language.mapping import Mapping, Route
from rosetta_bridge.model import Model
from rosetta_bridge.prices import Price
from rosetta_bridge.proof.natives import native_folder, native_schema
from tools.packages import ROOT
from tools.page import write

__all__ = ["PAGE", "notes", "render"]

PAGE = ROOT / "docs" / "bridge" / "models.md"
NOTES = ROOT / "tools" / "models.yaml"
HEAD = """# Models

Generated from the catalogue by `python -m tools.models_page`; do not edit.

{totals} Models in bold are those that products ask for most: each has every
task that it is known for. [What is missing](#not-here), with the reason, is below.

**proof**: `proved` routes are checked against an input schema converted by machine from the provider's
own package or document, `partly` proved ones against one that a person wrote; `rosetta-bridge prove` runs it.
**evidence**: where the mapping's facts come from, and when they were read. Routes whose evidence is
`secondary` are off unless the catalogue is opened with `include="secondary"`.
**price** in USD: list prices with the kind of their source, not a quotation; `~` approximate, `<=` an upper
bound, `?` no source found: there a tariff of your own is needed. What one request costs, with source and
date, says `rosetta-bridge estimate`.

| model | kind | provider | routes | proof | evidence | price |
|---|---|---|---|---|---|---|
"""
FOOT = """
## Not here

| model | why |
|---|---|
{models}

Providers serve more of these models than the table says. Cloudflare's proxied models, fal's endpoints without
the prefix `fal-ai/`, and many of Replicate's are newer than the packages that describe them: a mapping of
theirs could not be proved. [Add the ones that you use](add-a-model.md).

## Without a price

Of the models in bold. Elsewhere a `?` means that none was found.

| model | provider | why |
|---|---|---|
{unpriced}

## Tasks left out

| model | task | why |
|---|---|---|
{without}
"""
KINDS = {"exact": "", "upper_bound": "<= ", "approximate": "~ "}


def proof(mapping: Mapping, route: Route) -> str:
    schema = native_schema(native_folder(), mapping.provider, route.native or route.model)
    if schema is None:
        return "unproved"
    return "partly" if schema.get("x-origin") == "hand-made" else "proved"


def usd(expr: Expr) -> str:
    cells = sorted({e.value for e in walk(expr) if isinstance(e, Literal) and isinstance(e.value, Decimal)})
    if not cells:
        return "?"
    return (
        f"{cells[0].normalize():f}"
        if len(cells) == 1
        else f"{cells[0].normalize():f} to {cells[-1].normalize():f}"
    )


def price(value: Price | None) -> str:
    if value is None:
        return "?"
    parts = " + ".join(f"{usd(part.usd)} per {part.per}" for part in value.parts)
    return f"{KINDS[value.kind]}{parts} ({value.evidence})"


def notes() -> dict[str, Any]:
    """What is said beside the catalogue: `most_used` and `not_shipped`, by model."""
    return dict(yaml.safe_load(NOTES.read_text("utf-8")))


def _rows(data: dict[str, dict[str, Any]], key: str) -> str:
    return "\n".join(
        f"| `{model}` | {name} | {why} |"
        for model, said in data.items()
        for name, why in said.get(key, {}).items()
    )


def rows(model: Model, bold: str = "") -> Iterator[str]:
    retired = f" until {model.contract.retired.date}" if model.contract.retired else ""
    for provider, mapping in model.mappings.items():
        routes = mapping.routes
        proofs = sorted({proof(mapping, route) for route in routes})
        evidence = sorted({f"{route.evidence.level} {route.evidence.date}" for route in routes})
        prices = list(dict.fromkeys(price(route.price) for route in routes))
        cells = (
            f"{bold}`{model.id}`{bold}{retired}", model.kind, provider,
            ", ".join(route.name for route in routes),
            ", ".join(proofs), ", ".join(evidence), "; ".join(prices),
        )  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def render() -> str:
    """The text. What has ended stands there too, with its day: the page does not change by itself."""
    catalog = Catalog.shipped(on=date(2020, 1, 1), include="secondary")
    models = [catalog[name] for name in catalog.models()]
    labs = {model.lab for model in models}
    kinds = [model.kind for model in models]
    routes = [(m, r) for model in models for m in model.mappings.values() for r in m.routes]
    confirmed = [pair for pair in routes if pair[1].evidence.level != "secondary"]
    proved = sum(proof(*pair) == "proved" for pair in confirmed)
    image, video, off = kinds.count("image"), kinds.count("video"), len(routes) - len(confirmed)
    totals = (
        f"{len(models)} models ({image} image, {video} video) of {len(labs)} labs over "
        f"{len(catalog.providers())} providers. {len(confirmed)} routes are on by default, {proved} of "
        f"them proved; {off} more rest on secondary evidence."
    )
    told = notes()
    used = told["most_used"]
    lines = (row for model in models for row in rows(model, "**" if model.id in used else ""))
    foot = FOOT.format(
        models="\n".join(f"| `{model}` | {why} |" for model, why in told["not_shipped"].items()),
        unpriced=_rows(used, "unpriced"),
        without=_rows(used, "without"),
    )
    return HEAD.format(totals=totals) + "\n".join(lines) + "\n" + foot


if __name__ == "__main__":
    sys.exit(write(PAGE, render()))
