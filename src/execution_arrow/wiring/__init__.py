"""The only place that knows all four packages: it fits the three lower ones into our ports.

A team that uses something else for one of them writes the same few lines over its own library and passes
the result to `AsyncArrow` as `Parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adaptive_island import Island
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import CatalogBroken, RequestRejected
from execution_arrow.inputs.fetching import EgressInputs
from execution_arrow.inputs.room import SHARED, Room
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
    Router,
    Transport,
)
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Provider
from execution_arrow.stores import JobStore, open_store
from execution_arrow.stores.access import Access, Threaded
from execution_arrow.tariff import Ask, DearestCost, Tariff, settled_prices
from execution_arrow.wiring.fortress import FortressLedger, open_books
from execution_arrow.wiring.island import IslandRouter, make_tables, open_island
from ledger_fortress import AsyncLedger, Ledger
from ledger_fortress.protocol import LedgerStore
from rosetta_bridge import Catalog, InvalidCatalog, InvalidRequest, UnknownModel
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
    artifacts: str | Path | ArtifactStore | None = None,
    scratch: str | Path | None = None,
    migrate: bool = False,
    catalog: Catalog | None = None,
    jobs: str | JobStore | None = None,
    ledger: str | LedgerStore | None = None,
    island: str | Island | None = None,
    tariff: Tariff | None = None,
    credentials: Credentials | None = None,
    providers: Mapping[str, Provider] | None = None,
    transport: Transport | None = None,
    egress: EgressPolicy | None = None,
    input_egress: EgressPolicy | None = None,
    input_memory: int | None = None,
) -> Parts:
    """Everything in one folder: `ledger.db`, `arrow.db`, `island.db`, `artifacts/`, `spool/`.

    `where` is the folder, `postgresql://…` or `redis://…` for all three stores, or `memory:`. Files are kept
    all the same: for the latter `artifacts` must name a folder, for several hosts one that all of them
    see, or a bucket (`s3://…`, see `s3.S3Artifacts`) together with `scratch`, a folder of this machine.
    `migrate` makes or brings up tables. `jobs`, `ledger` and `island` go elsewhere by a URL, or are open
    already. `egress` is for copying results, `input_egress` for fetching a request's files, `input_memory`
    the bytes that those in flight may take (default: 512 MB, shared by the whole process).
    """
    folder, places = _places(where, artifacts, scratch)
    given = {"arrow": jobs, "ledger": ledger, "island": island}
    places |= {name: place for name, place in given.items() if place is not None}
    store, books, learned = _open_stores(places, migrate)
    credits, models = AsyncLedger(books), catalog or Catalog.shipped()
    return Parts(
        normalizer=BridgeNormalizer(models, tariff or DearestCost()), router=IslandRouter(learned),
        holds=FortressLedger(credits), store=store, artifacts=_open_artifacts(artifacts, folder, egress),
        transport=transport or _httpx(), credentials=credentials or EnvironmentCredentials(),
        providers=providers or shipped(), inputs=_inputs(input_egress, input_memory),
        spool=folder / "spool", clock=SystemClock(), names=SystemNames(), ledger=credits,
        blocking_ledger=Ledger(books), island=learned, catalog=models,
    )  # fmt: skip


def _open_stores(places: Mapping[str, Any], migrate: bool) -> tuple[JobStore, LedgerStore, Island]:
    """All three or none. A place is a URL; what is open already is taken as it is."""
    with ExitStack() as undo:
        jobs = places["arrow"]
        store = open_store(jobs, migrate=migrate) if isinstance(jobs, str) else jobs
        undo.callback(store.close)
        books = open_books(places["ledger"], migrate)
        undo.callback(books.close)
        learned = open_island(places["island"], migrate)
        undo.pop_all()
        return store, books, learned


def _open_artifacts(
    where: str | Path | ArtifactStore | None, folder: Path, egress: EgressPolicy | None
) -> ArtifactStore:
    if isinstance(where, str) and where.startswith("s3://"):
        from execution_arrow.artifacts.s3 import S3Artifacts

        return S3Artifacts(where, folder / "artifacts", egress=egress)
    if where is None or isinstance(where, str | Path):
        return FolderArtifacts(Path(where) if where else folder / "artifacts", egress=egress)
    return where


def _inputs(egress: EgressPolicy | None, memory: int | None) -> Inputs:
    return EgressInputs(egress, room=SHARED if memory is None else Room(memory))


def migrate(where: str | Path) -> None:
    """Make or bring up the tables of jobs, ledger and island, and nothing else."""
    _, urls = _places(where, ".")
    open_store(urls["arrow"], migrate=True).close()
    open_books(urls["ledger"], migrate=True).close()
    make_tables(urls["island"])


def _httpx() -> Transport:
    from execution_arrow.transport.httpx import HttpxTransport

    return HttpxTransport()


def _places(
    where: str | Path, artifacts: str | Path | ArtifactStore | None, scratch: str | Path | None = None
) -> tuple[Path, dict[str, Any]]:
    """The folder for files, and the URLs of the three stores."""
    if not str(where):
        raise ValueError("Arrow.open(''): name a folder; the current one is '.'")
    names = ("ledger", "arrow", "island")
    scheme = str(where).partition("://")[0]
    if str(where) != "memory:" and scheme not in _SERVERS:
        folder = Path(where)
        folder.mkdir(parents=True, exist_ok=True)
        urls = {name: f"sqlite:///{quote(str(folder.absolute() / name))}.db" for name in names}
        return folder, {**urls, "island": f"sqlite:///{folder.absolute()}/island.db"}  # never unquoted there
    named = isinstance(artifacts, str | Path) and not str(artifacts).startswith("s3://")
    local = scratch or (artifacts if named else None)
    if artifacts is None:
        raise ValueError(f"Arrow.open('{scheme}:…') keeps files all the same: pass artifacts='some/folder'")
    if not isinstance(local, str | Path):
        raise ValueError("results go elsewhere, and pass through this machine: pass scratch='some/folder'")
    # What follows the question mark is for the jobs of a Redis, and for everybody in a PostgreSQL.
    shared = str(where).partition("?")[0] if scheme.startswith("redis") else str(where)
    return Path(local), {**dict.fromkeys(names, shared), "arrow": str(where)}


_SERVERS = ("postgresql", "postgres", "redis", "rediss", "redis+unix")


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
        except InvalidCatalog as error:
            raise CatalogBroken(str(error)) from error
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
