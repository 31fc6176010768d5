"""No answer of a server breaks a reader, and none that is junk reads as a success."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_arrow import facts
from execution_arrow.driver.fact_codec import decode, encode
from execution_arrow.ports import Payload
from execution_arrow.providers import shipped
from execution_arrow.providers._wire import HTTP_RULES
from execution_arrow.providers.base import Follow, Reply
from tests.execution_arrow.providers import samples as s

N = int(os.environ.get("N", "1"))
ALL = [payload for payloads in s.PAYLOADS.values() for payload in payloads]

# Words the readers look for, so that a random object often comes close to a real answer.
NAMES = [
    "id",
    "status",
    "output",
    "error",
    "data_removed",
    "results",
    "model",
    "version",
    "input",
    "source",
    "created_at",
    "detail",
    "type",
    "msg",
    "title",
    "error_type",
    "request_id",
    "response_url",
    "status_url",
    "cancel_url",
    "images",
    "image",
    "video",
    "url",
    "content_type",
    "data",
    "b64_json",
    "code",
    "message",
    "content",
    "video_url",
    "result",
    "success",
    "errors",
    "state",
    "retry_after",
    "usage",
    "output",
    "task_id",
    "task_status",
    "results",
    "choices",
    "prompt",
    "seconds",
    "polling_url",
    "sample",
    "details",
    "failure",
    "failureCode",
    "cost",
    "credits",
    "issues",
    "path",
    "loc",
]
WORDS = [
    "starting",
    "succeeded",
    "failed",
    "canceled",
    "aborted",
    "IN_QUEUE",
    "COMPLETED",
    "queued",
    "running",
    "cancelled",
    "expired",
    "job-1",
    "https://x.example/a.png",
    "data:image/png;base64,iVBORw0KGgo=",
    "ALREADY_COMPLETED",
    "OK",
    "Completed",
    "internal_error",
    "content_policy_violation",
    "QuotaExceeded",
    "SUCCEEDED",
    "FAILED",
    "UNKNOWN",
    "completed",
    "moderation_blocked",
    "DataInspectionFailed",
    "Ready",
    "Request Moderated",
    "Task not found",
    "CANCELLED",
    "SAFETY.INPUT.TEXT",
    "2026-11-20T11:00:00Z",
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.sampled_from(["\ud800", "\x00", "https://", "data:,", "../..", "a" * 5000]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=6),
    ),
    max_leaves=15,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)
bodies = st.one_of(
    objects.map(lambda value: json.dumps(value).encode()),
    values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"<!doctype html><title>502</title>", b"[" * 20_000, b'{"id": ' + b"9" * 9000, b"\xff\xfe{"]
    ),
    objects.map(lambda value: json.dumps(value).encode()[:-1]),
)
statuses = st.one_of(
    st.sampled_from([200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 422, 429, 499, 500, 502, 503, 504]),
    st.integers(100, 999),
)
header_values = st.sampled_from(
    ["", "7", "-3", "Fri, 20 Nov 2026 11:00:00 GMT", "nan", "\ud800", "x" * 3000, "1e999"]
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-type", "x-fal-error-type", "x-fal-request-id"]),
    header_values,
)
replies = st.builds(
    lambda status, head, body: Reply(status=status, headers=head, body=body), statuses, headers, bodies
)


def _read_everything(payload: Payload, reply: Reply) -> list[Any]:
    provider = shipped()[payload.provider]
    job, context = s.job(payload), s.context("https://queue.fal.run")
    submitted = provider.read_submit(payload, reply)
    if isinstance(submitted, facts.Completed):
        for output in submitted.outputs:
            if output.url is None:
                assert isinstance(provider.inline_output(reply, output.index), bytes) or True
    return [
        submitted,
        provider.read_poll(job, reply, context),
        provider.read_result(job, reply),
        provider.read_cancel(job, reply),
        provider.read_lookup(payload, reply, sent_at=1.8e9, bound=lambda job: False),
    ]


@settings(max_examples=250 * N, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ALL), replies)
def test_readers_survive_anything_and_their_facts_can_be_stored(payload: Payload, reply: Reply) -> None:
    """Whatever arrives becomes a fact that any store can write down and read back."""
    for fact in _read_everything_safely(payload, reply):
        if isinstance(fact, Follow):
            continue
        written = json.dumps(encode(fact), allow_nan=False, ensure_ascii=False).encode("utf-8")
        assert decode(json.loads(written)) == fact
        assert s.KEY.encode() not in written


def _read_everything_safely(payload: Payload, reply: Reply) -> list[Any]:
    """As the driver calls them: only `inline_output` may raise, and only `ValueError`."""
    try:
        return _read_everything(payload, reply)
    except ValueError:
        submitted = shipped()[payload.provider].read_submit(payload, reply)
        assert isinstance(submitted, facts.Completed)  # only then may the inline bytes be unreadable
        return [submitted]


@settings(max_examples=120 * N, deadline=None)
@given(
    st.sampled_from(ALL),
    st.integers(500, 599) | st.sampled_from([300, 302, 303, 408, 409, 425, 499]),
    st.binary(max_size=99),
)
def test_a_status_that_proves_nothing_is_never_a_verdict(payload: Payload, status: int, body: bytes) -> None:
    """A failed gateway is no refusal after a submit and no end of a job after a poll."""
    reply = Reply(status=status, body=body)
    provider = shipped()[payload.provider]
    assert isinstance(provider.read_submit(payload, reply), facts.Ambiguous)
    assert isinstance(provider.read_poll(s.job(payload), reply, s.context("http://h")), facts.PollFailed)
    if status != 499:
        assert isinstance(provider.read_result(s.job(payload), reply), facts.PollFailed)


@settings(max_examples=120 * N, deadline=None)
@given(st.sampled_from(ALL), st.text(min_size=1, max_size=20))
def test_unknown_status_texts_are_told_and_not_guessed(payload: Payload, word: str) -> None:
    provider = shipped()[payload.provider]
    module = importlib.import_module(f"execution_arrow.providers.{payload.provider}")
    if provider.is_sync(payload) or word in module.STATUSES:
        return
    said = {"status": word, "output": {"task_status": word}}
    fact = provider.read_poll(s.job(payload), s.reply(said), s.context("http://h"))
    assert isinstance(fact, facts.UnknownStatus)


def test_the_general_rules_leave_the_doubtful_statuses_out() -> None:
    declared = {status for rule in HTTP_RULES for status in rule.status}
    assert not declared & {302, 303, 408, 409, 425, 499}
    assert all(status < 500 for status in declared)
