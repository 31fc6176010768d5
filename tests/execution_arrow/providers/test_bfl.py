"""What is BFL's own: the header of its key, the address to ask at, no cancel, three shapes of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execution_arrow import facts as f
from execution_arrow.facts import Accepted, Failed, Fault, Missing, PollFailed, Refused, Running, Succeeded
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Callback, Refusal
from execution_arrow.signing import Signature, check_bfl
from tests.execution_arrow.providers import samples as s

BFL = shipped()["bfl"]
ID = "3f2b8f1e-0d5e-4a51-9b7d-1c2d3e4f5a6b"
HOST = s.context("https://api.bfl.ai")


def poll_url(given: str | None, base: str = "https://api.bfl.ai") -> str:
    job = s.job(s.FLUX, ID, **({} if given is None else {"poll": given}))
    call = BFL.build_poll(job, s.context(base))
    assert call.headers["x-key"] == s.KEY
    return call.url


@pytest.mark.parametrize(
    "case",
    [
        "submit_flux-dev",
        "submit_flux-kontext-pro",
        "submit_flux-pro-1.1-ultra",
        "submit_flux-pro-1.1",
        "submit_poll_flux-2-flex",
        "submit_poll_flux-2-max_i2i",
    ],
)
def test_submits_and_polls_are_those_of_the_official_clients(case: str) -> None:
    """Method, path, body and key header; the poll goes where the answer said, as the client's does."""
    theirs = s.requested("bfl", case)
    ours = BFL.build_submit(s.payload("bfl", theirs["path"], theirs["body"]), s.context("http://h"))
    assert (ours.method, ours.url, ours.json) == (
        theirs["method"],
        f"http://h{theirs['path']}",
        theirs["body"],
    )
    assert {"x-key", "accept"} <= {name.lower() for name in theirs["headers"]} & set(ours.headers)
    accepted = BFL.read_submit(s.FLUX, s.answered("bfl", case))
    assert isinstance(accepted, Accepted)
    assert accepted.cost == (30_000 if "flux-2" in case else 40_000)
    job = s.job(s.FLUX, accepted.job, **accepted.urls)
    host = accepted.urls["poll"].partition("/v1/")[0]
    call = BFL.build_poll(job, s.context(host))
    assert call.url.removeprefix(host) == s.requested("bfl", "poll_pending")["path"]


def test_a_callback_is_asked_for_in_the_words_of_the_example_client() -> None:
    theirs = s.requested("bfl", "submit_flux-2-pro_webhook")["body"]
    call = BFL.build_submit(s.FLUX, s.context("http://h", callback_url=theirs["webhook_url"]))
    assert call.json["webhook_url"] == theirs["webhook_url"]
    assert set(call.json) - set(s.FLUX.body) == {"webhook_url", "webhook_secret"}
    assert s.KEY not in call.json["webhook_secret"]
    answer = BFL.read_submit(s.FLUX, s.answered("bfl", "submit_flux-2-pro_webhook"))
    assert answer == Accepted(job=ID)  # such an answer names no place to ask at


@pytest.mark.parametrize(
    "given",
    [
        f"https://api.us1.bfl.ai/v1/get_result?id={ID}",
        f"https://gateway.bfl.ai/v1/get_result?id={ID}&x=1",
        f"https://api.bfl.ai/v1/get_result?id={ID}",
    ],
)
def test_a_job_is_asked_for_at_its_own_address(given: str) -> None:
    for base in ("https://api.bfl.ai", *BFL.semantics.regions.values()):
        assert poll_url(given, base) == given


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://evil.example/v1/get_result?id=x", "https://api.bfl.ai"),
        ("http://api.us1.bfl.ai/v1/get_result?id=x", "https://api.bfl.ai"),
        ("https://api.us1.bfl.ai:8443/v1/get_result?id=x", "https://api.bfl.ai"),
        ("https://user@api.us1.bfl.ai/v1/get_result", "https://api.bfl.ai"),
        ("https://api.bfl.ai.evil.example/x", "https://api.bfl.ai"),
        ("https://evilbfl.ai/x", "https://api.bfl.ai"),
        ("https://api.us1.bfl.ai/x", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8001/x", "http://127.0.0.1:8000"),
        (None, "https://api.eu.bfl.ai"),
    ],
)
def test_the_key_goes_nowhere_else(given: str | None, base: str) -> None:
    assert poll_url(given, base) == f"{base}/v1/get_result?id={ID}"


def read(body: Any, status: int = 200, *, known: bool = True) -> Any:
    urls = {"poll": "https://api.us1.bfl.ai/x"} if known else {}
    return BFL.read_poll(s.job(s.FLUX, ID, **urls), s.reply(body, status), HOST)


