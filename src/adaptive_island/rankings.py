"""Published rankings: read from the cache into a table, and written from what this island knows.

A ranking is somebody's earlier conclusion. It serves as the base order where the island has nothing of
its own, and for near-ties; it never drops a provider, and it is not used once it is older than
`policy.ranking_age`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from .policy import Policy
from .stores.base import RankingCache, parse_key, ranking_key


class Ranked(NamedTuple):
    """Providers best first, as published at `computed_at` (unix seconds)."""

    providers: tuple[str, ...]
    computed_at: float


class Rankings:
    """The rankings that are in force, by region and model."""

    def __init__(self, cache: RankingCache, policy: Policy) -> None:
        self.cache = cache
        self._age = policy.ranking_age
        self._memory = policy.slow / 0.693  # the mean age of what the slow memory counts
        self._table: dict[tuple[str, str], Ranked] = {}
        self._raw: dict[str, str | bytes] = {}

    def __len__(self) -> int:
        return len(self._table)

    def get(self, region: str, model: str, now: float) -> Sequence[str]:
        """The ranking of a model, or nothing where there is none or it is too old."""
        ranked = self._table.get((region, model)) if self._table else None
        if ranked is None or not -60.0 <= now - ranked.computed_at <= self._age:
            return ()
        return ranked.providers

    def refresh(self) -> list[str]:
        """Read the cache; returns what was wrong with documents that are not used. Unchanged ones are not
        parsed."""
        raw = dict(self.cache.read())
        if raw == self._raw:
            return []
        from .documents import parse_ranking
        from .errors import BadDocument

        table: dict[tuple[str, str], Ranked] = {}
        wrong = []
        for key, document in raw.items():
            where = parse_key(key)
            if where is None:
                continue
            try:
                parsed = parse_ranking(document)
            except BadDocument as error:
                wrong.append(f"{key}: {error}")
                continue
            table[where] = Ranked(tuple(parsed.providers_ranked), parsed.computed_at.timestamp())
        self._table, self._raw = table, raw
        return wrong

    def publish(
        self, region: str, model: str, scores: Mapping[str, float], attempts: float, now: float
    ) -> None:
        """Write a ranking to the cache, to stay as long as it would be used."""
        from .documents import RankingV1

        document = RankingV1(
            providers_ranked=sorted(scores, key=scores.__getitem__, reverse=True),
            scores=dict(scores),
            attempts_total=round(attempts),
            window_hours=max(1, round(self._memory / 3600.0)),
            computed_at=datetime.fromtimestamp(now, UTC),
        )
        self.cache.write(ranking_key(region, model), document.model_dump_json(), self._age)
