"""A loaded model: its public contract and one mapping per provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from .compile import Compiled, Made, compile_choice, compile_route
from .compile_request import Fast, compile_request
from .contract import Contract
from .errors import InvalidRequest, Issue, NotEligible, did_you_mean
from .fields import ORDER_FIELD
from .layers import Override
from .mapping import Mapping, Route
from .normalize import normalize
from .prices import price_micros
from .render import render_route
from .schema import limits, request_schema
from .values import Cost, Payload, Request, Verdict

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
        self._routes: dict[tuple[str, str], Compiled] = {}
        self._choices: dict[str, Callable[[dict[str, Any]], Route | None]] = {}
        self._shut = {
            (m.provider, r.name): why for m in mappings for r in m.routes if (why := self._closed(r))
        }
        self._fast: Fast | None = None
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
        if self._fast is None:
            self._fast = compile_request(self.contract)
        values, given, order = self._fast(data) or normalize(self.contract, data, self._known)
        asked = values.get("generation_output_number", 1)
        request = Request(self.id, self.kind, values, given, order, asked, work_class(values))
        if isinstance(order, tuple) and not any(self._reasons(request, name) == () for name in order):
            eligible = self.eligible(request)
            if eligible:
                message = "names no provider that can honour this request"
                raise InvalidRequest(
                    [Issue(ORDER_FIELD, "order", message, f"eligible: {', '.join(eligible)}")]
                )
        return request

    def eligible(self, request: Request) -> tuple[str, ...]:
        """The providers that honour this request exactly, in the model's default order; may be empty."""
        return tuple(name for name in self.providers if not self._reasons(request, name))

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
        route, made, reasons = self._attempt(request, provider)
        if route is None or made is None:
            raise NotEligible(provider, reasons)
        arguments, body, dropped, fetches = made
        return Payload(
            provider, route.name, "POST", route.path, route.model, route.encoding, dict(route.headers), body,
            arguments, fetches, dropped, self._digest(),
        )  # fmt: skip

    def cost(self, request: Request, provider: str) -> Cost | None:
        """What the provider bills for this request; None when no price is known. Raises `NotEligible`."""
        route, _, reasons = self._attempt(request, provider)
        if reasons or route is None:
            raise NotEligible(provider, reasons)
        price = route.price
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

    def _attempt(self, request: Request, provider: str) -> tuple[Route | None, Made | None, Reasons]:
        if request.model != self.id:
            raise ValueError(
                f"a request for {request.model} was given to {self.id}; normalize it with this model"
            )
        mapping = self.mappings.get(provider)
        if mapping is None:
            return (
                None,
                None,
                (("", f"{self.id} is not served there ({did_you_mean(provider, self.mappings)})"),),
            )
        choose = self._choices.get(provider)
        if choose is None:
            choose = self._choices[provider] = compile_choice(mapping, self.id)
        route = choose(request.values)
        if route is None:
            return None, None, tuple(_unmatched(mapping, request))
        if self._shut and (closed := self._shut.get((provider, route.name))) is not None:
            return route, None, (("", closed),)
        made = self._compiled(provider, route)(request.values, request.given)
        if made is not None:
            return route, made, ()
        # Not the good case, as far as the compiled route can tell: the interpreter decides and says why.
        told = render_route(route, self.contract, request.values, request.given)
        made = None if told.reasons else (told.arguments, told.body, told.dropped, told.fetches)
        return route, made, told.reasons

    def _compiled(self, provider: str, route: Route) -> Compiled:
        compiled = self._routes.get((provider, route.name))
        if compiled is None:
            compiled = self._routes[provider, route.name] = compile_route(route, self.contract, provider)
        return compiled

    def _reasons(self, request: Request, provider: str) -> Reasons:
        return self._attempt(request, provider)[2]


def _unmatched(mapping: Mapping, request: Request) -> list[tuple[str, str]]:
    """Why no route matches: for each route the conditions that do not hold."""
    told = []
    for route in mapping.routes:
        for condition in route.when:
            if not condition.holds(request.values):
                told.append((condition.field, f"the route {route.name} needs {condition}"))
    return list(dict.fromkeys(told)) or [("", "no route")]


def work_class(values: dict[str, Any]) -> str:
    """`1080p/8s`, `2K`, `8s`, `1024x768` or `default`; see `Request.work`."""
    size, seconds = values.get("generation_resolution"), values.get("generation_duration")
    if size is None and "generation_width" in values and "generation_height" in values:
        size = f"{values['generation_width']}x{values['generation_height']}"
    if seconds is None:
        return "default" if size is None else str(size)
    return f"{seconds}s" if size is None else f"{size}/{seconds}s"
