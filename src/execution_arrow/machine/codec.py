"""Writing a run as JSON and reading it again.

A row has two documents: the spec, written once, and the state, written with every change. Values at
their default are left out, so that most states are a few hundred bytes. Both carry a schema number;
`UPCASTERS` hold, per number, the function that turns such a document into the next one, so that a row
written by an older version can be read by this one. A default that changes its meaning needs a new number
too: rows do not say what was left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from execution_arrow.facts import Fault, Output, Stored
from execution_arrow.machine.state import (
    Attempt,
    Phase,
    Route,
    Run,
    Settlement,
    Spec,
    State,
    Status,
    Stop,
    Terms,
)
from execution_arrow.policy import Policy
from execution_arrow.ports import Payload
from execution_arrow.values import shared, told


def _from_1(body: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 has hints, hedges, erasures and kept results; what they are at first is what 1 meant.

    The number is there for the others: a program that knows only 1 must not drop what it cannot read.
    """
    return body


def _from_2(body: dict[str, Any]) -> dict[str, Any]:
    """Schema 3 has editions of the results' addresses; a row from before it has the first, for good."""
    return body


class NewerRow(ValueError):
    """A row that a newer version of this library has written: while a fleet is updated others can read it."""


SCHEMA = 3
KEPT = 256  # documents of which what was read is kept: the same row is read by one verb after the other
_LONG = 4096  # characters of a spec from which it is worth looking for equal texts in it
UPCASTERS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}


def dump_spec(spec: Spec) -> str:
    """The frozen part, as compact JSON."""
    return _json({"v": SCHEMA, **told(spec)})


def dump_state(run: Run) -> str:
    """Everything but the spec, as compact JSON."""
    body = told(run)
    del body["spec"]
    return _json({"v": SCHEMA, **body})


@lru_cache(maxsize=KEPT)
def load_spec(text: str) -> Spec:
    """Read what `dump_spec` wrote. Nobody may change what is in it: the same text is the same value."""
    body = _read(text)
    if len(text) > _LONG:
        body = _once(body, {})
    body["routes"] = {name: _route(route) for name, route in body["routes"].items()}
    body["policy"] = _policy(tuple(body.get("policy", {}).items()))
    body["chain"] = tuple(body["chain"])
    if isinstance(body["order"], list):
        body["order"] = tuple(body["order"])
    return Spec(**body)


@lru_cache(maxsize=256)
def _policy(fields: tuple[tuple[str, Any], ...]) -> Policy:
    """Most rows have one of a few policies; it is read, and checked, once."""
    policy: Policy = shared(Policy(**dict(fields)))
    return policy


def load_run(spec: Spec, text: str) -> Run:
    """Read what `dump_state` wrote."""
    return Run(spec=spec, **_state(text))


@lru_cache(maxsize=KEPT)
def _state(text: str) -> dict[str, Any]:
    """The fields of a run but for the spec."""
    body = _read(text)
    if "phase" in body:
        body["phase"] = Phase(body["phase"])
    if "verdict" in body:
        body["verdict"] = Status(body["verdict"])
    if "settlement" in body:
        body["settlement"] = Settlement(**body["settlement"])
    body["attempts"] = tuple(_attempt(attempt) for attempt in body.get("attempts", ()))
    return body


def _attempt(body: dict[str, Any]) -> Attempt:
    for name, cls in (("state", State), ("stop", Stop), ("fault", Fault)):
        if name in body:
            body[name] = cls(body[name])
    body["outputs"] = tuple(Output(**output) for output in body.get("outputs", ()))
    body["files"] = tuple(Stored(**file) for file in body.get("files", ()))
    body["missing"] = tuple(body.get("missing", ()))
    body["lost"] = tuple(body.get("lost", ()))
    return Attempt(**body)


def _route(body: dict[str, Any]) -> Route:
    terms = body.get("terms", {})
    if "billed" in terms:
        terms["billed"] = frozenset(terms["billed"])
    payload = body["payload"]
    for name in ("fetches", "dropped"):
        payload[name] = tuple(payload.get(name, ()))
    return Route(
        payload=Payload(**payload), cost=body.get("cost"), price=body["price"], terms=shared(Terms(**terms))
    )


def phase_of(text: str) -> Phase:
    """Where a generation is, from its state alone."""
    return Phase(_read(text).get("phase", Phase.NEW))


def _once(value: Any, texts: dict[str, str]) -> Any:
    """The same document, with equal long texts held once: a prompt stands in every provider's payload."""
    if isinstance(value, str):
        return texts.setdefault(value, value) if len(value) > 64 else value
    if isinstance(value, dict):
        return {name: _once(item, texts) for name, item in value.items()}
    return [_once(item, texts) for item in value] if isinstance(value, list) else value


def _read(text: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text)
    version = body.pop("v")
    while version < SCHEMA:
        body = UPCASTERS[version](body)
        version += 1
    if version > SCHEMA:
        raise NewerRow(f"this row has schema {version}, written by a newer version: upgrade this one")
    return body


def _plain(value: Any) -> Any:
    """What JSON has no word for. Names of enums are texts already."""
    if hasattr(value, "__dataclass_fields__"):
        return told(value)
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset) else list(value)


_compact, _ascii = (
    json.JSONEncoder(separators=(",", ":"), ensure_ascii=ascii, check_circular=False, default=_plain).encode
    for ascii in (False, True)
)


def _json(body: dict[str, Any]) -> str:
    text = _compact(body)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair in somebody's text: JSON can say it, UTF-8 cannot
        return _ascii(body)
    return text
