"""Callbacks of the shipped providers: from headers and body to what may be believed of them.

The content of a signed callback is read as a poll's answer would be. Where there is more to be had by asking
(fal's failures come without the headers that say whose fault it was), only the job is taken, and the poll
follows. Unsigned callbacks name a job and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from execution_arrow.facts import Canceled, Expired, Failed, Running, StatusFact, Succeeded
from execution_arrow.ports import Payload, Secret
from execution_arrow.providers import _wire as wire
from execution_arrow.providers.base import Call, Callback, Context, Event, Refusal, Reply, StatusReader
from execution_arrow.signing import Signature, check_bfl, check_fal, check_standard

_END_OF_TIME = 1e12  # unix seconds; JSON has longer numbers than a clock
_TELLING = (Running, Succeeded, Failed, Canceled, Expired)
_REFUSED = {Signature.FORGED: Refusal.FORGED, Signature.STALE: Refusal.STALE}

FAL_KEYS = "https://rest.fal.ai/.well-known/jwks.json"  # fal.ai/docs, webhooks


class Unsigned:
    """A callback without a signature (BytePlus): the job it names is asked about, nothing is believed."""

    def __init__(self, name: str) -> None:
        self._name = name  # of the field with the job's id

    def build_keys(self, context: Context) -> None:
        return None

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        return ()

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        return _believed(Signature.MISSING, _object(body).get(self._name), None)


class ReplicateCallbacks:
    """Standard Webhooks under a secret that the account's own key can read (OpenAPI)."""

    def __init__(self, read_status: StatusReader) -> None:
        self._read_status = read_status

    def build_keys(self, context: Context) -> Call:
        authorization = f"Bearer {context.secret.reveal()}"
        return Call(
            method="GET",
            url=f"{context.base_url}/v1/webhooks/default/secret",
            headers=wire.headers(context, authorization),
            timeout=10.0,
        )

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        key = wire.json_object(reply).get("key") if wire.ok(reply) else None
        return (key,) if isinstance(key, str) and key.startswith("whsec_") else ()

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        signature = check_standard(headers, body, keys, now)
        job = wire.identifier(_object(body).get("id"))
        told = self._read_status(payload, job, Reply(status=200, body=body)) if job is not None else None
        return _believed(signature, job, told)


class BflCallbacks:
    """HMAC-SHA256 of the body under a secret that each submit names, so that no key has to be asked for."""

    def __init__(self, read_status: StatusReader) -> None:
        self._read_status = read_status

    def build_keys(self, context: Context) -> tuple[str, ...]:
        return (bfl_secret(context.secret),)

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        return ()

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        signature = check_bfl(headers, body, keys)
        job = wire.identifier(_object(body).get("id"))
        told = self._read_status(payload, job, Reply(status=200, body=body)) if job is not None else None
        return _believed(signature, job, told)


def bfl_secret(key: Secret) -> str:
    """What BFL signs its callbacks with: made of the account's key, which it does not tell, so that every
    process knows it and none has to keep it. After a change of the key, jobs under way are polled."""
    return hmac.new(key.reveal().encode(), b"execution_arrow: callbacks of bfl", hashlib.sha256).hexdigest()


class FalCallbacks:
    """Ed25519 under keys that fal publishes as JWKS; the body holds the result, in an envelope."""

    def __init__(self, read_result: StatusReader, hosts: frozenset[str]) -> None:
        self._read_result, self._hosts = read_result, hosts

    def build_keys(self, context: Context) -> Call:
        host = context.base_url.partition("://")[2].partition("/")[0]
        url = FAL_KEYS if host in self._hosts else f"{context.base_url}/.well-known/jwks.json"
        return Call(method="GET", url=url, headers={"accept": "application/json"}, timeout=10.0)

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        listed = wire.members(wire.json_object(reply).get("keys")) if wire.ok(reply) else []
        known = [key for key in listed if isinstance(key, dict) and key.get("crv") == "Ed25519"]
        return tuple(text for key in known[:16] if isinstance(text := key.get("x"), str))

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        signature = check_fal(headers, body, keys, now)
        said = _object(body)
        job, told = wire.identifier(said.get("request_id")), None
        if signature is Signature.VALID and headers.get("x-fal-webhook-request-id") != job:
            return Refusal.MALFORMED
        result = said.get("payload")
        if job is not None and said.get("status") == "OK" and isinstance(result, dict):
            told = self._read_result(payload, job, Reply(status=200, body=json.dumps(result).encode()))
        return _believed(signature, job, told)


def openai_event(body: bytes) -> Event | Refusal | None:
    """Thin events of a project: `video.completed` and `video.failed` name a clip (SDK)."""
    said = _object(body)
    if not str(said.get("type")).startswith("video."):
        return None if said.get("object") == "event" else Refusal.MALFORMED
    job, at = wire.identifier(wire.member(said, "data").get("id")), said.get("created_at")
    if job is None or not isinstance(at, int | float) or not 0 <= at < _END_OF_TIME:
        return Refusal.MALFORMED
    return Event(job=job, at=at)


def _believed(signature: Signature, named: Any, told: StatusFact | None) -> Callback | Refusal:
    if signature in _REFUSED:
        return _REFUSED[signature]
    job = wire.identifier(named)
    if job is None:
        return Refusal.MALFORMED
    if signature is not Signature.VALID:
        return Callback(job=job, sure=False)
    return Callback(job=job, sure=True, told=told if isinstance(told, _TELLING) else None)


def _object(body: bytes) -> dict[str, Any]:
    return wire.json_object(Reply(status=200, body=body))
