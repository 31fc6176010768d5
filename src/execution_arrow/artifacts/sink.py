"""A file on its way in: written to a temporary name, hashed and recognised as it comes."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from pathlib import Path

from execution_arrow.artifacts.endings import ends_well
from execution_arrow.errors import ArtifactGone, ArtifactRetry
from execution_arrow.facts import Stored
from execution_arrow.media import GIF, Kind, inspect, sniff
from execution_arrow.spool import sync_directory

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: leftovers are told by their age alone
    fcntl = None  # type: ignore[assignment]

CHUNK = 1 << 20
_DAY = 86_400.0
_WHOLE_HEADER = 1 << 20  # a shorter file holds all of its header, so that its size can be read


class Sink:
    """A temporary file that knows its hash, its size and what it is.

    The file is locked while its owner lives; a lock that is free marks a leftover (see `sweep_leftovers`). A
    copy can be canceled while a thread still writes, or sends the file to a bucket for minutes; `busy` keeps
    it from being closed under its hands, as a file number that is given out again would be written to.
    """

    def __init__(self, folder: Path, kind: str, limit: int, measured: bool) -> None:
        self.path = folder / f"{secrets.token_hex(12)}.part"
        self._file = self.path.open("x+b", buffering=0)
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self.busy = threading.Lock()
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
        return len(self._waiting) >= CHUNK

    def flush(self) -> None:
        """Write what is waiting."""
        with self.busy:
            self._write()

    def discard(self) -> None:
        """Remove what was not finished. Harmless after `finish`."""
        with self.busy:
            self._file.close()
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        self._hash.update(self._waiting)
        view = memoryview(bytes(self._waiting))
        while view:
            view = view[self._file.write(view) :]
        self._waiting.clear()

    def seal(self, index: int) -> Stored:
        """Write the rest, sync it and say what it is. Hold `busy` meanwhile."""
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
        return Stored(
            index=index,
            key=f"sha256/{digest[:2]}/{digest}.{form.extension}",
            sha256=digest,
            size=self._size,
            media_type=form.media_type,
            width=facts.width,
            height=facts.height,
            seconds=facts.seconds,
        )

    def move_to(self, target: Path) -> None:
        """Give the sealed file its name; it appears whole or not at all. Hold `busy` meanwhile."""
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_directory(target.parent.parent)
        if os.name == "nt":  # pragma: no cover - an open file cannot be renamed there
            self._file.close()
        self.path.replace(target)
        sync_directory(target.parent)


def _recognise(head: bytes, kind: str) -> Kind:
    """Say what the first bytes are. Raises `ArtifactGone` for anything that is not of the wanted kind."""
    found = sniff(head)
    if found is None:
        start = head[:40].decode("latin-1").encode("unicode_escape").decode()
        # Perhaps a page that says that the link is over.
        text = f"what came is neither a picture nor a clip; it begins with '{start}'"
        raise ArtifactGone(text, link=True)
    if found != GIF and not found.media_type.startswith(f"{kind}/"):
        raise ArtifactGone(f"what came is {found.media_type}, not a file of the kind {kind!r}")
    return found


def sweep_leftovers(folder: Path) -> None:
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
