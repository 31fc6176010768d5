"""Orders: always a permutation, near-ties keep the caller's order, explicit orders are never rearranged."""

from __future__ import annotations

import itertools
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_island import Attempt, Fault, Island, Order, Outcome, Policy, Weights
from adaptive_island.order import Source, arranged, banded, panics
from tests.adaptive_island.kit import MODEL, THREE, World

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True)


@given(st.data())
def test_arranged_is_a_permutation(data: st.DataObject) -> None:
    """Nobody is lost or doubled, the shut are at the tail, nobody stands behind somebody clearly worse."""
    providers = data.draw(names)
    scores = data.draw(
        st.lists(st.floats(-50, 1), min_size=len(providers), max_size=len(providers)), label="scores"
    )
    shut = data.draw(st.lists(st.sampled_from(providers), unique=True))
    sticky = data.draw(st.none() | st.sampled_from(providers))
    order = arranged(providers, scores, band=0.01, sticky=sticky, shut=shut)
    assert sorted(order) == sorted(providers)
    ours = [name for name in order if name not in shut]
    assert order == ours + [name for name in order if name in shut]
    score = dict(zip(providers, scores, strict=True))
    for better, worse in itertools.combinations(ours, 2):
        assert score[better] >= score[worse] - 0.01


def test_near_ties_keep_the_base_order() -> None:
    assert banded(["a", "b", "c"], [0.900, 0.909, 0.95], 0.01) == ["c", "a", "b"]
    assert banded(["a", "b", "c"], [0.900, 0.911, 0.95], 0.01) == ["c", "b", "a"]


def test_the_band_is_measured_from_the_best_that_is_left() -> None:
    """A chain of near-ties does not carry a bad provider to the front."""
    assert banded(["a", "b", "c"], [0.90, 0.908, 0.916], 0.01) == ["b", "c", "a"]


@given(
    st.lists(st.floats(-1, 1).map(lambda score: round(score, 2)), min_size=1, max_size=9), st.floats(0, 0.3)
)
def test_banded_is_what_its_sentence_says(scores: list[float], band: float) -> None:
    """Again and again: of those within the band of the best that is left, the earliest goes first."""
    left, expected = list(range(len(scores))), []
    while left:
        best = max(scores[i] for i in left)
        expected.append(min(i for i in left if scores[i] >= best - band))
        left.remove(expected[-1])
    assert banded([str(i) for i in range(len(scores))], scores, band) == [str(i) for i in expected]


def test_sticky_stays_within_the_band_only() -> None:
    assert arranged(["a", "b"], [0.95, 0.945], band=0.01, sticky="b") == ["b", "a"]
    assert arranged(["a", "b"], [0.95, 0.900], band=0.01, sticky="b") == ["a", "b"]
    assert arranged(["a", "b"], [0.95, 0.945], band=0.01, sticky="b", shut=["b"]) == ["a", "b"]
    assert arranged(["a", "b"], [0.95, 0.900], band=0.01, sticky="b", shut=["a"]) == ["b", "a"]


def test_sticky_is_measured_from_the_best_and_not_from_who_is_first() -> None:
    """Whoever goes first may be a band below the best already; two bands are not one."""
    assert arranged(["a", "b", "c"], [0.991, 1.0, 0.982], band=0.01, sticky="c") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("blocked", "total", "panic"),
    [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True), (1, 3, False), (2, 3, True), (2, 4, True),
     (3, 8, False), (4, 8, True), (8, 8, True)],
)  # fmt: skip
def test_panic_from_half_on(blocked: int, total: int, panic: bool) -> None:
    """Half or more; but of two providers the healthy one is enough to go to."""
    assert panics(blocked, total, 0.5) is panic


@pytest.mark.parametrize(
    "order", ["fal, byteplus", ("fal", "byteplus"), ["fal", "byteplus"], "fal,byteplus,"]
)
def test_an_explicit_order_is_sequence_and_filter(world: World, order: object) -> None:
    world.report("byteplus", times=30, seconds=1.0)
    world.fail("fal", times=3)
    result = world.island.rank(MODEL, THREE, order=order)  # type: ignore[arg-type]
    assert result == ("fal", "byteplus")
    assert result.source is Source.EXPLICIT
    assert result.dropped == ("replicate",)


