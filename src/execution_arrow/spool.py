"""Answers on disk, whole or not at all.

A synchronous provider's answer to a paid call holds the result itself and cannot be asked for again. It is
written to a file before anybody looks at it, so that the next process can read it where this one died.

Format: the line `spool.v1`, a line with the SHA-256 (hex) of everything that follows, one line of JSON
(`status`, `headers`), then the body as it came. The file is written under another name, synced and renamed,
and its directory is synced. A file that is missing, cut short or altered reads as None: nothing is known.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from execution_arrow.providers.base import Reply

_MAGIC = b"spool.v1\n"


def write_spool(path: Path, reply: Reply) -> None:
    """Write an answer so that it survives a power cut. Replaces what was there. Raises `OSError`."""
    head = json.dumps({"status": reply.status, "headers": dict(reply.headers)}).encode() + b"\n"
    digest = hashlib.sha256(head)
    digest.update(reply.body)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as file:
            file.write(_MAGIC + digest.hexdigest().encode() + b"\n" + head)
            file.write(reply.body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_spool(path: Path) -> Reply | None:
    """Return the answer that was written under this name, or None where there is no complete one."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, _, rest = data.removeprefix(_MAGIC).partition(b"\n")
    if not data.startswith(_MAGIC) or hashlib.sha256(rest).hexdigest().encode() != digest:
        return None
    line, _, body = rest.partition(b"\n")
    try:
        head = json.loads(line)
        return Reply(status=head["status"], headers=head["headers"], body=body)
    except (ValueError, KeyError, TypeError):
        return None


def sync_directory(path: Path) -> None:
    """Make a rename in this directory durable, where the system knows how."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
