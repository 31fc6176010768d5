"""A call written down: what will be sent, complete, before anything is opened.

Whatever is wrong with a call shows here, where certainly nothing has left: an address that is none, a header
that HTTP forbids (RFC 9110 section 5.5), a body that is no JSON. No message quotes a value, because the one
that is refused may be the key.

A request with input files can be eighty megabytes of text. That is written by another thread, and bit by bit:
one long call of the JSON encoder would keep the loop waiting wherever it ran, as it never gives up the
interpreter. The bytes are those of `json.dumps` over the whole.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from execution_arrow.providers.base import Call

PIECE = 1 << 18  # characters or bytes that are written at a time: about a millisecond of work
_OURS = {"accept-encoding": "identity", "user-agent": "execution-arrow"}
_LENGTH = ("content-length", "transfer-encoding")  # nobody's to say but whoever writes the body
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"([!-~]([ \t!-~]*[!-~])?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One request. `pieces` are its body, None where it has none; header names are as they were given."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)
    pieces: tuple[bytes, ...] | None = field(repr=False)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.pieces or ()))

    async def drip(self) -> AsyncIterator[bytes]:
        """The body in small pieces, so that no copy of all of it waits for the network."""
        for piece in self.pieces or ():
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]


async def written(call: Call) -> Written:
    """Write a call down, in another thread where that takes a while. Raises as `write`."""
    return await asyncio.to_thread(write, call) if weight(call.json) > PIECE else write(call)


def write(call: Call) -> Written:
    """Write a call down. Raises `ValueError`, `TypeError` or `RecursionError` for one that cannot be."""
    try:
        url = httpx.URL(call.url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{call!r} has no usable address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{call!r} has no http(s) address")  # prints without query and headers
    if url.userinfo:
        raise ValueError(f"the address of {url.host} has a user name; put it into a header")
    if not _TOKEN.fullmatch(call.method):
        raise ValueError("the method is none")
    pieces: tuple[bytes, ...] | None = None if call.content is None else (call.content,)
    headers = {
        **_OURS,
        **{name: value for name, value in call.headers.items() if name.lower() not in _LENGTH},
    }
    if call.json is not None:
        pieces = tuple(_joined(_spelled(call.json)))
        headers.setdefault("content-type", "application/json")
    if pieces is not None:
        headers["content-length"] = str(sum(map(len, pieces)))
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} holds what HTTP does not allow")
    if url.fragment:
        url = url.copy_with(fragment=None)
    return Written(method=call.method, url=url, headers=headers, pieces=pieces)


def weight(value: Any) -> int:
    """How many characters of text a JSON value holds, about. An absurdly deep one is heavy."""
    waiting, found = [value], 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found += len(value)
        elif isinstance(value, dict):
            waiting += value.values()
            found += 1
        elif isinstance(value, list | tuple):
            waiting += value
            found += 1
        if found > PIECE:
            break
    return found


def _spelled(value: Any) -> Iterator[str]:
    """The texts that `json.dumps` would make one of."""
    if isinstance(value, str) and len(value) > PIECE:
        yield '"'
        for start in range(0, len(value), PIECE):
            yield _json(value[start : start + PIECE])[1:-1]
        yield '"'
    elif isinstance(value, dict) and weight(value) > PIECE:
        for number, (name, item) in enumerate(value.items()):
            yield f"{',' if number else '{'}{_json({name: 0})[1:-2]}"
            yield from _spelled(item)
        yield "}"
    elif isinstance(value, list | tuple) and weight(value) > PIECE:
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _spelled(item)
        yield "]"
    else:
        yield _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _joined(texts: Iterator[str]) -> Iterator[bytes]:
    """Bytes in pieces of a useful size."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting).encode()
