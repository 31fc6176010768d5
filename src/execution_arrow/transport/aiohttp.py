"""A faster transport, for hundreds of calls a second: aiohttp in place of httpx (extra `aiohttp`).

It keeps the promises of `transport.httpx`, which takes some doing, as aiohttp is a browser by nature. It
would send a GET, PUT or DELETE a second time when the connection dies (`_once` turns the errors that it
would retry into one that it does not), follow redirects, keep cookies, unpack what it gets and name a type
for a body that is not there; all of that is off. The border is the trace `on_request_headers_sent`, which
aiohttp signals when it is about to write.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from execution_arrow.errors import MissingExtra
from execution_arrow.providers.base import Reply
from execution_arrow.transport.border import FAILURES, KEEP_IDLE, Border, BorderTransport, Unusable
from execution_arrow.transport.written import PIECE, Written

try:
    import aiohttp
    from yarl import URL
except ImportError as error:
    raise MissingExtra("AiohttpTransport", "aiohttp") from error

# Bytes of one header of an answer, and their number. aiohttp refuses an answer over 8 kB, paid for or not.
_HEADER = 100 * 1024
_HEADERS = 1000


class AiohttpTransport(BorderTransport[aiohttp.ClientSession]):
    """`ports.Transport` over aiohttp, for `Arrow.open(…, transport=AiohttpTransport())`.

    Parameters and whose loop it is: see `border.BorderTransport`.
    """

    _failures = (*FAILURES, aiohttp.ClientError)

    def _open(self, idle: int) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_about_to_write)
        connector = aiohttp.TCPConnector(
            ssl=self._context(),
            limit=self._max_connections,
            force_close=not idle,
            keepalive_timeout=KEEP_IDLE if idle else None,
            resolver=aiohttp.ThreadedResolver(),  # that of the system, whatever else is installed
        )
        return aiohttp.ClientSession(
            connector=connector,
            # aiohttp's `connect` is the time for both: a free place in the pool and an open connection.
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=self._pool_timeout + self._connect_timeout,
                sock_connect=self._connect_timeout,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("accept", "content-type"),
            middlewares=(_once,),
            trace_configs=[trace],
            max_field_size=_HEADER,
            max_headers=_HEADERS,
        )

    async def _close(self, pool: aiohttp.ClientSession) -> None:
        await pool.close()

    async def _exchange(self, pool: aiohttp.ClientSession, request: Written, border: Border) -> Reply:
        body = None
        if request.pieces is not None:
            body = b"".join(request.pieces) if request.length <= PIECE else request.drip()
        response = await pool.request(
            request.method,
            # Spelled by httpx already, so that both transports ask for the same thing.
            URL(str(request.url), encoded=True),
            headers=request.headers,
            data=body,
            allow_redirects=False,
            trace_request_ctx=border,
        )
        try:
            content = await self._whole(response.content.iter_any())
        finally:
            response.close()  # after a whole answer its connection is back in the pool already
        return self._reply(response.status, response.raw_headers, content)

    def _quotes(self, error: Exception) -> bool:
        """Most of aiohttp's errors print the whole address; those of a connection that never was do not."""
        return isinstance(error, aiohttp.ClientError) and not isinstance(error, aiohttp.ClientConnectorError)


class _Dropped(Unusable):
    """The connection died. Not one of the errors after which aiohttp sends again."""


async def _once(request: aiohttp.ClientRequest, send: Any) -> aiohttp.ClientResponse:
    try:
        return await send(request)  # type: ignore[no-any-return]
    except aiohttp.ClientConnectorError:
        raise  # never sent again, and says what went wrong
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped(type(error).__name__) from None


async def _about_to_write(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.cross()
