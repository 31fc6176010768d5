"""Answers that look like a verdict and are none, and refusals that blamed the wrong one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from execution_arrow.facts import Ambiguous, Failed, Fault, Output, PollFailed, Refused, Running, Succeeded
from execution_arrow.ports import Payload
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Reply
from tests.execution_arrow.providers import samples as s

OWN = {"x-fal-request-id": "job-1"}  # on every answer of fal itself, good or bad
URL = "https://v3.fal.media/files/a.png"


def _submit(payload: Payload, reply: Reply) -> Any:
    return shipped()[payload.provider].read_submit(payload, reply)


def _result(reply: Reply, payload: Payload = s.FAL) -> Any:
    return shipped()["fal"].read_result(s.job(payload), reply)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<html>ok</html>", 200), (b'{"images": [{"u', 200), (b"", 204), (b"", 302), (b"", 307)],
)
def test_fal_results_that_cannot_be_read_now_are_asked_for_again(body: bytes, status: int) -> None:
    """A paid success behind a broken page is no failure: another provider would make it a second time."""
    assert isinstance(_result(s.reply(body, status, OWN)), PollFailed)


def test_fal_results_that_are_asked_for_too_early() -> None:
    """The status said COMPLETED and the result does not know yet: nothing has failed, nobody is to blame."""
    assert _result(s.reply({"detail": "Request is still in progress"}, 400, OWN)) == Running()
    assert _result(s.reply({"status": "IN_PROGRESS", "request_id": "job-1"}, 202, OWN)) == Running()


def test_fal_pictures_that_its_checker_blacked_out_are_no_results() -> None:
    """A flagged picture is black: the customer must neither get it nor pay for it."""
    images = [{"url": f"{URL}?{n}"} for n in range(3)]
    some = s.reply({"images": images, "has_nsfw_concepts": [True, False, True]}, 200, OWN)
    assert _result(some) == Succeeded(outputs=(Output(index=0, url=f"{URL}?1"),))
    every = s.reply({"images": images[:1], "has_nsfw_concepts": [True]}, 200, OWN)
    fact = _result(every)
    assert isinstance(fact, Failed)
    assert (fact.fault, fact.code, fact.moderation) == (Fault.CALLER, "has_nsfw_concepts", True)
    single = s.reply({"image": images[0], "has_nsfw_concepts": [True]}, 200, OWN)
    assert isinstance(_result(single), Failed)
    off = dataclasses.replace(s.FAL, body={**s.FAL.body, "enable_safety_checker": False})
    assert len(_result(some, off).outputs) == 3
    for odd in (None, "yes", [1, "true"], [None], {}):
        assert len(_result(s.reply({"images": images, "has_nsfw_concepts": odd})).outputs) == 3


def test_fal_says_when_the_input_is_not_to_blame() -> None:
    """`X-Fal-Retryable: true` on an error of an undeclared type: another provider may do it."""
    body = {"detail": [{"type": "a_new_type", "msg": "m"}]}
    assert _result(s.reply(body, 422, OWN | {"x-fal-retryable": "true"})).fault is Fault.PROVIDER
    assert _result(s.reply(body, 422, OWN | {"x-fal-retryable": "false"})).fault is Fault.CALLER
    declared = {"detail": [{"type": "content_policy_violation", "msg": "m"}]}
    assert _result(s.reply(declared, 422, OWN | {"x-fal-retryable": "true"})).moderation


def test_replicate_tells_the_reason_in_the_title_or_in_the_detail() -> None:
    """A version that our account may not use is our configuration, not the customer's request."""
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    body = {"title": "Invalid version or not permitted", "detail": detail, "status": 422}
    fact = _submit(s.REPLICATE, s.reply(body, 422))
    assert isinstance(fact, Refused)
    assert fact.fault is Fault.ACCOUNT
    assert "not permitted" in fact.message
    assert "does not exist" in fact.message


@pytest.mark.parametrize("status", [400, 403, 500])
def test_cloudflare_content_blocks_have_codes(status: int) -> None:
    for code, message in ((8007, "AiError: refused"), (3030, "Input prompt contains NSFW content.")):
        error = {"success": False, "errors": [{"code": code, "message": message}]}
        fact = _submit(s.HOSTED, s.reply(error, status))
        assert isinstance(fact, Refused)
        assert (fact.fault, fact.moderation) == (Fault.CALLER, True)


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"b64_json": "AAAA"}, {"error": {"code": "InvalidParameter", "message": "m"}}]},
        {"data": [{"error": {"code": "InternalServiceError"}}], "usage": {"generated_images": 1}},
        {"data": [{"url": "not an address"}], "error": {"code": "InternalServiceError"}},
    ],
)
def test_byteplus_pictures_that_were_made_but_cannot_be_read_are_not_refused(body: Any) -> None:
    """They are on the bill, so "refused, costs nothing" would be a lie."""
    assert isinstance(_submit(s.PICTURES, s.reply(body)), Ambiguous)


@pytest.mark.parametrize("payloads", s.PAYLOADS.values(), ids=s.PAYLOADS)
def test_not_acceptable_is_said_after_the_work(payloads: list[Payload]) -> None:
    """Frameworks choose the form of an answer when the job is already accepted."""
    for payload in payloads:
        assert isinstance(_submit(payload, s.reply(b"", 406)), Ambiguous)


@pytest.mark.parametrize(
    "key", ["3f2b8c1e-1111-4222-8333-abcdefabcdef", "v1x0-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"]
)
@pytest.mark.parametrize(
    "said", ["The API key {} is invalid", "Incorrect API key provided: '{}'.", "token={}"]
)
def test_a_key_without_a_shape_is_masked_beside_its_name(key: str, said: str) -> None:
    error = {"error": {"code": "AuthenticationError", "message": said.format(key)}}
    message = _submit(s.CLIP, s.reply(error, 401)).message
    assert key not in message
    assert "***" in message
    other = {
        "error": {"code": "InvalidParameter", "message": "task cgt-20261120114200-abcde: key frame missing"}
    }
    assert _submit(s.CLIP, s.reply(other, 400)).message == other["error"]["message"]


def test_a_call_prints_without_what_is_secret() -> None:
    """A call in a log, a traceback with locals or a failed assertion shows no key and no callback token."""
    for payload in (s.REPLICATE, s.FAL, s.PICTURES, s.CLIP, s.HOSTED):
        context = s.context(
            "https://host.example", callback_url="https://me.example/the-token", settings={"account_id": "a"}
        )
        call = shipped()[payload.provider].build_submit(payload, context)
        for shown in (repr(call), str(call), repr(context)):
            assert s.KEY not in shown
            assert "the-token" not in shown
        assert "https://host.example/" in repr(call)
