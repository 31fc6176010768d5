"""A router that breaks its word costs its opinion, never a generation: intelligence fails open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Status
from execution_arrow import facts as f
from execution_arrow.driver.routing import EVERY, FailOpen
from execution_arrow.ports import Ranked, Verdict
from execution_arrow.testing import FakeProvider, FakeRouter
from tests.execution_arrow.driver.test_driver import arrow_of, generate, run


class Broken(FakeRouter):
    """Raises in one of its verbs."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self.verb = verb

    def _maybe(self, verb: str) -> None:
        if verb == self.verb:
            raise ZeroDivisionError("a bug of the router")

    def rank(self, model: str, allowed: Sequence[str], **more: Any) -> Ranked:
        self._maybe("rank")
        return super().rank(model, allowed, **more)

    def admit(self, model: str, provider: str, **more: Any) -> bool:
        self._maybe("admit")
        return super().admit(model, provider, **more)

    def record(self, verdict: Verdict) -> None:
        self._maybe("record")
        super().record(verdict)


@pytest.mark.parametrize("verb", ["rank", "admit", "record"])
@run
async def test_a_router_that_raises_is_in_nobodys_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, verb: str
):
    """Ten generations fail over in the caller's own order, and the bug is told once, with its traceback."""
    caplog.set_level(logging.WARNING, logger="execution_arrow")
    refused = f.Refused(fault=f.Fault.PROVIDER, code="x", message="no")
    providers = FakeProvider("two", submits=[refused] * 10), FakeProvider("one")
    async with arrow_of(tmp_path, *providers, router=Broken(verb)) as arrow:
        for _ in range(10):
            done = await generate(arrow)
            assert done.status is Status.SUCCEEDED
            assert [attempt.provider for attempt in done.attempts] == ["two", "one"]
    (said,) = [record for record in caplog.records if "router_failed" in record.getMessage()]
    assert f"verb={verb}" in said.getMessage()
    assert said.exc_info is not None


class Answers(FakeRouter):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def rank(self, model: str, allowed: Sequence[str], **_: Any) -> Ranked:
        return self.answer  # type: ignore[no-any-return]


class Clock:
    time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def ranked(*names: str) -> Ranked:
    return Ranked(providers=names, source="s", reason="r")


def ask(router: FailOpen, order: str | tuple[str, ...] = "fastest") -> Ranked:
    return router.rank(
        "m", ("a", "b"), order=order, region="us", costs={}, work="", sticky=None, accounts=("", "")
    )


@pytest.mark.parametrize("answer", [None, ranked(), ranked("c"), ranked("a", "a"), ranked("a", "b", "c")])
def test_an_answer_that_is_no_order_of_what_was_allowed_is_not_used(answer: Any):
    router = FailOpen(Answers(answer), Clock())
    assert ask(router).providers == ("a", "b")
    fallen = ask(router, ("c", "b"))
    if answer != ranked():  # nobody of an explicit order can do it: that is an answer
        assert (fallen.providers, fallen.dropped) == (("b",), ("c",))


@pytest.mark.parametrize("answer", [ranked("b", "a"), ranked("b")])
def test_a_routers_order_is_used_as_it_is(answer: Ranked):
    assert ask(FailOpen(Answers(answer), Clock())) is answer


def test_it_is_told_again_every_five_minutes_with_a_count(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="execution_arrow")
    clock = Clock()
    router = FailOpen(Broken("rank"), clock)
    for _ in range(int(EVERY) + 1):
        ask(router)
        clock.time += 1.0
    assert ["failures=1:" in r.getMessage() for r in caplog.records] == [True, False]
    assert "failures=301:" in caplog.records[1].getMessage()
