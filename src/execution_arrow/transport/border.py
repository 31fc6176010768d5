"""What every transport has in common: one call, one request, and one bit about what became of it.

That bit costs money: could the provider have seen the request? It is not guessed from the kind of an
exception. The connection says when it begins to write, and that moment is the border: what fails before it is
`NotSentError`, what fails after it is `MaybeSentError`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import httpx

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import write_spool
from execution_arrow.transport.written import Written, written

Pool = TypeVar("Pool")

_MEGABYTE = 1 << 20
_MAX_IDLE = 64
# Servers close idle connections after 5 s or more; a poll that meets the closing is a poll in vain.
KEEP_IDLE = 2.0


class Unusable(Exception):
    """An answer came that we cannot take in, or a call that we cannot make. Its text is for people."""


FAILURES: tuple[type[Exception], ...] = (Unusable, OSError)


class Border:
    """Knows whether the first byte may have left, and starts the clock of the answer there."""

    def __init__(self, timeout: float) -> None:
        self.crossed = False
        self.limit = asyncio.timeout(None)
        self._timeout = timeout

    def cross(self) -> None:
        """The connection is about to write."""
        self.crossed = True
        self.limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    def error(self, request: Written, error: Exception, text: str) -> NotSentError | MaybeSentError:
        where = f"{request.method} {request.url.host}"
        if type(error) is TimeoutError:
            text = f"no complete answer within {self._timeout:g} s"
        if self.crossed:
            return MaybeSentError(f"{where} may have been received: {text}")
        return NotSentError(f"{where} was not sent: {text}")


class BorderTransport(ABC, Generic[Pool]):
    """`ports.Transport`, all but the connection.

    Nothing is opened before the first call. From then on a transport belongs to that call's event loop until
    `aclose`, or until that loop is closed; a call from another one is not sent. In a forked child it begins
    anew, and leaves alone what its parent has open.

    `connect_timeout` and `pool_timeout` bound the time before the first byte, a call's own `timeout` the time
    from then to the end of its answer, however slowly it drips. `body_limit` is in bytes, counted as received
    and again after unpacking. `verify` is an SSL context for servers with a private certificate.
    """

    _failures: ClassVar[tuple[type[Exception], ...]]  # `FAILURES` and the errors of the library

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
        self._max_connections = max_connections
        self._verify = verify
        self._pools: _Pools[Pool] | None = None
        self._parents: list[object] = []

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        """Make the call. With `spool` the whole answer is on disk under that name before it is returned.

        Raises `NotSentError` when certainly nothing left, otherwise `MaybeSentError`.
        """
        border = Border(call.timeout)
        if spool is not None:
            _check_room(spool.parent, self._limit)
        try:
            request = await written(call)
        except (ValueError, TypeError, RecursionError) as error:
            raise NotSentError(f"this call cannot be written down: {error}") from error
        try:
            pools = self._opened()
            async with border.limit:
                reply = await self._exchange(
                    pools.paid if request.method == "POST" else pools.free, request, border
                )
        except self._failures as error:
            text, told = self._tell(error)
            raise border.error(request, error, text) from (error if told else None)
        if spool is not None:
            try:
                await asyncio.to_thread(write_spool, spool, reply)
            except OSError as error:
                raise MaybeSentError(f"the answer came and could not be kept in {spool}: {error}") from error
        return reply

    async def aclose(self) -> None:
        """Close every connection of this loop."""
        pools = self._pools
        if pools is not None and pools.place == _place():
            self._pools = None
            await self._close(pools.paid)
            await self._close(pools.free)

    @abstractmethod
    def _open(self, idle: int) -> Pool:
        """A pool that keeps so many idle connections."""

    @abstractmethod
    async def _close(self, pool: Pool) -> None: ...

    @abstractmethod
    async def _exchange(self, pool: Pool, request: Written, border: Border) -> Reply:
        """Connect, call `border.cross` right before the first byte, write once, read all of the answer."""

    @abstractmethod
    def _quotes(self, error: Exception) -> bool:
        """Whether an error of the library may quote what was sent: address and headers hold keys."""

    def _opened(self) -> _Pools[Pool]:
        here, pools = _place(), self._pools
        if pools is not None and pools.place == here:
            return pools
        if pools is not None and pools.place[0] != here[0]:
            self._parents.append(pools)  # which keeps them from being closed along with this process's own
        elif pools is not None and not pools.place[1].is_closed():
            raise Unusable("this transport belongs to another event loop; make one for each")
        self._pools = _Pools(place=here, paid=self._open(0), free=self._open(_MAX_IDLE))
        return self._pools

    def _context(self) -> ssl.SSLContext:
        self._verify = self._verify or httpx.create_ssl_context(trust_env=False)
        return self._verify

    def _tell(self, error: Exception) -> tuple[str, bool]:
        """What an error says, and whether it may be shown itself."""
        if isinstance(error, Unusable):
            return str(error), True
        name, told = type(error).__name__, not self._quotes(error)
        return (f"{name}: {error}" if told and str(error) else name), told

    def _reply(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Reply:
        """An answer as it came; a header that came several times is one, joined by commas."""
        told: dict[str, str] = {}
        for raw, value in headers:
            name = _text(raw).lower()
            told[name] = f"{told[name]}, {_text(value)}" if name in told else _text(value)
        content = _unpack(body, told.pop("content-encoding", ""), self._limit)
        return Reply(status=status, headers=told, body=content)

    async def _whole(self, pieces: AsyncIterator[bytes]) -> bytes:
        """All of an answer. Raises `Unusable` for one that is too long."""
        body = bytearray()
        async for piece in pieces:
            body += piece
            if len(body) > self._limit:
                raise Unusable(f"the answer is longer than {self._limit} bytes")
        return bytes(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pools(Generic[Pool]):
    """Connections for paid calls, each used once, and for the others, which may be kept alive.

    An idle connection may be closed by the server at the very moment it is used again, and what a server sent
    too much of would be read as the answer to the next request: both turn a paid call into a wrong report,
    and a handshake costs little beside a picture.
    """

    place: tuple[int, asyncio.AbstractEventLoop]
    paid: Pool
    free: Pool


def _place() -> tuple[int, asyncio.AbstractEventLoop]:
    return os.getpid(), asyncio.get_running_loop()


def _text(raw: bytes) -> str:
    """A header's text: UTF-8 where it is that, otherwise as RFC 9110 section 5.5 has it of old."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _check_room(folder: Path, wanted: int) -> None:
    """What is paid for and cannot be kept is lost: without room for the largest answer, nothing is sent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise NotSentError(f"the answer could not be kept in {folder}: {error}") from error
    if free < wanted:
        raise NotSentError(f"no room for the answer in {folder}: {free} bytes are free, {wanted} are wanted")


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a compression that was not asked for, without trusting its promise about the size."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unusable(f"the answer is packed as {encoding!r}, which was not asked for")
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out by itself whether gzip or zlib
        content = unpacker.decompress(body, limit)
    except zlib.error as error:
        raise Unusable(f"the answer cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise Unusable(f"the answer is cut short or unpacks to more than {limit} bytes")
    return content
