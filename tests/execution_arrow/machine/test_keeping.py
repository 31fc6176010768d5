"""Discarded and lost results, late holds, stuck settlements, erasures: rows 18, 33-35, H5-H7, S5-S8, D."""

from __future__ import annotations

import pytest

from execution_arrow import facts as f
from execution_arrow.driver.session import Session, fold
from execution_arrow.effects import Copy, Poll, Settle
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import due, next_at
from execution_arrow.machine.state import Outcome, Phase, State, Status
from execution_arrow.machine.table import ROWS
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, JOB, Story, make_run, outputs, stored

DONE = f.Succeeded(outputs=outputs())


def race(policy: Policy | None = None, asked: int = 1) -> tuple[Story, str, str]:
    """Two attempts with results under way: the first was overdue."""
    story = Story(make_run(policy=policy, asked=asked)).held()
    first = story.live("job")
    story.wait(60)
    story.tell(f.TimeUp(timer=Timer.DEADLINE), first)
    story.tell(f.CancelAcknowledged(), first)
    return story, first, story.live("queue")


def won(**make: object) -> tuple[Story, str]:
    story = Story(make_run(**make)).held()  # type: ignore[arg-type]
    attempt = story.live()
    story.tell(DONE, attempt)
    story.tell(stored(), attempt)
    return story, attempt


def test_18_a_discarded_result_is_copied_only_where_the_policy_keeps_it():
    story, first, second = race()
    story.tell(DONE, second)
    story.tell(DONE, first)
    assert story.state(first) == "stored"
    story, first, second = race(Policy(keep_discarded=True))
    story.tell(DONE, second)
    story.tell(DONE, first)
    assert (story.rows[-1], story.state(first)) == ("18", "collecting")
    assert {Copy(first, 0), Copy(second, 0)} <= set(due(story.run, story.now, EPOCH))
    story.tell(stored(), second)
    story.tell(f.Settled())
    assert (story.run.status, story.run.done) == (Status.SUCCEEDED, False)
    story.tell(stored(), first)
    kept = story.run.attempt(first)
    assert (story.run.done, len(kept.files), kept.outcome(second)) == (True, 1, Outcome.DISCARDED)
    assert (story.run.winner, story.run.settlement.amount) == (second, 40_000)


def test_18_a_kept_result_that_cannot_be_had_is_discarded_all_the_same():
    story, first, second = race(Policy(keep_discarded=True))
    story.tell(DONE, second)
    story.tell(DONE, first)
    story.tell(f.ArtifactLost(index=0), first)
    assert (story.state(first), story.run.winner) == ("stored", second)


@pytest.mark.parametrize("keep", [False, True])
def test_35_a_result_that_lost_the_race_is_taken_before_anybody_else_is_paid(keep: bool):
    story, first, second = race(Policy(keep_discarded=keep))
    story.tell(DONE, second)
    story.tell(DONE, first)
    if keep:
        story.tell(stored(), first)
    story.tell(f.ArtifactLost(index=0, message="410"), second)
    assert (story.state(second), story.run.winner) == ("lost", first)
    if not keep:
        assert story.run.phase is Phase.COLLECTING
        story.tell(stored(), first)
    assert (story.run.verdict, story.run.settlement.amount) == (Status.SUCCEEDED, 40_000)


def test_35_without_a_second_best_the_next_provider_is_asked():
    story = Story(make_run()).held()
    first = story.live()
    story.tell(DONE, first)
    story.tell(f.ArtifactLost(index=0), first)
    assert (story.rows[-1], story.run.winner, story.next_provider()) == ("35", None, "queue")


def test_33_34_the_row_says_whether_everything_was_had():
    story = Story(make_run(asked=2)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs(2)), attempt)
    story.tell(f.ArtifactLost(index=0), attempt)
    story.tell(stored(1), attempt)
    assert story.rows[-2:] == ["34", "34"]
    assert (story.run.verdict, story.run.settlement.amount) == (Status.SUCCEEDED, 20_000)
    story = Story(make_run(asked=2)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs(2)), attempt)
    story.tell(stored(0), attempt)
    story.tell(stored(1), attempt)
    assert story.rows[-2:] == ["33", "33"]
    assert story.run.settlement.amount == 40_000


