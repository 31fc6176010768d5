"""`adaptive_island` as our Router, and where it keeps what it learns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from cachetools import LRUCache

from adaptive_island import Attempt, Fault, Island, IslandError, Outcome, Ticket
from adaptive_island.errors import MissingExtra as IslandMissesExtra
from adaptive_island.stores import open_store
from execution_arrow.errors import ArrowError, MissingExtra
from execution_arrow.ports import Ranked, Verdict


def open_island(where: str | Island, migrate: bool) -> Island:
    """An island over the store at a URL; one that is open is taken as it is. Nothing is connected yet.

    A store that is away, or has no tables, costs what others learn and nothing else: the island tells of it
    once and goes on from memory. Raises `ValueError` for a URL that names no store, `MissingExtra`.
    """
    if isinstance(where, Island):
        return where
    try:
        return Island.open(where, migrate=migrate)
    except IslandMissesExtra as error:
        raise MissingExtra(f"{where.partition(':')[0]}:// islands", error.extra) from error
    except IslandError as error:
        raise ValueError(str(error)) from error


def make_tables(where: str) -> None:
    """Make the tables of an island's store where they are missing."""
    store = open_store(where, migrate=True)
    try:
        store.read()
    except IslandError as error:
        raise ArrowError(str(error)) from error
    finally:
        store.close()


class IslandRouter:
    """`adaptive_island` as our Router. Tickets are kept by attempt until their verdict, bounded."""

    def __init__(self, island: Island) -> None:
        self._island = island
        self._tickets: LRUCache[str, Ticket] = LRUCache(maxsize=50_000)
        self._lock = threading.Lock()

    def rank(
        self,
        model: str,
        allowed: Sequence[str],
        *,
        order: str | Sequence[str],
        region: str,
        costs: Mapping[str, int],
        work: str,
        sticky: str | None,
        accounts: tuple[str, ...],
    ) -> Ranked:
        found = self._island.rank(
            model, allowed, order=order, region=region, costs=costs, work=work, sticky=sticky,
            account=accounts,
        )  # fmt: skip
        return Ranked(
            providers=tuple(found), source=str(found.source.value), reason=found.reason, dropped=found.dropped
        )

    def admit(self, model: str, provider: str, *, region: str, account: str, work: str, attempt: str) -> bool:
        ticket = self._island.attempt(
            model, provider, region=region, account=account, work=work, id=f"{attempt}/{provider}"
        )
        if ticket.skip:
            return False
        with self._lock:
            self._tickets[attempt] = ticket
        return True

    def record(self, verdict: Verdict) -> None:
        with self._lock:
            self._tickets.pop(verdict.id, None)
        self._island.record(
            Attempt(
                id=f"{verdict.id}/{verdict.provider}",
                model=verdict.model,
                provider=verdict.provider,
                region=verdict.region,
                account=verdict.account,
                work=verdict.work,
                outcome=Outcome(verdict.outcome),
                fault=Fault(verdict.fault),
                seconds=verdict.seconds,
                cost=verdict.cost,
                retry_after=verdict.retry_after,
                at=verdict.at,
            )
        )
