"""For those who receive webhooks: is it true, and what does it say?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from execution_arrow.errors import WebhookRejected
from execution_arrow.signing import TOLERANCE, Signature, check_babysea, check_standard


def verify_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> dict[str, Any]:
    """The content of a webhook that an Arrow, or BabySea, has sent. Raises `WebhookRejected`.

    `body` is what came in, byte for byte; header names in any case. While a secret is changed, give both.
    What was signed more than `tolerance` seconds away from `now` (unix seconds, the clock's by default) is
    stale: beyond that nobody can send it to you once more. Within it a repeat is told by the header
    `webhook-id`, which is the same for every delivery of one event: keep those you have dealt with, in the
    transaction that does.
    """
    given = {name.lower(): value for name, value in headers.items()}
    keys = [secrets] if isinstance(secrets, str) else list(secrets)
    at = time.time() if now is None else now
    if "webhook-signature" in given or "x-babysea-signature" not in given:
        found = check_standard(given, body, keys, at, tolerance)
    else:
        found = check_babysea(given["x-babysea-signature"], body, keys, at, tolerance)
    if found is not Signature.VALID:
        raise WebhookRejected(found)
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise WebhookRejected("malformed")
    return content
