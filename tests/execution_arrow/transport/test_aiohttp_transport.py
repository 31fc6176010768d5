"""What is aiohttp's alone: what its errors print, and what it does not read."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace

import pytest

from execution_arrow.errors import MaybeSentError
from execution_arrow.providers.base import Call
from execution_arrow.transport.aiohttp import AiohttpTransport
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.transport.kit import replying, serving


def test_errors_of_the_library_are_not_quoted() -> None:
    """They print the whole address, and its query may hold a callback's token."""

    async def main() -> str:
        async with serving(replying(b"HTTP/1.1 999999 What\r\n\r\n")) as server:
            transport = AiohttpTransport()
            call = Call(
                method="POST", url=f"{server.url}/x?token=token-1", headers={"x": "secret-1"}, timeout=2
            )
            try:
                with pytest.raises(MaybeSentError) as caught:
                    await transport.send(call)
            finally:
                await transport.aclose()
            return "".join(traceback.format_exception(caught.value))

    shown = asyncio.run(main())
    assert "may have been received: ClientResponseError" in shown
    assert "token-1" not in shown
    assert "secret-1" not in shown


@pytest.mark.parametrize(
    "odd",
    [
        b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"content-length: 2\r\n\r\n{} and more",
    ],
)
def test_an_answer_that_breaks_http_is_read_by_httpx_alone_and_never_called_unsent(odd: bytes) -> None:
    """docs/workers.md says so: whoever meets such a provider stays with httpx."""
    call = Call(method="POST", url="", json={}, timeout=5)

    async def main() -> None:
        async with serving(replying(b"HTTP/1.1 200 OK\r\n" + odd)) as server:
            usual, fast = HttpxTransport(), AiohttpTransport()
            asked = replace(call, url=server.url)
            assert (await usual.send(asked)).body == b"{}"
            with pytest.raises(MaybeSentError):
                await fast.send(asked)
            assert len(server.requests) == 2
            await usual.aclose()
            await fast.aclose()

    asyncio.run(main())