def test_an_explicit_order_keeps_open_breakers_where_they_are(world: World) -> None:
    world.report("byteplus")
    world.fail("fal", times=4)
    assert world.rank(order="fal,byteplus") == ("fal", "byteplus")


def test_what_is_named_but_not_allowed_is_dropped_by_name(world: World) -> None:
    result = world.island.rank(MODEL, ("byteplus", "fal"), order="runway, fal")
    assert result == ("fal",)
    assert result.dropped == ("byteplus", "runway")


def test_naming_nobody_who_is_allowed_leaves_nobody(world: World) -> None:
    """A filter is the caller's word, perhaps a contract about data: it is never widened."""
    result = world.island.rank(MODEL, THREE, order=("runway", "openai"))
    assert result == ()
    assert result.dropped == (*THREE, "runway", "openai")
    assert "none of the providers named" in result.reason


def test_one_provider_by_name_is_explicit(world: World) -> None:
    assert world.rank(order="fal") == ("fal",)


@pytest.mark.parametrize("order", ["fastest", ["fastest"], ("fastest",)])
def test_a_named_order_in_a_list_is_that_order(world: World, order: object) -> None:
    """Learned, and not the caller's order that a failure would also give."""
    world.report("fal", times=9, seconds=1.0)
    world.report("byteplus", times=9, seconds=60.0)
    world.report("replicate", times=9, seconds=60.0)
    result = world.island.rank(MODEL, THREE, order=order)  # type: ignore[arg-type]
    assert (result[0], result.source) == ("fal", Source.LEARNED)
    assert not world.events


def test_one_name_in_a_tuple_is_a_filter_too(world: World) -> None:
    """Whoever asks for one provider that is not allowed gets nobody, and not everybody else."""
    for order in (("runway",), ["runway"], "runway,"):
        result = world.island.rank(MODEL, THREE, order=order)
        assert (result, result.dropped) == ((), (*THREE, "runway"))


def test_an_unknown_word_is_the_callers_order_and_says_so(world: World) -> None:
    world.report("fal", times=9, seconds=0.1)
    result = world.island.rank(MODEL, THREE, order="fastets")
    assert result == THREE
    assert result.source is Source.CALLER
    assert "fastets" in result.reason


def test_an_order_is_an_immutable_tuple_with_reasons(world: World) -> None:
    order = world.island.rank(MODEL, THREE)
    assert order == THREE
    assert order.model == MODEL
    assert order[0] == "byteplus"
    assert json.dumps(order) == json.dumps(list(THREE))
    with pytest.raises(AttributeError):
        order.reason = "other"
    with pytest.raises(AttributeError):
        del order.source
    copy = pickle.loads(pickle.dumps(order))
    assert (copy, copy.source, copy.reason) == (order, order.source, order.reason)
    assert isinstance(copy, Order)


@given(st.data())
def test_a_learned_order_is_a_permutation_of_what_was_allowed(data: st.DataObject) -> None:
    """Whatever was reported, whoever is open, whatever it costs."""
    world = World(Policy())
    pool = ["a", "b", "c", "d", "e"]
    for _ in range(data.draw(st.integers(0, 12))):
        outcome = data.draw(st.sampled_from(list(Outcome)))
        seconds = data.draw(st.floats(0, 1e4))
        world.report(data.draw(st.sampled_from(pool)), outcome, seconds=seconds, after=seconds)
        if data.draw(st.booleans()):
            world.fail(data.draw(st.sampled_from(pool)), times=4)
    allowed = data.draw(st.lists(st.sampled_from([*pool, "new"]), min_size=1, unique=True))
    costs = data.draw(st.none() | st.dictionaries(st.sampled_from(pool), st.integers(0, 10**7)))
    kind = data.draw(st.sampled_from(["fastest", "cheapest", "reliable", "balanced"]))
    order = world.island.rank(MODEL, allowed, order=kind, costs=costs)
    assert sorted(order) == sorted(allowed)
    assert order.dropped == ()
    assert world.island.rank(MODEL, allowed, order=kind, costs=costs) == order


