"""Signatures of webhooks: made for those we send, checked on those we receive.

Four schemes. Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, also Replicate's and
OpenAI's): HMAC-SHA256 over `id.timestamp.body` under a base64 key after `whsec_`, in a list that may hold
several signatures while a secret is changed. BabySea's (docs.babysea.ai/setup/webhooks): HMAC-SHA256 over
`timestamp.body`, hex, under the secret's text as it is. fal's (fal.ai/docs, webhooks): Ed25519 over request
id, user, timestamp and the body's SHA-256, under any key of a JWKS. BFL's (black-forest-labs/skills):
HMAC-SHA256 over the body alone, hex, under a secret that the submit named.

The first three sign the time; what is more than five minutes away from ours, either way, is stale.
Comparisons take the same time wherever two signatures differ. Nothing here raises for what a stranger may
send.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

TOLERANCE = 300.0  # seconds; the default of Standard Webhooks' libraries, BabySea and fal

_STAMP = re.compile(r"[0-9]{1,12}")
_HEX = re.compile(r"[0-9a-f]{128}")


class Signature(StrEnum):
    """What a check came to."""

    VALID = "valid"
    MISSING = "missing"  # there is none
    FORGED = "forged"  # none of the keys has made it
    STALE = "stale"  # made by one of the keys, too long ago or too far ahead
    UNVERIFIABLE = "unverifiable"  # there is one, and nothing to check it with


def sign_standard(secrets: Iterable[str], name: str, at: int, body: bytes) -> dict[str, str]:
    """Headers of a Standard Webhooks message: one signature per secret, the newest first.

    `name` is the message's id, the same at each try; `at` is the time of this try. Raises `ValueError` for a
    secret that is not `whsec_` and base64.
    """
    signatures = (_standard(_standard_key(secret), name, str(at), body) for secret in secrets)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def check_standard(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[str],
    now: float,
    tolerance: float = TOLERANCE,
) -> Signature:
    """Check a Standard Webhooks message. Header names in lower case; a secret that is none is passed over."""
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not given:
        return Signature.MISSING
    keys = [key for secret in secrets if (key := _key_or_none(secret)) is not None]
    if not keys:
        return Signature.UNVERIFIABLE
    offered = [value for entry in given.split() if (value := entry.removeprefix("v1,")) != entry]
    made = [_standard(key, name, stamp, body) for key in keys]
    found = any(_same(ours, theirs) for ours in made for theirs in offered[:16])
    return _judge(found, stamp, now, tolerance)


def sign_babysea(secret: str, at: int, body: bytes) -> str:
    """The value of `X-BabySea-Signature`."""
    return f"t={at},v1={_babysea(secret, str(at), body)}"


def check_babysea(
    value: str, body: bytes, secrets: Iterable[str], now: float, tolerance: float = TOLERANCE
) -> Signature:
    """Check the value of `X-BabySea-Signature`: its first `t` and its first `v1` count."""
    parts: dict[str, str] = {}
    for part in value.split(","):
        name, _, text = part.strip().partition("=")
        parts.setdefault(name, text)
    stamp, given = parts.get("t", ""), parts.get("v1", "")
    if not given:
        return Signature.MISSING
    found = any(_same(_babysea(secret, stamp, body), given) for secret in secrets)
    return _judge(found, stamp, now, tolerance)


def check_fal(
    headers: Mapping[str, str], body: bytes, keys: Iterable[str], now: float, tolerance: float = TOLERANCE
) -> Signature:
    """Check a callback of fal. `keys` are the `x` of its JWKS. Needs the extra `webhooks` (cryptography)."""
    names = ("request-id", "user-id", "timestamp", "signature")
    job, user, stamp, given = (headers.get(f"x-fal-webhook-{name}", "") for name in names)
    if not given:
        return Signature.MISSING
    message = "\n".join((job, user, stamp, hashlib.sha256(body).hexdigest())).encode("utf-8", "replace")
    usable = [key for text in keys if len(key := _base64url(text)) == 32]
    if not usable:
        return Signature.UNVERIFIABLE
    signature = bytes.fromhex(given) if _HEX.fullmatch(given.lower()) else b""
    found = _ed25519(usable, message, signature)
    return Signature.UNVERIFIABLE if found is None else _judge(found, stamp, now, tolerance)


def check_bfl(headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> Signature:
    """Check a callback of BFL: `X-BFL-Signature: sha256=` and the body's HMAC-SHA256 in hex.

    No time is signed, so nothing is ever stale: what is repeated says what was said before.
    """
    given = headers.get("x-bfl-signature", "")
    if not given:
        return Signature.MISSING
    made = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    if not made:
        return Signature.UNVERIFIABLE
    found = any(_same(ours, given.removeprefix("sha256=").lower()) for ours in made)
    return Signature.VALID if found else Signature.FORGED


def _judge(found: bool, stamp: str, now: float, tolerance: float) -> Signature:
    """A forger learns nothing about our clock: only what is genuine can be stale."""
    if not found or not _STAMP.fullmatch(stamp):
        return Signature.FORGED
    return Signature.VALID if abs(now - int(stamp)) <= tolerance else Signature.STALE


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))


def _standard(key: bytes, name: str, stamp: str, body: bytes) -> str:
    signed = f"{name}.{stamp}.".encode("utf-8", "replace") + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _standard_key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        raise ValueError("a Standard Webhooks secret is 'whsec_' and base64: make one of 24 random bytes")
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def _key_or_none(secret: str) -> bytes | None:
    try:
        return _standard_key(secret) or None
    except ValueError:
        return None


def _babysea(secret: str, stamp: str, body: bytes) -> str:
    signed = stamp.encode("utf-8", "replace") + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _base64url(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except ValueError:
        return b""


def _ed25519(keys: list[bytes], message: bytes, signature: bytes) -> bool | None:
    """Whether any key has made the signature; None where the package that could say is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return None
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
