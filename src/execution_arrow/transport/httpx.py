"""The default transport: one `Call` becomes one HTTP/1.1 request over httpx, never two.

Nothing is retried, no redirect is followed, no proxy, cookie or key is taken from the environment. httpcore
reports when it begins to write (`trace`): that is the border of `transport.border`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import httpx

from execution_arrow.providers.base import Reply
from execution_arrow.transport.border import FAILURES, KEEP_IDLE, Border, BorderTransport
from execution_arrow.transport.written import PIECE, Written


class HttpxTransport(BorderTransport[httpx.AsyncHTTPTransport]):
    """`ports.Transport` over httpx. Parameters and whose loop it is: see `border.BorderTransport`."""

    _failures = (*FAILURES, httpx.HTTPError, httpx.StreamError)

    def _open(self, idle: int) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=self._max_connections, max_keepalive_connections=idle, keepalive_expiry=KEEP_IDLE
        )
        return httpx.AsyncHTTPTransport(verify=self._context(), trust_env=False, limits=limits)

    async def _close(self, pool: httpx.AsyncHTTPTransport) -> None:
        await pool.aclose()

    async def _exchange(self, pool: httpx.AsyncHTTPTransport, request: Written, border: Border) -> Reply:
        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_headers.started"):
                border.cross()

        timeout = httpx.Timeout(None, connect=self._connect_timeout, pool=self._pool_timeout)
        response = await pool.handle_async_request(
            httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                content=b"".join(request.pieces or ()) if request.length <= PIECE else request.drip(),
                extensions={"timeout": timeout.as_dict(), "trace": trace},
            )
        )
        assert isinstance(response.stream, httpx.AsyncByteStream)
        try:
            body = await self._whole(aiter(response.stream))
        finally:
            with contextlib.suppress(Exception):  # what came stands, however its connection is let go
                await response.stream.aclose()
        return self._reply(response.status_code, response.headers.raw, body)

    def _quotes(self, error: Exception) -> bool:
        return isinstance(error, httpx.LocalProtocolError)
