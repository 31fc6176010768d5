"""From a request to a durable generation with a durable hold; no provider hears of it yet.

The order is the one that a crash at any point forgives: the row first (it knows the idempotency key), then
the hold (keyed by the generation), and nothing else. Whoever finds the row later asks for the hold again
with the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from execution_arrow import facts as f
from execution_arrow.driver.driver import Driver
from execution_arrow.driver.lease import Lease
from execution_arrow.driver.session import Heard, Session
from execution_arrow.errors import (
    IdempotencyConflict,
    InsufficientCredits,
    LedgerRefused,
    RequestRejected,
)
from execution_arrow.intake.checks import check_account, check_options
from execution_arrow.intake.freezing import fingerprint, freeze, routes_of
from execution_arrow.machine.codec import dump_spec, dump_state
from execution_arrow.machine.state import Run, Spec
from execution_arrow.policy import Policy
from execution_arrow.record import credits
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Create, Existing, Release

if TYPE_CHECKING:
    from execution_arrow.wiring import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """One provider's price to the account and cost to us (None = the provider's bill is not known)."""

    price: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a request would cost now. `price` is what would be held; `quotes` are in the order of asking."""

    model: str
    price: Decimal
    quotes: Mapping[str, Quoted]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller of `generate` asks for. None = the Arrow's own policy and region."""

    model: str
    request: Mapping[str, Any]
    account: str
    key: str | None = None
    policy: Policy | None = None
    region: str | None = None
    sticky: str | None = None


class Options(TypedDict, total=False):
    """What may accompany a request. `idempotency_key`: the same key never generates twice for an account.

    `policy` and `region` replace the Arrow's own for this generation; `sticky` names a provider to stay with
    while it is about as good as the best.
    """

    idempotency_key: str | None
    policy: Policy | None
    region: str | None
    sticky: str | None


_OPTIONS = frozenset(Options.__annotations__)


def wish_of(model: str, request: Mapping[str, Any], account: str, options: Options) -> Wish:
    """Raises `RequestRejected` for options that are not there, or not of their kind."""
    check_options(options, _OPTIONS)
    return Wish(
        model=model,
        request=request,
        account=account,
        key=options.get("idempotency_key"),
        policy=options.get("policy"),
        region=options.get("region"),
        sticky=options.get("sticky"),
    )


class Admission:
    """Checks, freezes, writes and holds."""

    def __init__(
        self, parts: Parts, store: Access, lease: Lease, policy: Policy, region: str, calls_back: bool
    ) -> None:
        self._parts, self._store, self._lease = parts, store, lease
        self._policy, self._region, self._calls_back = policy, region, calls_back

    async def begin(self, wish: Wish, driver: Driver, *, drive: bool) -> Session | str:
        """Admit, then drive it here or leave it to whoever claims it.

        Raises `InsufficientCredits` or `LedgerRefused` once the refusal is durable.
        """
        session = await self.admit(wish)
        if isinstance(session, str):
            return session
        held = session.queue[0].fact
        if not isinstance(held, f.HoldOpened):
            driver.adopt(session)
            await driver.quiet(session.run.spec.id)
            if isinstance(held, f.HoldRefused) and held.reason == "insufficient":
                raise InsufficientCredits(wish.account, held.needed, held.available)
            raise LedgerRefused(wish.account, getattr(held, "reason", "hold_closed"))
        if drive:
            driver.adopt(session)
        else:
            await self._hand_back(session.run.spec)
        return session

    async def admit(self, wish: Wish) -> Session | str:
        """A new generation, ours, with the ledger's answer queued; or the id that the key belongs to."""
        check_account(wish.account, wish.key)
        mark = fingerprint(wish.model, wish.request)
        if wish.key is not None:
            known = await self._store.by_key(wish.account, wish.key)
            if known is not None:
                return _same_request(wish.key, known, mark)
        frozen_at = self.freeze(wish)
        await self._lease.keep()  # from now on we know what time it is at the store
        spec = frozen_at(now=self._lease.clock.now())
        run = Run(spec=spec)
        session = Session(run, version=1, epoch=1, key=wish.key, term=self._lease.term)
        self._lease.making.add(spec.id)
        try:
            created = await self._store.apply(self._creation(wish, run, mark))
            if isinstance(created, Existing):
                assert wish.key is not None
                return _same_request(wish.key, (created.id, created.fingerprint), mark)
            session.queue.append(Heard(attempt=None, fact=await self._hold(spec)))
        except IdempotencyConflict:
            raise
        except BaseException:
            self._lease.doubt()  # the row may be there, in our name
            raise
        finally:
            self._lease.making.discard(spec.id)  # it has a driver before anybody else has a turn
        return session

    def _creation(self, wish: Wish, run: Run, mark: str) -> Create:
        return Create(
            id=run.spec.id,
            account=wish.account,
            model=run.spec.model,
            status=run.status.value,
            spec=dump_spec(run.spec),
            state=dump_state(run),
            created_at=run.spec.created_at,
            next_at=run.spec.created_at,
            key=wish.key,
            fingerprint=mark,
            owner=self._lease.owner,
        )

    async def _hold(self, spec: Spec) -> f.HoldOpened | f.HoldRefused | f.HoldClosed:
        return await self._parts.holds.hold(spec.account, spec.id, spec.hold, spec.longest_life)

    async def _hand_back(self, spec: Spec) -> None:
        """Leave a new generation to whoever claims it."""
        try:
            await self._store.apply(Release(owner=self._lease.owner, rows=[(spec.id, spec.created_at)]))
        except BaseException:
            self._lease.doubt()
            raise

    def freeze(self, wish: Wish) -> Callable[..., Spec]:
        """All that a generation needs from catalogue, tariff, ranking and policy, to be given `now`.

        Writes nothing and asks no store.
        """
        policy, region = wish.policy or self._policy, wish.region or self._region
        prepared = self._parts.normalizer.prepare(wish.model, wish.request)
        routes = routes_of(prepared, self._parts.providers, policy, self._calls_back)
        ranked = self._parts.router.rank(
            prepared.model,
            tuple(routes),
            order=prepared.order,
            region=region,
            costs={name: route.cost for name, route in routes.items() if route.cost is not None},
            work=prepared.work,
            sticky=wish.sticky,
            accounts=tuple(self._parts.credentials.reference(name, wish.account) for name in routes),
        )
        if not ranked.providers:
            raise RequestRejected(["generation_provider_order: names no provider that can do this request"])
        return partial(
            freeze,
            generation_id=self._parts.names.generation(),
            account=wish.account,
            region=region,
            prepared=prepared,
            routes=routes,
            ranked=ranked,
            policy=policy,
        )

    def estimate(self, wish: Wish) -> Estimate:
        spec = self.freeze(wish)(now=self._lease.clock.now())
        return Estimate(
            model=spec.model,
            price=credits(spec.hold),
            quotes={
                name: Quoted(
                    price=credits(route.price), cost=credits(route.cost) if route.cost is not None else None
                )
                for name, route in ((name, spec.routes[name]) for name in spec.chain)
            },
            reason=spec.chain_reason,
        )


def _same_request(key: str, known: tuple[str, str], wanted: str) -> str:
    generation_id, first = known
    if first != wanted:
        raise IdempotencyConflict(key, generation_id)
    return generation_id
