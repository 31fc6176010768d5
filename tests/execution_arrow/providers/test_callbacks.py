"""What the shipped providers' callbacks are read as, signed and not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow import facts as f
from execution_arrow.credentials import WEBHOOKS
from execution_arrow.facts import Output
from execution_arrow.providers import shipped
from execution_arrow.providers._callbacks import openai_event
from execution_arrow.providers.base import Callback, Callbacks, Event, Events, Refusal, Reply
from execution_arrow.sandbox.webhooks import fal_headers, fal_keys, standard_headers
from tests.execution_arrow.providers import samples as s

NOW = 1_800_000_000.0
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
FAL_KEYS = tuple(key["x"] for key in fal_keys()["keys"])
PAYLOADS = {"replicate": s.REPLICATE, "fal": s.FAL, "byteplus": s.CLIP}


def callbacks(name: str) -> Callbacks:
    found = shipped()[name].callbacks
    assert found is not None
    assert not isinstance(found, Events)
    return found


def read(name: str, value: Any, *, at: float = NOW, sign: bool = True) -> Callback | Refusal:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers: dict[str, str] = {}
    if sign and name == "replicate":
        headers = standard_headers(SECRET, "msg", body, at)
    elif sign and name == "fal":
        headers = fal_headers("j1", body, at)
    keys = {"replicate": (SECRET,), "fal": FAL_KEYS, "byteplus": ()}[name]
    return callbacks(name).read(PAYLOADS[name], headers, body, keys, NOW)


def test_openais_event_names_a_clip() -> None:
    """As the official client takes it (`openai` 3.52.0, the body of its recorded signature)."""
    body = (
        b'{"id": "evt_1", "object": "event", "created_at": 1763636400, "type": "video.completed", '
        b'"data": {"id": "video_123"}}'
    )
    assert openai_event(body) == Event(job="video_123", at=1763636400)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_who_declares_callbacks_can_read_them(name: str) -> None:
    provider = shipped()[name]
    per_request = provider.callbacks is not None and not isinstance(provider.callbacks, Events)
    assert (provider.semantics.webhook is not None) == per_request
    if isinstance(provider.callbacks, Events):
        assert f"{name}/webhooks" in WEBHOOKS
    elif provider.callbacks is not None:
        keys = provider.callbacks.build_keys(s.context("http://h"))
        assert (keys is not None) == (provider.semantics.webhook == "signed")


PREDICTION = {"id": "j1", "status": "succeeded", "output": ["https://r.example/0.webp"], "error": None}


def test_a_signed_prediction_is_believed() -> None:
    assert read("replicate", PREDICTION) == Callback(
        job="j1", sure=True, told=f.Succeeded(outputs=(Output(index=0, url="https://r.example/0.webp"),))
    )
    failed = read("replicate", {"id": "j1", "status": "failed", "error": "NSFW content detected"})
    assert isinstance(failed, Callback)
    assert isinstance(failed.told, f.Failed)
    assert failed.told.moderation
    for status, kind in (("processing", f.Running), ("canceled", f.Canceled), ("aborted", f.Expired)):
        heard = read("replicate", {"id": "j1", "status": status})
        assert isinstance(heard, Callback)
        assert type(heard.told) is kind


def test_what_a_signed_callback_leaves_open_is_asked() -> None:
    """Its job is certain, its content is none: the poll that follows knows more."""
    asked = Callback(job="j1", sure=True, told=None)
    assert read("replicate", {"id": "j1", "status": "warming"}) == asked
    assert read("replicate", {"id": "j1"}) == asked
    error = {
        "request_id": "j1",
        "status": "ERROR",
        "error": "Invalid status code: 422",
        "payload": {"detail": []},
    }
    assert read("fal", error) == asked
    assert read("fal", {"request_id": "j1", "status": "OK", "payload": None, "payload_error": "x"}) == asked


def test_a_signed_result_of_fal_is_believed() -> None:
    done = {"request_id": "j1", "status": "OK", "payload": {"images": [{"url": "https://f.example/0.png"}]}}
    heard = read("fal", done)
    assert isinstance(heard, Callback)
    assert heard.told == f.Succeeded(outputs=(Output(index=0, url="https://f.example/0.png"),))


def test_an_unsigned_callback_names_a_job_and_tells_nothing() -> None:
    task = {"id": "cgt-1", "status": "succeeded", "content": {"video_url": "https://b.example/x.mp4"}}
    assert read("byteplus", task) == Callback(job="cgt-1", sure=False)
    assert read("replicate", PREDICTION, sign=False) == Callback(job="j1", sure=False)
    assert read("fal", {"request_id": "j1", "status": "OK"}, sign=False) == Callback(job="j1", sure=False)


def test_without_keys_nothing_is_sure() -> None:
    body = json.dumps(PREDICTION).encode()
    headers = standard_headers(SECRET, "msg", body, NOW)
    assert callbacks("replicate").read(s.REPLICATE, headers, body, (), NOW) == Callback(job="j1", sure=False)


def test_refusals_have_names() -> None:
    assert read("replicate", PREDICTION, at=NOW - 400) is Refusal.STALE
    other = callbacks("replicate").read(
        s.REPLICATE, standard_headers(SECRET, "m", b"{}", NOW), b'{"id":"j1"}', (SECRET,), NOW
    )
    assert other is Refusal.FORGED
    for junk in (b"<html>", b"", b"[]", b'{"id": "../../etc"}', b'{"id": 7}', b'{"request_id": null}'):
        for name in PAYLOADS:
            assert read(name, junk) is Refusal.MALFORMED
    assert read("fal", {"request_id": "another", "status": "OK"}) is Refusal.MALFORMED  # not the signed one


def test_keys_are_read_from_the_providers_own_answers() -> None:
    ok = Reply(status=200, body=json.dumps({"key": SECRET}).encode())
    assert callbacks("replicate").read_keys(ok) == (SECRET,)
    jwks = {"keys": [{"crv": "X25519", "x": "no"}, {"crv": "Ed25519", "x": "yes"}, {"crv": "Ed25519"}, 3]}
    assert callbacks("fal").read_keys(Reply(status=200, body=json.dumps(jwks).encode())) == ("yes",)
    for name in ("replicate", "fal"):
        for reply in (Reply(status=500, body=b"{}"), Reply(status=200, body=b"<html>")):
            assert callbacks(name).read_keys(reply) == ()


def test_fals_keys_are_fetched_without_ours() -> None:
    call = callbacks("fal").build_keys(s.context("https://queue.fal.run"))
    assert call is not None
    assert call.url == "https://rest.fal.ai/.well-known/jwks.json"
    assert "authorization" not in call.headers


NAMES = st.sampled_from(["id", "request_id", "status", "payload", "images", "url", "output", "error"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=12,
)


@pytest.mark.parametrize("name", sorted(PAYLOADS))
@given(value=VALUES)
def test_no_content_is_an_error_or_a_success_without_a_place(name: str, value: Any) -> None:
    heard = read(name, value)
    if isinstance(heard, Callback) and isinstance(heard.told, f.Succeeded):
        assert all(output.url for output in heard.told.outputs)
