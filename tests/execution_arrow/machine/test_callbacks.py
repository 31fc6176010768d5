"""Rows 6, 10, 11 and 38: a callback is faster than the submit's reply, comes instead of it, or lies."""

from __future__ import annotations

import pytest

from execution_arrow import facts as f
from execution_arrow.driver.session import Heard, Session, fold, mark_taken
from execution_arrow.effects import Confirm, Lookup, Poll
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import due
from execution_arrow.machine.attempts import ARRIVAL_WINDOW
from execution_arrow.machine.state import Phase, Stop
from tests.execution_arrow.machine.build import EPOCH, QUEUE, Story, make_run, outputs

DONE = f.Succeeded(outputs=outputs())


def signed(job: str = "j", told: f.StatusFact | None = None, **more: bool) -> f.CalledBack:
    return f.CalledBack(job=job, sure=True, told=told, **more)


def unsigned(job: str = "j", mark: str = "") -> f.CalledBack:
    return f.CalledBack(job=job, sure=False, mark=mark)


def effects(story: Story) -> list[type]:
    return [type(effect) for effect in due(story.run, story.now, EPOCH)]


def sending(**make: object) -> tuple[Story, str]:
    story = Story(make_run(**make)).held()  # type: ignore[arg-type]
    return story, story.plan("job" if not make else None)


def unknown() -> tuple[Story, str]:
    story, attempt = sending()
    story.tell(f.Ambiguous(), attempt)
    return story, attempt


def folded(story: Story, attempt: str, *facts: f.Fact) -> list[str]:
    """Fold facts as a worker does; return the rows that were taken."""
    session = Session(story.run, 1, EPOCH)
    session.queue.extend(Heard(attempt=attempt, fact=fact) for fact in facts)
    change = fold(session, story.now, lambda run, candidates: pytest.fail("nobody is to be asked"))
    story.run = change.run
    story.alerts += [alert for alert, _ in change.alerts]
    return change.rows


def test_10_a_signed_callback_binds_before_the_reply_and_the_reply_only_adds_addresses():
    story, attempt = sending()
    story.tell(signed(), attempt)
    assert (story.state(attempt), story.run.attempt(attempt).job) == ("live", "j")
    story.tell(f.Accepted(job="j", urls={"poll": "https://p.example/j"}), attempt)
    assert story.rows[-2:] == ["10", "10"]
    assert story.run.attempt(attempt).urls == {"poll": "https://p.example/j"}
    assert story.alerts == []


def test_6_a_reply_that_names_another_job_than_the_callback_is_an_anomaly():
    for job, end in (("j", None), ("j", DONE), ("j", f.Failed(fault=Fault.PROVIDER, code="x"))):
        story, attempt = sending()
        story.tell(signed(job), attempt)
        if end is not None:
            story.tell(end, attempt)
        before = story.run
        story.tell(f.Accepted(job="other"), attempt)
        assert (story.rows[-1], story.alerts, story.run) == ("6", ["duplicate_job"], before)


@pytest.mark.parametrize("late", [f.Ambiguous(), f.OwnerLost(), f.LookupNone(conclusive=True)])
def test_10_doubt_about_the_submit_is_void_once_the_job_is_known(late: f.Fact):
    story, attempt = sending()
    story.tell(signed(), attempt)
    story.tell(late, attempt)
    assert (story.state(attempt), story.alerts) == ("live", [])


def test_10_a_refusal_after_a_signed_callback_is_a_contradiction_and_the_polls_decide():
    story, attempt = sending()
    story.tell(signed(), attempt)
    story.tell(f.Refused(fault=Fault.CALLER, code="nsfw"), attempt)
    assert (story.state(attempt), story.run.phase, story.alerts) == ("live", Phase.RUNNING, ["contradiction"])


def test_10_an_unsigned_callback_is_a_reason_to_ask_and_nothing_else():
    for make, rest in ((sending, "sending"), (unknown, "unknown")):
        story, attempt = make()
        assert Confirm not in effects(story)
        story.tell(unsigned(), attempt)
        assert (story.state(attempt), story.run.attempt(attempt).job) == (rest, None)
        assert Confirm in effects(story)
        assert Lookup not in effects(story)
        story.tell(signed(), attempt)  # what the provider's own answer to the question becomes
        assert (story.state(attempt), story.run.attempt(attempt).hint) == ("live", None)


def test_10_a_job_that_the_provider_does_not_know_is_forgotten():
    story, attempt = unknown()
    story.tell(unsigned("forged"), attempt)
    story.tell(f.Unconfirmed(gone=False), attempt)
    assert Confirm not in effects(story)  # later
    story.tell(f.Unconfirmed(gone=True), attempt)
    assert story.run.attempt(attempt).hint is None
    assert effects(story) == [Lookup]


def test_10_the_first_hint_stays_until_it_has_been_asked_about():
    story, attempt = unknown()
    story.tell(unsigned("first"), attempt)
    story.tell(unsigned("second"), attempt)
    assert story.run.attempt(attempt).hint == "first"


def test_11_a_callback_ends_the_doubt_and_the_race_is_on():
    story, attempt = unknown()
    story.wait(10)
    story.tell(f.TimeUp(timer=Timer.PATIENCE), attempt)
    other = story.live()
    story.tell(signed(), attempt)
    assert (story.state(attempt), story.state(other)) == ("live", "live")
    story.tell(DONE, attempt)
    assert (story.run.winner, story.state(other)) == (attempt, "closing")


