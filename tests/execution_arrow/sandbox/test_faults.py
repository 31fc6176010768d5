from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.sandbox.faults import KINDS, Fault, FaultBook, chance, parse_fault


def strikes(book: FaultBook, count: int, *, model: str = "m", on: str = "submit") -> list[bool]:
    return [book.strike("fal", on, model) is not None for _ in range(count)]


def book(*faults: Fault, seed: int = 0) -> FaultBook:
    made = FaultBook(seed)
    for fault in faults:
        made.add("fal", fault)
    return made


def test_times_and_after():
    assert strikes(book(Fault("server_error", times=2, after=1)), 5) == [False, True, True, False, False]


def test_only_its_model_and_place():
    made = book(Fault("server_error", model="m", on="poll"))
    assert strikes(made, 1, model="other", on="poll") == [False]
    assert strikes(made, 1, on="submit") == [False]
    assert strikes(made, 1, on="poll") == [True]


def test_another_provider_is_untouched():
    assert book(Fault("down")).strike("replicate", "submit", "m") is None


def test_the_first_that_fires_wins():
    made = book(Fault("server_error", times=1), Fault("lost_reply"))
    kinds = [made.strike("fal", "submit", "m").kind for _ in range(2)]
    assert kinds == ["server_error", "lost_reply"]


def test_an_outage_is_met_everywhere():
    made = book(Fault("down"))
    assert made.outage("fal")
    assert strikes(made, 1, on="poll") == [True]
    made.heal("fal")
    assert not made.outage("fal")


def test_healing_one_kind_keeps_the_others():
    made = book(Fault("down"), Fault("lost_reply"))
    made.heal("fal", "down")
    assert [fault.kind for fault in made.active("fal")] == ["lost_reply"]


@given(seed=st.integers(), share=st.floats(0.05, 0.95))
def test_a_share_is_a_function_of_the_seed(seed, share):
    first, second = (strikes(book(Fault("lost_reply", probability=share), seed=seed), 60) for _ in range(2))
    assert first == second


def test_a_share_is_about_met_and_differs_by_seed():
    runs = [strikes(book(Fault("lost_reply", probability=0.3), seed=seed), 2000) for seed in (1, 2)]
    assert all(500 < sum(run) < 700 for run in runs)
    assert runs[0] != runs[1]


@given(st.lists(st.one_of(st.integers(), st.text()), max_size=4))
def test_chance_is_a_share_of_one(key):
    assert 0 <= chance(*key) < 1
    assert chance(*key) == chance(*key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fal=down", ("fal", Fault("down"))),
        ("fal=lost_reply:0.1", ("fal", Fault("lost_reply", probability=0.1))),
        (
            "replicate=rate_limited,times=2,seconds=3,on=poll",
            ("replicate", Fault("rate_limited", times=2, seconds=3.0, on="poll")),
        ),
        ("fal=slow:0.5,model=fal-ai/veo3.1", ("fal", Fault("slow", probability=0.5, model="fal-ai/veo3.1"))),
    ],
)
def test_reading_a_fault(text, expected):
    assert parse_fault(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("fal", "provider=kind"),
        ("=down", "provider=kind"),
        ("fal=explodes", "there are"),
        ("fal=down:often", "probability"),
        ("fal=down:2", "between 0 and 1"),
        ("fal=down,color=red", "no 'color'"),
        ("fal=down,times=x", "times"),
        ("fal=down,times=0", "at least 1"),
        ("fal=job_fails,on=poll", "strikes on 'submit'"),
        ("fal=down,on=monday", "strikes on one of"),
    ],
)
def test_a_fault_that_cannot_be_says_why(text, hint):
    with pytest.raises(ValueError, match=hint):
        parse_fault(text)


def test_every_kind_can_be_written():
    for kind in KINDS:
        assert parse_fault(f"fal={kind}")[1] == Fault(kind)
