"""For teams that test their own mappings: cases as data, so that any language can run the same ones.

A case is `{"name": ..., "request": {...}, "expected": {provider: answer}}`. An answer is `{"excluded_by":
field}`, or what the provider is sent: `route`, `path`, `body`; and, only where there is something to say,
`dropped` (names), `headers`, `encoding` (when not json) and `cost` in micro-credits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .model import Model
from .values import Request


def answer(model: Model, request: Request, provider: str) -> dict[str, Any]:
    """What one provider makes of a request, in the form of a case."""
    verdict = next((v for v in model.explain(request) if v.provider == provider), None)
    if verdict is None or not verdict.eligible:
        return {"excluded_by": verdict.field if verdict else None}
    payload, cost = model.render(request, provider), model.cost(request, provider)
    told: dict[str, Any] = {"route": payload.route, "path": payload.path, "body": payload.body}
    told |= {"dropped": list(payload.dropped)} if payload.dropped else {}
    told |= {"headers": payload.headers} if payload.headers else {}
    told |= {"encoding": payload.encoding} if payload.encoding != "json" else {}
    told |= {"cost": cost.micros} if cost else {}
    return dict(json.loads(json.dumps(told)))


def run_case(model: Model, case: Mapping[str, Any]) -> None:
    """Raise `AssertionError` with both sides when a provider of the case answers differently."""
    request = model.normalize(case["request"])
    for provider, expected in case["expected"].items():
        told = answer(model, request, provider)
        assert told == expected, f"{case.get('name', 'a case')}, {provider}: {told!r} is not {expected!r}"