def test_34_35_the_collecting_deadline_takes_what_is_there():
    for have, row, verdict in ((1, "34", Status.SUCCEEDED), (0, "35", None)):
        story = Story(make_run(asked=2)).held()
        attempt = story.live()
        story.tell(f.Succeeded(outputs=outputs(2)), attempt)
        for index in range(have):
            story.tell(stored(index), attempt)
        story.tell(f.TimeUp(timer=Timer.COLLECT), attempt)
        assert (story.rows[-1], story.run.verdict) == (row, verdict)


def test_a_share_of_a_small_price_is_at_least_one_micro_credit():
    story = Story(make_run(asked=3, price=2)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs(3)), attempt)
    story.tell(f.ArtifactLost(index=1), attempt)
    story.tell(f.ArtifactLost(index=2), attempt)
    story.tell(stored(0), attempt)
    assert story.run.settlement.amount == 1


def test_16_an_answer_that_voids_missing_ones_is_remembered():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Missing(), attempt)
    assert story.tell(f.Running(), attempt).durable
    assert not story.tell(f.Running(), attempt).durable


def test_19_only_the_first_empty_success_is_written():
    story = Story(make_run()).held()
    attempt = story.live()
    assert story.tell(f.Succeeded(outputs=()), attempt).durable
    story.wait(2)
    assert not story.tell(f.Succeeded(outputs=()), attempt).durable


def test_27_28_differ_by_what_the_provider_can_do():
    for provider, row in (("job", "27"), ("sync", "28")):
        story = Story(make_run()).held()
        attempt = story.live(provider)
        story.wait(60)
        story.tell(f.TimeUp(timer=Timer.DEADLINE), attempt)
        assert (story.rows[-1], story.state(attempt)) == (row, "closing")


def test_29_30_a_cancel_answered_while_the_job_is_in_doubt_is_noted():
    story, first, _ = race()
    for _ in range(3):
        story.tell(f.Missing(), first)
    assert story.state(first) == "unknown"
    story.tell(f.CancelRefused(final=True), first)
    assert (story.rows[-1], story.run.attempt(first).cancel_final) == ("30", True)


def test_38_another_end_than_the_first_is_an_anomaly_and_changes_nothing():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Failed(fault=Fault.PROVIDER, code="x"), attempt)
    before = story.run
    story.tell(f.Canceled(), attempt)
    story.tell(f.Failed(fault=Fault.PROVIDER, code="x"), attempt)
    assert (story.rows[-2:], story.alerts, story.run) == (["38", "37"], ["contradiction"], before)


# --- the ledger -----------------------------------------------------------------------------------------


def test_h5_a_hold_that_was_settled_before_stops_everything():
    story = Story(make_run())
    story.tell(f.HoldClosed())
    assert (story.run.status, story.run.settlement.stuck, story.alerts) == (
        Status.FAILED, "hold_closed", ["hold_closed"],
    )  # fmt: skip
    assert due(story.run, story.now, EPOCH) == ()


def test_h6_a_hold_that_arrives_after_it_was_given_back_is_given_back_again():
    story = Story(make_run())
    story.now = story.run.spec.deadline_at
    story.tell(f.TimeUp(timer=Timer.GENERATION))
    story.tell(f.Settled())
    assert next_at(story.run, EPOCH) is None
    story.tell(f.HoldOpened())
    assert (story.rows[-1], story.alerts) == ("H6", ["hold_late"])
    assert due(story.run, story.now, EPOCH) == (Settle("release", 0),)
    story.tell(f.Settled())
    assert (next_at(story.run, EPOCH), story.run.status) == (None, Status.FAILED)


def test_h6_a_charge_is_repeated_where_the_ledger_has_forgotten_it():
    """It was restored to an earlier state. The key is the same, so it is charged once whatever happened."""
    story, _ = won()
    story.tell(f.Settled())
    story.tell(f.HoldOpened())
    assert due(story.run, story.now, EPOCH) == (Settle("charge", 40_000),)
    story.tell(f.Settled())
    assert (story.run.settlement.done, story.events.count("generation.completed")) == (True, 1)


