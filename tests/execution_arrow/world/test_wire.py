"""Servers that misbehave byte by byte, over real sockets and through the whole driver.

Whatever is said on the wire, at a submit or at a poll: the generation ends, the worker goes on to serve the
next one, the account gets its credits back, and no attempt's call is sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.pains.kit import run
from tests.execution_arrow.world.hand import SHORT, HandClock, live, parts

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
ACCEPTED = {
    "replicate": {"id": "job1", "status": "starting"},
    "fal": {"request_id": "job1"},
    "byteplus": {"id": "job1"},
    "bfl": {"id": "job1", "polling_url": "https://elsewhere.example/"},
    "runway": {"id": "job1"},
    "alibabacloud": {"output": {"task_id": "job1", "task_status": "PENDING"}},
}
ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "byteplus": ("bytedance/seedance-1-pro", {"generation_duration": 5, "generation_resolution": "480p"}),
    "bfl": ("bfl/flux-1.1-pro", {}),
    "runway": ("google/veo-3.1", {"generation_duration": 4}),
    "alibabacloud": ("wan/2.7-t2v", {}),
    "openai": ("openai/gpt-image-2", {}),
}


def words(*pieces: bytes) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return say


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: " + b"y" * 4096 + b"\r\n")
        await writer.drain()


SAYS: dict[str, Say] = {
    "html with 200": words(
        reply(b"<!doctype html><title>Welcome</title>", "200 OK", "content-type: text/html")
    ),
    "nothing": words(),
    "no http": words(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "an end in the middle": words(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"),
    "a huge announced body": words(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n{"),
    "an endless body": endless,
    "endless headers": endless_headers,
    "deep nesting": words(reply(b"[" * 900_000)),
    "a deep object": words(reply(b'{"output":' * 100_000 + b"1" + b"}" * 100_000)),
    "a bomb": words(reply(gzip.compress(b"[" * 50_000_000), "200 OK", "content-encoding: gzip")),
    "broken utf-8": words(reply(b'{"id": "\xff\xfe", "status": "starting"}')),
    "nan": words(reply(b'{"id": "job1", "status": "succeeded", "output": NaN, "metrics": Infinity}')),
    "a number of ten thousand digits": words(reply(b'{"id": ' + b"9" * 10_000 + b"}")),
    "headers that are no text": words(reply(b"{}", "200 OK", "x-odd: \xff\xfe\x00")),
    "a status that is none": words(b"HTTP/1.1 999 ?\r\ncontent-length: 0\r\n\r\n"),
    "a redirect to ourselves": words(reply(b"", "307 Temporary Redirect", "location: http://127.0.0.1:1/")),
    "a hundred informations": words(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 100, reply(b"{}")),
    "two answers": words(reply(b"{}") * 2),
}


@asynccontextmanager
async def server(say: Say, right: bytes | None) -> AsyncIterator[tuple[str, list[str]]]:
    """Answers submits with `right` where that is given, and everything else with `say`."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            method = head.split(" ", 1)[0]
            paid = method == "post" and "/cancel" not in head.split("\r\n", 1)[0]
            if paid:
                seen.append(head.partition("x-client-request-id: ")[2].partition("\r\n")[0])
            await (words(right)(writer) if right is not None and paid else say(writer))
        with contextlib.suppress(OSError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}", seen
    finally:
        listening.close()


@pytest.mark.parametrize("where", ["submit", "poll"])
@pytest.mark.parametrize("what", SAYS)
@run
async def test_a_server_that_misbehaves(tmp_path: Path, what: str, where: str):
    known = list(ACCEPTED) + ["cloudflare", "openai"] * (where == "submit")  # they answer with the picture
    first = list(SAYS).index(what) % len(known)
    for provider in known if "N" in os.environ else known[first : first + 1]:
        right = reply(json.dumps(ACCEPTED[provider]).encode()) if where == "poll" else None
        model, more = ASKS.get(provider, ("bfl/flux-schnell", {}))
        wish = {"generation_prompt": "x", "generation_provider_order": provider, **more}
        async with server(SAYS[what], right) as (url, seen):
            clock = HandClock()
            made = parts(tmp_path / provider, transport=HttpxTransport(body_limit=1 << 20), clock=clock)
            async with AsyncArrow(made, policy=SHORT, base_urls={provider: url}) as arrow:
                await arrow.ledger.grant("acct", "5", key="start", create=True)
                for _ in range(2):  # the same worker serves the next one
                    started = await arrow.generate(model, wish, account="acct")
                    done = await live(arrow, clock, started.id)
                    assert done.status is Status.FAILED
                    assert done.charged == 0
                assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000
        assert seen
        assert len(set(seen)) == len(seen), f"{provider}: a paid call left twice"
