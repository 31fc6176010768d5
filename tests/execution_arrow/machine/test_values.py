"""Copies and documents are made field by field once per class; they must be what `dataclasses` would make."""

from __future__ import annotations

import dataclasses
import inspect
import pickle

import pytest

from execution_arrow.machine.codec import dump_spec, load_spec
from execution_arrow.machine.state import Attempt, State
from execution_arrow.policy import Policy
from execution_arrow.values import quick, replace, shared, told
from tests.execution_arrow.machine.build import make_run

ATTEMPT = Attempt(id="a", provider="p", token="t", credentials="c", epoch=1, sent_at=0.0, job="j", lost=(1,))


def test_a_copy_is_what_dataclasses_would_have_made() -> None:
    changes = {"state": State.LIVE, "next_at": 7.0, "urls": {"poll": "u"}, "job": None}
    copy = replace(ATTEMPT, **changes)
    assert copy == dataclasses.replace(ATTEMPT, **changes)
    assert ATTEMPT.state is State.SENDING  # the first one is untouched
    assert hash(replace(copy, urls=())) == hash(dataclasses.replace(copy, urls=()))


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(AttributeError):
        replace(ATTEMPT, no_such_field=1)


def test_a_copy_is_frozen_like_any_other() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(ATTEMPT, job="k").job = "l"  # type: ignore[misc]


@dataclasses.dataclass(frozen=True, slots=True)
class _Base:
    first: int


def _plain() -> type:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Made(_Base):
        second: list[int] = dataclasses.field(default_factory=list)
        third: str = dataclasses.field(default="t", kw_only=True)
        fourth: int = dataclasses.field(default=4, init=False)

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError("below nothing")

    return Made


def test_a_quick_class_is_made_as_dataclasses_would_make_it() -> None:
    usual, made = _plain(), quick(_plain())
    for _ in range(2):  # the first one compiles what makes the others
        for values, names in (((1,), {}), ((1, [2]), {"third": "x"}), ((), {"first": 1, "second": [3]})):
            ours, theirs = made(*values, **names), usual(*values, **names)
            assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)
            assert type(ours) is made
            with pytest.raises(dataclasses.FrozenInstanceError):
                ours.first = 2
        for wrong in ({}, {"first": 1, "fifth": 5}, {"first": 1, "fourth": 5}):
            with pytest.raises(TypeError, match=r"first|fifth|fourth"):
                made(**wrong)
        with pytest.raises(ValueError, match="below nothing"):
            made(-1)
    assert made(1).second is not made(1).second
    assert inspect.signature(made) == inspect.signature(usual)
    assert pickle.loads(pickle.dumps(ATTEMPT)) == ATTEMPT
    assert hash(ATTEMPT.__class__(**{**told(ATTEMPT), "urls": ()})) == hash(replace(ATTEMPT, urls=()))


def test_what_cannot_be_quick_is_refused_at_once() -> None:
    @dataclasses.dataclass(frozen=True)
    class Open:
        first: int

    with pytest.raises(KeyError):
        quick(Open)


def test_only_what_differs_from_the_default_is_told() -> None:
    assert told(ATTEMPT) == {
        "id": "a", "provider": "p", "token": "t", "credentials": "c", "epoch": 1, "sent_at": 0.0, "job": "j",
        "lost": (1,),
    }  # fmt: skip


def test_equal_values_are_held_once() -> None:
    first = shared(Policy(unknown_patience=3.0))
    assert shared(Policy(unknown_patience=3.0)) is first
    assert shared(Policy(unknown_patience=4.0)) is not first


def test_a_prompt_that_is_read_back_is_held_once() -> None:
    prompt = "a lighthouse at dusk, " * 200
    spec = make_run().spec
    routes = {
        name: replace(route, payload=replace(route.payload, body={"input": [{"text": prompt + ""}]}))
        for name, route in spec.routes.items()
    }
    loaded = load_spec(dump_spec(replace(spec, request={"generation_prompt": prompt}, routes=routes)))
    texts = [route.payload.body["input"][0]["text"] for route in loaded.routes.values()]
    assert len(texts) == 3
    assert all(text is loaded.request["generation_prompt"] for text in texts)
    assert loaded.policy is load_spec(dump_spec(spec)).policy
