"""A frozen peer: a selector that reads a published ranking from a cache on every call.

Written anew after the shape of the open-source `adaptive-island` selector
(babysea-community/adaptive-island, client/python, commit 13b22a7): look up
`predictive:ranking:<region>:<model>`, parse the JSON text, check every field of the document, then keep
the ranked providers that are allowed. Its cache is a dict in memory, so that no network is measured. Do
not improve this file: it is a yardstick.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Choice:
    """What the selector remembers of its last decision."""

    provider: str
    providers: tuple[str, ...]
    source: str


class CachedSelector:
    """Providers best first, from the cache; the caller's order where there is none."""

    def __init__(self, cache: dict[str, str], prefix: str = "predictive:ranking") -> None:
        self._cache = cache
        self._prefix = prefix
        self.last: Choice | None = None

    def rank(self, *, model: str, region: str, fallback: Sequence[str]) -> list[str]:
        """The ranked providers that are allowed, or all allowed ones."""
        if not fallback:
            raise ValueError("fallback must name at least one provider")
        allowed = list(dict.fromkeys(fallback))
        ranking = self._read(model, region)
        wanted = set(allowed)
        if ranking:
            ordered = [name for name in ranking if name in wanted]
            if ordered:
                self.last = Choice(ordered[0], tuple(ordered), "cached")
                return ordered
        self.last = Choice(allowed[0], tuple(allowed), "fallback")
        return allowed

    def _read(self, model: str, region: str) -> list[str] | None:
        raw = self._cache.get(f"{self._prefix}:{region}:{model}")
        if raw is None or not isinstance(raw, (str, bytes, bytearray)):
            return None
        try:
            document = json.loads(raw)
            if not _valid(document):
                return None
            return [name for name in document["providers_ranked"] if isinstance(name, str) and name]
        except (ValueError, TypeError):
            return None


def _valid(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    ranked, scores = document.get("providers_ranked"), document.get("scores")
    if not isinstance(ranked, list) or not ranked or not all(isinstance(n, str) and n for n in ranked):
        return False
    if not isinstance(scores, dict) or not set(ranked).issubset(set(scores.keys())):
        return False
    numbers = all(
        isinstance(name, str)
        and isinstance(score, (int, float))
        and not isinstance(score, bool)
        and math.isfinite(float(score))
        for name, score in scores.items()
    )
    total, hours = document.get("attempts_total"), document.get("window_hours")
    whole = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    window = isinstance(hours, int) and not isinstance(hours, bool) and hours > 0
    return numbers and whole and window and _moment(document.get("computed_at")) is not None


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return None if moment.tzinfo is None or moment.utcoffset() is None else moment
