"""Uploads that are one form for each file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from execution_arrow.facts import Ambiguous, Refused, SubmitFact
from execution_arrow.inputs.bodies import form
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers.base import Call, Reply, Uploaded
from execution_arrow.values import replace


def each_by_form(
    payload: Payload,
    files: Mapping[str, InputFile],
    to: Call,
    name: str,
    place: Callable[[dict[str, Any]], str | None],
    refused: Callable[[Reply, dict[str, Any]], SubmitFact],
) -> Generator[Call, Reply, Uploaded | Refused | Ambiguous]:
    """Send each file as part `name`; `place` finds its address in the answer, `refused` reads an error."""
    places = {}
    for url, file in files.items():
        kind, content = form(replace(payload, body={name: file}))
        reply = yield replace(
            to, headers={**to.headers, "content-type": kind}, content=content, timeout=300.0
        )
        body = wire.json_object(reply)
        found = place(body) if wire.ok(reply) else None
        if found is None:
            fact = refused(reply, body)
            return fact if isinstance(fact, Refused) else wire.unreadable(reply)
        places[url] = found
    return Uploaded(places=places)