def test_h7_s8_answers_that_come_twice_change_nothing():
    story, _ = won()
    for fact in (f.HoldOpened(), f.HoldRefused(reason="frozen"), f.HoldClosed()):
        assert not story.tell(fact).durable
    story.tell(f.Settled())
    for fact in (f.Settled(), f.SettleRefused(reason="x"), f.EffectFailed(effect="settle"), f.HoldClosed()):
        assert not story.tell(fact).durable
    assert "impossible_fact" not in story.alerts
    assert (story.run.settlement.done, story.run.settlement.stuck) == (True, "")


def test_s2_s5_s6_a_stuck_settlement_is_asked_for_every_hour_and_may_heal():
    story, _ = won()
    story.tell(f.SettleRefused(reason="rewound"))
    events = list(story.events)
    assert due(story.run, story.now, EPOCH) == ()
    story.wait(3600)
    assert due(story.run, story.now, EPOCH) == (Settle("charge", 40_000),)
    assert not story.tell(f.SettleRefused(reason="rewound")).durable
    assert story.alerts == ["settlement_stuck"]
    story.wait(3600)
    assert not story.tell(f.EffectFailed(effect="settle")).durable
    story.tell(f.SettleRefused(reason="other"))
    assert story.alerts == ["settlement_stuck"] * 2
    closed = story.run.closed_at
    story.wait(3600)
    story.tell(f.Settled())
    assert (story.run.settlement.done, story.run.settlement.stuck, story.run.closed_at) == (True, "", closed)
    assert (story.events, next_at(story.run, EPOCH)) == (events, None)


def test_s6_a_worker_that_turns_every_minute_asks_every_hour():
    story, _ = won()
    story.tell(f.SettleRefused(reason="rewound"))
    session = Session(story.run, 1, EPOCH)
    for _ in range(59):
        story.wait(60)
        change = fold(session, story.now, lambda run, candidates: pytest.fail("nobody is to be asked"))
        session.become(change)
        assert session.startable(story.now) == []
    story.wait(60)
    assert session.startable(story.now) == [Settle("charge", 40_000)]


def test_31_charge_on_cancel_charges_only_what_the_provider_bills():
    for provider, verb in (("job", "charge"), ("queue", "release")):
        story = Story(make_run(policy=Policy(charge_on_cancel=True))).held()
        story.live(provider)
        story.tell(f.UserCancel())
        assert story.run.settlement.verb == verb


# --- erasure --------------------------------------------------------------------------------------------


def test_d1_an_erasure_blanks_what_the_customer_wrote_and_keeps_the_money():
    story, attempt = won()
    story.tell(f.Settled())
    story.tell(f.Erase())
    run = story.run
    assert story.rows[-1] == "D1"
    assert (run.spec.erased, run.spec.request) == (True, {})
    assert {route.payload.body for route in run.spec.routes.values()} == {None}
    assert run.attempt(attempt).outputs == ()
    assert (run.settlement.amount, run.attempt(attempt).cost, len(run.attempt(attempt).files)) == (
        40_000, 30_000, 1,
    )  # fmt: skip


def test_d2_while_anything_is_watched_an_erasure_waits():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Erase())
    story.tell(f.UserCancel())
    story.tell(f.Settled())
    assert (story.run.phase, story.run.spec.erased) == (Phase.CLOSED, False)
    assert Poll(attempt) in due(story.run, story.now + 5, EPOCH)
    story.tell(f.Canceled(), attempt)
    assert (story.run.done, story.run.spec.erased) == (True, True)


def test_what_is_said_after_an_erasure_is_not_kept_either():
    """A provider that contradicts itself hands over the addresses of the customer's pictures once more."""
    story = Story(make_run(terms={"job": JOB})).held()
    attempt = story.live()
    story.tell(f.Failed(fault=Fault.PROVIDER, code="oom", message="a lighthouse"), attempt)
    story.tell(f.Settled())
    story.tell(f.Erase())
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    found = story.run.attempt(attempt)
    assert (found.state, found.cost, found.outputs, found.message) == (State.STORED, 30_000, (), "")


# --- the table ------------------------------------------------------------------------------------------

NORMATIVE = {*map(str, range(1, 42)), "19a", "26a", "31a"}


def test_every_row_of_the_design_is_in_the_table():
    assert {row.number for row in ROWS} >= NORMATIVE
