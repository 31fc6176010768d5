"""A receiver on a real socket, a clock that a test moves, and a courier over a store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.delivery import WebhookPolicy, Webhooks
from execution_arrow.delivery.courier import Courier
from execution_arrow.driver.lease import StoreClock
from execution_arrow.egress import EgressPolicy
from execution_arrow.stores.access import Inline
from execution_arrow.stores.base import JobStore
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing.steps import NOW
from tests.execution_arrow.transport.kit import Server, answer, serving
from tools.packages import ROOT

PUBLISHED = Draft202012Validator(
    json.loads((ROOT / "schemas" / "webhook.v1.json").read_text("utf-8")), format_checker=FormatChecker()
)
LOCAL = EgressPolicy(allow_loopback=True)
KEYS = EnvironmentCredentials({"EXECUTION_ARROW_WEBHOOK_KEY": "k" * 40, "MINE": "whsec_" + "QUJD" * 8})


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))  # type: ignore[arg-type]

    return wrapper


@dataclass
class Clock:
    at: float = NOW

    def __call__(self) -> float:
        return self.at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are given in turn, the last for ever; a path that begins with /slow is never answered."""

    url: str = ""
    answers: list[bytes] = field(default_factory=lambda: [answer()])
    got: list[Received] = field(default_factory=list)
    open: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            head, _, body = (await server.read(reader)).partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            self.got.append(Received(first.split(" ")[1], headers, body))
            self.changed.set()
            if self.got[-1].path.startswith("/slow"):
                self.open += 1
                await reader.read()  # until the sender has gone
                self.open -= 1
                return
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self.changed.clear()
            await self.changed.wait()


def as_published(body: bytes) -> None:
    """Every message that any test receives is a `webhook.v1`, as others read that schema."""
    issues = [issue.message for issue in PUBLISHED.iter_errors(json.loads(body))]
    assert not issues, (body, issues)


@asynccontextmanager
async def receiving(*answers: bytes) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answers = list(answers) or receiver.answers
    async with serving(receiver.script) as server:
        receiver.url = server.url
        yield receiver
    for one in receiver.got:
        as_published(one.body)


async def nowhere(key: str) -> str | None:
    return None


@dataclass
class Post:
    """A courier and its desk over one store."""

    store: JobStore
    clock: Clock
    courier: Courier
    desk: Webhooks

    async def tell(self, key: str, type: str = "x", account: str = "acct") -> int:
        return await self.desk.publish(type, {"key": key}, account=account, key=key)


@asynccontextmanager
async def post_office(
    store: JobStore | None = None, clock: Clock | None = None, machine: Clock | None = None, **policy: Any
) -> AsyncIterator[Post]:
    clock = clock or Clock()
    store = store or MemoryStore(clock)
    access = Inline(store)
    courier = Courier(
        access,
        StoreClock(machine or clock),
        KEYS,
        WebhookPolicy(**{"egress": LOCAL, **policy}),
        nowhere,
    )
    try:
        yield Post(store, clock, courier, Webhooks(access, clock, KEYS, courier))
    finally:
        await courier.stop(0.0)
