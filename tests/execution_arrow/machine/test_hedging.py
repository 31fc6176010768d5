"""Row 41: a second bet beside one that is slow, only where the loser costs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execution_arrow import facts as f
from execution_arrow.effects import Cancel, Plan
from execution_arrow.facts import Fault
from execution_arrow.machine import due
from execution_arrow.machine.state import Outcome
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, JOB, SYNC, Story, make_run, outputs, stored

FREE = replace(JOB, billed=frozenset(), cancel_free=True)
PAID = JOB
HEDGED = Policy(hedge_after=5.0)


def candidates(story: Story) -> tuple[str, ...]:
    plans = [effect.candidates for effect in due(story.run, story.now, EPOCH) if isinstance(effect, Plan)]
    return plans[0] if plans else ()


def slow(policy: Policy = HEDGED, **terms: object) -> tuple[Story, str]:
    kinds = terms or {"a": FREE, "b": FREE, "c": FREE}
    story = Story(make_run(policy=policy, terms=kinds)).held()  # type: ignore[arg-type]
    first = story.live()
    story.wait(5)
    return story, first


def hedge(story: Story, provider: str = "b") -> str:
    story.tell(f.Planned(provider=provider, id="hedge", token="t", epoch=EPOCH))
    assert story.rows[-1] == "41"
    return "hedge"


def test_41_a_slow_attempt_gets_company_and_the_first_success_wins():
    story, first = slow()
    assert candidates(story) == ("b", "c")
    second = hedge(story)
    assert story.run.attempt(second).hedge
    assert story.run.spec.hold == 40_000
    story.tell(f.Accepted(job="jb"), second)
    story.tell(f.Succeeded(outputs=outputs()), second)
    assert (story.run.winner, story.state(first)) == (second, "closing")
    assert Cancel(first) in due(story.run, story.now, EPOCH)
    story.tell(f.Canceled(), first)
    story.tell(stored(), second)
    assert story.run.settlement.amount == 40_000  # one price, whoever won
    assert (story.run.attempt(first).outcome(second), story.run.attempt(first).cost) == (Outcome.CANCELED, 0)


def test_41_is_off_by_default_and_waits_for_its_time():
    story, _ = slow(Policy())
    assert candidates(story) == ()
    story, _ = slow(Policy(hedge_after=6.0))
    assert candidates(story) == ()
    story.wait(1)
    assert candidates(story) == ("b", "c")


@pytest.mark.parametrize(
    ("terms", "asked"),
    [
        ({"a": PAID, "b": FREE}, ()),  # the slow one would be billed when it loses
        ({"a": FREE, "b": PAID}, ()),  # the second would
        ({"a": FREE, "b": SYNC}, ()),  # it cannot be canceled at all
        ({"a": FREE, "b": PAID, "c": FREE}, ("c",)),
    ],
)
def test_41_only_where_every_cancel_is_free(terms: dict[str, object], asked: tuple[str, ...]):
    story, _ = slow(**terms)
    assert candidates(story) == asked


def test_41_once_and_never_beside_doubt():
    story, first = slow()
    second = hedge(story)
    assert candidates(story) == ()
    story.tell(f.Ambiguous(), second)
    story.wait(600)
    assert candidates(story) == ()
    story, first = slow()
    for _ in range(3):
        story.tell(f.Missing(), first)
    assert story.state(first) == "unknown"
    assert candidates(story) == ()


def test_41_a_hedge_that_fails_leaves_the_first_alone():
    story, first = slow()
    second = hedge(story)
    story.tell(f.Refused(fault=Fault.PROVIDER, code="busy"), second)
    assert candidates(story) == ()
    story.tell(f.Succeeded(outputs=outputs()), first)
    assert story.run.winner == first
    story.tell(f.Planned(provider="c", id="x", token="t", epoch=EPOCH))
    assert story.rows[-1] == "impossible"


def test_41_after_a_user_cancel_nobody_is_asked():
    story, _ = slow()
    story.tell(f.UserCancel())
    assert candidates(story) == ()
