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
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

import httpcore

from execution_arrow.egress import Egress, EgressPolicy, Fetched
from execution_arrow.endings import ends_well
from execution_arrow.errors import ArtifactGone, ArtifactRetry, EgressRefused
from execution_arrow.facts import Stored
from execution_arrow.media import GIF, Kind, inspect, sniff
from execution_arrow.spool import sync_directory

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: leftovers are told by their age alone
    fcntl = None  # type: ignore[assignment]

LIMITS: Mapping[str, int] = {"image": 128 << 20, "video": 4 << 30}  # bytes of one result
_DEFAULT_LIMIT = 4 << 30
_CHUNK = 1 << 20
_DAY = 86_400.0
_WHOLE_HEADER = 1 << 20  # a shorter file holds all of its header, so that its size can be read
_KEY = re.compile(r"sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})\.[a-z0-9]{1,5}")
# Answers that may be another answer later. 401 and 403 are among them because object stores say "forbidden"
# for what is not there yet; when the link has really died, the caller's deadline ends the trying.
_LATER = frozenset({401, 403, 408, 409, 423, 425, 429})
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
        _sweep(self._partial)

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> Stored:
        """Copy a result. Data URLs are decoded here. `headers` never follow a redirect to another host.

        Raises `ArtifactGone` when it cannot be had any more: 404, 410, an address that is not fetched from,
        a body that is no picture or clip of this kind, one that is too large. Raises `ArtifactRetry` for
        timeouts, 5xx, a body that ends early, a full disk; `retry_after` is set where the server said so.
        """
        if url.startswith("data:"):
            return await self.put(_decode(url), index=index, kind=kind)
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
            for at in range(0, len(data), _CHUNK):
                yield data[at : at + _CHUNK]

        return await self._keep(pieces(), index=index, kind=kind)

    def path(self, key: str) -> Path | None:
        """Return where a stored file can be opened, or None when it is not here."""
        if not _KEY.fullmatch(key):
            return None
        path = self.folder / key
        return path if path.is_file() else None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield a stored file in pieces. Raises `ArtifactGone` when it is not here."""
        path = self.path(key)
        if path is None:
            raise ArtifactGone(f"{key!r} is not in {self.folder}")
        file = await asyncio.to_thread(path.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _CHUNK):
                yield piece
        finally:
            file.close()

    async def aclose(self) -> None:
        """Close the connections to where results are copied from."""
        await self._egress.aclose()

    def _check_length(self, answer: Fetched, kind: str) -> None:
        announced = answer.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:19]) > self._limit(kind):
            raise ArtifactGone(
                f"the {kind} has {announced} bytes, more than the limit of {self._limit(kind)}"
            )

    def _limit(self, kind: str) -> int:
        return self._limits.get(kind, _DEFAULT_LIMIT)

    async def _keep(
        self, pieces: AsyncIterator[bytes], *, index: int, kind: str, measured: bool = True
    ) -> Stored:
        sink: _Sink | None = None
        try:
            sink = _Sink(self._partial, kind, self._limit(kind), measured)
            async for piece in pieces:
                if sink.take(piece):
                    await asyncio.to_thread(sink.flush)
            return await asyncio.to_thread(sink.finish, self.folder, index)
        except OSError as error:
            text = f"output {index} cannot be written to {self.folder}: {error}"
            raise ArtifactRetry(text, ours=True) from error
        finally:
            if sink is not None:
                sink.discard()


class _Sink:
    """A temporary file that knows its hash, its size and what it is.

    The file is locked while its owner lives; a lock that is free marks a leftover (see `_sweep`). A copy can
    be canceled while a thread still writes; `_busy` keeps the file from being closed under its hands, as a
    file number that is given out again would be written to.
    """

    def __init__(self, folder: Path, kind: str, limit: int, measured: bool) -> None:
        self._path = folder / f"{secrets.token_hex(12)}.part"
        self._file = self._path.open("x+b", buffering=0)
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._busy = threading.Lock()
        self._kind, self._limit, self._measured = kind, limit, measured
        self._format: Kind | None = None
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self._size = 0

    def take(self, piece: bytes) -> bool:
        """Accept bytes; True when a `flush` is due. Raises `ArtifactGone` for what is refused."""
        self._waiting += piece
        self._size += len(piece)
        if self._size > self._limit:
            raise ArtifactGone(f"the {self._kind} is larger than the limit of {self._limit} bytes")
        if self._format is None and len(self._waiting) >= 64:
            self._format = _recognise(bytes(self._waiting[:64]), self._kind)
        return len(self._waiting) >= _CHUNK

    def flush(self) -> None:
        """Write what is waiting."""
        with self._busy:
            self._write()

    def finish(self, folder: Path, index: int) -> Stored:
        """Write the rest, sync, name and describe the file."""
        with self._busy:
            return self._finish(folder, index)

    def discard(self) -> None:
        """Remove what was not finished. Harmless after `finish`."""
        with self._busy:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        self._hash.update(self._waiting)
        view = memoryview(bytes(self._waiting))
        while view:
            view = view[self._file.write(view) :]
        self._waiting.clear()

    def _finish(self, folder: Path, index: int) -> Stored:
        if self._size == 0:
            raise ArtifactRetry(f"output {index} came without a single byte")
        form = self._format or _recognise(bytes(self._waiting[:64]), self._kind)
        self._write()
        if not self._measured and not ends_well(self._file, form):
            raise ArtifactRetry(f"output {index} ends in the middle of the {self._kind}")
        facts = inspect(self._file, form)
        if facts.width is None and self._size < _WHOLE_HEADER:
            raise ArtifactGone(f"output {index} begins as {form.media_type} and has no readable size")
        os.fsync(self._file.fileno())
        digest = self._hash.hexdigest()
        key = f"sha256/{digest[:2]}/{digest}.{form.extension}"
        target = folder / key
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_directory(target.parent.parent)
        if os.name == "nt":  # pragma: no cover - an open file cannot be renamed there
            self._file.close()
        self._path.replace(target)
        sync_directory(target.parent)
        return Stored(
            index=index,
            key=key,
            sha256=digest,
            size=self._size,
            media_type=form.media_type,
            width=facts.width,
            height=facts.height,
            seconds=facts.seconds,
        )


def _recognise(head: bytes, kind: str) -> Kind:
    """Say what the first bytes are. Raises `ArtifactGone` for anything that is not of the wanted kind."""
    found = sniff(head)
    if found is None:
        start = head[:40].decode("latin-1").encode("unicode_escape").decode()
        raise ArtifactGone(f"what came is neither a picture nor a clip; it begins with '{start}'")
    if found != GIF and not found.media_type.startswith(f"{kind}/"):
        raise ArtifactGone(f"what came is {found.media_type}, not a file of the kind {kind!r}")
    return found


def _check_status(answer: Fetched) -> None:
    status = answer.status
    if 200 <= status < 300 and status not in _NOT_WHOLE:
        return
    if status >= 500 or status in _LATER or status in _NOT_WHOLE:
        error = ArtifactRetry(f"the file's server answered {status}")
        wait = answer.headers.get("retry-after", "")
        error.retry_after = float(wait[:9]) if wait.isascii() and wait.isdigit() else None
        raise error
    raise ArtifactGone(f"the file's server answered {status}")


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


def _sweep(folder: Path) -> None:
    """Remove temporary files whose owner is dead: nobody holds their lock any more."""
    for path in folder.glob("*.part"):
        try:
            with path.open("rb") as file:
                if fcntl is None:  # pragma: no cover
                    if time.time() - path.stat().st_mtime < _DAY:
                        continue
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except OSError:
            continue  # locked by a living process, or swept by another one
