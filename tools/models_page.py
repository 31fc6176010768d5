"""Write docs/bridge/models.md, the table of all models: `python -m tools.models_page`."""

from datetime import date

from rosetta_bridge import Catalog
from rosetta_bridge.model import Model
from tools.packages import ROOT

__all__ = ["PAGE", "render"]

PAGE = ROOT / "docs" / "bridge" / "models.md"
HEAD = """# Models

Generated from the catalogue by `python -m tools.models_page`. A provider that serves a model by several
routes (text, image, edit) stands once, with the weakest evidence of its routes; *secondary* ones are off
unless the catalogue is opened with `include="secondary"`. `rosetta-bridge estimate` says what one request
costs, with source and date; where no source gives a price, a tariff of your own is needed.

| model | kind | providers, and where it is known from | priced at |
|---|---|---|---|
"""
LEVELS = ("sdk", "openapi", "docs", "secondary")


def render() -> str:
    """The page's text."""
    catalog = Catalog.shipped(
        on=date(2020, 1, 1), include="secondary"
    )  # what has ended stands there, with its day
    return HEAD + "".join(_line(catalog[name]) for name in catalog.models())


def _line(model: Model) -> str:
    served, priced = [], []
    for provider, mapping in model.mappings.items():
        if provider not in model.providers:
            continue
        level = max((route.evidence.level for route in mapping.routes), key=LEVELS.index)
        served.append(f"{provider} ({level})")
        if all(route.price is not None for route in mapping.routes):
            priced.append(provider)
    retired = f" until {model.contract.retired.date}" if model.contract.retired else ""
    return f"| `{model.id}`{retired} | {model.kind} | {', '.join(served)} | {', '.join(priced)} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
