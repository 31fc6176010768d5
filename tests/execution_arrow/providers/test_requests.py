"""What we send says what the official clients send, where both say the same thing."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Call
from tests.execution_arrow.providers import samples as s

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
FAL_JOB = "764cabcf-b745-4b3e-ae38-1200304cf45b"
PREDICTION = "gm3qorzdhgbfurvjtvhg6dckhu"
TASK = "cgt-20261120114200-abcde"


def _submit(provider: str, path: str, body: Any, base: str, **context: Any) -> Call:
    return shipped()[provider].build_submit(s.payload(provider, path, body), s.context(base, **context))


def _replicate_webhook() -> Call:
    return shipped()["replicate"].build_submit(
        s.REPLICATE, s.context("http://h", callback_url="https://example.com/hook")
    )


def _byteplus(case: str) -> Any:
    """A recorded body as the catalogue writes it: the client sends every unset parameter as null."""
    return {name: value for name, value in s.requested("byteplus", case)["body"].items() if value is not None}


def _seedance() -> Call:
    body = _byteplus("submit_seedance-1-0-pro-i2v")
    callback = body.pop("callback_url")
    return _submit("byteplus", "/contents/generations/tasks", body, "http://h/api/v3", callback_url=callback)


RECORDED = [
    ("replicate", "submit_official_model_webhook", _replicate_webhook),
    (
        "replicate",
        "submit_by_version",
        lambda: _submit(
            "replicate",
            "/v1/predictions",
            {
                "version": s.requested("replicate", "submit_by_version")["body"]["version"],
                "input": {"prompt": "a seal"},
            },
            "http://h",
        ),
    ),
    (
        "replicate",
        "poll_until_succeeded",
        lambda: shipped()["replicate"].build_poll(s.job(s.REPLICATE, PREDICTION), s.context("http://h")),
    ),
    (
        "replicate",
        "cancel",
        lambda: shipped()["replicate"].build_cancel(s.job(s.REPLICATE, PREDICTION), s.context("http://h")),
    ),
    (
        "fal",
        "submit_webhook",
        lambda: shipped()["fal"].build_submit(
            s.FAL, s.context("http://h", callback_url="https://example.com/hook")
        ),
    ),
    (
        "fal",
        "submit_priority_hint_start_timeout",
        lambda: _submit("fal", "/fal-ai/flux/schnell", {"prompt": "a seal"}, "http://h", deadline=30),
    ),
    ("fal", "cancel", lambda: shipped()["fal"].build_cancel(s.job(s.FAL, FAL_JOB), s.context("http://h"))),
    (
        "byteplus",
        "submit_seedream-4-5-multi",
        lambda: _submit(
            "byteplus", "/images/generations", _byteplus("submit_seedream-4-5-multi"), "http://h/api/v3"
        ),
    ),
    ("byteplus", "submit_seedance-1-0-pro-i2v", _seedance),
    (
        "byteplus",
        "poll_running",
        lambda: shipped()["byteplus"].build_poll(s.job(s.CLIP, TASK), s.context("http://h/api/v3")),
    ),
    (
        "byteplus",
        "cancel_or_delete",
        lambda: shipped()["byteplus"].build_cancel(s.job(s.CLIP, TASK), s.context("http://h/api/v3")),
    ),
    (
        "cloudflare",
        "run_flux_1_schnell",
        lambda: shipped()["cloudflare"].build_submit(
            s.HOSTED, s.context("http://h/client/v4", settings={"account_id": ACCOUNT})
        ),
    ),
    (
        "cloudflare",
        "run_universal_endpoint_via_client_post",
        lambda: _submit(
            "cloudflare",
            "/ai/run",
            s.requested("cloudflare", "run_universal_endpoint_via_client_post")["body"],
            "http://h/client/v4",
            settings={"account_id": ACCOUNT},
        ),
    ),
]


CLIP = "video_123"
TASK_OF_WAN = "f3d1c2b0-0000-4000-8000-000000000001"
OPENAI, DASHSCOPE = "http://h/v1", "http://h/api/v1"


def _openai(case: str) -> tuple[str, str, Any]:
    theirs = s.requested("openai", case)
    path, body = theirs["path"].removeprefix("/v1"), theirs["body"]
    return "openai", case, lambda: _submit("openai", path, body, OPENAI)


def _dashscope(case: str) -> tuple[str, str, Any]:
    theirs = s.requested("alibabacloud", case)
    path = theirs["path"].removeprefix("/api/v1")
    headers = {"X-DashScope-Async": "enable"} if "x-dashscope-async" in theirs["headers"] else {}
    told = s.payload("alibabacloud", path, _without_the_clients_own(theirs["body"]), headers=headers)
    return (
        "alibabacloud",
        case,
        lambda: shipped()["alibabacloud"].build_submit(told, s.context(DASHSCOPE)),
    )


def _without_the_clients_own(body: Any) -> Any:
    """dashscope 2.0.2 adds two words of its own to the input of every clip."""
    inner = {k: v for k, v in body["input"].items() if k not in ("extend_prompt", "function")}
    return {**body, "input": inner}


RECORDED += [
    *map(_openai, ("images_generate_gpt_image_2", "images_edit_json_body", "videos_create_json_body")),
    (
        "openai",
        "videos_retrieve",
        lambda: shipped()["openai"].build_poll(s.job(s.SORA, CLIP), s.context(OPENAI)),
    ),
    *map(_dashscope, ("submit_wan2.5-t2i-preview", "submit_wan2.5-t2v-preview", "submit_wan2.6-i2v")),
    *map(_dashscope, ("sync_qwen-image-edit", "sync_wan2.6-t2i", "sync_z-image-turbo")),
    (
        "alibabacloud",
        "poll_running",
        lambda: shipped()["alibabacloud"].build_poll(s.job(s.WAN, TASK_OF_WAN), s.context(DASHSCOPE)),
    ),
    (
        "alibabacloud",
        "cancel",
        lambda: shipped()["alibabacloud"].build_cancel(s.job(s.WAN, TASK_OF_WAN), s.context(DASHSCOPE)),
    ),
]


@pytest.mark.parametrize(("provider", "case", "build"), RECORDED, ids=[f"{r[0]}-{r[1]}" for r in RECORDED])
def test_equals_the_official_client(provider: str, case: str, build: Any) -> None:
    """Method, path, query, key scheme, content and the special headers agree field by field."""
    theirs, ours = s.requested(provider, case), build()
    assert ours.method == theirs["method"]
    # The Cloudflare client writes the model's slashes as %2F; the documentation's own samples do not.
    their_path = unquote(theirs["path"]) if provider == "cloudflare" else theirs["path"]
    assert ours.url.removeprefix("http://h") == their_path
    scheme = theirs["headers"]["authorization"].split()[0]
    assert ours.headers["authorization"] == f"{scheme} {s.KEY}"
    body = theirs["body"]  # the BytePlus client sends every unset parameter as null
    if provider == "alibabacloud" and body:
        body = _without_the_clients_own(body)
        switch = {name.lower(): value for name, value in ours.headers.items()}.get("x-dashscope-async")
        assert switch == theirs["headers"].get("x-dashscope-async")
    assert ours.json == (body and {k: v for k, v in body.items() if v is not None})
    assert ours.headers.get("x-fal-request-timeout") == theirs["headers"].get("x-fal-request-timeout")


def test_polls_of_fal_are_those_of_the_client() -> None:
    """The status URL is the returned one; `logs=0` and the client's `logs=false` mean the same."""
    provider, base = shipped()["fal"], "https://localhost:35907"
    accepted = provider.read_submit(s.FAL, s.answered("fal", "submit_webhook"))
    job = s.job(s.FAL, accepted.job, **accepted.urls)  # type: ignore[union-attr]
    poll = provider.build_poll(job, s.context(base))
    assert (
        poll.url.removeprefix(base).replace("logs=0", "logs=false") == s.requested("fal", "result", 0)["path"]
    )
    follow = provider.read_poll(job, s.answered("fal", "poll_status_three_states", 2), s.context(base))
    assert follow.call.url.removeprefix(base) == s.requested("fal", "result", 1)["path"]  # type: ignore[union-attr]


