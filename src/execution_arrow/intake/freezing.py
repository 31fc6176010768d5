"""From a prepared request to the frozen spec of a generation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from execution_arrow.errors import RequestRejected
from execution_arrow.machine.state import Route, Spec, Terms
from execution_arrow.policy import Policy
from execution_arrow.ports import Prepared, Quote, Ranked
from execution_arrow.providers.base import Provider
from execution_arrow.values import shared

UNKNOWN_PATIENCE = 60.0  # seconds, where the provider can be asked or calls back


def fingerprint(model: str, request: Mapping[str, Any]) -> str:
    """What an idempotency key is bound to: the model and the request as they were sent."""
    try:
        text = json.dumps([model, request], sort_keys=True, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:  # names that are no text, circles, depth
        raise RequestRejected([f"the request is not JSON: {error}"]) from error
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def terms_of(provider: Provider, quote: Quote, kind: str, policy: Policy, calls_back: bool) -> Terms:
    """A provider's declared behaviour for this request and policy."""
    semantics, sync = provider.semantics, provider.is_sync(quote.payload)
    # An answer that holds the results is no job: nothing can be looked for, called back about or canceled.
    webhook = calls_back and semantics.webhook is not None and not sync
    lookup = semantics.lookup is not None and not sync
    cancel = semantics.cancel is not None and not sync
    patience = policy.unknown_patience
    if patience is None:
        patience = UNKNOWN_PATIENCE if webhook or lookup else 0.0
    default = semantics.video_deadline if kind == "video" else semantics.image_deadline
    return Terms(
        sync=sync,
        deadline=policy.attempt_deadline if policy.attempt_deadline is not None else default,
        poll_every=semantics.poll_every or 1.0,
        patience=patience,
        lookup=lookup,
        webhook=webhook,
        cancel=cancel,
        cancel_erases=semantics.cancel_erases,
        cancel_free=cancel and semantics.cancel_free,
        billed=semantics.billed,
        renewed_for=0.0 if sync else semantics.renewed_for or 0.0,
    )


def routes_of(
    prepared: Prepared, providers: Mapping[str, Provider], policy: Policy, calls_back: bool
) -> dict[str, Route]:
    """The providers that can be asked. Raises `RequestRejected` when none of the eligible ones is here."""
    routes = {
        name: Route(
            payload=quote.payload,
            cost=quote.cost,
            price=quote.price,
            terms=shared(terms_of(providers[name], quote, prepared.kind, policy, calls_back)),
        )
        for quote in prepared.quotes
        if (name := quote.payload.provider) in providers
    }
    if not routes:
        names = ", ".join(quote.payload.provider for quote in prepared.quotes)
        raise RequestRejected(
            [f"the eligible providers ({names}) have no client here: pass providers={{...}}"]
        )
    return routes


def freeze(
    *,
    generation_id: str,
    account: str,
    region: str,
    prepared: Prepared,
    routes: Mapping[str, Route],
    ranked: Ranked,
    policy: Policy,
    now: float,
) -> Spec:
    """Everything the generation will ever need from catalogue, tariff, ranking and policy."""
    chain = {name: routes[name] for name in ranked.providers}
    longest = max(route.terms.deadline for route in chain.values())
    life = policy.generation_deadline if policy.generation_deadline is not None else 2 * longest
    return Spec(
        id=generation_id,
        account=account,
        model=prepared.model,
        kind=prepared.kind,
        region=region,
        request=prepared.values,
        order=prepared.order,
        chain=tuple(chain),
        chain_source=ranked.source,
        chain_reason=ranked.reason,
        work=prepared.work,
        asked=prepared.asked,
        routes=chain,
        hold=max(route.price for route in chain.values()),
        policy=policy,
        catalog_digest=prepared.catalog_digest,
        created_at=now,
        deadline_at=now + life,
    )
