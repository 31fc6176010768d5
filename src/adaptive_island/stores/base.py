"""What an island asks of a store: two small Protocols, neither of which a request ever waits for.

`Counters` take verdicts and answer with sums that are only ever added to, so processes that share them need
no lock and no order. `RankingCache` holds published rankings as `ranking.v1` documents; any job may write
them. A store keeps and decides nothing: what a breaker's state or a sum means is known in the core alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from adaptive_island.attempt import Attempt
from adaptive_island.cells import Sum

PREFIX = "predictive:ranking:"
LOG_SECONDS = 30 * 86_400.0  # for how long a store keeps its attempt log, and what a human restored
CIRCUIT_SECONDS = 86_400.0  # for how long it keeps a breaker that has closed


class Report(NamedTuple):
    """An attempt with its final outcome, and what it adds to which cells (nothing where it teaches nothing).

    A store counts and logs the first report of an id and ignores the others.
    """

    attempt: Attempt
    sums: tuple[Sum, ...]


class Circuit(NamedTuple):
    """The state of a breaker that is worth telling others; see `breaker.Breaker`.

    What is told with an older `word` than the store keeps of the same breaker changes nothing there: whoever
    tells it has not heard yet what a human did.
    """

    provider: str
    account: str
    model: str
    state: str
    since: float
    until: float
    cause: str
    opens: int
    lease: float = 0.0
    word: float = 0.0


class News(NamedTuple):
    """What has changed since `cursor`: sums as they are now, and breakers as they were told last.

    `life` names the store's own memory: another one means that everything before is forgotten there, and
    the news are then all there is.
    """

    life: str
    cursor: str
    sums: Sequence[Sum] = ()
    circuits: Sequence[Circuit] = ()


class Counters(Protocol):
    """Sums, breakers and the attempt log of everybody who shares the store.

    Called by one thread at a time, which may block; every error is fine and means "not now". Telling the
    same again changes nothing.
    """

    def push(self, reports: Sequence[Report], circuits: Sequence[Circuit]) -> None:
        """Count and log what is new, keep the state of each breaker (see `Circuit`); all of it or nothing."""
        ...

    def pull(self, life: str, cursor: str) -> News:
        """What changed since `cursor` in `life`; everything where either is empty or not the store's own."""
        ...

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        """The logged attempts that ended after a moment (unix seconds), by the moment they ended."""
        ...

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone, open new ones when they are needed."""
        ...

    def close(self) -> None: ...


class RankingCache(Protocol):
    """Published rankings by key `predictive:ranking:<region>:<model>`."""

    def read(self) -> Mapping[str, str | bytes]:
        """All documents that are there now."""
        ...

    def write(self, key: str, document: str, seconds: float) -> None:
        """Store a document, to be forgotten after `seconds`."""
        ...


class Store(Counters, RankingCache, Protocol):
    """Both in one place, and how it may be shown."""

    where: str


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


def totals(reports: Iterable[Report]) -> dict[tuple[object, ...], list[float]]:
    """What these reports add together, by (memory, epoch, region, model, provider, work)."""
    result: dict[tuple[object, ...], list[float]] = {}
    for report in reports:
        for bucket, cell, sums in report.sums:
            known = result.get((*bucket, *cell))
            if known is None:
                result[(*bucket, *cell)] = list(sums)
            else:
                for position, value in enumerate(sums):
                    known[position] += value
    return result
