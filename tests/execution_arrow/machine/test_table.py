"""One story per row of the transition table, told with facts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execution_arrow import facts as f
from execution_arrow.effects import Cancel, Copy, Lookup, OpenHold, Plan, Poll, Recover, Settle, Submit
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import due, next_at
from execution_arrow.machine.attempts import ARRIVAL_WINDOW
from execution_arrow.machine.state import Outcome, Phase, Status
from execution_arrow.machine.table import ROWS
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, QUEUE, SYNC, T0, Story, make_run, outputs, stored


def effects(story: Story) -> list[type]:
    return [type(effect) for effect in due(story.run, story.now, EPOCH)]


def test_sunny_path_charges_the_frozen_price():
    story = Story(make_run())
    assert effects(story) == [OpenHold]
    story.held()
    assert effects(story) == [Plan]
    attempt = story.plan()
    assert effects(story) == [Submit]
    story.tell(f.Accepted(job="j"), attempt)
    story.wait(1)
    assert effects(story) == [Poll]
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    assert (story.run.phase, effects(story)) == (Phase.COLLECTING, [Copy])
    story.tell(stored(), attempt)
    assert due(story.run, story.now, EPOCH) == (Settle("charge", 40_000),)
    story.tell(f.Settled())
    assert story.run.status is Status.SUCCEEDED
    assert story.run.done
    assert next_at(story.run, EPOCH) is None
    assert story.events == ["generation.started", "generation.completed"]
    assert story.run.attempts[0].outcome(story.run.winner) is Outcome.USED


def test_refused_hold_closes_without_a_settlement():
    story = Story(make_run())
    story.tell(f.HoldRefused(reason="insufficient", needed=40_000, available=1))
    assert (story.run.status, story.run.error_code, story.run.settlement) == (Status.FAILED, "BSE1004", None)
    assert story.run.done


def test_2_come_back_soon_is_tried_at_the_same_provider():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Refused(fault=Fault.HERE, code="http_429", retry_after=3), first)
    assert due(story.run, story.now, EPOCH) == ()
    assert next_at(story.run, EPOCH) == story.now + 3
    second = story.plan()
    assert story.run.attempt(second).provider == "job"
    assert story.now == T0 + 3


def test_2_come_back_late_asks_somebody_else_first_and_returns_in_the_end():
    story = Story(make_run()).held()
    story.tell(f.Refused(fault=Fault.HERE, code="http_429", retry_after=30), story.plan())
    for expected in ("queue", "sync"):
        attempt = story.plan()
        assert story.run.attempt(attempt).provider == expected
        story.tell(f.Refused(fault=Fault.PROVIDER, code="x"), attempt)
    last = story.plan()
    assert story.run.attempt(last).provider == "job"
    assert story.now >= T0 + 30


def test_2_a_provider_is_tried_three_times_at_most():
    story = Story(make_run(terms={"queue": QUEUE})).held()
    for _ in range(3):
        story.tell(f.NotSent(message="refused"), story.plan())
    assert story.run.verdict is Status.FAILED


def test_3_refusal_asks_the_next_provider():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Refused(fault=Fault.ACCOUNT, code="no_credit"), first)
    assert story.state(first) == "rejected"
    assert story.next_provider() == "queue"


def test_4_the_callers_fault_asks_nobody_else():
    story = Story(make_run()).held()
    story.tell(f.Refused(fault=Fault.CALLER, code="nsfw", moderation=True), story.plan())
    assert (story.run.verdict, story.run.error_code) == (Status.FAILED, "BSE2006")
    assert story.run.settlement.verb == "release"


def test_6_a_job_of_another_attempt_is_never_bound():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Accepted(job="j", taken=True), first)
    assert (story.state(first), story.alerts) == ("unknown", ["duplicate_job"])
    assert story.run.attempt(first).job is None


def test_7_synchronous_results_win_at_once():
    story = Story(make_run(terms={"sync": SYNC})).held()
    attempt = story.plan()
    story.tell(f.Completed(outputs=(f.Output(index=0),)), attempt)
    assert (story.state(attempt), story.run.winner) == ("collecting", attempt)


def test_8_13_doubt_waits_for_its_patience_and_then_asks_another_provider():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Ambiguous(message="read timeout"), first)
    assert story.state(first) == "unknown"
    assert effects(story) == [Lookup]
    story.wait(9.9)
    assert Plan not in effects(story)
    story.wait(0.2)
    story.tell(f.TimeUp(timer=Timer.PATIENCE), first)
    second = story.plan()
    assert story.run.attempt(second).provider == "queue"
    assert story.run.attempt(first).risked


def test_8_an_unknown_submit_is_never_sent_to_the_same_provider_again():
    story = Story(make_run(terms={"queue": QUEUE})).held()
    first = story.plan()
    story.tell(f.Ambiguous(), first)
    story.tell(f.TimeUp(timer=Timer.PATIENCE), first)
    assert story.run.verdict is Status.FAILED
    assert len(story.run.attempts) == 1


def test_9_a_lost_owner_leaves_doubt():
    story = Story(make_run()).held()
    attempt = story.plan()
    # Never sent under a later epoch: whoever takes over finds out what became of it, however often he dies.
    assert [type(e) for e in due(story.run, story.now, EPOCH + 1)] == [Recover]
    story.tell(f.OwnerLost(), attempt)
    assert story.state(attempt) == "unknown"


def test_11_a_lookup_finds_the_job_and_the_race_is_on():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Ambiguous(), first)
    story.wait(10)
    story.tell(f.TimeUp(timer=Timer.PATIENCE), first)
    second = story.live()
    story.tell(f.LookupFound(job="j1"), first)
    assert story.state(first) == "live"
    story.tell(f.Succeeded(outputs=outputs()), first)
    assert (story.run.winner, story.state(second)) == (first, "closing")
    assert Cancel in effects(story)
    story.tell(f.Succeeded(outputs=outputs()), second)
    assert (story.state(second), story.run.attempt(second).outcome(first)) == ("stored", Outcome.DISCARDED)
    story.tell(stored(), first)
    assert story.run.settlement.amount == 40_000


def test_12_a_conclusive_nothing_is_a_rejection():
    story = Story(make_run()).held()
    first = story.plan()
    story.tell(f.Ambiguous(), first)
    story.tell(f.LookupNone(conclusive=False), first)
    story.tell(f.LookupNone(conclusive=True), first)
    assert story.state(first) == "unknown"  # the call may still be under way
    story.wait(ARRIVAL_WINDOW)
    story.tell(f.LookupNone(conclusive=True), first)
    assert (story.state(first), story.run.attempt(first).cost) == ("rejected", 0)


def test_14_policy_fail_gives_the_credits_back_and_keeps_watching():
    story = Story(make_run(policy=Policy(on_unknown="fail"))).held()
    first = story.plan()
    story.tell(f.Ambiguous(), first)
    story.wait(10)
    story.tell(f.TimeUp(timer=Timer.PATIENCE), first)
    assert (story.run.verdict, story.run.settlement.verb) == (Status.FAILED, "release")
    story.tell(f.Settled())
    assert not story.run.done
    story.wait(Policy().write_off_after)
    story.tell(f.TimeUp(timer=Timer.WRITE_OFF), first)
    assert (story.state(first), story.run.attempt(first).cost_source) == ("written_off", "unknown")
    assert story.run.done


def test_two_unknowns_stop_the_spending():
    story = Story(make_run()).held()
    for _ in range(2):
        attempt = story.plan()
        story.tell(f.Ambiguous(), attempt)
        story.wait(10)
        story.tell(f.TimeUp(timer=Timer.PATIENCE), attempt)
    assert not any(isinstance(e, Plan) for e in due(story.run, story.now, EPOCH))
    assert story.run.phase is Phase.RUNNING  # the first may still be found by lookup
    story.now = story.run.spec.deadline_at
    story.tell(f.TimeUp(timer=Timer.GENERATION))
    assert story.run.verdict is Status.FAILED


def test_16_a_poll_that_changes_nothing_is_not_written():
    story = Story(make_run()).held()
    attempt = story.live()
    assert not story.tell(f.Running(), attempt).durable
    assert not story.tell(f.PollFailed(message="html"), attempt).durable


def test_19_success_without_outputs_is_asked_for_a_minute_and_then_failed():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=()), attempt)
    assert story.state(attempt) == "live"
    story.wait(60)
    story.tell(f.TimeUp(timer=Timer.EMPTY), attempt)
    assert (story.state(attempt), story.run.attempt(attempt).code) == ("failed", "empty")
    assert story.next_provider() == "queue"


def test_20_22_failures_ask_the_next_and_21_the_callers_fault_does_not():
    story = Story(make_run()).held()
    story.tell(f.Failed(fault=Fault.PROVIDER, code="oom"), story.live())
    story.tell(f.Failed(fault=Fault.ACCOUNT, code="quota"), story.live())
    third = story.live()
    story.tell(f.Failed(fault=Fault.CALLER, code="nsfw", moderation=True), third)
    assert (story.run.verdict, story.run.error_code) == (Status.FAILED, "BSE2006")


def test_23_a_cancel_at_the_providers_console_is_not_repeated_elsewhere():
    story = Story(make_run()).held()
    story.tell(f.Canceled(), story.live())
    assert (story.run.verdict, len(story.run.attempts)) == (Status.FAILED, 1)


def test_24_expired_asks_the_next():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Expired(), attempt)
    assert (story.state(attempt), story.run.attempt(attempt).cost) == ("expired", 0)
    assert story.plan()


def test_25_26_three_missing_answers_are_believed():
    story = Story(make_run()).held()
    attempt = story.live()
    for _ in range(2):
        story.tell(f.Missing(), attempt)
        assert story.state(attempt) == "live"
        story.wait(2)
    story.tell(f.Missing(), attempt)
    assert story.state(attempt) == "unknown"
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    assert story.run.winner == attempt


def test_25_a_running_answer_forgets_the_missing_ones():
    story = Story(make_run()).held()
    attempt = story.live()
    for _ in range(5):
        story.tell(f.Missing(), attempt)
        story.tell(f.Running(), attempt)
    assert story.state(attempt) == "live"


def test_26a_missing_after_an_erasing_cancel_is_perhaps_waste():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.UserCancel())
    story.tell(f.CancelAcknowledged(erases=True), attempt)
    story.tell(f.Missing(), attempt)
    found = story.run.attempt(attempt)
    assert (found.state, found.cost_source) == ("canceled", "unknown")


@pytest.mark.parametrize("billed", [frozenset(), frozenset({"failed", "moderation", "canceled"})])
def test_what_an_end_cost_is_what_the_provider_reports_where_it_does(billed: frozenset[str]):
    """Runway says it in every end; without a word the declared semantics count."""
    for told in (f.Failed(fault=Fault.PROVIDER, code="x", cost=7), f.Canceled(cost=7)):
        story = Story(make_run(terms={"job": replace(QUEUE, billed=billed)})).held()
        attempt = story.live()
        story.tell(told, attempt)
        found = story.run.attempt(attempt)
        assert (found.cost, found.cost_source) == (7, "reported")
        story = Story(make_run(terms={"job": replace(QUEUE, billed=billed)})).held()
        attempt = story.live()
        story.tell(replace(told, cost=None), attempt)
        found = story.run.attempt(attempt)
        assert (found.cost, found.cost_source) == (story.run.route(found).cost if billed else 0, "quoted")


def test_what_a_success_cost_is_what_was_announced_where_nothing_else_is_said():
    """BFL says it when it accepts the job, and never again; a failure does not cost it."""
    for told, cost, source in (
        (f.Succeeded(outputs=outputs()), 7, "reported"),
        (f.Succeeded(outputs=outputs(), cost=9), 9, "reported"),
        (f.Failed(fault=Fault.PROVIDER, code="x"), 0, "quoted"),
    ):
        story = Story(make_run()).held()
        attempt = story.plan()
        story.tell(f.Accepted(job="j", cost=7), attempt)
        assert (story.run.attempt(attempt).cost, story.run.attempt(attempt).cost_source) == (None, "unknown")
        story.tell(f.CalledBack(job="j", sure=True), attempt)
        story.tell(told, attempt)
        found = story.run.attempt(attempt)
        assert (found.cost, found.cost_source) == (cost, source)


def test_27_overdue_is_canceled_first_and_the_next_goes_after_the_answer():
    story = Story(make_run()).held()
    first = story.live()
    story.wait(60)
    story.tell(f.TimeUp(timer=Timer.DEADLINE), first)
    assert story.state(first) == "closing"
    assert Cancel in effects(story)
    assert Plan not in effects(story)
    story.tell(f.CancelAcknowledged(), first)
    assert story.state(first) == "closing"  # 29: an acknowledgement is not a verdict
    assert story.next_provider() == "queue"
    story.tell(f.Succeeded(outputs=outputs()), first)  # it finished all the same, and first: it is used
    assert story.run.winner == first


def test_28_without_a_cancel_the_next_goes_at_once():
    story = Story(make_run(terms={"a": QUEUE, "b": SYNC})).held()
    first = story.live()
    story.wait(60)
    story.tell(f.TimeUp(timer=Timer.DEADLINE), first)
    story.wait(15)
    story.tell(f.TimeUp(timer=Timer.CANCEL), first)
    assert story.next_provider() == "b"


def test_30_a_refused_cancel_is_repeated_a_few_times_and_never_after_the_end():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.UserCancel())
    story.tell(f.CancelRefused(message="lost"), attempt)
    assert Cancel not in effects(story)
    story.wait(60)
    assert Cancel in effects(story)
    story.tell(f.CancelRefused(final=True), attempt)
    story.wait(600)
    assert Cancel not in effects(story)


def test_31_a_users_cancel_releases_the_hold_and_follows_the_job():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.UserCancel())
    assert (story.run.verdict, story.run.settlement.verb) == (Status.CANCELED, "release")
    story.tell(f.Settled())
    story.tell(f.Canceled(), attempt)
    assert (
        story.run.attempt(attempt).cost == 30_000
    )  # this provider bills canceled jobs: our cost, not theirs
    assert story.events[-1] == "generation.canceled"
    assert story.run.done


def test_31_charge_on_cancel_charges_the_quote_of_the_accepted_attempt():
    story = Story(make_run(policy=Policy(charge_on_cancel=True))).held()
    story.live()
    story.tell(f.UserCancel())
    assert story.run.settlement.amount == 40_000


def test_32_a_cancel_cannot_recall_a_post_but_stops_its_job():
    story = Story(make_run()).held()
    attempt = story.plan()
    story.tell(f.UserCancel())
    assert story.state(attempt) == "sending"
    story.tell(f.Accepted(job="j"), attempt)
    assert (story.state(attempt), effects(story)[-1]) == ("closing", Cancel)


def test_32_a_synchronous_result_after_a_cancel_is_discarded():
    story = Story(make_run(terms={"sync": SYNC})).held()
    attempt = story.plan()
    story.tell(f.UserCancel())
    story.tell(f.Completed(outputs=outputs()), attempt)
    assert story.run.attempt(attempt).outcome(story.run.winner) is Outcome.DISCARDED
    assert story.run.settlement.verb == "release"


def test_a_cancel_before_the_hold_is_known_releases_it_after():
    story = Story(make_run())
    story.tell(f.UserCancel())
    story.held()
    assert (story.run.verdict, story.run.settlement.verb) == (Status.CANCELED, "release")
    assert not story.run.attempts


@pytest.mark.parametrize(("have", "asked", "amount"), [(1, 3, 13_333), (2, 3, 26_666), (3, 3, 40_000)])
def test_34_a_partial_success_pays_its_share_rounded_down(have: int, asked: int, amount: int):
    story = Story(make_run(asked=asked)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs(asked)), attempt)
    for index in range(asked):
        story.tell(stored(index) if index < have else f.ArtifactLost(index=index), attempt)
    assert story.run.settlement.amount == amount


def test_35_lost_outputs_give_the_place_back_to_the_next_provider():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(f.ArtifactLost(index=0, message="404"), attempt)
    assert (story.state(attempt), story.run.winner) == ("lost", None)
    assert story.plan()


def test_35_the_collecting_deadline_keeps_what_is_ours():
    story = Story(make_run(asked=2)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs(2)), attempt)
    story.tell(stored(0), attempt)
    story.wait(900)
    story.tell(f.TimeUp(timer=Timer.COLLECT), attempt)
    assert (story.run.verdict, story.run.settlement.amount) == (Status.SUCCEEDED, 20_000)


def test_36_a_cancel_while_collecting_is_too_late():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    before = story.run
    story.tell(f.UserCancel())
    assert story.run == before


def test_38_a_contradiction_is_used_while_nobody_won_and_alerted():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Failed(fault=Fault.PROVIDER, code="x"), attempt)
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    assert (story.run.winner, story.alerts) == (attempt, ["contradiction"])


def test_40_a_status_that_goes_back_is_ignored_and_alerted():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(f.Running(), attempt)
    assert (story.state(attempt), story.alerts) == ("collecting", ["status_regress"])


def test_39_an_unknown_status_alerts_and_keeps_polling():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.UnknownStatus(text="warming"), attempt)
    assert story.alerts == ["unknown_status"]
    assert next_at(story.run, EPOCH) < story.now + 30


def test_a_stuck_settlement_is_final_for_the_customer_and_named():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(stored(), attempt)
    story.tell(f.SettleRefused(reason="key_conflict"))
    assert (story.run.status, story.run.settlement.stuck) == (Status.SUCCEEDED, "key_conflict")
    assert "settlement_stuck" in story.alerts


def test_the_terminal_event_waits_for_the_settlement_but_not_for_ever():
    story = Story(make_run()).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(stored(), attempt)
    story.wait(30)
    step = story.tell(f.TimeUp(timer=Timer.ANNOUNCE))
    assert [(event.type, event.settled) for event in step.events] == [("generation.completed", False)]
    story.tell(f.Settled())
    assert story.events.count("generation.completed") == 1


def test_a_free_model_releases_instead_of_charging_nothing():
    story = Story(make_run(price=0)).held()
    attempt = story.live()
    story.tell(f.Succeeded(outputs=outputs()), attempt)
    story.tell(stored(), attempt)
    assert (story.run.verdict, story.run.settlement.verb) == (Status.SUCCEEDED, "release")


def test_every_row_has_a_number_and_a_source():
    assert len(ROWS) > 60
    assert all(row.number and row.sources for row in ROWS)


def test_a_ledger_that_never_answers_does_not_keep_a_generation_for_ever():
    story = Story(make_run())
    story.tell(f.EffectFailed(effect="hold"))
    story.now = story.run.spec.deadline_at
    story.tell(f.TimeUp(timer=Timer.GENERATION))
    assert (story.run.verdict, story.run.settlement.verb) == (Status.FAILED, "release")
    story.held()  # a late answer finds it decided
    assert story.run.phase is Phase.SETTLING
