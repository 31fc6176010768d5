"""The page of the catalogue is generated; a route that loses its proof or its price shows in its diff."""

from __future__ import annotations

from tools import catalogue


def test_the_page_is_current() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page(), "run `python -m tools.catalogue`"


def test_the_counts_that_are_promised() -> None:
    text = catalogue.PAGE.read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    providers: dict[str, set[str]] = {}
    proved = set()
    for model, _, provider, _, proof, *_ in lines:
        providers.setdefault(model, set()).add(provider)
        if "proved" in proof:
            proved.add(model)
    assert len(providers) >= 100
    assert len({model.split("/")[0] for model in providers}) >= 16
    assert len(set.union(*providers.values())) == 8
    assert len(proved) >= 83
    assert sum(len(found) > 1 for found in providers.values()) >= 60
