"""`--live`: one cheap picture from each real provider that has a key here. Real providers send real bills."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from execution_arrow import Arrow, GenerationFailed
from execution_arrow.credentials import EnvironmentCredentials, missing_keys
from execution_arrow.providers import shipped
from rosetta_bridge import Catalog, InvalidRequest, NotEligible

ACCOUNT, TIMEOUT = "live", 300.0
PROMPT = "a lighthouse at dusk, in one colour"


class Cheapest(NamedTuple):
    """What is asked of a provider, and its list price in micro-credits."""

    cost: int
    model: str
    request: dict[str, Any]


def cheapest(catalog: Catalog, provider: str) -> Cheapest | None:
    """The cheapest picture that this provider makes of a prompt alone; None where no list price is known."""
    request = {"generation_prompt": PROMPT, "generation_provider_order": provider}
    offers = []
    for name in catalog.models():
        model = catalog[name]
        if provider not in model.providers or model.kind != "image":
            continue
        try:
            cost = model.cost(model.normalize(request), provider)
        except (InvalidRequest, NotEligible):  # it wants more than a prompt
            continue
        if cost is not None:
            offers.append(Cheapest(cost.micros, name, request))
    return min(offers, default=None)


def live(names: Iterable[str], folder: Path, **place: Any) -> int:
    """Ask the named providers, or all that have a key. 0 if they delivered, 2 if one could not be asked."""
    wanted = tuple(names) or tuple(shipped())
    if unknown := [name for name in wanted if name not in shipped()]:
        print(f"no provider {unknown[0]!r}; there are {', '.join(shipped())}")
        return 2
    catalog, ready = Catalog.shipped(), {}
    missing = missing_keys(EnvironmentCredentials(), wanted)
    for name in wanted:
        if name in missing:
            print(f"{name}: no key: set {missing[name]}")
        elif (offer := cheapest(catalog, name)) is None:
            print(f"{name}: no list price is known here, so nothing is sent")
        else:
            ready[name] = offer
    with Arrow.open(folder / "data", **place) as arrow:
        codes = [_one(arrow, name, offer, folder) for name, offer in ready.items()]
    return max(codes) if codes and (not names or len(codes) == len(wanted)) else max([2, *codes])


def _one(arrow: Arrow, provider: str, offer: Cheapest, folder: Path) -> int:
    price = arrow.estimate(offer.model, offer.request).price
    told = f"{Decimal(offer.cost).scaleb(-6).normalize():f}"
    print(f"{provider}: one picture of {offer.model}; its list price, {told} USD, will be on your bill")
    arrow.ledger.grant(ACCOUNT, price, key=f"live-{provider}", create=True)
    try:
        done = arrow.generate_and_wait(offer.model, offer.request, account=ACCOUNT, timeout=TIMEOUT)
    except GenerationFailed as no:
        for attempt in no.generation.attempts:
            print(f"{provider}: {attempt.outcome}: {attempt.code} {attempt.message}")
        return 1
    (file, *_) = done.files
    assert file.path is not None
    copy = shutil.copyfile(file.path, folder / f"live-{provider}{file.path.suffix}")
    print(f"{provider}: {copy}, {file.width}x{file.height}, charged {done.charged}")
    return 0
