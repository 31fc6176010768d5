"""Callbacks of the simulated providers: signed as the real ones sign, at the right moment or at any other."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from execution_arrow.providers.base import Call, Reply
from execution_arrow.signing import sign_standard
from tests.simulation.jobs import Job
from tests.simulation.wires import WIRES, answer

SECRET = "whsec_c2ltdWxhdGVkIHNlY3JldCBvZiAyNCBieXRlcw=="
_FAL = Ed25519PrivateKey.from_private_bytes(b"simulated key of 32 bytes length")
_FAL_PUBLIC = _FAL.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

Deliver = Callable[[str, Mapping[str, str], bytes], object]


def keys(kind: str) -> Reply:
    """What the provider answers when it is asked for its keys."""
    if kind == "replicate":
        return answer(200, {"key": SECRET})
    text = base64.urlsafe_b64encode(_FAL_PUBLIC).rstrip(b"=").decode()
    return answer(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": text}]})


def callback_of(kind: str, call: Call) -> str | None:
    """The address that a submit asked to be called."""
    body: Mapping[str, Any] = call.json
    if kind == "fal":
        found = parse_qs(urlsplit(call.url).query).get("fal_webhook")
        return found[0] if found else None
    url = body.get({"replicate": "webhook", "byteplus": "callback_url"}.get(kind, "callback"))
    return url if isinstance(url, str) else None


def told(kind: str, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
    """Headers and body of one callback about a job."""
    wire = WIRES[kind]
    if kind == "fal":
        result = wire.result(job, word)
        envelope = {"request_id": job.id, "status": "OK" if result.status == 200 else "ERROR"}
        body = json.dumps({**envelope, "payload": json.loads(result.body)}).encode()
        return _sign_fal(job, body, int(now), forged), body
    body = wire.status(job, word).body
    if kind == "replicate":
        secret = "whsec_Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2Vk" if forged else SECRET
        return sign_standard([secret], f"msg-{job.id}-{word}", int(now), body), body
    if kind == "dock":
        return {"x-sig": "bad" if forged else "good"}, body
    return {}, body


def _sign_fal(job: Job, body: bytes, at: int, forged: bool) -> dict[str, str]:
    message = "\n".join((job.id, "user", str(at), hashlib.sha256(body).hexdigest())).encode()
    signature = _FAL.sign(message + b"x" * forged).hex()
    return {
        "x-fal-webhook-request-id": job.id,
        "x-fal-webhook-user-id": "user",
        "x-fal-webhook-timestamp": str(at),
        "x-fal-webhook-signature": signature,
    }


class Hooks:
    """Plans the callbacks of jobs. `at(delay, what)` is the world's clock, `deliver` brings one to us."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.deliver: Deliver = lambda url, headers, body: None

    def plan(self, kind: str, job: Job, call: Call) -> None:
        """A job was taken: say when its caller will hear of it, and what else will be said."""
        url = callback_of(kind, call)
        if url is None:
            return
        world = self._world
        fault = world.dice.strike(kind, "hooks")
        if job.ends == math.inf:
            return
        ends = job.ends - job.created
        if fault:
            world._happened(kind, fault, job.id)
        match fault:
            case "hook_lost":
                return
            case "hook_early":
                self._at(0.0, kind, job, url, "running")
            case "hook_twice":
                for again in (0.0, 0.1, 7.0):
                    self._at(ends + again, kind, job, url)
                return
            case "hook_late":
                self._at(ends + 45.0, kind, job, url)
                return
            case "hook_stale":
                self._at(ends + 10.0, kind, job, url, "running")
            case "hook_forged":
                for moment in (0.0, ends / 2):
                    self._at(moment, kind, job, url, "succeeded", forged=True)
            case "hook_foreign":
                self._at(ends / 2, kind, job, url, foreign=True)
        self._at(ends + 0.2, kind, job, url)

    def _at(
        self,
        delay: float,
        kind: str,
        job: Job,
        url: str,
        word: str = "",
        *,
        forged: bool = False,
        foreign: bool = False,
    ) -> None:
        world = self._world

        def call() -> None:
            about = world._other(job) if foreign else job
            if about is not job:  # signed by the provider itself: where that job is nobody's, it is believed
                job.lies = job.lies or "foreign_hook"
            said = word or about.state(world.now)
            headers, body = told(kind, about, said, world.now, forged=forged)
            self.deliver(url, headers, body)

        world._later(delay, call)