def test_replicate_deadline_header() -> None:
    """`1m` and `60s` are the same duration; less than five seconds is not accepted there."""
    assert s.requested("replicate", "submit_cancel_after_header")["headers"]["cancel-after"] == "1m"
    provider = shipped()["replicate"]
    assert (
        provider.build_submit(s.REPLICATE, s.context("http://h", deadline=60)).headers["cancel-after"]
        == "60s"
    )
    assert (
        provider.build_submit(s.REPLICATE, s.context("http://h", deadline=0.5)).headers["cancel-after"]
        == "5s"
    )


@pytest.mark.parametrize("name", sorted(s.PAYLOADS))
def test_every_call_names_its_attempt_and_keeps_the_frozen_payload(name: str) -> None:
    provider = shipped()[name]
    for payload in s.PAYLOADS[name]:
        before = repr(payload)
        context = s.context(
            "http://h", callback_url="https://me/cb", deadline=77.0, settings={"account_id": ACCOUNT}
        )
        calls = [provider.build_submit(payload, context), provider.build_lookup(payload, context)]
        if not provider.is_sync(payload):
            job = s.job(payload)
            calls += [provider.build_poll(job, context), provider.build_cancel(job, context)]
        for call in calls:
            if call is not None:
                assert call.headers["x-client-request-id"] == "att_1"
                assert s.KEY in call.headers["x-key" if name == "bfl" else "authorization"]
                assert s.KEY not in call.url
                assert call.url.startswith("http://h/")
        assert repr(payload) == before


