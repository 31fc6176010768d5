"""What becomes of a delivery, as plain functions."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.delivery.policy import Answer, WebhookPolicy, delivery_id, event_id, judge, why_disabled
from execution_arrow.stores.outgoing import Delivery, Endpoint
from execution_arrow.values import replace

POLICY = WebhookPolicy()
ONE = Delivery(endpoint="we_1", subject="gen_0199", no=2, account="a", type="x", at=1.0)
DOWN = Answer(503)


def test_names_are_the_same_for_every_try_and_a_replay_is_another_delivery_of_the_same_event() -> None:
    again = replace(ONE, claim=7, tries=3, answer=500, error="no")
    assert delivery_id(again) == delivery_id(ONE)
    assert event_id(ONE) == event_id(replace(ONE, endpoint="we_2", replays=1)) == "evt_0199_2"
    others = [replace(ONE, replays=1), replace(ONE, endpoint="we_2"), replace(ONE, no=1)]
    assert len({delivery_id(delivery) for delivery in [ONE, *others]}) == 4
    assert uuid.UUID(delivery_id(ONE)).version == 8


@given(tries=st.integers(0, len(POLICY.pauses) - 1), subject=st.text(max_size=9))
def test_pauses_are_those_of_the_policy_give_or_take_a_fifth_and_the_same_each_time(
    tries: int, subject: str
) -> None:
    delivery = replace(ONE, tries=tries, subject=subject)
    state, at = judge(delivery, DOWN, 100.0, POLICY)
    assert state == "waiting"
    assert 0.8 <= (at - 100.0) / POLICY.pauses[tries] <= 1.2
    assert judge(delivery, DOWN, 100.0, POLICY) == (state, at)


def test_those_who_failed_together_do_not_come_back_together() -> None:
    times = {judge(replace(ONE, subject=f"gen_{n}", tries=5), DOWN, 0.0, POLICY)[1] for n in range(50)}
    assert len(times) == 50
    assert max(times) - min(times) > 0.3 * POLICY.pauses[5]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert judge(ONE, Answer(status), 5.0, POLICY) == ("delivered", 5.0)


@pytest.mark.parametrize("status", [0, 100, 199, 301, 302, 400, 404, 429, 500])
def test_everything_else_is_tried_again_until_the_pauses_are_used_up(status: int) -> None:
    assert judge(ONE, Answer(status), 5.0, POLICY)[0] == "waiting"
    assert judge(replace(ONE, tries=len(POLICY.pauses)), Answer(status), 5.0, POLICY) == ("dead", 5.0)


def test_a_receivers_own_wish_is_honoured_within_reason() -> None:
    assert judge(ONE, Answer(429, retry_after=77.0), 0.0, POLICY)[1] == 77.0
    assert judge(ONE, Answer(503, retry_after=1e9), 0.0, POLICY)[1] == POLICY.longest_wait
    late = replace(ONE, tries=7)
    assert judge(late, Answer(503, retry_after=1.0), 0.0, POLICY)[1] > 1000


def test_an_endpoint_is_given_up_after_many_failures_over_a_long_time() -> None:
    row = Endpoint(id="we_1", account=None, events=(), document="{}", failures=15, failing_since=1000.0)
    assert why_disabled(row, DOWN, 1000.0 + 3599, POLICY) == ""
    assert why_disabled(replace(row, failures=14), DOWN, 1000.0 + 9999, POLICY) == ""
    assert why_disabled(row, DOWN, 1000.0 + 3600, POLICY) == "failing"
    assert why_disabled(replace(row, failures=1), Answer(410), 1000.0, POLICY) == "gone"
    assert judge(ONE, Answer(410), 0.0, POLICY)[0] == "dead"
