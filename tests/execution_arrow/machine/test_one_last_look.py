"""No deadline is a verdict by itself: whoever can be asked is asked once more after it.

Workers that were away (a deploy, a full disk, a night) and clocks that jump make every deadline pass at once.
What lies finished at a provider by then is paid for, so it is fetched, not failed and paid for again.
"""

from __future__ import annotations

from execution_arrow import facts as f
from execution_arrow.effects import Copy, Effect, Lookup, Poll, Ring
from execution_arrow.facts import Timer
from execution_arrow.machine import due
from execution_arrow.machine.agenda import awake
from execution_arrow.machine.state import Phase, Status
from tests.execution_arrow.machine.build import EPOCH, Story, make_run, outputs, stored


def due_now(story: Story) -> tuple[Effect, ...]:
    return due(story.run, story.now, EPOCH)


def timers(story: Story) -> set[Timer]:
    return {effect.timer for effect in due_now(story) if isinstance(effect, Ring)}


def test_a_job_that_finished_while_nobody_looked_is_used():
    """An hour away: the job's and the generation's deadlines have passed, and the picture lies ready."""
    story = Story(make_run()).held()
    job = story.live("job")
    story.wait(3600)
    assert due_now(story) == (Poll(job),)
    story.tell(f.Succeeded(outputs=outputs()), job)
    story.tell(stored(), job)
    assert (story.run.phase, story.run.verdict) == (Phase.SETTLING, Status.SUCCEEDED)


def test_a_look_that_finds_nothing_lets_the_deadlines_ring():
    """An answer of any kind is enough, also that there was none: nothing waits for ever."""
    for answer in (f.Running(), f.PollFailed(), f.Missing(), f.UnknownStatus(text="?")):
        story = Story(make_run()).held()
        job = story.live("job")
        story.wait(3600)
        story.tell(answer, job)
        assert timers(story) == {Timer.DEADLINE, Timer.GENERATION}


def test_an_overdue_job_is_still_hoped_for_at_the_end():
    story = Story(make_run()).held()
    job = story.live("job")
    story.wait(60)
    story.tell(f.Running(), job)
    story.tell(f.TimeUp(timer=Timer.DEADLINE), job)
    story.wait(3600)
    assert Timer.GENERATION not in timers(story)
    assert Poll(job) in due_now(story)


def test_a_provider_that_asks_for_years_of_patience_is_asked_at_the_deadline():
    story = Story(make_run()).held()
    job = story.live("job")
    story.tell(f.PollFailed(retry_after=999_999_999.0), job)
    story.wait(59)
    assert due_now(story) == ()
    story.wait(1)
    assert due_now(story) == (Poll(job),)


def test_a_provider_that_asks_for_an_hour_is_not_asked_at_every_turn_of_the_others():
    """Two attempts, one polled every second: a pause that `awake` cuts would be cut each time."""
    story = Story(make_run()).held()
    job = story.live("job")
    for _ in range(3):
        story.tell(f.PollFailed(retry_after=3600.0), job)
        story.wait(1)
        assert awake(story.run, story.now) is story.run
        assert due_now(story) == ()


def test_a_provider_that_is_away_beyond_the_deadline_is_nobody_to_wait_for():
    """The customer hears at once that nobody is left, not at the end of the deadline."""
    story = Story(make_run()).held()
    for retry_after in (999_999_999.0, 120.0, 121.0):
        story.tell(f.Refused(fault=f.Fault.HERE, code="busy", retry_after=retry_after), story.plan())
    assert (story.run.phase, story.run.verdict) == (Phase.SETTLING, Status.FAILED)
    assert story.run.error_code == "BSE3003"


def test_a_lost_submit_is_looked_for_before_somebody_else_is_paid():
    story = Story(make_run()).held()
    lost = story.plan("job")
    story.tell(f.Ambiguous(), lost)
    story.wait(3600)
    assert due_now(story) == (Lookup(lost),)
    story.tell(f.LookupNone(conclusive=False), lost)
    assert Timer.PATIENCE in timers(story)


def test_results_are_tried_once_more_before_they_are_lost():
    story = Story(make_run()).held()
    job = story.live("job")
    story.tell(f.Succeeded(outputs=outputs()), job)
    story.wait(3600)
    assert due_now(story) == (Copy(job, 0),)
    story.tell(f.ArtifactFailed(index=0), job)
    assert timers(story) == {Timer.COLLECT}


def test_a_full_disk_of_ours_is_not_paid_for_at_every_provider():
    """What cannot be kept from one cannot be kept from the next one either, and that one bills as well."""
    story = Story(make_run()).held()
    job = story.live("job")
    story.tell(f.Succeeded(outputs=outputs()), job)
    story.wait(3600)
    story.tell(f.ArtifactFailed(index=0, message="No space left on device", ours=True), job)
    story.tell(f.TimeUp(timer=Timer.COLLECT), job)
    assert (story.run.phase, story.run.verdict, story.run.winner) == (Phase.SETTLING, Status.FAILED, None)
    assert "could not be kept: No space left" in story.run.error
    assert story.run.settlement is not None
    assert story.run.settlement.verb == "release"
    assert len(story.run.attempts) == 1


def test_a_server_that_keeps_its_files_to_itself_is_failed_over():
    """The disk had room again at the last try: then it is the provider's fault, and the next one is asked."""
    story = Story(make_run()).held()
    job = story.live("job")
    story.tell(f.Succeeded(outputs=outputs()), job)
    story.tell(f.ArtifactFailed(index=0, message="No space left on device", ours=True), job)
    story.wait(3600)
    story.tell(f.ArtifactFailed(index=0, message="503"), job)
    story.tell(f.TimeUp(timer=Timer.COLLECT), job)
    assert story.run.phase is Phase.RUNNING
    assert story.next_provider() == "queue"