@pytest.mark.parametrize(
    ("case", "kind", "fault", "moderation"),
    [
        ("poll_pending", Running, None, None),
        ("poll_ready", Succeeded, None, None),
        ("poll_request_moderated", Failed, Fault.CALLER, True),
        ("poll_content_moderated", Failed, Fault.CALLER, True),
        ("poll_error", Failed, Fault.PROVIDER, False),
        ("poll_task_not_found", Missing, None, None),
    ],
)
def test_every_status_of_the_api(case: str, kind: type, fault: Fault | None, moderation: bool | None) -> None:
    job = s.job(s.FLUX, ID, poll="https://api.us1.bfl.ai/x")
    fact = BFL.read_poll(job, s.answered("bfl", case), HOST)
    assert type(fact) is kind
    assert getattr(fact, "fault", None) is fault
    assert getattr(fact, "moderation", None) is moderation
    if case == "poll_content_moderated":
        assert isinstance(fact, Failed)
        assert (fact.code, fact.message) == ("Content Moderated", "Safety Filter")


def test_not_found_proves_something_only_at_the_address_that_was_given() -> None:
    for body, status in (({"id": ID, "status": "Task not found"}, 200), ({}, 404)):
        assert read(body, status) == Missing()
        assert isinstance(read(body, status, known=False), PollFailed)


def test_a_ready_job_without_a_sample_has_no_output() -> None:
    for result in (None, {}, {"sample": None}, {"sample": "../x"}, "x"):
        assert read({"id": ID, "status": "Ready", "result": result}) == Succeeded(outputs=())


def test_another_tasks_answer_is_not_ours() -> None:
    assert isinstance(
        read({"id": "other", "status": "Ready", "result": {"sample": "https://x/a"}}), PollFailed
    )


@pytest.mark.parametrize(
    ("case", "fault", "says"),
    [
        ("error_402", Fault.ACCOUNT, "Insufficient credits"),
        ("error_403", Fault.ACCOUNT, "Not authenticated"),
        ("error_422", Fault.CALLER, "body.width: Input should be greater"),
        ("error_429", Fault.HERE, "Rate limit exceeded"),
    ],
)
def test_declared_refusals(case: str, fault: Fault, says: str) -> None:
    fact = BFL.read_submit(s.FLUX, s.answered("bfl", case))
    assert isinstance(fact, Refused)
    assert fact.fault is fault
    assert says in fact.message


def test_the_shape_of_errors_that_the_skill_shows() -> None:
    fact = BFL.read_submit(s.FLUX, s.reply({"error": "invalid_request", "message": "no"}, 400))
    assert isinstance(fact, Refused)
    assert fact.message == "no"


# --- callbacks ---


def heard(value: Any, *, key: str = s.KEY, prefix: str = "sha256=", header: bool = True) -> Any:
    """Signed as the sandbox signs, with the secret that the submit named."""
    from execution_arrow.sandbox.webhooks import bfl_headers

    callbacks = BFL.callbacks
    assert callbacks is not None
    keys = callbacks.build_keys(HOST)
    sent = BFL.build_submit(s.FLUX, s.context("http://h", callback_url="https://me/x")).json["webhook_secret"]
    assert keys == (sent,)
    body = json.dumps(value).encode()
    made = bfl_headers(sent if key == s.KEY else key, body)["x-bfl-signature"].removeprefix("sha256=")
    return callbacks.read(s.FLUX, {"x-bfl-signature": prefix + made} if header else {}, body, keys, 1e9)


READY = {"id": ID, "status": "Ready", "result": {"sample": "https://delivery-eu1.bfl.ai/x.jpeg"}}


def test_a_signed_callback_is_believed() -> None:
    told = f.Succeeded(outputs=(f.Output(index=0, url="https://delivery-eu1.bfl.ai/x.jpeg"),))
    assert heard(READY) == Callback(job=ID, sure=True, told=told)
    assert heard(READY, prefix="") == Callback(job=ID, sure=True, told=told)
    flagged = heard({"id": ID, "status": "Error", "error": "content_policy_violation", "message": "no"})
    assert flagged.told == Failed(
        fault=Fault.CALLER, code="Error", message="content_policy_violation; no", moderation=True
    )
    broken = heard({"id": ID, "status": "Error", "error": "internal", "message": "no"})
    assert broken.told.fault is Fault.PROVIDER


def test_without_a_signature_the_job_is_asked_for_and_with_a_wrong_one_nothing_is() -> None:
    assert heard(READY, header=False) == Callback(job=ID, sure=False)
    assert heard(READY, key="another") is Refusal.FORGED
    assert heard({"status": "Ready"}) is Refusal.MALFORMED
    assert heard({"id": ID, "status": "Task not found"}) == Callback(job=ID, sure=True)
    assert check_bfl({"x-bfl-signature": "sha256=00"}, b"", ()) is Signature.UNVERIFIABLE
    assert check_bfl({"x-bfl-signature": "sha256=\ud800"}, b"", ("k",)) is Signature.FORGED
