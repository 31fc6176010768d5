"""The only place that knows all four packages: it fits the three lower ones into our ports.

A team that uses something else for one of them writes the same few lines over its own library and passes
the result to `AsyncArrow` as `Parts`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cachetools import LRUCache

from adaptive_island import Attempt, Fault, Island, Outcome, Ticket
from execution_arrow.artifacts import FolderArtifacts
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import RequestRejected
from execution_arrow.fetching import EgressInputs
from execution_arrow.naming import SystemClock, SystemNames
from execution_arrow.ports import (
    ArtifactStore,
    Clock,
    Credentials,
    Inputs,
    LedgerPort,
    Names,
    Normalizer,
    Payload,
    Prepared,
    Quote,
    Ranked,
    Router,
    Transport,
    Verdict,
)
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Provider
from execution_arrow.stores import JobStore, open_store
from execution_arrow.stores.access import Access, Threaded
from execution_arrow.tariff import Ask, DearestCost, Tariff, settled_prices
from execution_arrow.wiring.fortress import FortressLedger, open_books
from ledger_fortress import AsyncLedger, Ledger
from ledger_fortress.protocol import LedgerStore
from rosetta_bridge import Catalog, InvalidRequest, UnknownModel
from rosetta_bridge import Payload as NativePayload


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an Arrow is made of. `ledger`, `island` and `catalog` are handed to users as they are."""

    normalizer: Normalizer
    router: Router
    holds: LedgerPort
    store: JobStore
    artifacts: ArtifactStore
    transport: Transport
    credentials: Credentials
    providers: Mapping[str, Provider]
    spool: Path
    clock: Clock
    names: Names
    ledger: AsyncLedger
    blocking_ledger: Ledger
    island: Island
    catalog: Catalog
    access: Callable[[JobStore], Access] = Threaded  # how the loop reaches `store`
    inputs: Inputs = field(default_factory=EgressInputs)


def default_parts(
    where: str | Path,
    *,
    artifacts: str | Path | None = None,
    migrate: bool = False,
    catalog: Catalog | None = None,
    ledger: str | LedgerStore | None = None,
    island: Island | None = None,
    tariff: Tariff | None = None,
    credentials: Credentials | None = None,
    providers: Mapping[str, Provider] | None = None,
    transport: Transport | None = None,
    egress: EgressPolicy | None = None,
    input_egress: EgressPolicy | None = None,
) -> Parts:
    """Everything in one folder: `ledger.db`, `arrow.db`, `artifacts/`, `spool/`.

    `where` is the folder, or `postgresql://…` for jobs and ledger in one database, or `memory:`; files are
    kept all the same, so for the latter two `artifacts` must name a folder (for several hosts one that all of
    them see). `migrate` makes or brings up a database's tables. `ledger` is a URL or a store of
    `ledger_fortress`. `egress` is for copying results, `input_egress` for fetching a request's files.
    """
    folder, urls = _places(where, artifacts)
    catalog, island = catalog or Catalog.shipped(), island or Island.open("memory:")
    store = open_store(urls["arrow"], migrate=migrate)
    books = open_books(ledger or urls["ledger"], migrate)
    credit_ledger = AsyncLedger(books)
    return Parts(
        normalizer=BridgeNormalizer(catalog, tariff or DearestCost()),
        router=IslandRouter(island),
        holds=FortressLedger(credit_ledger),
        store=store,
        artifacts=FolderArtifacts(Path(artifacts) if artifacts else folder / "artifacts", egress=egress),
        transport=transport or _httpx(),
        credentials=credentials or EnvironmentCredentials(),
        providers=providers or shipped(), inputs=EgressInputs(input_egress),
        spool=folder / "spool",
        clock=SystemClock(), names=SystemNames(),
        ledger=credit_ledger, blocking_ledger=Ledger(books), island=island, catalog=catalog,
    )  # fmt: skip


def migrate(where: str | Path) -> None:
    """Make or bring up the tables of jobs and ledger, and nothing else."""
    _, urls = _places(where, ".")
    open_store(urls["arrow"], migrate=True).close()
    open_books(urls["ledger"], migrate=True).close()


def _httpx() -> Transport:
    from execution_arrow.transport.httpx import HttpxTransport

    return HttpxTransport()


def _places(where: str | Path, artifacts: str | Path | None) -> tuple[Path, dict[str, str]]:
    """The folder for files, and the URLs of the two stores."""
    if not str(where):
        raise ValueError("Arrow.open(''): name a folder; the current one is '.'")
    names = ("ledger", "arrow")
    scheme = str(where).partition(":")[0]
    if str(where) != "memory:" and scheme not in ("postgresql", "postgres"):
        folder = Path(where)
        folder.mkdir(parents=True, exist_ok=True)
        return folder, {name: f"sqlite:///{quote(str(folder.absolute() / name))}.db" for name in names}
    if artifacts is None:
        raise ValueError(f"Arrow.open('{scheme}:…') keeps files all the same: pass artifacts='some/folder'")
    return Path(artifacts), dict.fromkeys(names, str(where))


class BridgeNormalizer:
    """`rosetta_bridge` as our Normalizer: eligible payloads, the catalogue's costs, a tariff's prices."""

    def __init__(self, catalog: Catalog, tariff: Tariff) -> None:
        self._catalog, self._tariff = catalog, tariff

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        try:
            found = self._catalog[model]
            asked = found.normalize(request)
            eligible = found.require_eligible(asked)
        except UnknownModel as error:
            raise RequestRejected([error]) from error
        except InvalidRequest as error:
            raise RequestRejected(error.issues) from error
        bills = {name: found.cost(asked, name) for name in eligible}
        costs = {name: bill.micros if bill else None for name, bill in bills.items()}
        prices = settled_prices(
            self._tariff,
            Ask(
                model=found.id, kind=found.kind, values=asked.values, work=asked.work, asked=asked.asked,
                costs=costs,
            )
        )  # fmt: skip
        payloads = [found.render(asked, name) for name in eligible]
        quotes = tuple(
            Quote(payload=_payload(native), cost=costs[native.provider], price=prices[native.provider])
            for native in payloads
        )
        return Prepared(
            model=found.id, kind=found.kind, values=asked.values, order=asked.order, work=asked.work,
            asked=asked.asked, quotes=quotes, catalog_digest=payloads[0].catalog_digest,
        )  # fmt: skip


def _payload(native: NativePayload) -> Payload:
    return Payload(
        provider=native.provider, route=native.route, method=native.method, path=native.path,
        model=native.model, encoding=native.encoding, headers=native.headers, body=native.body,
        fetches=tuple(fetch["$fetch"] for fetch in native.fetches), dropped=tuple(map(str, native.dropped)),
    )  # fmt: skip


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
