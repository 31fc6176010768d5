"""Addresses of results that die before the copy is whole: rows 40 and 42 to 44."""

from __future__ import annotations

import pytest

from execution_arrow import facts as f
from execution_arrow.effects import Copy, Poll, Ring
from execution_arrow.facts import Timer
from execution_arrow.machine import due, next_at
from execution_arrow.machine.agenda import RENEWAL_PATIENCE
from execution_arrow.machine.attempts import DEAD_EDITIONS
from execution_arrow.machine.codec import dump_state, load_run
from execution_arrow.machine.state import Attempt, Phase, Status, Terms
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, SYNC, Story, make_run, outputs, stored

KEPT = Terms(deadline=60.0, renewed_for=3600.0)


def edition(count: int, name: str) -> f.Succeeded:
    """The results at other addresses."""
    found = (f.Output(index=i, url=f"https://x.example/{name}/{i}") for i in range(count))
    return f.Succeeded(outputs=tuple(found))


def collecting(asked: int = 1, terms: Terms = KEPT, **policy: object) -> tuple[Story, str]:
    made = make_run(asked=asked, terms={"one": terms, "two": KEPT}, policy=Policy(**policy))  # type: ignore[arg-type]
    story = Story(made).held()
    attempt = story.plan("one")
    done = f.Completed(outputs=outputs(asked)) if terms.sync else f.Accepted(job="job-1")
    story.tell(done, attempt)
    if not terms.sync:
        story.tell(f.Succeeded(outputs=outputs(asked)), attempt)
    assert story.run.phase is Phase.COLLECTING
    return story, attempt


def of(story: Story, attempt: str) -> Attempt:
    found = story.run.attempt(attempt)
    assert found is not None
    return found


def effects(story: Story) -> tuple[object, ...]:
    return due(story.run, story.now, EPOCH)


DEAD = (
    f.ArtifactLost(index=0, message="410", edition=0),
    f.ArtifactFailed(index=0, message="403", edition=0),
)


@pytest.mark.parametrize("fact", DEAD)
def test_42_43_the_job_is_asked_for_another_address_before_anybody_is_paid_again(fact: f.Fact):
    story, attempt = collecting()
    story.tell(fact, attempt)
    assert (story.rows[-1], effects(story)) == ("42", (Poll(attempt),))
    assert load_run(story.run.spec, dump_state(story.run)) == story.run  # also after a crash here
    story.tell(edition(1, "b"), attempt)
    assert (story.rows[-1], effects(story)) == ("43", (Copy(attempt, 0),))
    assert of(story, attempt).outputs[0].url == "https://x.example/b/0"
    story.tell(stored(), attempt)
    story.tell(f.Settled())
    assert (story.run.status, len(story.run.attempts)) == (Status.SUCCEEDED, 1)


