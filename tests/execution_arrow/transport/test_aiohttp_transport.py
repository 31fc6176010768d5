"""What is aiohttp's alone: what its errors print."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from execution_arrow.errors import MaybeSentError
from execution_arrow.providers.base import Call
from execution_arrow.transport.aiohttp import AiohttpTransport
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
