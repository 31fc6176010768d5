"""What an island asks of a store: two small Protocols, both optional for serving a request.

`Counters` hold sums that are only ever added to, so two processes that share them need no lock and no order.
`RankingCache` holds published rankings as `ranking.v1` documents; any job may write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

PREFIX = "predictive:ranking:"

Cell = tuple[str, str]  # provider, class of work


class Bucket(NamedTuple):
    """One epoch of one memory (`fast` or `slow`) for one model in one region; model "" is the provider
    over all models."""

    memory: str
    epoch: int
    region: str
    model: str


Batch = Mapping[tuple[Bucket, Cell], Sequence[float]]


class Counters(Protocol):
    """Additive sums per bucket and cell, as wide as `window.Sums`."""

    def add(self, batch: Batch) -> None:
        """Add each sums to its cell, creating what is missing. Old epochs may be forgotten."""
        ...

    def read(self, region: str, model: str) -> Mapping[tuple[str, int], Mapping[Cell, Sequence[float]]]:
        """Everything known about a model in a region, by (memory, epoch); empty where nothing is."""
        ...


class RankingCache(Protocol):
    """Published rankings by key `predictive:ranking:<region>:<model>`."""

    def read(self) -> Mapping[str, str | bytes]:
        """All documents that are there now."""
        ...

    def write(self, key: str, document: str, seconds: float) -> None:
        """Store a document, to be forgotten after `seconds`."""
        ...


def ranking_key(region: str, model: str) -> str:
    """The key of a model's ranking in a region; ValueError for a region that a key cannot carry."""
    if not region or ":" in region:
        raise ValueError(f"the region {region!r:.80} cannot be published: name it, without a colon")
    return f"{PREFIX}{region}:{model}"


def parse_key(key: str) -> tuple[str, str] | None:
    """Region and model of a ranking key, None where it is no such key. A model may contain colons."""
    if not key.startswith(PREFIX):
        return None
    region, _, model = key[len(PREFIX) :].partition(":")
    return (region, model) if region and model else None
