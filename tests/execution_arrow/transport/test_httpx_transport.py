"""What is httpx's alone: an answer that came stands, however its connection is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from execution_arrow.providers.base import Call
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.transport.kit import answer, replying, serving


class Clumsy(httpx.AsyncByteStream):
    """A body whose connection cannot be closed without trouble."""

    def __init__(self, real: httpx.AsyncByteStream) -> None:
        self.real, self.closed = real, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.real:
            yield piece

    async def aclose(self) -> None:
        self.closed += 1
        await self.real.aclose()
        raise OSError("the connection is gone already")


def test_a_connection_that_cannot_be_closed_takes_no_paid_answer_along() -> None:
    streams: list[Clumsy] = []

    class Pool(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            assert isinstance(response.stream, httpx.AsyncByteStream)
            streams.append(Clumsy(response.stream))
            response.stream = streams[-1]
            return response

    class Transport(HttpxTransport):
        def _open(self, idle: int) -> httpx.AsyncHTTPTransport:
            return Pool()

    async def main() -> bytes:
        async with serving(replying(answer(b"paid"))) as server:
            transport = Transport()
            try:
                reply = await transport.send(Call(method="POST", url=server.url, json={}, timeout=5))
            finally:
                await transport.aclose()
            return reply.body

    assert asyncio.run(main()) == b"paid"
    assert [stream.closed for stream in streams] == [1]