def test_each_provider_may_have_its_own_credentials() -> None:
    """A breaker belongs to a reference; a ranking over several accounts must still see it."""
    island = Island.open("memory:", hook=lambda event: None)
    failed = {"model": "m", "provider": "a", "account": "key-a", "outcome": Outcome.FAILED}
    for n in range(20):
        island.record(Attempt(id=f"x{n}", fault=Fault.PROVIDER, **failed))
    references = ("key-a", "key-b")
    assert island.rank("m", ("a", "b"), account=references)[-1] == "a"
    lines = island.explain("m", ("a", "b"), account=references)
    assert {line.provider: line.breaker for line in lines} == {"a": "open", "b": "closed"}


@pytest.mark.parametrize("references", [("k1", "k1", "k2", "k3"), ["k1", "k1", "k2", "k3"]])
def test_credentials_stay_beside_their_provider_when_one_is_named_twice(
    world: World, references: tuple[str, ...]
) -> None:
    world.fail("b", times=4, account="k2")
    question = {"allowed": ("a", "a", "b", "c"), "account": references}
    assert world.rank(**question) == ("a", "c", "b")
    lines = world.island.explain(MODEL, **question)  # type: ignore[arg-type]
    assert {line.provider: line.breaker for line in lines} == {"a": "closed", "b": "open", "c": "closed"}


def test_an_account_may_weigh_otherwise_under_the_same_name() -> None:
    patient = Weights(per_minute=0.0, per_dollar=40.0, per_failure=0.1)
    world = World(Policy(accounts={"acct_9": {"fastest": patient}, "acct_8": {"own": patient}}))
    for _ in range(20):
        world.report("fal", seconds=2.0)
        world.report("byteplus", seconds=50.0)
    costs = {"fal": 90_000, "byteplus": 1_000}
    assert world.rank(("byteplus", "fal"), costs=costs)[0] == "fal"
    assert world.rank(("byteplus", "fal"), costs=costs, account="acct_9")[0] == "byteplus"
    assert world.rank(("byteplus", "fal"), costs=costs, account="acct_8")[0] == "fal"
    assert world.rank(("byteplus", "fal"), costs=costs, account="acct_8", order="own")[0] == "byteplus"
    assert world.rank(("byteplus", "fal"), costs=costs, order="own") == ("byteplus", "fal"), "nobody else's"
    with pytest.raises(ValueError, match="per_dollar"):
        Policy(accounts={"a": {"x": Weights(per_minute=0.1, per_dollar=-1.0, per_failure=0.1)}})


def test_the_benefit_of_the_doubt_has_a_floor_and_a_cap() -> None:
    """It is never more than the policy says, and whoever was not asked lately always has a little of it."""
    timid = Policy(optimism=50.0, doubt_most=0.02, doubt_least=0.004)
    sure = Policy(optimism=0.0, doubt_least=0.004)
    for policy, most in ((timid, 0.02), (sure, 0.004)):
        world = World(policy)
        world.report("fal", times=3)
        world.report("byteplus", times=200)
        world.clock.advance(6 * 3_600.0)
        world.report("replicate", times=200)
        widths = {line.provider: line.width for line in world.island.explain(MODEL, THREE)}
        assert max(w for w in widths.values() if w is not None) == pytest.approx(most)
        assert widths["fal"] == pytest.approx(most)
    assert widths["replicate"] == pytest.approx(0.0), "asked just now, and nothing is hoped"


def test_experience_narrows_the_doubt() -> None:
    def width(experience: float) -> float:
        world = World(Policy(experience=experience, doubt_least=0.0))
        world.report("byteplus", times=100)
        world.clock.advance(4 * 3_600.0)
        world.report("fal", times=100)
        (line,) = (x for x in world.island.explain(MODEL, THREE) if x.provider == "byteplus")
        assert line.width is not None
        return line.width

    assert width(1.0) < width(0.5) < width(0.0)
