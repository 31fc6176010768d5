"""Results: as a provider announces them, and as they are once they are ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result a provider announced. `url` is None when the bytes are inside the (spooled) submit reply.

    `keyed`: it lies at the provider itself and is fetched with the headers of a poll, key included.
    """

    index: int
    url: str | None = None
    media_type: str | None = None  # as announced; the artifact store sniffs the truth
    keyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One output that is ours now: where it lies and what it really is."""

    index: int
    key: str  # content address, `sha256/<first two>/<hex>.<ext>`
    sha256: str
    size: int  # bytes
    media_type: str  # sniffed, never the announced one
    width: int | None = None
    height: int | None = None
    seconds: float | None = None  # length of a clip, where its header says
