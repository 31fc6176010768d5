"""Results, ours for good: copied before the provider's link dies, named by what they are.

A result is streamed to a temporary file while its SHA-256 is computed and its bytes are counted; its first
bytes say what it is, its header how large. Then it is synced, renamed to `sha256/<xx>/<hex>.<ext>` and the
directories are synced. The same bytes are one file, so a copy that is made twice does no harm, and a name
always holds what it promises: a file appears whole or not at all.

What cannot be had any more is `ArtifactGone`, what may work later is `ArtifactRetry`. The caller decides
how long to try.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import httpcore

from execution_arrow.artifacts.sink import CHUNK, Sink, sweep_leftovers
from execution_arrow.egress import Egress, EgressPolicy, Fetched
from execution_arrow.errors import ArtifactGone, ArtifactRetry, EgressRefused
from execution_arrow.facts import Stored
from execution_arrow.spool import sync_directory

T = TypeVar("T")
LIMITS: Mapping[str, int] = {"image": 128 << 20, "video": 4 << 30}  # bytes of one result
_DEFAULT_LIMIT = 4 << 30
KEY = re.compile(r"sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})\.[a-z0-9]{1,5}")
# Answers that may be another answer later. 401 and 403 are among them because object stores say "forbidden"
# for what is not there yet, and for a link that has died: then its provider may have another one.
_FORBIDDEN = frozenset({401, 403})
_LATER = _FORBIDDEN | {408, 409, 423, 425, 429}
_NOT_WHOLE = frozenset({204, 206})  # a part was never asked for, and it has a header like the whole


class FolderArtifacts:
    """`ports.ArtifactStore` in a folder of this machine. Close it with `aclose`.

    `egress` says from where results may be copied (default: the public internet over https). `limits` are
    bytes per kind (`image`, `video`). `timeout` bounds one whole copy in seconds, however slowly it drips.
    Opening sweeps the temporary files of processes that were killed.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        egress: Egress | EgressPolicy | None = None,
        *,
        limits: Mapping[str, int] | None = None,
        timeout: float = 900.0,
    ) -> None:
        self.folder = Path(folder)
        self._egress = egress if isinstance(egress, Egress) else Egress(policy=egress or EgressPolicy())
        self._limits = {**LIMITS, **(limits or {})}
        self._timeout = timeout
        self._partial = self.folder / "partial"
        self._partial.mkdir(parents=True, exist_ok=True)
        (self.folder / "sha256").mkdir(exist_ok=True)
        sync_directory(self.folder)
        sweep_leftovers(self._partial)

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> Stored:
        """Copy a result. Data URLs are decoded here. `headers` never follow a redirect to another host.

        Raises `ArtifactGone` when it cannot be had any more: 404, 410, an address that is not fetched from,
        a body that is no picture or clip of this kind, one that is too large. Raises `ArtifactRetry` for
        timeouts, 5xx, a body that ends early, a full disk; `retry_after` is set where the server said so.
        """
        if url.startswith("data:"):
            return await self.put(await self._beside(_decode, url), index=index, kind=kind)
        try:
            async with asyncio.timeout(self._timeout), self._egress.get(url, headers) as answer:
                _check_status(answer)
                self._check_length(answer, kind)
                return await self._keep(answer.body, index=index, kind=kind, measured=_is_measured(answer))
        except EgressRefused as error:
            raise ArtifactGone(f"output {index}: {error}") from error
        except TimeoutError as error:
            raise ArtifactRetry(f"output {index} was not complete after {self._timeout:g} s") from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise ArtifactRetry(f"output {index}: {type(error).__name__} {error}") from error

    async def put(self, data: bytes, *, index: int, kind: str) -> Stored:
        """Keep bytes that we have already. Raises as `copy` does."""

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), CHUNK):
                yield data[at : at + CHUNK]

        return await self._keep(pieces(), index=index, kind=kind)

    def path(self, key: str) -> Path | None:
        """Return where a stored file can be opened, or None when it is not here."""
        if not KEY.fullmatch(key):
            return None
        path = self.folder / key
        return path if path.is_file() else None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield a stored file in pieces. Raises `ArtifactGone` when it is not here."""
        path = self.path(key)
        if path is None:
            raise ArtifactGone(f"{key!r} is not in {self.folder}")
        file = await self._beside(lambda: path.open("rb"))
        try:
            while piece := await self._beside(file.read, CHUNK):
                yield piece
        finally:
            file.close()

    async def link(self, key: str) -> str | None:
        """None: a folder has no address for others. Serve `path(key)` from your own web server."""
        return None

    async def remove(self, key: str) -> bool:
        """Delete a stored file; whether it was there."""
        path = self.path(key)
        if path is not None:
            await self._beside(path.unlink, True)
        return path is not None

    async def check(self) -> None:
        """Raises `OSError` where nothing can be written: no folder, no space, no permission."""

        def write() -> None:
            path = self._partial / f"{secrets.token_hex(8)}.part"
            path.write_bytes(b"x")
            path.unlink()

        await asyncio.to_thread(write)

    async def sweep(self, before: float) -> int:
        """Delete every file that was last stored before this time (unix seconds); returns how many."""
        return await self._beside(self._sweep, before)

    def _sweep(self, before: float) -> int:
        count = 0
        for path in (self.folder / "sha256").glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # somebody else sweeps, too
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
        return count

    async def aclose(self) -> None:
        """Close the connections to where results are copied from."""
        await self._egress.aclose()

    def _threads(self) -> Executor | None:
        """Where blocking work is done; None: in the loop's own threads."""
        return None

    async def _beside(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads(), work, *arguments)

    def _check_length(self, answer: Fetched, kind: str) -> None:
        announced = answer.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:19]) > self._limit(kind):
            raise ArtifactGone(
                f"the {kind} has {announced} bytes, more than the limit of {self._limit(kind)}"
            )

    def _finish(self, sink: Sink, index: int) -> Stored:
        """Describe what came and put it where it stays. Runs in a thread of its own."""
        with sink.busy:
            stored = sink.seal(index)
            self._place(sink, stored)
        return stored

    def _place(self, sink: Sink, stored: Stored) -> None:
        sink.move_to(self.folder / stored.key)

    def _limit(self, kind: str) -> int:
        return self._limits.get(kind, _DEFAULT_LIMIT)

    async def _keep(
        self, pieces: AsyncIterator[bytes], *, index: int, kind: str, measured: bool = True
    ) -> Stored:
        sink: Sink | None = None
        try:
            sink = Sink(self._partial, kind, self._limit(kind), measured)
            async for piece in pieces:
                if sink.take(piece):
                    await self._beside(sink.flush)
            return await self._beside(self._finish, sink, index)
        except OSError as error:
            text = f"output {index} cannot be written to {self.folder}: {error}"
            raise ArtifactRetry(text, ours=True) from error
        finally:
            if sink is not None and sink.busy.locked():  # canceled: whoever has it is not waited for here
                asyncio.get_running_loop().run_in_executor(self._threads(), sink.discard)
            elif sink is not None:
                sink.discard()


def _check_status(answer: Fetched) -> None:
    status = answer.status
    if 200 <= status < 300 and status not in _NOT_WHOLE:
        return
    if status >= 500 or status in _LATER or status in _NOT_WHOLE:
        error = ArtifactRetry(f"the file's server answered {status}", link=status in _FORBIDDEN)
        wait = answer.headers.get("retry-after", "")
        error.retry_after = float(wait[:9]) if wait.isascii() and wait.isdigit() else None
        raise error
    raise ArtifactGone(f"the file's server answered {status}", link=True)


def _is_measured(answer: Fetched) -> bool:
    """Whether the transfer itself tells that it was cut short (RFC 9112 section 6.3)."""
    return "content-length" in answer.headers or "transfer-encoding" in answer.headers


def _decode(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise ArtifactGone("the data URL has no data")
    try:
        raw = unquote_to_bytes(body)
        return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
    except (binascii.Error, ValueError) as error:
        raise ArtifactGone(f"the data URL cannot be decoded: {error}") from error
