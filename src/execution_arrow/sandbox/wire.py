"""HTTP as values: what a provider is asked and what it answers.

A provider's module turns a `Request` into an `Answer` and does nothing else. An answer that comes later is
a `Wait` with what to do then; a broken connection is a `HangUp`. Whoever carries answers to the caller
(the ASGI app, the in-process transport, a simulator) does the waiting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One part of a form. `file` is its file name, None for plain values."""

    name: str
    data: bytes
    file: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request with its whole body. `path` is decoded (`%2F` is a slash).

    Header names are lower case. `base` is how the caller addresses this provider, without a trailing slash;
    `call` is the number of the call in the engine's book.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str = ""
    call: int = -1

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(
            (value for key, value in parse_qsl(self.query, keep_blank_values=True) if key == name), None
        )

    def parameters(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in parse_qsl(self.query, keep_blank_values=True) if key == name)

    def json(self) -> Any:
        """The body, or None when it is not JSON (nan and infinity are not)."""
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None

    def form(self) -> tuple[Field, ...] | None:
        """The parts of a `multipart/form-data` body, or None when it is none."""
        kind = self.headers.get("content-type", "")
        if not kind.lower().startswith("multipart/form-data"):
            return None
        message = BytesParser().parsebytes(f"content-type: {kind}\r\n\r\n".encode("latin-1") + self.body)
        parts = message.get_payload() if message.is_multipart() else None
        if not isinstance(parts, list):
            return None
        return tuple(_field(part) for part in parts if isinstance(part, Message))

    def bearer(self, scheme: str) -> bool:
        """Whether the Authorization header carries some credential of this scheme; any value will do."""
        word, _, credential = self.headers.get("authorization", "").partition(" ")
        return word.lower() == scheme.lower() and bool(credential.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer. A `body` that is a function is made outside the event loop when it is sent."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[], bytes] = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The connection closes without an answer; `received` says whether the request had been read."""

    received: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing for `seconds` (`inf`: until the caller gives up), then what `then(now)` says."""

    seconds: float
    then: Callable[[float], Answer]


Answer = Reply | HangUp | Wait


def reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer."""
    return Reply(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        body=written(value),
    )


def written(value: Any) -> bytes:
    """JSON as bytes. Half a surrogate pair, which JSON can carry and UTF-8 cannot, stays escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def lost(answer: Answer) -> Answer:
    """The same answer, never sent: the connection closes where it would have been."""
    if isinstance(answer, Wait):
        then = answer.then
        return Wait(seconds=answer.seconds, then=lambda now: lost(then(now)))
    return HangUp() if isinstance(answer, Reply) else answer


def _field(part: Message) -> Field:
    name = part.get_param("name", header="content-disposition")
    data = part.get_payload(decode=True)
    return Field(name=str(name), data=data if isinstance(data, bytes) else b"", file=part.get_filename())


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
