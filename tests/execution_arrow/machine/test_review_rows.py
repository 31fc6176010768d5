"""Rows and events that a reading of the normative table against the code has put right."""

from __future__ import annotations

from execution_arrow import facts as f
from execution_arrow.driver.reporting import tell_router
from execution_arrow.machine import due
from execution_arrow.machine.state import Phase, State
from execution_arrow.testing import FakeRouter
from tests.execution_arrow.machine.build import EPOCH, Story, make_run, outputs, stored


def missing_thrice(story: Story, attempt: str) -> None:
    for _ in range(3):
        story.wait(1)
        story.tell(f.Missing(), attempt)
    assert story.state(attempt) == "unknown"


def test_a_job_that_is_found_again_is_live_again_with_its_old_deadline():
    """Row 11: it must be canceled and timed like any other, not written off after three days."""
    story = Story(make_run()).held()
    attempt = story.live("job")
    missing_thrice(story, attempt)
    story.tell(f.Running(), attempt)
    assert (story.state(attempt), story.rows[-1]) == ("live", "11")
    story.wait(58)
    story.tell(f.Running(), attempt)
    assert any(
        getattr(effect, "timer", "") == f.Timer.DEADLINE for effect in due(story.run, story.now, EPOCH)
    )


def test_a_job_that_is_found_again_after_somebody_won_is_closed():
    story = Story(make_run()).held()
    lost = story.live("job")
    missing_thrice(story, lost)
    story.wait(11)
    story.tell(f.TimeUp(timer=f.Timer.PATIENCE), lost)
    winner = story.live("queue")
    story.tell(f.Succeeded(outputs=outputs()), winner)
    story.tell(f.Running(), lost)
    assert story.state(lost) == "closing"
    assert any(type(effect).__name__ == "Cancel" for effect in due(story.run, story.now, EPOCH))


def test_the_event_of_a_stuck_settlement_does_not_say_that_it_is_settled():
    story = Story(make_run()).held()
    attempt = story.live("job")
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(stored(), attempt)
    step = story.tell(f.SettleRefused(reason="key_conflict"))
    assert [(event.type, event.settled) for event in step.events] == [("generation.completed", False)]


def test_a_call_that_we_held_back_ourselves_is_not_held_against_the_provider():
    story, router = Story(make_run()).held(), FakeRouter()
    attempt = story.plan("job")
    story.tell(f.NotSent(message="called off", ours=True), attempt)
    found = story.run.attempt(attempt)
    assert found is not None
    assert (found.state, found.cost) == (State.REJECTED, 0)
    tell_router(router, story.run, found, story.now)
    assert [(v.outcome, v.fault) for v in router.verdicts] == [("failed", "none")]


def test_a_cancel_at_the_console_does_not_end_what_another_attempt_may_still_win():
    """Row 23: the overdue one is being watched and may finish."""
    story = Story(make_run()).held()
    late = story.live("job")
    story.wait(61)
    story.tell(f.TimeUp(timer=f.Timer.DEADLINE), late)
    story.tell(f.CancelAcknowledged(), late)
    other = story.live("queue")
    story.tell(f.Canceled(), other)
    assert story.run.phase is Phase.RUNNING
    story.tell(f.Succeeded(outputs=outputs()), late)
    assert story.run.winner == late
