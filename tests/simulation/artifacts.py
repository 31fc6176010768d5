"""Results on a disk: the product's own folder, or a dictionary where the world is not about files.

Where results come from is the world's: an answer may be late, missing, a page, dripping or cut short, and our
own disk may be full in the middle of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpcore

from execution_arrow import facts as f
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.egress import Egress, Fetched
from execution_arrow.errors import ArtifactGone, ArtifactRetry
from tests.simulation.jobs import Job, picture
from tests.simulation.wires import WIRES
from tests.simulation.world import World

SLOW = 60.0  # seconds that a dripping file takes


class Files(Protocol):
    """What the judge finds on the disk."""

    def get(self, key: str) -> bytes | None: ...


class Folder:
    """The files of a real folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        path = self._folder / key
        return path.read_bytes() if path.is_file() else None


class Source:
    """Where results lie: what is there at an address, and what goes wrong with it this time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def strike(self, provider: str, what: str) -> str:
        kind = self._world.kinds[provider]
        fault = self._world.dice.strike(kind, "files")
        if fault:
            self._world.happened(kind, fault, what)
        return fault

    def look(self, url: str, headers: Mapping[str, str]) -> tuple[str, bytes | None]:
        """The fault, and the bytes of the result; None where nothing can be had with these headers."""
        provider = self._world.provider_of(url)
        given = WIRES[self._world.kinds[provider]].file_of(url, headers)
        job: Job | None = self._world.books.jobs.get((provider, given[0])) if given is not None else None
        fault = self.strike(provider, url)
        if given is None or job is None or job.state(self._world.now) != "succeeded":
            return fault, None
        if fault == "link_dies":
            job.edition += 1
        if job.edition and not url.endswith(f".{job.edition}.png"):
            return "link_dies", None
        return fault, picture(*given)


def _of(data: bytes) -> str:
    """Whose a picture is: it says so itself, see `jobs.picture`."""
    return data[29:].partition(b"-")[0].decode()


class MemoryArtifacts:
    """Files by content in a dictionary."""

    def __init__(self, source: Source, files: dict[str, bytes]) -> None:
        self._source, self._files = source, files

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> f.Stored:
        fault, data = self._source.look(url, headers or {})
        await asyncio.sleep(0.05)
        if fault == "file_slow":
            await asyncio.sleep(SLOW)
        if fault in ("file_later", "file_short"):
            raise ArtifactRetry(fault)
        if fault == "link_dies":
            raise ArtifactRetry("403", link=True)
        if fault in ("file_gone", "file_html") or data is None:
            raise ArtifactGone(fault or "404", link=True)
        if fault == "disk_full":
            raise OSError(28, "No space left on device")
        return self._keep(data, index)

    async def put(self, data: bytes, *, index: int, kind: str) -> f.Stored:
        await asyncio.sleep(0)
        if fault := self._source.strike(_of(data), str(index)):
            raise ArtifactRetry(fault)
        return self._keep(data, index)

    def _keep(self, data: bytes, index: int) -> f.Stored:
        digest = hashlib.sha256(data).hexdigest()
        key = f"sha256/{digest[:2]}/{digest}.png"
        self._files[key] = data
        return f.Stored(index=index, key=key, sha256=digest, size=len(data), media_type="image/png")

    def path(self, key: str) -> Path | None:
        return None

    async def link(self, key: str) -> str | None:
        return None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        yield self._files[key]

    async def remove(self, key: str) -> bool:
        return self._files.pop(key, None) is not None

    async def sweep(self, before: float) -> int:
        return 0

    async def aclose(self) -> None:
        pass


class DiskArtifacts(FolderArtifacts):
    """The product's folder, over the world's answers."""

    def __init__(self, source: Source, folder: Path) -> None:
        super().__init__(folder, _Wire(source))
        self._source = source

    async def put(self, data: bytes, *, index: int, kind: str) -> f.Stored:
        if fault := self._source.strike(_of(data), str(index)):
            raise ArtifactRetry(fault)
        return await super().put(data, index=index, kind=kind)


class _Wire(Egress):
    """Answers without a network."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Fetched]:
        fault, data = self._source.look(url, headers or {})
        await asyncio.sleep(0.05)
        if fault == "file_html":
            yield _fetched(url, 200, _pieces(b"<html><body>not here, not any more</body></html>" * 4, ""))
        elif fault == "link_dies":
            yield _fetched(url, 403, _pieces(b"<Error>Request has expired</Error>", ""))
        elif fault == "file_gone" or data is None:
            yield _fetched(url, 404, _pieces(b"not found", ""))
        elif fault == "file_later":
            yield _fetched(url, 503, _pieces(b"come back", ""))
        else:
            yield _fetched(url, 200, _pieces(data, fault), {"content-length": str(len(data))})


def _fetched(url: str, status: int, body: AsyncIterator[bytes], headers: Any = None) -> Fetched:
    return Fetched(url=url, status=status, headers=headers or {}, body=body)


async def _pieces(data: bytes, fault: str) -> AsyncIterator[bytes]:
    half = len(data) // 2
    yield data[:half]
    if fault == "file_slow":
        await asyncio.sleep(SLOW)
    if fault == "file_short":
        raise httpcore.RemoteProtocolError("peer closed connection without sending complete message body")
    if fault == "disk_full":  # of the write that the other half is for
        raise OSError(28, "No space left on device")
    yield data[half:]
