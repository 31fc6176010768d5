"""The default transport: one `Call` becomes one HTTP/1.1 request, never two.

What costs money here is one bit: could the provider have seen the request? It is not guessed from the kind
of an exception. The connection reports when it begins to write (`trace` of httpcore), and that moment is the
border: what fails before it is `NotSentError`, what fails after it is `MaybeSentError`. Nothing is retried,
no redirect is followed, no proxy, cookie or key is taken from the environment.

A POST travels on a connection of its own. An idle connection may be closed by the server at the very moment
it is used again, and what a server sent too much of would be read as the answer to the next request: both
turn a paid call into a wrong report, and a handshake costs little beside a picture.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpcore
import httpx

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import write_spool

_MEGABYTE = 1 << 20
# Servers close idle connections after 5 s or more; a poll that meets the closing is a poll in vain.
_KEEP_IDLE = 2.0
# A name, a refused setting, a full pool: nothing was written yet even if the connection was ours already.
_UNSENT = (httpcore.LocalProtocolError,)
# An error of our own side quotes the header that it refuses, and that may be the one with the key.
_QUOTES = (httpx.LocalProtocolError,)


class HttpxTransport:
    """`ports.Transport` over httpx. Belongs to the event loop that uses it first; close it with `aclose`.

    `connect_timeout` and `pool_timeout` bound the time before the first byte, a call's own `timeout` the time
    from then to the end of its answer, however slowly it drips. `body_limit` is in bytes, counted as received
    and again after unpacking. `verify` is an SSL context for servers with a private certificate.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        pool_timeout: float = 10.0,
        body_limit: int = 256 * _MEGABYTE,  # ten PNGs of 4K in one answer, as base64
        max_connections: int = 512,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._pool_timeout = pool_timeout
        self._limit = body_limit
        context = verify or httpx.create_ssl_context(trust_env=False)
        self._http, self._paid = (
            httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=httpx.Limits(
                    max_connections=max_connections,
                    max_keepalive_connections=idle,
                    keepalive_expiry=_KEEP_IDLE,
                ),
            )
            for idle in (64, 0)
        )

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        """Make the call. With `spool` the whole answer is on disk under that name before it is returned.

        Raises `NotSentError` when certainly nothing left, otherwise `MaybeSentError`.
        """
        border = _Border(call.timeout)
        if spool is not None:
            _check_room(spool.parent, self._limit)
        try:
            request = _request(call)
        except (ValueError, TypeError, RecursionError, httpx.InvalidURL) as error:
            raise NotSentError(f"this call cannot be written down: {error}") from error
        request.extensions = {
            "timeout": httpx.Timeout(
                call.timeout, connect=self._connect_timeout, pool=self._pool_timeout
            ).as_dict(),
            "trace": border.trace,
        }
        try:
            async with border.limit:
                reply = await self._exchange(request)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError, _Unusable) as error:
            raise border.error(call, error) from (None if isinstance(error, _QUOTES) else error)
        if spool is not None:
            try:
                await asyncio.to_thread(write_spool, spool, reply)
            except OSError as error:
                raise MaybeSentError(f"the answer came and could not be kept in {spool}: {error}") from error
        return reply

    async def aclose(self) -> None:
        """Close every connection."""
        await self._paid.aclose()
        await self._http.aclose()

    async def _exchange(self, request: httpx.Request) -> Reply:
        pool = self._paid if request.method == "POST" else self._http
        response = await pool.handle_async_request(request)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._limit:
                    raise _Unusable(f"the answer is longer than {self._limit} bytes")
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        content = _unpack(bytes(body), headers.pop("content-encoding", ""), self._limit)
        return Reply(status=response.status_code, headers=headers, body=content)


def _check_room(folder: Path, wanted: int) -> None:
    """What is paid for and cannot be kept is lost: without room for the largest answer, nothing is sent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NotSentError(f"the answer could not be kept in {folder}: {error}") from error
    if free < wanted:
        raise NotSentError(f"no room for the answer in {folder}: {free} bytes are free, {wanted} are wanted")


class _Unusable(Exception):
    """An answer came that we cannot take in."""


class _Border:
    """Knows whether the first byte may have left, and starts the clock of the answer there."""

    def __init__(self, timeout: float) -> None:
        self.crossed = False
        self.limit = asyncio.timeout(None)
        self._timeout = timeout

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.crossed = True
            self.limit.reschedule(asyncio.get_running_loop().time() + self._timeout)
        elif event.endswith(".send_request_headers.failed") and isinstance(info.get("exception"), _UNSENT):
            self.crossed = False  # the request was refused by our own side before a byte was written

    def error(self, call: Call, error: Exception) -> NotSentError | MaybeSentError:
        where = f"{call.method} {httpx.URL(call.url).host}"
        told = str(error) and not isinstance(error, _QUOTES)
        text = f"{type(error).__name__}: {error}" if told else type(error).__name__
        if type(error) is TimeoutError:
            text = f"no complete answer within {self._timeout:g} s"
        if self.crossed:
            return MaybeSentError(f"{where} may have been received: {text}")
        return NotSentError(f"{where} was not sent: {text}")


def _request(call: Call) -> httpx.Request:
    headers = {"accept-encoding": "identity", "user-agent": "execution-arrow", **call.headers}
    content = call.content
    if call.json is not None:
        content = json.dumps(call.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        headers.setdefault("content-type", "application/json")
    url = httpx.URL(call.url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{call!r} has no http(s) address")  # prints without query and headers
    return httpx.Request(call.method, url, headers=headers, content=content)


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a compression that was not asked for, without trusting its promise about the size."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _Unusable(f"the answer is packed as {encoding!r}, which was not asked for")
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out by itself whether gzip or zlib
        content = unpacker.decompress(body, limit)
    except zlib.error as error:
        raise _Unusable(f"the answer cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise _Unusable(f"the answer is cut short or unpacks to more than {limit} bytes")
    return content
