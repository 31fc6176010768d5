"""The published documents: read and written, refused by place, and the same verdict as JSON Schema."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from adaptive_island import Attempt, Fault, Outcome
from adaptive_island.documents import PUBLISHED, AttemptV1, RankingV1, parse_attempt, parse_ranking
from adaptive_island.errors import BadDocument
from adaptive_island.order import Source
from adaptive_island.stores import ranking_key
from tests.adaptive_island.kit import MODEL, THREE, World

RANKING = {
    "providers_ranked": ["fal", "byteplus"],
    "scores": {"fal": 0.9, "byteplus": 0.5},
    "attempts_total": 120,
    "window_hours": 24,
    "computed_at": "2025-06-15T15:06:40Z",
}
ATTEMPT = {
    "schema_version": "attempt.v1",
    "id": "gen_9/1",
    "model": MODEL,
    "provider": "fal",
    "outcome": "failed",
    "fault": "provider",
    "seconds": 4.5,
    "cost": 40_000,
    "retry_after": 30.0,
    "at": "2025-06-15T15:06:40+00:00",
}


def changed(document: dict[str, Any], **changes: Any) -> str:
    result = {**document, **changes}
    return json.dumps({key: value for key, value in result.items() if value is not ...})


def test_an_attempt_goes_there_and_back() -> None:
    attempt = parse_attempt(json.dumps(ATTEMPT))
    assert attempt == Attempt(
        id="gen_9/1", model=MODEL, provider="fal", outcome=Outcome.FAILED, fault=Fault.PROVIDER,
        seconds=4.5, cost=40_000, retry_after=30.0, at=1_750_000_000.0,
    )  # fmt: skip
    assert parse_attempt(AttemptV1.of(attempt).model_dump_json()) == attempt


WRONG_ATTEMPTS: list[dict[str, Any]] = [
    *({"schema_version": "attempt.v2"}, {"id": ""}, {"id": ...}, {"outcome": "cancelled"}, {"fault": "user"}),
    *({"seconds": -1}, {"seconds": 1e9}, {"seconds": "4"}, {"cost": 0.04}, {"cost": -1}, {"cost": 2**53}),
    *({"at": "2025-06-15T15:06:40"}, {"at": ...}, {"note": "x"}, {"model": 7}),
]
WRONG_RANKINGS: list[dict[str, Any]] = [
    *({"providers_ranked": []}, {"providers_ranked": [""]}, {"providers_ranked": "fal"}),
    *({"scores": {"fal": "high"}}, {"attempts_total": -1}, {"attempts_total": 1.5}, {"window_hours": 0}),
    *({"computed_at": "yesterday"}, {"computed_at": ...}, {"extra": 1}),
]


@pytest.mark.parametrize("change", WRONG_ATTEMPTS, ids=repr)
def test_a_wrong_attempt_is_refused_here_and_by_its_schema(change: dict[str, Any]) -> None:
    text = changed(ATTEMPT, **change)
    with pytest.raises(BadDocument, match=r"attempt\.v1 document: \$\."):
        parse_attempt(text)
    if change != {"at": "2025-06-15T15:06:40"}:  # an offset is required by the text of the schema's format
        assert not accepted("attempt.v1", text)


@pytest.mark.parametrize("change", WRONG_RANKINGS, ids=repr)
def test_a_wrong_ranking_is_refused_here_and_by_its_schema(change: dict[str, Any]) -> None:
    text = changed(RANKING, **change)
    with pytest.raises(BadDocument, match=r"ranking\.v1 document: \$\."):
        parse_ranking(text)
    if change != {"computed_at": "yesterday"}:  # formats are annotations unless their checkers are installed
        assert not accepted("ranking.v1", text)


def accepted(name: str, text: str) -> bool:
    validator = Draft202012Validator(PUBLISHED[name].model_json_schema(), format_checker=FormatChecker())
    return validator.is_valid(json.loads(text))


def test_the_schemas_accept_what_is_valid() -> None:
    assert accepted("attempt.v1", json.dumps(ATTEMPT))
    assert accepted("ranking.v1", json.dumps(RANKING))
    for model in PUBLISHED.values():
        Draft202012Validator.check_schema(model.model_json_schema())


def test_a_ranking_without_a_score_for_a_provider_is_refused() -> None:
    with pytest.raises(BadDocument, match="scores lacks byteplus"):
        parse_ranking(changed(RANKING, scores={"fal": 1.0}))


def test_a_published_ranking_orders_what_is_unknown_and_drops_nobody(world: World) -> None:
    world.island.rankings.write(ranking_key("us", MODEL), json.dumps(RANKING), 3_600)
    assert world.rank() == THREE, "nothing is read on the request path"
    world.island.refresh()
    order = world.island.rank(MODEL, THREE)
    assert order == ("fal", "byteplus", "replicate")
    assert order.source is Source.CACHED
    assert world.island.rank(MODEL, ("replicate", "openai")).source is Source.CALLER
    assert world.rank(region="eu") == THREE


def test_own_knowledge_overrules_a_published_ranking(world: World) -> None:
    world.island.rankings.write(ranking_key("us", MODEL), json.dumps(RANKING), 3_600)
    world.island.refresh()
    world.fail("fal", times=3)
    order = world.island.rank(MODEL, THREE)
    assert order[-1] == "fal"
    assert order.source is Source.LEARNED


def test_an_old_ranking_is_not_used(world: World) -> None:
    world.island.rankings.write(ranking_key("us", MODEL), json.dumps(RANKING), 10**9)
    world.island.refresh()
    world.clock.advance(world.island.policy.ranking_age + 1)
    assert world.rank() == THREE


@pytest.mark.parametrize("garbage", ["", "{", "[]", "null", changed(RANKING, scores={}), b"\xff\xfe"])
def test_garbage_in_the_cache_is_named_and_ignored(world: World, garbage: Any) -> None:
    world.island.rankings.write("predictive:ranking:us:good", json.dumps(RANKING), 3_600)
    world.island.rankings.write(ranking_key("us", MODEL), garbage, 3_600)
    world.island.refresh()
    assert world.rank() == THREE
    assert world.rank(model="good")[0] == "fal"
    assert MODEL in world.island.health().last_error


def test_what_is_published_is_a_valid_ranking(world: World) -> None:
    for provider, seconds in (("byteplus", 30.0), ("replicate", 20.0), ("fal", 5.0)):
        world.report(provider, seconds=seconds, times=10)
    world.island.publish(MODEL)
    [(key, text)] = world.island.rankings.read().items()
    assert key == f"predictive:ranking:us:{MODEL}"
    assert accepted("ranking.v1", str(text))
    assert parse_ranking(text).providers_ranked == ["fal", "replicate", "byteplus"]
    other = World()
    other.island.rankings.write(key, str(text), 3_600)
    other.island.refresh()
    assert other.rank() == ("fal", "replicate", "byteplus")


def test_nothing_is_published_where_nothing_is_known(world: World) -> None:
    world.island.publish("nobody/knows")
    assert world.island.rankings.read() == {}


def test_importing_and_ranking_loads_no_pydantic() -> None:
    code = (
        "import sys, adaptive_island as a; i = a.Island.open('memory:'); i.attempt('m', 'fal').succeed();"
        "i.rank('m', ('byteplus', 'fal'), costs={'fal': 1}); i.explain('m', ('fal',)); i.health();"
        "print([m for m in ('pydantic', 'jsonschema', 'httpx', 'yaml', 'asyncio', 'rosetta_bridge',"
        " 'ledger_fortress', 'execution_arrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_ranking_that_names_somebody_twice_doubles_nobody(world: World) -> None:
    at = datetime.fromtimestamp(world.clock(), UTC)
    ranking = RankingV1(
        providers_ranked=["fal", "fal", "byteplus"], scores={"fal": 1.0, "byteplus": 0.5},
        attempts_total=9, window_hours=24, computed_at=at,
    )  # fmt: skip
    world.island.rankings.write(ranking_key("us", MODEL), ranking.model_dump_json(), 3_600.0)
    world.island.refresh()
    assert world.rank() == ("fal", "byteplus", "replicate")
    world.report("fal")
    assert sorted(world.rank()) == sorted(THREE)


@pytest.mark.parametrize("region", ["eu:west", ""])
def test_a_region_that_no_key_carries_is_not_published_but_named(world: World, region: str) -> None:
    """The key would be read back as another region and model, or not at all."""
    world.report("fal", region=region)
    world.island.publish(MODEL, region=region)
    assert world.island.rankings.read() == {}
    assert "colon" in world.island.health().last_error


@pytest.mark.parametrize("at", [0.0, 1e15])
def test_an_attempt_without_a_moment_has_no_document(at: float) -> None:
    """0 means now, and would be read back as 1970 by everybody who takes the document at its word."""
    with pytest.raises(ValueError, match="set `at`"):
        AttemptV1.of(Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, at=at))
