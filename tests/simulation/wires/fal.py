"""fal: a queue, results behind an address of their own, callbacks signed with Ed25519."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from execution_arrow.providers import fal
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Wire, answer, urls

_PRIVATE = Ed25519PrivateKey.from_private_bytes(b"simulated key of 32 bytes length")
_PUBLIC = _PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Fal(Wire):
    provider = fal.PROVIDER
    path = "/lab/m"
    REFUSED: ClassVar[dict[str, Any]] = {
        "caller": (422, [{"type": "missing", "msg": "field required"}]),
        "moderation": (422, [{"type": "content_policy_violation", "msg": "no"}]),
        "account": (403, "User is locked. Reason: Exhausted balance."),
        "busy": (429, "slow down"),
    }

    def verb(self, call: Call) -> str:
        if call.method != "GET":
            return "submit" if call.method == "POST" else "cancel"
        if call.url.endswith("jwks.json"):
            return "keys"
        return "poll" if "/status" in call.url else "result"

    def job_id(self, call: Call) -> str:
        return call.url.partition("?")[0].split("/requests/")[1].split("/")[0]

    def accepted(self, job: Job, base: str) -> Reply:
        at = f"{base}/lab/m/requests/{job.id}"
        return answer(
            200,
            {
                "request_id": job.id, "status": "IN_QUEUE", "response_url": at,
                "status_url": f"{at}/status", "cancel_url": f"{at}/cancel",
            },
        )  # fmt: skip

    def refused(self, why: str) -> Reply:
        if why == "provider":
            return answer(503, {"detail": "no runner", "error_type": "runner_scheduling_failure"})
        status, detail = self.REFUSED[why]
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(status, {"detail": detail}, **after)

    def status(self, job: Job, word: str) -> Reply:
        if word in ("running", "odd"):
            said = {"running": "IN_PROGRESS", "odd": "PONDERING"}[word]
            return answer(202, {"status": said, "request_id": job.id})
        body = {"status": "COMPLETED", "request_id": job.id}
        if word == "canceled":
            body["error_type"] = "client_cancelled"
        return answer(200, body)

    def result(self, job: Job, word: str) -> Reply:
        if word in ("running", "odd"):
            return answer(400, {"detail": "Request is still in progress"})
        if word in ("succeeded", "empty"):
            files = [{"url": link, "content_type": "image/png"} for link in urls(job)]
            return answer(200, {"images": files if word == "succeeded" else []})
        if word == "moderated":
            return answer(422, {"detail": self.REFUSED["moderation"][1]})
        if word == "expired":
            kind = {"x_fal_request_timeout_type": "user"}
            return answer(504, {"detail": "timed out", "error_type": "request_timeout"}, **kind)
        kind = "client_cancelled" if word == "canceled" else "runner_server_error"
        return answer(499 if word == "canceled" else 500, {"detail": "over", "error_type": kind})

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return answer(202, {"status": "CANCELLATION_REQUESTED"})
        return answer(400, {"status": "ALREADY_COMPLETED" if word == "too_late" else "NO"})

    def callback_of(self, call: Call) -> str | None:
        found = parse_qs(urlsplit(call.url).query).get("fal_webhook")
        return found[0] if found else None

    def told(self, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
        result = self.result(job, word)
        envelope = {"request_id": job.id, "status": "OK" if result.status == 200 else "ERROR"}
        body = json.dumps({**envelope, "payload": json.loads(result.body)}).encode()
        return _sign(job, body, int(now), forged), body

    def keys(self) -> Reply:
        text = base64.urlsafe_b64encode(_PUBLIC).rstrip(b"=").decode()
        return answer(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": text}]})


def _sign(job: Job, body: bytes, at: int, forged: bool) -> dict[str, str]:
    message = "\n".join((job.id, "user", str(at), hashlib.sha256(body).hexdigest())).encode()
    signature = _PRIVATE.sign(message + b"x" * forged).hex()
    return {
        "x-fal-webhook-request-id": job.id,
        "x-fal-webhook-user-id": "user",
        "x-fal-webhook-timestamp": str(at),
        "x-fal-webhook-signature": signature,
    }
