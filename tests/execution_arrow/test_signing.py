"""Signatures: published vectors, round trips, and everything that a stranger may send instead."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.sandbox.webhooks import fal_headers, fal_keys, standard_headers
from execution_arrow.signing import (
    Signature,
    check_babysea,
    check_fal,
    check_standard,
    sign_babysea,
    sign_standard,
)

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
# Made with a made-up secret; a fresh copy was accepted by OpenAI's own client 3.52.0 (`webhooks.unwrap`).
OPENAI_BODY = (
    b'{"id": "evt_1", "object": "event", "created_at": 1763636400, "type": "video.completed", '
    b'"data": {"id": "video_123"}}'
)
OPENAI = {
    "webhook-id": "wh_1",
    "webhook-timestamp": "1763636400",
    "webhook-signature": "v1,oviHYxwB/1PEA7VXNynOCYg8UCiEYgAj99bQKc5pAAY=",
}
OTHER = "whsec_" + base64.b64encode(bytes(24)).decode()
AT = 1_763_636_400
# Made and accepted by Replicate's own Python client 1.0.7 (`replicate.webhooks`), with a made-up secret.
REPLICATE_BODY = (
    b'{"id": "gm3qorzdhgbfurvjtvhg6dckhu", "model": "black-forest-labs/flux-schnell", "version": "hidden", '
    b'"input": {"prompt": "a seal"}, "logs": "", '
    b'"output": ["https://replicate.delivery/xezq/abc/out-0.webp"], '
    b'"data_removed": false, "error": null, "status": "succeeded", "created_at": "2026-11-20T11:00:00.000Z", '
    b'"urls": {"cancel": "http://127.0.0.1:40929/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu/cancel", '
    b'"get": "http://127.0.0.1:40929/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu", '
    b'"stream": "https://stream.replicate.com/v1/files/x", '
    b'"web": "https://replicate.com/p/gm3qorzdhgbfurvjtvhg6dckhu"}, '
    b'"started_at": "2026-11-20T11:00:00.500Z", "completed_at": "2026-11-20T11:00:01.500Z", '
    b'"metrics": {"predict_time": 1.0, "total_time": 1.5}}'
)
REPLICATE = {
    "webhook-id": "msg_2abc",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,DiXvznNAXvNssUJCzu7zmbhkXhnT8DgKyCKLzt+Qz+s=",
}
# fal's documented scheme with a key of our own, checked with the package cryptography.
FAL_KEY = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
FAL_BODY = json.dumps(
    {
        "request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
        "gateway_request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
        "status": "OK",
        "payload": {
            "images": [
                {
                    "url": "https://v3.fal.media/files/zebra/abc.png",
                    "width": 1024,
                    "height": 576,
                    "content_type": "image/jpeg",
                }
            ],
            "seed": 42,
        },
    }
).encode()
FAL = {
    "x-fal-webhook-request-id": "764cabcf-b745-4b3e-ae38-1200304cf45b",
    "x-fal-webhook-user-id": "github|123",
    "x-fal-webhook-timestamp": str(AT),
    "x-fal-webhook-signature": (
        "4ce81d46049876515919e627f6fdd14f25885b6f3f6a4dea37ab00ba2f414519"
        "aae2dff4ccf9b9b264a70c1063346381d6ca260e71415fec1b9527a99583ba06"
    ),
}


def test_the_vector_of_replicates_client_is_valid() -> None:
    assert check_standard(REPLICATE, REPLICATE_BODY, [SECRET], AT) is Signature.VALID


def test_the_vector_of_openais_client_is_valid() -> None:
    """The same scheme: an endpoint of a team's own can check OpenAI's events with it."""
    assert check_standard(OPENAI, OPENAI_BODY, [SECRET], AT) is Signature.VALID
    assert check_standard(OPENAI, OPENAI_BODY, [SECRET], AT + 301) is Signature.STALE
    assert check_standard(OPENAI, OPENAI_BODY + b" ", [SECRET], AT) is Signature.FORGED


def test_the_vector_of_fals_scheme_is_valid_also_with_a_padded_key() -> None:
    assert check_fal(FAL, FAL_BODY, [FAL_KEY], AT) is Signature.VALID
    assert check_fal(FAL, FAL_BODY, ["x", FAL_KEY + "="], AT) is Signature.VALID
    loud = {**FAL, "x-fal-webhook-signature": FAL["x-fal-webhook-signature"].upper()}
    assert check_fal(loud, FAL_BODY, [FAL_KEY], AT) is Signature.VALID


@pytest.mark.parametrize("seconds", [-301, 301])
def test_what_is_genuine_and_old_is_stale_either_way(seconds: int) -> None:
    assert check_standard(REPLICATE, REPLICATE_BODY, [SECRET], AT + seconds) is Signature.STALE
    assert check_fal(FAL, FAL_BODY, [FAL_KEY], AT + seconds) is Signature.STALE
    value = sign_babysea("whsec_x", AT, b"{}")
    assert check_babysea(value, b"{}", ["whsec_x"], AT + seconds) is Signature.STALE
    assert check_standard(REPLICATE, REPLICATE_BODY, [SECRET], AT + seconds, 400) is Signature.VALID


def test_whatever_is_changed_is_forged() -> None:
    assert check_standard(REPLICATE, REPLICATE_BODY + b" ", [SECRET], AT) is Signature.FORGED
    assert check_standard(REPLICATE, REPLICATE_BODY, [OTHER], AT) is Signature.FORGED
    for name in REPLICATE:
        changed = {**REPLICATE, name: REPLICATE[name] + "0"}
        assert check_standard(changed, REPLICATE_BODY, [SECRET], AT) is Signature.FORGED
    assert check_fal(FAL, FAL_BODY + b" ", [FAL_KEY], AT) is Signature.FORGED
    for name in FAL:
        assert check_fal({**FAL, name: FAL[name] + "0"}, FAL_BODY, [FAL_KEY], AT) is Signature.FORGED


def test_a_forger_does_not_learn_whether_the_time_would_have_been_right() -> None:
    for now in (AT, AT + 10_000):
        assert check_standard(REPLICATE, b"", [SECRET], now) is Signature.FORGED


def test_nothing_to_check_and_nothing_to_check_with_have_names() -> None:
    assert check_standard({}, b"", [SECRET], AT) is Signature.MISSING
    assert check_fal({}, b"", [FAL_KEY], AT) is Signature.MISSING
    assert check_babysea("", b"", ["s"], AT) is Signature.MISSING
    for keys in ([], ["whsec_", "whsec_%", "sk_live"]):
        assert check_standard(REPLICATE, REPLICATE_BODY, keys, AT) is Signature.UNVERIFIABLE
    for keys in ([], ["", "short", "ü"]):
        assert check_fal(FAL, FAL_BODY, keys, AT) is Signature.UNVERIFIABLE


def test_without_the_package_a_signature_of_fal_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    assert check_fal(FAL, FAL_BODY, [FAL_KEY], AT) is Signature.UNVERIFIABLE


def test_while_a_secret_is_changed_both_sign_and_either_is_enough() -> None:
    headers = sign_standard([SECRET, OTHER], "evt_1", AT, b"body")
    assert headers["webhook-signature"].count("v1,") == 2
    for secrets in ([SECRET], [OTHER], [OTHER, SECRET]):
        assert check_standard(headers, b"body", secrets, AT) is Signature.VALID


def test_other_versions_and_junk_in_the_list_are_passed_over() -> None:
    given = f"v1a,abc nonsense {REPLICATE['webhook-signature']} v2,x"
    assert (
        check_standard({**REPLICATE, "webhook-signature": given}, REPLICATE_BODY, [SECRET], AT)
        is Signature.VALID
    )
    alone = REPLICATE["webhook-signature"].removeprefix("v1,")
    assert (
        check_standard({**REPLICATE, "webhook-signature": alone}, REPLICATE_BODY, [SECRET], AT)
        is Signature.FORGED
    )


def test_babyseas_signature_has_one_of_each_part_and_the_first_counts() -> None:
    value = sign_babysea("whsec_ab", AT, b"{}")
    assert value.startswith(f"t={AT},v1=")
    assert check_babysea(f"{value},v1=00,t=1", b"{}", ["whsec_ab"], AT) is Signature.VALID
    assert check_babysea(f"v1=00,{value}", b"{}", ["whsec_ab"], AT) is Signature.FORGED


def test_a_secret_of_another_kind_is_refused_when_signing() -> None:
    for secret in ("sk_live", "whsec_%%%"):
        with pytest.raises(ValueError, match=r"whsec_|base64|Non-base64|Incorrect"):
            sign_standard([secret], "m", AT, b"")


@given(body=st.binary(max_size=200), at=st.integers(0, 2**33))
def test_the_sandbox_signs_what_we_accept(body: bytes, at: int) -> None:
    assert check_standard(standard_headers(SECRET, "m", body, at), body, [SECRET], at) is Signature.VALID
    keys = [key["x"] for key in fal_keys()["keys"]]
    assert check_fal(fal_headers("job", body, at), body, keys, at) is Signature.VALID
    assert check_babysea(sign_babysea("s", at, body), body, ["s"], at) is Signature.VALID


TEXT = st.text(max_size=40) | st.sampled_from(["v1,", "9" * 400, "\ud800", "0" * 128, "=,=", "v1,\ud800"])


@given(names=st.lists(TEXT, min_size=4, max_size=4), body=st.binary(max_size=50))
def test_nothing_that_a_stranger_sends_is_valid_or_an_error(names: list[str], body: bytes) -> None:
    standard = dict(zip(REPLICATE, names, strict=False))
    assert check_standard(standard, body, [SECRET], AT) in (Signature.FORGED, Signature.MISSING)
    assert check_fal(dict(zip(FAL, names, strict=True)), body, [FAL_KEY], AT) in (
        Signature.FORGED, Signature.MISSING,
    )  # fmt: skip
    assert check_babysea(names[0], body, ["s"], AT) in (Signature.FORGED, Signature.MISSING)