def test_31a_32_a_callback_after_the_users_cancel_is_closed_at_once():
    for make, row in ((unknown, "31a"), (sending, "32")):
        story, attempt = make()
        story.tell(f.UserCancel())
        assert (story.rows[-1], story.run.attempt(attempt).stop) == (row, Stop.USER)
        story.tell(signed(), attempt)
        assert (story.state(attempt), story.run.attempt(attempt).stop) == ("closing", Stop.USER)


def test_what_a_callback_tells_is_folded_after_its_job_is_bound():
    story, attempt = sending()
    assert folded(story, attempt, signed(told=DONE)) == ["10", "17"]
    assert (story.state(attempt), story.run.winner) == ("collecting", attempt)


def test_a_callback_for_a_job_of_somebody_else_tells_nothing():
    """Neither another attempt's here, nor one that the store knows, nor another than the one bound."""
    story, attempt = unknown()
    assert folded(story, attempt, signed(told=DONE, taken=True)) == ["6"]
    story = Story(make_run()).held()
    refused = story.plan("job")
    story.tell(f.Refused(fault=Fault.HERE, code="busy", retry_after=1), refused)
    other = story.live("job")
    assert folded(story, refused, signed("job-" + other, DONE)) == ["6"]
    assert folded(story, other, signed("j", DONE)) == ["6"]
    assert story.run.winner is None
    assert story.alerts == ["duplicate_job"] * 2


def test_an_unsigned_callback_tells_nothing_even_with_content():
    story, attempt = sending()
    assert folded(story, attempt, f.CalledBack(job="j", sure=False, told=DONE)) == ["10"]
    assert story.run.winner is None


def test_a_job_that_the_store_refuses_to_bind_takes_its_content_along():
    heard = Heard(attempt="a1", fact=signed(told=DONE))
    (marked,) = mark_taken([heard], [("a1", "j")], "somebody")
    assert marked.fact == signed(told=DONE, taken=True)


def test_a_hint_at_another_attempts_job_is_asked_about_once():
    for make in (sending, unknown):
        story, attempt = make()
        story.tell(unsigned(), attempt)
        assert Confirm in effects(story)
        assert story.tell(signed(taken=True), attempt).durable  # confirmed, and the store knows whose it is
        assert Confirm not in effects(story)
        assert story.run.attempt(attempt).hint is None


def test_what_was_heard_of_other_jobs_is_not_taken_along():
    """A forged or mistaken job id must not cost us the genuine one that came with it, nor the doubt."""
    heard = [
        Heard(attempt="a1", fact=signed()),
        Heard(attempt="a1", fact=signed("other")),
        Heard(attempt="a1", fact=f.OwnerLost()),
        Heard(attempt="a2", fact=signed()),
    ]
    marked = mark_taken(heard, [("a1", "j")], "a2")
    assert marked == [Heard(attempt="a1", fact=signed(taken=True)), *heard[1:]]


def test_a_change_that_was_not_written_is_heard_anew_with_all_that_it_ignored():
    """What says nothing in one state may say everything in another: none of it is dropped before a commit."""
    story, attempt = sending()
    session = Session(story.run, version=1, epoch=EPOCH + 1)
    session.queue += [
        Heard(attempt=attempt, fact=signed(), seq=1),
        Heard(attempt=attempt, fact=f.OwnerLost()),
    ]
    heard = list(session.queue)
    change = fold(session, story.now, lambda run, candidates: pytest.fail("nobody is asked"))
    assert change.rows == ["10", "10"]  # the job is bound, so there is no doubt any more
    assert [item.fact for item in change.heard] == [signed()]
    assert change.applied == heard


def test_16_a_callback_for_a_running_job_only_makes_us_look():
    story = Story(make_run(terms={"queue": QUEUE})).held()
    attempt = story.live()
    assert Poll not in effects(story)
    assert not story.tell(unsigned("job-" + attempt), attempt).durable
    assert effects(story) == [Poll]


def test_37_a_callback_after_the_end_changes_nothing():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(DONE, attempt)
    before = story.run
    assert folded(story, attempt, signed("job-" + attempt, DONE)) == ["37", "37"]
    assert folded(story, attempt, unsigned("job-" + attempt)) == ["37"]
    assert (story.run, story.alerts) == (before, [])


def test_38_a_job_that_turns_up_after_a_rejection_is_watched_because_it_may_be_billed():
    for fact in (f.Accepted(job="j"), f.LookupFound(job="j"), signed()):
        story, attempt = unknown()
        story.wait(ARRIVAL_WINDOW)
        story.tell(f.LookupNone(conclusive=True), attempt)
        assert story.state(attempt) == "rejected"
        story.tell(fact, attempt)
        found = story.run.attempt(attempt)
        assert (story.state(attempt), found.cost, found.ended_at) == ("live", None, None)
        assert story.alerts == ["contradiction"]


def test_38_one_that_turns_up_when_nobody_waits_any_more_is_told_to_end():
    story, attempt = sending()
    story.tell(f.Refused(fault=Fault.CALLER, code="bad"), attempt)
    story.tell(f.Settled())
    assert story.run.done
    story.tell(f.Accepted(job="j"), attempt)
    assert (story.state(attempt), story.run.attempt(attempt).stop) == ("closing", Stop.LOST_RACE)
    assert not story.run.done
    story.tell(f.Canceled(), attempt)
    assert (story.run.done, story.run.attempt(attempt).cost) == (True, 30_000)
