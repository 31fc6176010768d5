"""Worlds of one's own, from a JSON file.

    {"providers": [{"name": "fal", "success": 0.97, "seconds": 9, "spread": 0.4, "dollars": 0.03}, ...],
     "changes":   [{"provider": "fal", "from": 30, "to": 36, "success": 0.6, "seconds": 27}, ...]}

`seconds` is the median of a success, `spread` the standard deviation of its logarithm (0.4 if not given), a
change holds from hour to hour of the 72 that are played.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .regimes import Provider, Regime

_FIELDS = {"success": "success", "seconds": "median", "spread": "spread", "dollars": "dollars"}


def world_of(text: str) -> tuple[tuple[Provider, ...], Regime]:
    """Providers and their changes. Raises `ValueError` naming what is wrong and where."""
    try:
        document = json.loads(text)
        listed, changes = document["providers"], document.get("changes", [])
        assert isinstance(listed, list)
        assert isinstance(changes, list)
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError):
        raise ValueError('a world is {"providers": [...], "changes": [...]}, in JSON') from None
    providers = tuple(_provider(entry, f"providers[{place}]") for place, entry in enumerate(listed))
    names = [provider.name for provider in providers]
    if len(providers) < 2 or len(set(names)) < len(names):
        raise ValueError("a world needs at least two providers, each with a name of its own")
    checked = [_change(entry, names, f"changes[{place}]") for place, entry in enumerate(changes)]
    return providers, Regime(lambda provider, hour: _changed(provider, hour, checked))


_Change = tuple[str, float, float, dict[str, float]]


def _provider(entry: Any, where: str) -> Provider:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise ValueError(f"{where}: a provider has a name, success, seconds and dollars")
    numbers = {"spread": 0.4, **_numbers(entry, {"name"}, where)}
    for shown, field in _FIELDS.items():
        if field not in numbers:
            raise ValueError(f"{where}: {shown} is missing")
    return Provider(name=entry["name"], **numbers)


def _change(entry: Any, names: Sequence[str], where: str) -> _Change:
    if not isinstance(entry, dict) or entry.get("provider") not in names:
        raise ValueError(f"{where}: name one of {', '.join(names)} as provider")
    hours = [entry.get("from", 0), entry.get("to", math.inf)]
    if not all(isinstance(hour, (int, float)) and not isinstance(hour, bool) for hour in hours):
        raise ValueError(f"{where}: from and to are hours")
    return entry["provider"], hours[0], hours[1], _numbers(entry, {"provider", "from", "to"}, where)


def _numbers(entry: Mapping[str, Any], others: set[str], where: str) -> dict[str, float]:
    numbers = {}
    for name, value in entry.items():
        if name in others:
            continue
        if name not in _FIELDS:
            raise ValueError(f"{where}: there is no {name!r}; choose {', '.join(_FIELDS)}")
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if (
            not good
            or value < 0
            or (name == "success" and not 0 < value <= 1)
            or (name == "seconds" and not value)
        ):
            raise ValueError(f"{where}: {name} cannot be {value!r}")
        numbers[_FIELDS[name]] = float(value)
    return numbers


def _fits(name: str, value: float) -> bool:
    least, most = {"success": (1e-6, 1.0), "seconds": (1e-3, 1e6)}.get(name, (0.0, 1e6))
    return least <= value <= most


def _changed(provider: Provider, hour: float, changes: Sequence[_Change]) -> Provider:
    for name, start, end, numbers in changes:
        if name == provider.name and start <= hour < end:
            provider = replace(provider, **numbers)  # type: ignore[arg-type]
    return provider
