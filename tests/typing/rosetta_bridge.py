"""Never executed: what type checkers must make of the public API."""

from collections.abc import Mapping
from datetime import date
from typing import Any, assert_type

from rosetta_bridge import (
    Catalog,
    Cost,
    InvalidCatalog,
    InvalidRequest,
    Issue,
    Model,
    NotEligible,
    Payload,
    Request,
    RosettaError,
    UnknownModel,
    Verdict,
)


def load() -> Model:
    catalog = Catalog.shipped(on=date(2026, 11, 20))
    assert_type(catalog, Catalog)
    assert_type(Catalog.open("mappings"), Catalog)
    assert_type(catalog.models(), tuple[str, ...])
    assert_type(catalog["bytedance/seedream-4.5"], Model)
    return catalog["bytedance/seedream-4.5"]


def render(model: Model, data: Mapping[str, Any]) -> Payload:
    request = model.normalize(data)
    assert_type(request, Request)
    assert_type(model.eligible(request), tuple[str, ...])
    for verdict in model.explain(request):
        assert_type(verdict, Verdict)
        assert_type(verdict.eligible, bool)
        assert_type(verdict.field, str | None)
    assert_type(model.cost(request, "fal"), Cost | None)
    assert_type(model.estimate(request), dict[str, Cost | None])
    payload = model.render(request, "fal")
    assert_type(payload.method, str)
    assert_type(payload.headers, dict[str, str])
    assert_type(payload.dropped, dict[str, str])
    return payload


def refuse(model: Model) -> RosettaError | None:
    try:
        model.normalize({"generation_ratio": 7})
    except InvalidRequest as error:
        assert_type(error.issues, tuple[Issue, ...])
        return error
    except (InvalidCatalog, NotEligible, UnknownModel) as error:
        assert_type(error.retryable, bool)
        return error
    return None
