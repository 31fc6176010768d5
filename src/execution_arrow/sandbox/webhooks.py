"""Callbacks of the local providers, signed as the real ones sign.

Replicate: the prediction, HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks headers). fal: one message
at the end, Ed25519 over request id, user, timestamp and body hash, key published as JWKS. BFL: one message at
the end, HMAC-SHA256 over the body. OpenAI: a thin event at a clip's end, to the project's endpoint, signed as
Replicate's. BytePlus: the task at each change of its status, unsigned. A delivery that
is not answered with 2xx is repeated twice. Sources: the webhook pages; for BFL, black-forest-labs/skills.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from execution_arrow.errors import MissingExtra
from execution_arrow.sandbox.clock import Clock
from execution_arrow.sandbox.wire import written
from execution_arrow.sandbox.work import Job, State

TRIES = 3
PAUSE = 1.0  # seconds before the second try; doubled before each further one
USER = "sandbox"
_FAL_SEED = hashlib.sha256(b"the sandbox's webhook key, not fal's").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What to send: a body and the headers that sign it, given the time."""

    url: str
    body: bytes
    headers: Callable[[float], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One try to deliver. `status` is None when there was no answer; `error` then says why."""

    at: float
    provider: str
    job: str
    state: State
    url: str
    status: int | None = None
    error: str | None = None


def standard_headers(secret: str, name: str, body: bytes, now: float) -> dict[str, str]:
    """Replicate's and OpenAI's: `whsec_` and a base64 key; the signed text is `id.timestamp.body`."""
    stamp = str(int(now))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signature}


def project_secret(number: int) -> str:
    """What an endpoint of a project at OpenAI is signed with."""
    digest = hashlib.sha256(f"the sandbox's endpoint {number}, not OpenAI's".encode()).digest()
    return f"whsec_{base64.b64encode(digest[:24]).decode()}"


def project_event(job: Job, kind: str, secret: str, now: float) -> Notice:
    """OpenAI's thin event: what happened to which job, the same name at each try."""
    name = f"evt_{job.number:032x}"
    body = written(
        {"id": name, "object": "event", "created_at": int(now), "type": kind, "data": {"id": job.id}}
    )
    return Notice(
        url=job.order.webhook or "", body=body, headers=lambda at: standard_headers(secret, name, body, at)
    )


def bfl_headers(secret: str, body: bytes) -> dict[str, str]:
    """BFL's: HMAC-SHA256 of the body under the secret of the submit, in hex."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-bfl-signature": f"sha256={digest}"}


def fal_headers(job: str, body: bytes, now: float) -> dict[str, str]:
    """fal's Ed25519 signature. Raises `errors.MissingExtra` without the package cryptography."""
    stamp = str(int(now))
    message = "\n".join((job, USER, stamp, hashlib.sha256(body).hexdigest()))
    return {
        "x-fal-webhook-request-id": job,
        "x-fal-webhook-user-id": USER,
        "x-fal-webhook-timestamp": stamp,
        "x-fal-webhook-signature": _fal_key().sign(message.encode()).hex(),
    }


def fal_keys() -> dict[str, Any]:
    """The JWKS that verifies `fal_headers`."""
    public = _fal_key().public_key().public_bytes_raw()
    text = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": text}]}


def _fal_key() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as missing:
        raise MissingExtra("signing fal's webhooks (package cryptography)", "test") from missing
    return Ed25519PrivateKey.from_private_bytes(_FAL_SEED)


def message(value: Any) -> bytes:
    return written(value)


class Courier:
    """Follows jobs that asked for callbacks and delivers them.

    `look` finds a job as it is now; `notice` makes what is to be sent about it, or None. One task per job on
    the loop that took the job; `poke` says that a job changed.
    """

    def __init__(self, clock: Clock, look: Callable[[Job], Job]) -> None:
        self._clock, self._look = clock, look
        self._changed: dict[tuple[str, str], asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: list[Delivery] = []

    def follow(self, job: Job, notice: Callable[[Job, float], Notice | None]) -> None:
        task = asyncio.get_running_loop().create_task(self._follow(job, notice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def poke(self, provider: str, job: str) -> None:
        event = self._changed.get((provider, job))
        if event is not None:
            event.set()

    def close(self) -> None:
        """Stop following; jobs whose end nobody was told stay untold."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _follow(self, job: Job, notice: Callable[[Job, float], Notice | None]) -> None:
        key = (job.provider, job.id)
        event = self._changed[key] = asyncio.Event()
        told = State.QUEUED
        try:
            while not told.ended:
                job, now = self._look(job), self._clock.now()
                state = job.state(now)
                if state is not told:
                    told = state
                    await self._tell(job, state, notice(job, now))
                    continue
                event.clear()
                await self._until(job.starts if job.starts > now else job.ended, now, event)
        finally:
            del self._changed[key]

    async def _until(self, moment: float, now: float, event: asyncio.Event) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(moment - now if math.isfinite(moment) else math.inf))
        changed = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((sleep, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            changed.cancel()

    async def _tell(self, job: Job, state: State, notice: Notice | None) -> None:
        if notice is None:
            return
        for number in range(TRIES):
            if number:
                await self._clock.sleep(PAUSE * 2 ** (number - 1))
            status, error = await self._post(notice)
            self.deliveries.append(
                Delivery(
                    at=self._clock.now(),
                    provider=job.provider,
                    job=job.id,
                    state=state,
                    url=notice.url,
                    status=status,
                    error=error,
                )
            )
            if status is not None and 200 <= status < 300:
                return

    async def _post(self, notice: Notice) -> tuple[int | None, str | None]:
        import httpx

        try:
            headers = {"content-type": "application/json", **notice.headers(self._clock.now())}
            async with httpx.AsyncClient(trust_env=False, timeout=15) as client:
                answer = await client.post(notice.url, content=notice.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, MissingExtra) as error:
            return None, f"{type(error).__name__}: {error}"
        return answer.status_code, None
