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
from .stores.base import parse_key


class Ranked(NamedTuple):
    """Providers best first, as published at `computed_at` (unix seconds)."""

    providers: tuple[str, ...]
    computed_at: float


Table = dict[tuple[str, str], Ranked]


class Rankings:
    """The rankings that are in force, by region and model."""

    def __init__(self, policy: Policy) -> None:
        self._age = policy.ranking_age
        self._memory = policy.slow / 0.693  # the mean age of what the slow memory counts
        self._table: Table = {}
        self._raw: Mapping[str, str | bytes] = {}

    def __len__(self) -> int:
        return len(self._table)

    def get(self, region: str, model: str, now: float) -> Sequence[str]:
        """The ranking of a model, or nothing where there is none or it is too old."""
        ranked = self._table.get((region, model)) if self._table else None
        if ranked is None or not -60.0 <= now - ranked.computed_at <= self._age:
            return ()
        return ranked.providers

    def read(self, raw: Mapping[str, str | bytes]) -> tuple[Table, list[str]] | None:
        """The documents as a table, and what was wrong with those that are not used; None where nothing
        changed. Changes nothing itself, so that no lock is needed; then `install` it."""
        before, old = self._raw, self._table
        if raw == before:
            return None
        from .documents import parse_ranking
        from .errors import BadDocument

        table: Table = {}
        wrong = []
        for key, document in raw.items():
            where = parse_key(key)
            if where is None:
                continue
            if where in old and before.get(key) == document:
                table[where] = old[where]
                continue
            try:
                parsed = parse_ranking(document)
            except BadDocument as error:
                wrong.append(f"{key}: {error}")
                continue
            table[where] = Ranked(tuple(parsed.providers_ranked), parsed.computed_at.timestamp())
        return table, wrong

    def install(self, raw: Mapping[str, str | bytes], table: Table) -> None:
        """Put a table in force."""
        self._table, self._raw = table, raw

    def document(self, scores: Mapping[str, float], attempts: float, now: float) -> str:
        """A `ranking.v1` document, best first."""
        from .documents import RankingV1

        return RankingV1(
            providers_ranked=sorted(scores, key=scores.__getitem__, reverse=True),
            scores=dict(scores),
            attempts_total=round(attempts),
            window_hours=max(1, round(self._memory / 3600.0)),
            computed_at=datetime.fromtimestamp(now, UTC),
        ).model_dump_json()
