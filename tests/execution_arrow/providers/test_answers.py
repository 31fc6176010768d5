"""What the providers' answers mean: exact statuses, exact errors, and doubt where nothing is declared."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from execution_arrow.facts import (
    Accepted,
    Ambiguous,
    CancelAcknowledged,
    Canceled,
    CancelRefused,
    Completed,
    Expired,
    Failed,
    Fault,
    Missing,
    Output,
    PollFailed,
    Refused,
    Running,
    Succeeded,
    UnknownStatus,
)
from execution_arrow.ports import Payload
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Reply
from tests.execution_arrow.providers import samples as s

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
B64 = base64.b64encode(JPEG).decode()
TASK = "cgt-20261120114200-abcde"
PREDICTION = "gm3qorzdhgbfurvjtvhg6dckhu"


def _submit(payload: Payload, reply: Reply) -> Any:
    return shipped()[payload.provider].read_submit(payload, reply)


def _poll(payload: Payload, reply: Reply, job: str = "job-1") -> Any:
    provider = shipped()[payload.provider]
    return provider.read_poll(s.job(payload, job), reply, s.context("https://queue.fal.run"))


def _result(reply: Reply) -> Any:
    return shipped()["fal"].read_result(s.job(s.FAL), reply)


def _cancel(payload: Payload, reply: Reply) -> Any:
    return shipped()[payload.provider].read_cancel(s.job(payload), reply)


REFUSALS = [
    (s.REPLICATE, "error_402_payment", Fault.ACCOUNT, "http_402", False),
    (s.REPLICATE, "error_422_validation", Fault.CALLER, "http_422", False),
    (s.REPLICATE, "error_401_auth", Fault.ACCOUNT, "http_401", False),
    (s.REPLICATE, "error_404_model", Fault.PROVIDER, "http_404", False),
    (s.REPLICATE, "error_429_rate_limit_on_submit", Fault.HERE, "http_429", False),
    (s.FAL, "error_403_balance", Fault.ACCOUNT, "http_403", False),
    (s.FAL, "error_401_auth", Fault.ACCOUNT, "http_401", False),
    (s.FAL, "error_404_app", Fault.PROVIDER, "http_404", False),
    (s.FAL, "error_503_submit_not_retried", Fault.PROVIDER, "runner_scheduling_failure", False),
    (s.FAL, "error_504_user_timeout", Fault.PROVIDER, "request_timeout", False),
    (s.FAL, "error_429_submit_retried", Fault.HERE, "http_429", False),
    (
        s.CLIP,
        "error_400_InputTextSensitiveContentDetected",
        Fault.CALLER,
        "InputTextSensitiveContentDetected",
        True,
    ),
    (s.CLIP, "error_400_InvalidParameter", Fault.CALLER, "InvalidParameter", False),
    (s.CLIP, "error_401_AuthenticationError", Fault.ACCOUNT, "AuthenticationError", False),
    (s.CLIP, "error_403_AccountOverdueError", Fault.ACCOUNT, "AccountOverdueError", False),
    (s.CLIP, "error_404_ModelNotOpen", Fault.PROVIDER, "ModelNotOpen", False),
    (
        s.CLIP,
        "error_429_RateLimitExceeded_EndpointRPMExceeded",
        Fault.HERE,
        "RateLimitExceeded.EndpointRPMExceeded",
        False,
    ),
    (s.CLIP, "error_429_SetLimitExceeded", Fault.ACCOUNT, "SetLimitExceeded", False),
    (s.PICTURES, "error_500_InternalServiceError", Fault.PROVIDER, "InternalServiceError", False),
    (s.HOSTED, "error_400_3003_incomplete", Fault.CALLER, "3003", False),
    (s.HOSTED, "error_400_5007_no_such_model", Fault.PROVIDER, "5007", False),
    (s.HOSTED, "error_401_auth", Fault.ACCOUNT, "10000", False),
    (s.HOSTED, "error_403_5018", Fault.PROVIDER, "5018", False),
    (s.HOSTED, "error_408_3007_timeout", Fault.PROVIDER, "3007", False),
    (s.HOSTED, "error_413_3006", Fault.CALLER, "3006", False),
    (s.HOSTED, "error_429_3036_daily_quota", Fault.ACCOUNT, "3036", False),
    (s.HOSTED, "error_429_3040_capacity", Fault.HERE, "3040", False),
    (s.GPT_IMAGE, "error_400_invalid_value", Fault.CALLER, "invalid_value", False),
    (s.GPT_IMAGE, "error_400_moderation", Fault.CALLER, "moderation_blocked", True),
    (s.GPT_IMAGE, "error_401", Fault.ACCOUNT, "invalid_api_key", False),
    (s.GPT_IMAGE, "error_403_org_verification", Fault.ACCOUNT, "invalid_request_error", False),
    (s.GPT_IMAGE, "error_404_model_retired", Fault.PROVIDER, "model_not_found", False),
    (s.GPT_IMAGE, "error_429_insufficient_quota", Fault.ACCOUNT, "insufficient_quota", False),
    (s.GPT_IMAGE, "error_429_rate_limit_retry_after", Fault.HERE, "rate_limit_exceeded", False),
    (s.WAN, "error_400_Arrearage", Fault.ACCOUNT, "Arrearage", False),
    (s.WAN, "error_400_DataInspectionFailed", Fault.CALLER, "DataInspectionFailed", True),
    (s.WAN, "error_400_InvalidParameter", Fault.CALLER, "InvalidParameter", False),
    (s.WAN, "error_401_InvalidApiKey", Fault.ACCOUNT, "InvalidApiKey", False),
    (s.WAN, "error_403_AccessDenied_Unpurchased", Fault.ACCOUNT, "AccessDenied.Unpurchased", False),
    (s.WAN, "error_403_AllocationQuota_FreeTierOnly", Fault.PROVIDER, "AllocationQuota.FreeTierOnly", False),
    (s.WAN, "error_404_ModelNotFound", Fault.PROVIDER, "ModelNotFound", False),
    (s.WAN, "error_429_Throttling", Fault.HERE, "Throttling", False),
    (s.WAN, "error_429_Throttling_RateQuota", Fault.HERE, "Throttling.RateQuota", False),
    (s.WAN, "error_429_Throttling_AllocationQuota", Fault.PROVIDER, "Throttling.AllocationQuota", False),
    (s.WAN, "error_503_ModelUnavailable", Fault.PROVIDER, "ModelUnavailable", False),
    (s.QWEN, "error_500_InternalError", Fault.PROVIDER, "InternalError", False),
]


@pytest.mark.parametrize(
    ("payload", "case", "fault", "code", "moderation"),
    REFUSALS,
    ids=[f"{r[0].provider}-{r[1]}" for r in REFUSALS],
)
def test_declared_refusals(payload: Payload, case: str, fault: Fault, code: str, moderation: bool) -> None:
    fact = _submit(payload, s.answered(payload.provider, case))
    assert isinstance(fact, Refused)
    assert (fact.fault, fact.code, fact.moderation) == (fault, code, moderation)
    assert fact.message


DOUBTS: list[tuple[Payload, Reply]] = [
    (s.REPLICATE, s.answered("replicate", "error_503_on_submit")),
    (s.FAL, s.answered("fal", "error_502_ingress_nginx_retried")),
    (s.CLIP, s.answered("byteplus", "error_500_InternalServiceError")),
    (s.HOSTED, s.answered("cloudflare", "error_500")),
    (s.GPT_IMAGE, s.answered("openai", "error_500")),
    (s.GPT_IMAGE, s.answered("openai", "error_503_should_retry_false")),
    (s.GPT_IMAGE, s.reply({"data": [{"b64_json": "aGk="}]})),
    (s.SORA, s.reply({"id": "../me", "status": "queued"})),
    (s.WAN, s.answered("alibabacloud", "error_500_InternalError")),
    (s.WAN, s.reply({"output": {"task_status": "PENDING"}})),
    (s.QWEN, s.reply({"code": "Surprise", "message": "said with 200"})),
    (s.QWEN, s.reply({"output": {"task_id": "t1", "task_status": "PENDING"}})),
    *(
        (p[0], s.reply(b"<html>busy</html>", status))
        for p in s.PAYLOADS.values()
        for status in (200, 302, 408, 500)
    ),
    *((p[0], s.reply({}, status)) for p in s.PAYLOADS.values() for status in (200, 201, 303, 409, 499, 504)),
    (s.REPLICATE, s.reply({"id": "../../account", "status": "starting"}, 201)),
    (s.REPLICATE, s.reply({"id": "p1"}, 201)),
    (s.FAL, s.reply({"status": "IN_QUEUE", "request_id": None})),
    (s.FAL, s.reply({"detail": "boom", "error_type": "internal_error"}, 500)),
    (s.CLIP, s.reply({"id": 7})),
    (s.PICTURES, s.reply({"data": [], "usage": {"generated_images": 0}})),
    (s.PICTURES, s.reply({"data": [{"b64_json": "not base64"}]})),
    (s.HOSTED, s.reply({"success": True, "result": {"image": ""}})),
    (s.HOSTED, s.reply({"success": True, "result": {"image": base64.b64encode(b"<html>").decode()}})),
    (
        s.HOSTED,
        s.reply({"success": True, "result": {"state": "Queued", "result": {"images": ["https://x/1.png"]}}}),
    ),
]


@pytest.mark.parametrize(
    ("payload", "reply"), DOUBTS, ids=[f"{p.provider}-{i}" for i, (p, _) in enumerate(DOUBTS)]
)
def test_what_nobody_declared_is_ambiguous(payload: Payload, reply: Reply) -> None:
    """The expensive mistake is to call a job refused that was accepted: what is undeclared stays unknown."""
    assert isinstance(_submit(payload, reply), Ambiguous)


def test_accepted_jobs() -> None:
    accepted = _submit(s.REPLICATE, s.answered("replicate", "submit_official_model_webhook"))
    assert accepted == Accepted(job=PREDICTION)
    assert _submit(s.CLIP, s.answered("byteplus", "submit_seedance-1-0-pro-i2v")) == Accepted(job=TASK)
    fal = _submit(s.FAL, s.answered("fal", "submit_webhook"))
    assert fal.job == "764cabcf-b745-4b3e-ae38-1200304cf45b"
    assert set(fal.urls) == {"poll", "result", "cancel"}


def test_replicate_submit_that_failed_at_once_is_still_a_job() -> None:
    """The verdict comes with the next poll; what counts here is that the job exists and may be billed."""
    assert _submit(s.REPLICATE, s.answered("replicate", "run_failed_moderation")) == Accepted(job=PREDICTION)


def test_retry_after_seconds_dates_and_texts() -> None:
    def wait(headers: dict[str, str], body: Any = None) -> float | None:
        return _submit(s.REPLICATE, s.reply(body or {"detail": "slow down"}, 429, headers)).retry_after

    date = "Fri, 20 Nov 2026 11:00:00 GMT"
    assert wait({"retry-after": "7"}) == 7.0
    assert wait({"retry-after": "Fri, 20 Nov 2026 11:00:30 GMT", "date": date}) == 30.0
    assert wait({"retry-after": "Fri, 20 Nov 2026 10:00:00 GMT", "date": date}) == 0.0
    assert wait({"retry-after": "Fri, 20 Nov 2026 11:00:30 GMT"}) is None
    for junk in ("-1", "NaN", "inf", "1e999", "9" * 400, "soon", "Fri, 99 Nov 2026 11:00:30 GMT"):
        assert wait({"retry-after": junk, "date": date}) is None
    assert wait({}, {"detail": "Request was throttled. Your rate limit resets in ~30s."}) == 30.0
    assert wait({}, {"detail": "Request was throttled. Expected available in 1 second."}) == 1.0
    assert wait({}, {"detail": "x", "retry_after": 4}) == 4.0


REPLICATE_POLLS = [
    ({"status": "starting"}, Running()),
    ({"status": "processing", "output": ["https://r/half.png"]}, Running()),
    ({"status": "canceled"}, Canceled()),
    ({"status": "aborted"}, Expired()),
    ({"status": "paused"}, UnknownStatus(text="paused")),
    (
        {"status": "succeeded", "output": "https://r/a.mp4"},
        Succeeded(outputs=(Output(index=0, url="https://r/a.mp4"),)),
    ),
    (
        {"status": "succeeded", "output": ["https://r/a.png", "https://r/b.png"]},
        Succeeded(outputs=(Output(index=0, url="https://r/a.png"), Output(index=1, url="https://r/b.png"))),
    ),
    ({"status": "succeeded", "output": None}, Succeeded(outputs=())),
    ({"status": "succeeded", "output": [None, 3, "not a url", "file:///etc/passwd"]}, Succeeded(outputs=())),
]


@pytest.mark.parametrize(("body", "fact"), REPLICATE_POLLS, ids=[str(i) for i in range(len(REPLICATE_POLLS))])
def test_replicate_statuses(body: dict[str, Any], fact: Any) -> None:
    assert _poll(s.REPLICATE, s.reply({"id": "job-1", **body})) == fact


def test_replicate_recorded_polls() -> None:
    assert _poll(s.REPLICATE, s.answered("replicate", "poll_status_aborted"), "x1") == Expired()
    done = _poll(s.REPLICATE, s.answered("replicate", "poll_until_succeeded", 1), PREDICTION)
    assert isinstance(done, Succeeded)
    assert done.outputs


def test_replicate_removed_results_are_a_failure_at_once() -> None:
    fact = _poll(
        s.REPLICATE, s.reply({"id": "job-1", "status": "succeeded", "output": None, "data_removed": True})
    )
    assert (fact.fault, fact.code) == (Fault.PROVIDER, "data_removed")


@pytest.mark.parametrize(
    ("error", "fault", "code", "moderation"),
    [
        (
            "NSFW content detected. Try running it again, or try a different prompt.",
            Fault.CALLER,
            "failed",
            True,
        ),
        ("The input or output was flagged as sensitive. (E005)", Fault.CALLER, "E005", True),
        ("Prediction failed (E1001): out of memory", Fault.PROVIDER, "E1001", False),
        ("Webhook URL is empty (E4875)", Fault.PROVIDER, "E4875", False),
        ("CUDA error: device-side assert", Fault.PROVIDER, "failed", False),
        (None, Fault.PROVIDER, "failed", False),
    ],
)
def test_replicate_failures(error: str | None, fault: Fault, code: str, moderation: bool) -> None:
    fact = _poll(s.REPLICATE, s.reply({"id": "job-1", "status": "failed", "error": error}))
    assert isinstance(fact, Failed)
    assert (fact.fault, fact.code, fact.moderation) == (fault, code, moderation)


BYTEPLUS_POLLS = [
    ("poll_queued", Running),
    ("poll_running", Running),
    ("poll_succeeded", Succeeded),
    ("poll_failed", Failed),
    ("poll_expired", Expired),
    ("poll_cancelled", Canceled),
]


@pytest.mark.parametrize(("case", "kind"), BYTEPLUS_POLLS)
def test_byteplus_statuses(case: str, kind: type) -> None:
    fact = _poll(s.CLIP, s.answered("byteplus", case), TASK)
    assert type(fact) is kind
    if isinstance(fact, Failed):
        assert (fact.fault, fact.moderation) == (Fault.CALLER, True)
    if isinstance(fact, Succeeded):
        assert [o.url for o in fact.outputs] == [
            s.answered("byteplus", case)
            and "https://ark-content-generation-ap-southeast-1"
            ".tos-ap-southeast-1.volces.com/x.mp4?X-Tos-Expires=86400"
        ]


def test_byteplus_pictures_keep_what_was_made() -> None:
    """In a group single items may be errors: the usable ones are the result, numbered without gaps."""
    error = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "no"}}
    body = {"data": [error, {"url": "https://b/1.jpeg"}, error, {"b64_json": B64}, {"size": "1x1"}, "junk"]}
    fact = _submit(s.PICTURES, s.reply(body))
    assert fact == Completed(outputs=(Output(index=0, url="https://b/1.jpeg"), Output(index=1)))
    assert shipped()["byteplus"].inline_output(s.reply(body), 1) == JPEG
    with pytest.raises(ValueError, match="not inside"):
        shipped()["byteplus"].inline_output(s.reply(body), 0)
    with pytest.raises(ValueError, match="no number 2"):
        shipped()["byteplus"].inline_output(s.reply(body), 2)


def test_byteplus_pictures_that_are_all_errors_are_refused_by_their_code() -> None:
    error = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "no"}}
    for body in ({"data": [error, error]}, {"data": [], **error}):
        fact = _submit(s.PICTURES, s.reply(body))
        assert isinstance(fact, Refused)
        assert (fact.fault, fact.moderation) == (Fault.CALLER, True)


def test_byteplus_quota_means_two_things() -> None:
    def fault(message: str) -> Fault:
        error = {"error": {"code": "QuotaExceeded", "message": message}}
        return _submit(s.CLIP, s.reply(error, 429)).fault

    assert fault("too many tasks in the queue") is Fault.HERE
    assert fault("free trial quota is used up") is Fault.ACCOUNT


def test_fal_recorded_statuses() -> None:
    job = "764cabcf-b745-4b3e-ae38-1200304cf45b"
    assert _poll(s.FAL, s.answered("fal", "poll_status_three_states", 0), job) == Running()
    assert _poll(s.FAL, s.answered("fal", "poll_status_three_states", 1), job) == Running()  # 202
    assert _poll(s.FAL, s.reply({"status": "FAILED", "request_id": job}), job) == UnknownStatus(text="FAILED")


def test_fal_result() -> None:
    fact = _result(s.answered("fal", "result", 1))
    output = Output(index=0, url="https://v3.fal.media/files/zebra/abc.png", media_type="image/jpeg")
    assert fact == Succeeded(outputs=(output,))
    assert _result(s.reply({"video": {"url": "https://v3.fal.media/files/x.mp4"}})) == Succeeded(
        outputs=(Output(index=0, url="https://v3.fal.media/files/x.mp4"),)
    )
    assert _result(s.reply({"seed": 1})) == Succeeded(outputs=())


FAL_FAILURES = [
    ({"detail": [{"type": "content_policy_violation", "msg": "flagged"}]}, 422, {}, Fault.CALLER, True),
    ({"detail": [{"type": "image_too_small", "msg": "m"}]}, 422, {}, Fault.CALLER, False),
    ({"detail": [{"type": "a_new_type", "msg": "m"}]}, 422, {}, Fault.CALLER, False),
    ({"detail": [{"type": "no_media_generated", "msg": "m"}]}, 422, {}, Fault.PROVIDER, False),
    ({"detail": [{"type": "downstream_service_error", "msg": "m"}]}, 400, {}, Fault.PROVIDER, False),
    ({"detail": [{"type": "generation_timeout", "msg": "m"}]}, 504, {}, Fault.PROVIDER, False),
    ({"detail": "Internal Server Error"}, 500, {}, Fault.PROVIDER, False),
    (b"Internal Server Error", 500, {"x-fal-request-id": "r"}, Fault.PROVIDER, False),
    ({"detail": "no runner", "error_type": "runner_disconnected"}, 503, {}, Fault.PROVIDER, False),
]


@pytest.mark.parametrize(("body", "status", "headers", "fault", "moderation"), FAL_FAILURES)
def test_fal_failures_show_at_the_result(
    body: Any, status: int, headers: dict[str, str], fault: Fault, moderation: bool
) -> None:
    fact = _result(s.reply(body, status, headers))
    assert isinstance(fact, Failed)
    assert (fact.fault, fact.moderation) == (fault, moderation)


def test_fal_other_ends_at_the_result() -> None:
    own_deadline = s.answered("fal", "error_504_user_timeout")
    assert _result(own_deadline) == Expired()
    assert _result(s.reply({"detail": "x", "error_type": "client_cancelled"}, 499)) == Canceled()
    assert _result(s.reply({}, 404)) == Missing()
    assert isinstance(_result(s.answered("fal", "error_502_ingress_nginx_retried")), PollFailed)
    assert isinstance(_result(s.reply(b"<html>", 200)), PollFailed)
    assert isinstance(_result(s.reply([1], 200)), PollFailed)
    assert isinstance(_result(s.reply({"detail": "key"}, 401)), PollFailed)
    cancelled = {"status": "COMPLETED", "request_id": "job-1", "error_type": "client_cancelled"}
    assert _poll(s.FAL, s.reply(cancelled)) == Canceled()


@pytest.mark.parametrize("payload", [s.REPLICATE, s.FAL, s.CLIP], ids=lambda p: p.provider)
def test_polls_that_say_nothing(payload: Payload) -> None:
    """A 404 is `Missing`; everything else that is no answer is a failed poll, never a verdict."""
    assert _poll(payload, s.reply({}, 404)) == Missing()
    for reply in (
        s.reply({"status": "succeeded"}, 500),
        s.reply({"status": "failed"}, 401),
        s.reply(b"<html>ok</html>", 200),
        s.reply({"status": 3}, 200),
        s.reply(b"[" * 100_000, 200),
        s.reply(b'{"status": ' + b"9" * 5000 + b"}", 200),
        s.reply(
            {"id": "another", "request_id": "another", "status": "succeeded", "output": "https://x/1.png"}
        ),
        s.reply({"id": "another", "request_id": "another", "status": "COMPLETED"}),
    ):
        assert isinstance(_poll(payload, reply), PollFailed)
    assert _poll(payload, s.reply({}, 429, {"retry-after": "9"})).retry_after == 9.0


def test_cancels() -> None:
    assert _cancel(s.REPLICATE, s.answered("replicate", "cancel")) == CancelAcknowledged()
    for ended in ("succeeded", "failed", "aborted"):
        assert _cancel(s.REPLICATE, s.reply({"status": ended})).final
    assert _cancel(s.FAL, s.answered("fal", "cancel")) == CancelAcknowledged()
    assert _cancel(s.FAL, s.answered("fal", "cancel_already_completed")).final
    not_found = _cancel(s.FAL, s.answered("fal", "cancel_not_found"))
    assert isinstance(not_found, CancelRefused)
    assert not not_found.final
    assert _cancel(s.CLIP, s.answered("byteplus", "cancel_or_delete")) == CancelAcknowledged(erases=True)
    assert isinstance(_cancel(s.CLIP, s.reply({"error": {"code": "OperationDenied"}}, 403)), CancelRefused)


def test_cloudflare_results() -> None:
    """Base64 in the envelope, bare bytes, and URLs one level deeper."""
    provider = shipped()["cloudflare"]
    boxed = s.reply({"success": True, "errors": [], "result": {"image": B64}})
    assert _submit(s.HOSTED, boxed) == Completed(outputs=(Output(index=0),))
    assert provider.inline_output(boxed, 0) == JPEG
    bare = s.reply(JPEG, headers={"content-type": "text/plain"})
    assert _submit(s.HOSTED, bare) == Completed(outputs=(Output(index=0, media_type="image/jpeg"),))
    assert provider.inline_output(bare, 0) == JPEG
    proxied = s.answered("cloudflare", "run_universal_endpoint_via_client_post")
    assert _submit(s.HOSTED, proxied) == Completed(
        outputs=(Output(index=0, url="https://example.r2.dev/x.mp4"),)
    )
    assert isinstance(_submit(s.HOSTED, s.answered("cloudflare", "run_flux_1_schnell")), Completed)
    for reply, index in ((boxed, 1), (bare, 1), (proxied, 0), (s.reply(b"junk"), 0)):
        with pytest.raises(ValueError, match=r"not inside|no number|one picture"):
            provider.inline_output(reply, index)


def test_cloudflare_moderation_by_code_and_text() -> None:
    error = {"success": False, "errors": [{"code": 8007, "message": "AiError: prompt contains NSFW content"}]}
    fact = _submit(s.HOSTED, s.reply(error, 400))
    assert (fact.fault, fact.code, fact.moderation) == (Fault.CALLER, "8007", True)


def test_keys_in_error_texts_are_masked() -> None:
    fact = _submit(s.REPLICATE, s.reply({"detail": "bad token r8_0123456789abcdef given\x00\ud800"}, 401))
    assert "r8_0123" not in fact.message
    assert fact.message.encode("utf-8")
    fact = _submit(s.GEN45, s.reply({"error": "no such key_0123456789abcdef0123 here"}, 401))
    assert fact.message == "no such *** here"
