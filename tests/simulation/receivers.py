"""Those whom we tell: addresses of customers, which are slow, away, gone or hang up; and their book.

A receiver checks what it is sent as the real ones do, with the secrets that it was given, and writes down
what arrived when, and what it answered. Nobody but the world writes here, and the product never reads it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpcore

from execution_arrow.delivery.receiving import verify_webhook
from execution_arrow.egress import Egress, Fetched
from execution_arrow.errors import EgressRefused, WebhookRejected
from execution_arrow.signing import Signature, check_babysea
from tests.simulation.faults import TOLD
from tests.simulation.loop import CURRENT
from tests.simulation.oracle import Broken
from tests.simulation.ports import WEBHOOK_KEY
from tests.simulation.world import World

RETRY_AFTER = 12  # seconds that a busy receiver asks for
_STATUS = {"told_500": 500, "told_404": 404, "told_redirect": 302, "told_busy": 503, "told_gone": 410}
_SLACK = 15.0  # seconds: a courier remembers an endpoint for five, and a message takes its time


@dataclass(slots=True)
class Send:
    """One message that left for a receiver. `status`: its answer; `heard`: the sender has all of that."""

    at: float
    process: str
    endpoint: str
    subject: str
    type: str
    headers: Mapping[str, str]
    data: Mapping[str, Any]
    arrived: float | None = None
    status: int = 0
    heard: bool = False
    asks: float = 0.0  # for so many seconds before the next try

    @property
    def event(self) -> tuple[str, str]:
        return self.subject, self.type

    @property
    def good(self) -> bool:
        return self.arrived is not None and 200 <= self.status < 300


@dataclass(slots=True)
class Receiver:
    """An address. `keys`: the numbers of its secrets, from when to when each is to be good."""

    endpoint: str
    account: str | None
    events: tuple[str, ...]
    healthy: bool = False
    hanging: bool = False
    keys: dict[int, tuple[float, float]] = field(default_factory=dict)
    sends: list[Send] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.endpoint}.example/hook"

    def secret(self, number: int) -> str:
        """What the receiver was given, made anew from what is documented."""
        name = f"webhook/{self.endpoint}/{number}".encode()
        made = hmac.new(WEBHOOK_KEY.encode(), name, hashlib.sha256).digest()
        return "whsec_" + base64.b64encode(made).decode()

    def secrets(self) -> list[str]:
        return [self.secret(number) for number in self.keys]


class Receivers:
    """All of them. `on_send` is shown every message before anything else comes of it."""

    def __init__(self, world: World, timeout: float) -> None:
        self._world, self._timeout = world, timeout
        self.all: dict[str, Receiver] = {}
        self.on_send: Callable[[Send], object] = lambda send: None
        self.on_arrival: Callable[[Receiver, Send, bytes, float], object] = check

    def of(self, url: str) -> Receiver:
        return self.all[url.removeprefix("https://").partition(".")[0]]

    @asynccontextmanager
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Fetched]:
        world, receiver = self._world, self.of(url)
        fault = self._strike(receiver)
        told = json.loads(body)
        data = told["webhook_data"]
        send = Send(
            at=world.now, process=CURRENT.get().name, endpoint=receiver.endpoint, headers=headers, data=data,
            subject=data.get("generation_id", ""), type=told["webhook_event"],
        )  # fmt: skip
        receiver.sends.append(send)
        self.on_send(send)
        world.tell("told", f"{send.endpoint} {send.subject} {send.type} {fault}")
        if fault == "told_refused":
            raise EgressRefused(f"{receiver.endpoint} leads to 10.0.0.1 (private), which is not fetched from")
        if fault == "told_unreachable":
            raise httpcore.ConnectError("connection refused")
        if fault in ("told_lost", "told_late"):
            if fault == "told_late":
                world._later(1.5 * self._timeout, lambda: self._arrive(receiver, send, body, 200))
            await asyncio.sleep(10 * self._timeout)
        status = _STATUS.get(fault, 200)
        await world._reach(lambda: self._arrive(receiver, send, body, status), 0.1 * self._timeout)
        if fault == "told_hangs" or (receiver.hanging and not world.dice.healed):
            await asyncio.sleep(10 * self._timeout)
        if fault == "told_slow":
            await asyncio.sleep(self._timeout * (0.3 + 0.5 * world.rng.random()))
        if fault == "told_reset":
            raise httpcore.ReadError("connection reset by peer")
        send.asks = RETRY_AFTER if fault == "told_busy" else 0.0
        answer = {"retry-after": str(RETRY_AFTER)} if send.asks else {}
        yield Fetched(url=url, status=status, headers=answer, body=self._body(send, fault))

    def _strike(self, receiver: Receiver) -> str:
        if receiver.healthy or receiver.hanging:
            return ""
        if fault := self._world.dice.strike(TOLD, "told"):
            self._world.happened(TOLD, fault, receiver.endpoint)
        return fault

    def _arrive(self, receiver: Receiver, send: Send, body: bytes, status: int) -> None:
        send.arrived, send.status = self._world.now, status
        self.on_arrival(receiver, send, body, self._world.now)

    async def _body(self, send: Send, fault: str) -> AsyncIterator[bytes]:
        if fault == "told_cut":
            yield b"than"
            raise httpcore.RemoteProtocolError("peer closed connection without sending complete message body")
        send.heard = True  # all that anybody needs of it
        for _ in range(1_000 if fault == "told_endless" else 1):
            yield b"thanks. " * 64
            await asyncio.sleep(0)


def check(receiver: Receiver, send: Send, body: bytes, now: float) -> None:
    """As a receiver does: with any secret that it has; and with each that is to be good now alone."""
    what = f"{send.type} of {send.subject} at {send.endpoint}"
    try:
        verify_webhook(send.headers, body, receiver.secrets(), now=now)
    except WebhookRejected as error:
        raise Broken(f"26: {what}, sent by {send.process}, is refused by its receiver: {error}") from error
    good = [n for n, (since, until) in receiver.keys.items() if since + _SLACK < send.at < until - _SLACK]
    for number in good:
        try:
            verify_webhook(send.headers, body, receiver.secret(number), now=now)
        except WebhookRejected as error:
            raise Broken(f"26: {what} is not signed with secret {number}, which is still good") from error
    maybe = [
        n
        for n, (since, until) in receiver.keys.items()
        if since < send.at + _SLACK and until > send.at - _SLACK
    ]
    if good:
        oldest = [receiver.secret(number) for number in maybe[: maybe.index(good[0]) + 1]]
        if check_babysea(send.headers["x-babysea-signature"], body, oldest, now) is not Signature.VALID:
            raise Broken(f"26: BabySea's signature of {what} is not made with the oldest good secret")
    for secret in (WEBHOOK_KEY, "very-secret-key", *receiver.secrets()):
        if secret.encode() in body or any(secret in text for text in send.headers.values()):
            raise Broken(f"18: a secret is in {what}")


class Post(Egress):
    """The product's way out."""

    def __init__(self, receivers: Receivers) -> None:
        super().__init__()
        self._receivers = receivers

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Any:
        return self._receivers.post(url, headers, body)


def known(receivers: Iterable[Receiver]) -> list[str]:
    """Every secret there is."""
    return [secret for receiver in receivers for secret in receiver.secrets()]
