"""A loaded model: its public contract and one mapping per provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from .compiled.compile import Compiled, Judge, compile_judge, compile_mapping
from .compiled.payload import OneCall, compile_payload
from .compiled.request import Door, Rows, compile_request, compile_rows
from .errors import InvalidRequest, Issue, NotEligible, did_you_mean
from .language.contract import Contract
from .language.fields import ORDER_FIELD
from .language.mapping import Mapping, Route
from .prices import price_micros
from .render import Rendered, render_route
from .schema import limits, request_schema
from .values import Cost, Override, Payload, Request, Verdict, make_payload

Reasons = tuple[tuple[str, str], ...]


class Model:
    """What one model takes from the public, and how each provider is asked for it.

    Immutable and safe to share between threads and after a fork. `providers` are those with at least one
    route that the catalogue's `include` and date allow, in the model's default order; `id` is the canonical
    id, also when the model was asked for by an alias.
    """

    def __init__(
        self,
        contract: Contract,
        mappings: tuple[Mapping, ...],
        digest: Callable[[], str],
        known_providers: frozenset[str],
        on: date,
        include: str,
        overrides: tuple[Override, ...] = (),
    ) -> None:
        self.contract, self.mappings, self.overrides = contract, {m.provider: m for m in mappings}, overrides
        self._digest, self._known, self._on, self._include = digest, known_providers, on, include
        self._compiled: dict[str, Compiled] = {}
        self._judges: dict[str, Judge] = {}
        self._one_call: dict[str, OneCall] = {}
        self._shut = {
            (m.provider, r.name): why for m in mappings for r in m.routes if (why := self._closed(r))
        }
        self._door: Door = self._first
        self._rows: Rows | None = None
        self._fields = contract.fields
        self.id, self.kind, self.lab = contract.id, contract.kind, contract.lab
        self.providers = tuple(
            m.provider for m in mappings if any((m.provider, r.name) not in self._shut for r in m.routes)
        )

    def __repr__(self) -> str:
        return f"<Model {self.id}: {', '.join(self.providers) or 'no provider'}>"

    def normalize(self, data: Any) -> Request:
        """Check a request and fill in defaults. Raises `InvalidRequest` with *all* issues, nothing else.

        An explicit `generation_provider_order` that names no eligible provider is an issue, unless nobody
        is eligible: that is `require_eligible`'s to say.
        """
        return self._door(data)

    def eligible(self, request: Request) -> tuple[str, ...]:
        """The providers that honour this request exactly, in the model's default order; may be empty."""
        row = self._row(request)
        return tuple(name for name in self.providers if self._can(request, row, name))

    def require_eligible(self, request: Request) -> tuple[str, ...]:
        """`eligible`, or `InvalidRequest` whose issues name per provider the field that excludes it."""
        if eligible := self.eligible(request):
            return eligible
        issues = [
            Issue(verdict.field or "", "not_eligible", f"{verdict.provider}: {verdict.reason}")
            for verdict in self.explain(request)
        ]
        raise InvalidRequest(
            issues
            or [
                Issue(
                    "",
                    "not_eligible",
                    f"{self.id} has no provider",
                    "open the catalogue with include='secondary'",
                )
            ]
        )

    def explain(self, request: Request) -> tuple[Verdict, ...]:
        """One verdict per provider of the model, in default order, with every reason that excludes it."""
        verdicts = []
        for name, mapping in self.mappings.items():
            route = mapping.route(request.values)
            reasons = tuple((field or None, why) for field, why in self._reasons(request, name))
            field, why = reasons[0] if reasons else (None, None)
            verdicts.append(Verdict(name, not reasons, field, why, reasons, route.name if route else None))
        return tuple(verdicts)

    def render(self, request: Request, provider: str) -> Payload:
        """The provider's payload, whole. Raises `NotEligible` when it cannot honour the request."""
        try:
            row = request._row if request._fields is self._fields else self._made_row(request)
            if (payload := self._compiled[provider](row)) is not None:
                return payload
        except KeyError:
            pass  # the provider's first, or not one of this model's
        found, reasons = self._attempt(request, provider)
        if found is None:
            raise NotEligible(provider, reasons)
        return found

    def payload(self, data: Any, provider: str) -> Payload:
        """`normalize`, then `render` for one provider, in one step. Raises what they raise."""
        one_call = self._one_call.get(provider)
        if one_call is None:
            if (mapping := self.mappings.get(provider)) is None:
                return self.render(self.normalize(data), provider)
            one_call = compile_payload(mapping, self.contract, self._known, self._digest(), self._shut)
            self._one_call[provider] = one_call
        payload = one_call(data)
        return self.render(self.normalize(data), provider) if payload is None else payload

    def cost(self, request: Request, provider: str) -> Cost | None:
        """What the provider bills for this request; None when no price is known. Raises `NotEligible`."""
        self.render(request, provider)
        route = self.mappings[provider].route(request.values)
        price = route.price if route else None
        micros = price_micros(price, request.values) if price else None
        if price is None or micros is None:
            return None
        return Cost(micros, price.kind, price.evidence, price.date)

    def estimate(self, request: Request) -> dict[str, Cost | None]:
        """The cost at each eligible provider, in default order; None where no price is known."""
        return {name: self.cost(request, name) for name in self.eligible(request)}

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the public request."""
        return request_schema(self.contract, tuple(sorted(self._known)))

    def limits(self) -> dict[str, dict[str, list[str]]]:
        """Per provider and route: in what it takes less than the public contract. For review and docs."""
        return {name: limits(mapping) for name, mapping in self.mappings.items()}

    def in_use(self, provider: str, route: str) -> bool:
        """Whether the catalogue's `include` and date allow a route at all."""
        return (provider, route) not in self._shut

    def _first(self, data: Any) -> Request:
        """The first request: from then on the compiled function takes its place."""
        self._door = compile_request(self.contract, self._known, self._settle)
        return self._door(data)

    def _settle(self, request: Request) -> None:
        """Refuse an order that names no eligible provider, unless nobody is eligible."""
        row = self._row(request)
        if any(name in self.providers and self._can(request, row, name) for name in request.order):
            return
        if eligible := self.eligible(request):
            message = "names no provider that can honour this request"
            raise InvalidRequest([Issue(ORDER_FIELD, "order", message, f"eligible: {', '.join(eligible)}")])

    def _closed(self, route: Route) -> str | None:
        """Why a route is not used at all: retired, or its evidence is weaker than the catalogue allows."""
        for retired in (self.contract.retired, route.retired):
            if retired is not None and retired.by(self._on):
                return f"retired on {retired.date}" + (
                    f"; successor {retired.successor}" if retired.successor else ""
                )
        if route.evidence.level == "secondary" and self._include != "secondary":
            return "its evidence is secondary; open the catalogue with include='secondary' to use it"
        return None

    def _attempt(self, request: Request, provider: str) -> tuple[Payload | None, Reasons]:
        """The payload, by the compiled mapping where it can tell, else by the interpreter; or why not."""
        row = self._row(request)
        compiled = self._compiled.get(provider)
        if compiled is None:
            if (mapping := self.mappings.get(provider)) is None:
                return None, (
                    ("", f"{self.id} is not served there ({did_you_mean(provider, self.mappings)})"),
                )
            compiled = compile_mapping(mapping, self.contract, self._digest(), self._shut)
            self._compiled[provider] = compiled
        if (payload := compiled(row)) is not None:
            return payload, ()
        return self._interpreted(request, self.mappings[provider])

    def _can(self, request: Request, row: tuple[Any, ...], provider: str) -> bool:
        """Whether there are no reasons against a provider of this model; quick where there are none."""
        judge = self._judges.get(provider)
        if judge is None:
            judge = self._judges[provider] = compile_judge(self.mappings[provider], self.contract, self._shut)
        return judge(row) is True or not self._reasons(request, provider)

    def _row(self, request: Request) -> tuple[Any, ...]:
        return request._row if request._fields is self._fields else self._made_row(request)

    def _made_row(self, request: Request) -> tuple[Any, ...]:
        """What compiled routes read of a request that this model did not normalize.

        Empty for one that lacks what `normalize` puts in always; a `ValueError` for another model's.
        """
        if request.model != self.id:
            raise ValueError(
                f"a request for {request.model} was given to {self.id}; normalize it with this model"
            )
        if self._rows is None:
            self._rows = compile_rows(self.contract)
        return self._rows(request.values, request.given)

    def _interpreted(self, request: Request, mapping: Mapping) -> tuple[Payload | None, Reasons]:
        """What a mapping means, by its specification."""
        route = mapping.route(request.values)
        if route is None:
            return None, tuple(_unmatched(mapping, request))
        if (closed := self._shut.get((mapping.provider, route.name))) is not None:
            return None, (("", closed),)
        told = render_route(route, self.contract, request.values, request.given)
        if told.reasons:
            return None, told.reasons
        return payload_of(route, mapping.provider, told, self._digest()), ()

    def _reasons(self, request: Request, provider: str) -> Reasons:
        return self._attempt(request, provider)[1]


def payload_of(route: Route, provider: str, told: Rendered, digest: str) -> Payload:
    """A rendered route as callers hold it."""
    return make_payload(
        provider, route.name, "POST", route.path, route.model, route.encoding, dict(route.headers), told.body,
        told.arguments, told.fetches, told.dropped, digest,
    )  # fmt: skip


def _unmatched(mapping: Mapping, request: Request) -> list[tuple[str, str]]:
    """Why no route matches: for each route the conditions that do not hold."""
    told = []
    for route in mapping.routes:
        for condition in route.when:
            if not condition.holds(request.values):
                told.append((condition.field, f"the route {route.name} needs {condition}"))
    return list(dict.fromkeys(told)) or [("", "no route")]
