"""What we sign is accepted by the libraries that others use, and what they sign by us."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.delivery import verify_webhook
from execution_arrow.delivery.payload import body_of, headers_of
from execution_arrow.errors import WebhookRejected
from execution_arrow.ports import Secret
from execution_arrow.signing import check_babysea
from execution_arrow.stores.outgoing import Delivery

AT = 1_763_636_400
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
EVENT = Delivery(
    endpoint="we_1", subject="gen_1", no=1, account="a", type="generation.completed", at=AT - 9.5
)
SECRETS = st.binary(min_size=24, max_size=64).map(lambda raw: "whsec_" + base64.b64encode(raw).decode())
DATA = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=4)
VERIFIERS = (standardwebhooks.Webhook, svix.webhooks.Webhook)


def sent(data: Any, *secrets: str, at: float = AT) -> tuple[dict[str, str], bytes]:
    body = body_of(EVENT, data, at)
    return headers_of(EVENT, body, [Secret(secret) for secret in secrets], at), body


@pytest.fixture
def then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries look at the clock themselves."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(AT, tz or UTC)

    for module in (standardwebhooks.webhooks, svix.webhooks):
        monkeypatch.setattr(module, "datetime", Then)


@pytest.mark.usefixtures("then")
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_libraries_accept_what_we_sign_with_either_secret(verifier: Any) -> None:
    @given(data=DATA, new=SECRETS, old=SECRETS)
    def check(data: Any, new: str, old: str) -> None:
        headers, body = sent(data, new, old)
        for secret in (new, old):
            assert verifier(secret).verify(body, headers) in (
                None,
                json.loads(body),
            )  # svix's gives nothing back
        if new != old:
            with pytest.raises(Exception, match=r"(?i)no matching signature"):
                verifier(NEW).verify(body, headers)

    check()


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_we_accept_what_the_libraries_sign(verifier: Any) -> None:
    @given(data=DATA, secret=SECRETS)
    def check(data: Any, secret: str) -> None:
        body = json.dumps(data)
        signature = verifier(secret).sign("msg_1", datetime.fromtimestamp(AT, UTC), body)
        headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(AT), "Webhook-Signature": signature}
        assert verify_webhook(headers, body.encode(), secret, now=AT) == data

    check()


def test_a_receiver_gets_the_content_by_either_scheme() -> None:
    headers, body = sent({"generation_id": "gen_1"}, NEW, OLD)
    loud = {name.title(): value for name, value in headers.items()}
    found = verify_webhook(loud, body, [OLD], now=AT + 299)
    assert found["webhook_data"] == {"generation_id": "gen_1"}
    assert (found["webhook_event"], found["webhook_timestamp"]) == (
        "generation.completed", "2025-11-20T10:59:50.500Z",
    )  # fmt: skip
    assert found["webhook_delivery_id"] == headers["x-babysea-delivery-id"]
    assert headers["x-babysea-event"] == "generation.completed"
    theirs = {name: value for name, value in headers.items() if not name.startswith("webhook-")}
    assert verify_webhook(theirs, body, OLD, now=AT) == found
    assert check_babysea(theirs["x-babysea-signature"], body, [OLD], AT) == "valid"


@pytest.mark.parametrize(
    ("change", "seconds", "secrets", "reason"),
    [
        ({}, 301, [NEW], "stale"),
        ({}, -301, [NEW], "stale"),
        ({"webhook-id": "evt_2"}, 0, [NEW], "forged"),
        ({"webhook-timestamp": str(AT + 1)}, 0, [NEW], "forged"),
        ({"webhook-signature": ""}, 0, [NEW], "missing"),
        ({}, 0, [OLD], "forged"),
        ({}, 0, [], "unverifiable"),
    ],
)
def test_what_is_not_believed_has_a_name(
    change: dict[str, str], seconds: float, secrets: list[str], reason: str
) -> None:
    headers, body = sent({}, NEW)
    with pytest.raises(WebhookRejected, match=reason) as refused:
        verify_webhook({**headers, **change}, body, secrets, now=AT + seconds)
    assert (refused.value.reason, refused.value.http_status) == (reason, 401)


def test_a_changed_body_is_forged_and_a_signed_one_that_is_no_object_is_malformed() -> None:
    headers, body = sent({}, NEW)
    with pytest.raises(WebhookRejected, match="forged"):
        verify_webhook(headers, body + b" ", NEW, now=AT)
    odd = b"[1]"
    with pytest.raises(WebhookRejected, match="malformed"):
        verify_webhook(headers_of(EVENT, odd, [Secret(NEW)], AT), odd, NEW, now=AT)
    with pytest.raises(WebhookRejected, match="missing"):
        verify_webhook({}, body, NEW, now=AT)
