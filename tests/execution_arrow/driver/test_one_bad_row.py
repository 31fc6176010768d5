"""One generation that cannot be handled harms no other one: the worker lives, and says which it is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.committing import Committer
from execution_arrow.driver import Driver
from execution_arrow.session import Heard, Session
from execution_arrow.testing import FakeProvider, fake_parts
from tests.execution_arrow.pains.kit import QUICK, run


@pytest.mark.parametrize("step", ["_schedule", "_start"])
@run
async def test_a_step_that_raises_ends_a_turn_and_not_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
):
    real, bad = getattr(Driver, step), set[str]()

    def raising(self: Driver, session: Session) -> object:
        if session.run.spec.id in bad:
            raise AssertionError("a state that should not be")
        return real(self, session)

    monkeypatch.setattr(Driver, step, raising)
    caplog.set_level(logging.ERROR, logger="execution_arrow")
    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path), limits=QUICK) as arrow:
        broken = await arrow.generate("m", {}, account="acct")
        bad.add(broken.id)
        await arrow._here().claim([broken.id])
        for _ in range(3):
            done = await arrow.generate_and_wait("m", {}, account="acct", timeout=20)
            assert done.status is Status.SUCCEEDED
        assert f"turn_failed generation={broken.id}" in caplog.text


@run
async def test_an_answer_that_cannot_be_handed_over_does_not_end_the_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """It is handed over outside a turn: an exception there would end the task group, and all with it."""

    class Broken:
        async def apply(self, op: object) -> object:
            raise ValueError("a store that breaks its word")

    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path), limits=QUICK) as arrow:
        committer = Committer(Broken(), arrow._lease, arrow._clock)  # type: ignore[arg-type]
        await committer.hand_over("gen_1", [Heard(attempt="att_1", fact=f.Accepted(job="j"))])
    assert "fact_lost generation=gen_1" in caplog.text