def test_43_only_what_is_not_ours_gets_another_address_and_what_has_none_is_lost():
    story, attempt = collecting(asked=3)
    story.tell(stored(1), attempt)
    story.tell(f.ArtifactLost(index=0, edition=0), attempt)
    story.tell(edition(2, "b"), attempt)  # of three
    now = of(story, attempt)
    assert [output.url for output in now.outputs] == [
        "https://x.example/b/0", "https://x.example/1", "https://x.example/2",
    ]  # fmt: skip
    assert (now.lost, effects(story)) == ((2,), (Copy(attempt, 0),))
    story.tell(stored(0), attempt)
    assert (story.run.settlement.verb, story.run.settlement.amount) == ("charge", 40_000 * 2 // 3)


def test_42_four_dead_addresses_of_one_edition_are_one_question():
    story, attempt = collecting(asked=4)
    for index in range(3):
        story.tell(f.ArtifactLost(index=index, edition=0), attempt)
    story.tell(edition(4, "b"), attempt)
    story.tell(f.ArtifactLost(index=3, edition=0), attempt)  # of a copy that began before
    assert (of(story, attempt).edition, of(story, attempt).dead, of(story, attempt).stale_at) == (1, 1, None)
    assert set(effects(story)) == {Copy(attempt, index) for index in range(4)}


def test_42_an_address_that_never_leads_anywhere_is_believed_after_a_few_editions():
    story, attempt = collecting()
    for number in range(DEAD_EDITIONS):
        story.tell(f.ArtifactLost(index=0, edition=number), attempt)
        assert story.rows[-1] == "42"
        story.tell(edition(1, "always"), attempt)
        story.now = next_at(story.run, EPOCH) or story.now  # the same address is not tried at once
    story.tell(f.ArtifactLost(index=0, edition=DEAD_EDITIONS), attempt)
    assert (story.rows[-1], story.state(attempt), story.next_provider()) == ("35", "lost", "two")


def test_42_an_address_that_was_good_meanwhile_begins_the_count_anew():
    """Our own disk is full for hours, and every ten minutes the address dies."""
    story, attempt = collecting(collect_deadline=86_400.0)
    for number in range(3 * DEAD_EDITIONS):
        story.wait(300)
        story.tell(f.ArtifactFailed(index=0, message="disk full", ours=True), attempt)
        story.tell(f.ArtifactFailed(index=0, message="403", edition=number), attempt)
        assert story.rows[-1] == "42"
        story.tell(edition(1, str(number)), attempt)
    story.tell(stored(), attempt)
    assert (story.run.phase, len(story.run.attempts)) == (Phase.SETTLING, 1)


def test_42_after_hours_away_the_time_for_the_results_is_over_and_the_job_is_asked_all_the_same():
    story, attempt = collecting(collect_deadline=900.0)
    story.wait(3000)
    assert effects(story) == (Copy(attempt, 0),)  # one last look
    story.tell(f.ArtifactLost(index=0, message="410", edition=0), attempt)
    assert effects(story) == (Poll(attempt),)
    story.tell(f.PollFailed(message="500"), attempt)
    assert (story.rows[-1], Ring(Timer.COLLECT, attempt) in effects(story)) == ("43", False)
    story.wait(60)
    story.tell(edition(1, "b"), attempt)
    assert effects(story) == (Copy(attempt, 0),)
    story.tell(stored(), attempt)
    assert story.run.phase is Phase.SETTLING


def test_43_a_provider_that_does_not_answer_is_waited_for_a_few_minutes_beyond_the_time():
    story, attempt = collecting(collect_deadline=60.0)
    story.wait(50)
    story.tell(f.ArtifactLost(index=0, edition=0), attempt)
    story.wait(RENEWAL_PATIENCE)
    story.tell(f.PollFailed(message="500"), attempt)
    assert Ring(Timer.COLLECT, attempt) in effects(story)
    story.tell(f.TimeUp(timer=Timer.COLLECT), attempt)
    assert (story.rows[-1], story.state(attempt)) == ("35", "lost")


@pytest.mark.parametrize(
    ("fact", "row", "alert"),
    [
        (f.Running(), "40", "status_regress"),
        (f.PollFailed(message="500"), "43", ""),
        (f.UnknownStatus(text="tidying"), "43", ""),
        (f.Missing(), "43", ""),
    ],
)
def test_43_an_answer_without_news_is_asked_again_after_a_pause(fact: f.Fact, row: str, alert: str):
    story, attempt = collecting()
    story.tell(DEAD[0], attempt)
    story.tell(fact, attempt)
    assert (story.rows[-1], story.alerts) == (row, [alert] if alert else [])
    assert effects(story) == ()
    story.now = next_at(story.run, EPOCH) or story.now
    assert effects(story) == (Poll(attempt),)


@pytest.mark.parametrize("fact", [f.Succeeded(outputs=()), f.Failed(fault=f.Fault.PROVIDER, code="x"),
                                  f.Canceled(), f.Expired()])  # fmt: skip
@pytest.mark.parametrize("ours", [0, 1])
def test_44_a_job_without_results_any_more_ends_the_waiting(fact: f.Fact, ours: int):
    story, attempt = collecting(asked=2)
    for index in range(ours):
        story.tell(stored(index), attempt)
    story.tell(f.ArtifactLost(index=1, edition=0), attempt)
    story.tell(fact, attempt)
    assert (story.rows[-1], story.state(attempt)) == ("44", "stored" if ours else "lost")
    assert story.run.phase is (Phase.SETTLING if ours else Phase.RUNNING)


def test_44_three_times_no_such_job_is_believed():
    story, attempt = collecting()
    story.tell(DEAD[0], attempt)
    for _ in range(3):
        story.tell(f.Missing(), attempt)
    assert (story.rows[-3:], story.state(attempt)) == (["43", "43", "44"], "lost")


@pytest.mark.parametrize(
    ("terms", "waited"),
    [(Terms(deadline=60.0), 0), (SYNC, 0), (KEPT, 3601)],
    ids=["it never says other addresses", "there is no job", "it says none any more"],
)
def test_35_where_nobody_can_be_asked_a_dead_address_is_the_end(terms: Terms, waited: int):
    story, attempt = collecting(terms=terms)
    story.wait(waited)
    story.tell(f.ArtifactLost(index=0, edition=0), attempt)
    assert (story.rows[-1], story.state(attempt)) == ("35", "lost")


def test_what_no_address_would_change_is_lost_at_once():
    story, attempt = collecting()
    story.tell(f.ArtifactLost(index=0, message="too large"), attempt)
    assert story.rows[-1] == "35"
