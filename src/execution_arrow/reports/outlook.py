"""What an Arrow can do (`library`), and how it is (`health`): values to print or to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from execution_arrow.errors import MissingCredentials
from execution_arrow.ports import ArtifactStore, Clock, Credentials
from execution_arrow.providers.base import Provider, Semantics
from execution_arrow.stores.access import Access

if TYPE_CHECKING:
    from adaptive_island import Island
    from execution_arrow.wiring import Parts
    from ledger_fortress import AsyncLedger
    from rosetta_bridge import Catalog

PATIENCE = 5.0  # seconds for a part to answer
_NOBODY = "health-check"  # an id that nothing has


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that can be asked for; `schema` is its request's JSON Schema, `providers` in default order."""

    id: str
    kind: str
    providers: tuple[str, ...]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """A provider as this Arrow speaks to it. `cancel`: in which states one can work; None: there is none."""

    id: str
    delivery: Literal["webhook_with_polling", "polling", "synchronous"]
    cancel: str | None
    webhook: str | None
    lookup: str | None
    key_variable: str
    models: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Models by id, providers by name."""

    models: tuple[ModelInfo, ...]
    providers: tuple[ProviderInfo, ...]
    catalog_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part that was asked something harmless. `seconds` is how long it took."""

    service: str
    healthy: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """How a provider has been of late, as this process's island knows it, and whether there is a key for it.

    `status` is `healthy`, `recovering`, `degraded` or `unknown`; attempts fade, so they are no whole numbers.
    """

    provider: str
    status: str
    failure_rate: float | None
    attempts: float
    failures: float
    successes: float
    window_seconds: float
    has_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`healthy`: generations can be accepted and settled; a provider that is down does not change that."""

    checks: tuple[Check, ...]
    providers: tuple[ProviderState, ...]

    @property
    def healthy(self) -> bool:
        return all(check.healthy for check in self.checks)


async def library_of(parts: Parts, models: tuple[str, ...]) -> Library:
    """Reads every model that is named, in a thread: all of them take a second."""
    return await asyncio.to_thread(_library, parts.catalog, parts.providers, models)


def _library(catalog: Catalog, providers: Mapping[str, Provider], models: tuple[str, ...]) -> Library:
    found = tuple(_model(catalog[name]) for name in models or tuple(catalog))
    counts = {name: sum(name in model.providers for model in found) for name in providers}
    return Library(
        models=found,
        providers=tuple(_provider(p.semantics, counts[name]) for name, p in sorted(providers.items())),
        catalog_digest=catalog.digest,
    )


def _model(model: Any) -> ModelInfo:
    return ModelInfo(id=model.id, kind=model.kind, providers=model.providers, schema=model.schema())


def _provider(semantics: Semantics, models: int) -> ProviderInfo:
    told = "webhook_with_polling" if semantics.webhook else "polling"
    return ProviderInfo(
        id=semantics.name,
        delivery="synchronous" if semantics.poll_every is None else told,  # type: ignore[arg-type]
        cancel=semantics.cancel,
        webhook=semantics.webhook,
        lookup=semantics.lookup,
        key_variable=semantics.key_variable,
        models=models,
    )


async def health_of(parts: Parts, store: Access) -> Health:
    """Ask every part at once, each for `PATIENCE` seconds at most."""
    checks = await asyncio.gather(
        _check("jobs", lambda: store.load(_NOBODY), parts.clock),
        _check("ledger", lambda: _ledger(parts.ledger), parts.clock),
        _check("artifacts", lambda: _artifacts(parts.artifacts), parts.clock),
    )
    return Health(checks=tuple(checks), providers=_states(parts.island, parts.providers, parts.credentials))


async def _check(service: str, ask: Callable[[], Awaitable[object]], clock: Clock) -> Check:
    began, error = clock.monotonic(), ""
    try:
        async with asyncio.timeout(PATIENCE):
            await ask()
    except TimeoutError:
        error = f"no answer within {PATIENCE:g} s"
    except Exception as trouble:  # noqa: BLE001 - whatever it is, this part does not work
        error = f"{type(trouble).__name__}: {trouble}"
    return Check(service=service, healthy=not error, seconds=clock.monotonic() - began, error=error)


async def _ledger(ledger: AsyncLedger) -> None:
    try:
        await ledger.balance(_NOBODY)
    except Exception as no:
        if not hasattr(no, "reason"):  # that there is no such account is an answer
            raise


async def _artifacts(artifacts: ArtifactStore) -> None:
    await artifacts.check()


def _states(
    island: Island, providers: Mapping[str, Provider], credentials: Credentials
) -> tuple[ProviderState, ...]:
    """One for each provider and region that the island knows, and one for each that it has not met."""
    known = island.health().providers
    met = {state.provider for state in known}
    return (
        *(
            ProviderState(
                provider=state.provider, status=str(state.status), failure_rate=state.failure_rate,
                attempts=state.attempts, failures=state.failures, successes=state.successes,
                window_seconds=state.window_seconds, has_key=_has_key(credentials, state.provider),
            )
            for state in known
        ),
        *(
            ProviderState(
                provider=name, status="unknown", failure_rate=None, attempts=0.0, failures=0.0, successes=0.0,
                window_seconds=0.0, has_key=_has_key(credentials, name),
            )
            for name in sorted(providers)
            if name not in met
        ),
    )  # fmt: skip


def _has_key(credentials: Credentials, provider: str) -> bool:
    try:
        credentials.get(provider, credentials.reference(provider, ""))
    except MissingCredentials:
        return False
    return True
