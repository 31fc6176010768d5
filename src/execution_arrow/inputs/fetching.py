"""Fetching the files that a request names, through the guard of `egress`.

The address is a customer's word, so it is looked at as any other: public addresses over https, no redirect
into our network, a bounded size, a bounded time. What comes back goes to one provider, once, and is not kept;
until then it takes its share of the memory that all input files have (`inputs.room`).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import httpcore

from execution_arrow.egress import Egress, EgressPolicy, Fetched
from execution_arrow.errors import EgressRefused, InputGone, InputRetry
from execution_arrow.inputs.room import COPIES, SHARED, Guest, Room
from execution_arrow.media import sniff
from execution_arrow.ports import InputFile

logger = logging.getLogger("execution_arrow")

FILE_LIMIT = 32 << 20  # bytes of one file; the providers' own limits are 10 to 50 MB
TOTAL_LIMIT = 64 << 20  # bytes of all files of one request
_PIECE = 1 << 20  # bytes for which room is asked at a time where a length was not announced
_LATER = frozenset({408, 425, 429})
_LENGTH = re.compile(r"[0-9]{1,15}")
_TYPE = re.compile(r"(image|video|audio)/[a-z0-9][a-z0-9.+-]{0,60}")
Take = Callable[[int], Awaitable[None]]
"""Waits for so many bytes of room."""


class EgressInputs:
    """`ports.Inputs` over HTTP. Belongs to one event loop; close it with `aclose`.

    `egress` says from where input files may be fetched (default: the public internet over https). The limits
    are bytes of one file and of one request's files together; `timeout` bounds all of them, in seconds,
    without the time that a request waits for others to leave `room`: `patience` bounds each such wait.
    """

    def __init__(
        self,
        egress: Egress | EgressPolicy | None = None,
        *,
        file_limit: int = FILE_LIMIT,
        total_limit: int = TOTAL_LIMIT,
        timeout: float = 60.0,
        patience: float = 600.0,
        room: Room = SHARED,
    ) -> None:
        self._egress = egress if isinstance(egress, Egress) else Egress(policy=egress or EgressPolicy())
        self._file_limit, self._total_limit, self._timeout = file_limit, total_limit, timeout
        self._patience, self._memory = patience, room

    @asynccontextmanager
    async def fetch(self, urls: Sequence[str]) -> AsyncIterator[dict[str, InputFile]]:
        """Fetch each file once. They have their room in memory until the block ends.

        Raises `InputGone` for an address that is refused or answers 4xx, for a file that is too large and for
        what is no picture, clip or sound; `InputRetry` for a timeout, a broken connection or a 5xx.
        """
        async with self._memory.guest() as guest:
            await self._take(guest, 0)
            yield await self._all(urls, guest)

    async def _all(self, urls: Sequence[str], guest: Guest) -> dict[str, InputFile]:
        found: dict[str, InputFile] = {}
        room = self._total_limit
        try:
            async with asyncio.timeout(self._timeout) as clock:

                async def take(size: int) -> None:
                    """Others' calls may take minutes: waiting for their room is no fault of the file."""
                    now = asyncio.get_running_loop().time
                    left = (clock.when() or 0.0) - now()
                    clock.reschedule(None)
                    await self._take(guest, size)
                    clock.reschedule(now() + left)

                for url in dict.fromkeys(urls):
                    found[url] = file = await self._one(url, len(found) + 1, room, take)
                    room -= len(file.data)
        except TimeoutError as error:
            text = f"input file {len(found) + 1} was not complete after {self._timeout:g} s"
            raise InputRetry(text) from error
        return found

    async def aclose(self) -> None:
        """Close the connections."""
        await self._egress.aclose()

    async def _take(self, guest: Guest, size: int) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await guest.take(size)
        except TimeoutError as error:
            raise InputRetry(f"other requests' files took all room for {self._patience:g} s") from error

    async def _one(self, url: str, number: int, room: int, take: Take) -> InputFile:
        # Named by its number: a signed address is a key to the file, and errors are read by many.
        try:
            async with self._egress.get(url) as answer:
                _check_status(answer.status, number)
                data = await _read(answer, number, min(self._file_limit, room), take)
        except EgressRefused as error:
            # The reason says where a name leads: that is for us, and not for whoever sent the name.
            logger.warning("input_refused %s", error)
            raise InputGone(f"the address of input file {number} is not one that is fetched from") from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise InputRetry(f"input file {number} could not be fetched: {type(error).__name__}") from error
        return InputFile(data=data, media_type=_media_type(data, answer, number))


def _check_status(status: int, number: int) -> None:
    if status >= 500 or status in _LATER:
        raise InputRetry(f"the server of input file {number} answered {status}")
    if status != 200:
        raise InputGone(f"the server of input file {number} answered {status}")


async def _read(answer: Fetched, number: int, limit: int, take: Take) -> bytes:
    announced = answer.headers.get("content-length", "")
    room = int(announced) if _LENGTH.fullmatch(announced) else 0
    data = bytearray()
    if room <= limit:
        await take(COPIES * room)
        async for piece in answer.body:
            data += piece
            if len(data) > limit:
                break
            while room < len(data):
                await take(COPIES * _PIECE)
                room += _PIECE
        else:
            return bytes(data)
    text = f"input file {number} is larger than the {limit} bytes that are left for it"
    raise InputGone(text, "input_too_large")


def _media_type(data: bytes, answer: Fetched, number: int) -> str:
    """What the bytes are; for sound, and for formats without a mark that we know, what the server says."""
    found = sniff(data[:64])
    if found is not None:
        return found.media_type
    announced = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if data and _TYPE.fullmatch(announced):
        return announced
    raise InputGone(f"input file {number} is neither a picture nor a clip nor sound", "input_not_media")