@pytest.mark.parametrize("name", sorted(s.PAYLOADS))
def test_without_a_public_address_no_webhook_is_asked_for(name: str) -> None:
    for payload in s.PAYLOADS[name]:
        call = shipped()[name].build_submit(payload, s.context("http://h", settings={"account_id": ACCOUNT}))
        assert "webhook" not in call.url
        assert not {"webhook", "callback_url", "webhook_url"} & set(call.json)


@pytest.mark.parametrize("name", sorted(s.PAYLOADS))
@pytest.mark.parametrize(
    "change",
    [
        {"encoding": "multipart", "body": {"a": {"b": 1}}},
        {"fetches": ("https://x/a.png",)},
        {"body": ["not an object"]},
    ],
    ids=["multipart", "fetch", "list"],
)
def test_what_cannot_be_sent_is_refused_before_anything_leaves(name: str, change: dict[str, Any]) -> None:
    path = s.PAYLOADS[name][0].path
    payload = s.payload(
        name, path, change.get("body", {}), **{k: v for k, v in change.items() if k != "body"}
    )
    with pytest.raises(PayloadUnsupported, match=name):
        shipped()[name].build_submit(payload, s.context("http://h", settings={"account_id": ACCOUNT}))


def test_fal_never_repeats_on_its_own() -> None:
    """Failover is ours: ten silent retries over there would be ten chances to pay late."""
    call = shipped()["fal"].build_submit(s.FAL, s.context("http://h"))
    assert call.headers["x-fal-no-retry"] == "1"


@pytest.mark.parametrize(
    "given",
    [
        "https://evil.example/fal-ai/flux/requests/r1/status",
        "http://queue.fal.run/fal-ai/flux/requests/r1/status",
        "https://queue.fal.run:8443/fal-ai/flux/requests/r1/status",
        "https://queue.fal.run@evil.example/status",
        "https://user@queue.fal.run/status",
        "https://queue.fal.run.evil.example/status",
        "https://[::1/status",
    ],
)
def test_fal_key_goes_only_to_fal(given: str) -> None:
    """A returned URL on another host is not followed with our key; the documented form is used instead."""
    call = shipped()["fal"].build_poll(s.job(s.FAL, "r1", poll=given), s.context("https://queue.fal.run"))
    assert call.url == "https://queue.fal.run/fal-ai/flux/requests/r1/status?logs=0"


def test_fal_backup_host_is_fal() -> None:
    given = "https://queue.falrun.com/fal-ai/flux/requests/r1"
    call = shipped()["fal"].build_cancel(s.job(s.FAL, "r1", cancel=given), s.context("https://queue.fal.run"))
    assert call.url == given  # type: ignore[union-attr]


def test_byteplus_clip_deadline_stays_inside_its_limits() -> None:
    provider = shipped()["byteplus"]
    for deadline, sent in ((60.0, 3600), (7200.0, 7200), (1e9, 259_200)):
        call = provider.build_submit(s.CLIP, s.context("http://h", deadline=deadline))
        assert call.json["execution_expires_after"] == sent
    assert (
        "execution_expires_after"
        not in provider.build_submit(s.PICTURES, s.context("http://h", deadline=60)).json
    )


def test_unknown_provider() -> None:
    assert "nobody" not in shipped()
    with pytest.raises(KeyError):
        shipped()["nobody"]
    assert sorted(shipped()) == sorted(s.PAYLOADS)
