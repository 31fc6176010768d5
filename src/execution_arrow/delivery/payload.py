"""What a webhook says: BabySea's envelope and fields (docs.babysea.ai/setup/webhooks), and its headers.

The content of a generation's event is read from the generation when it is sent: links are fresh, and what
was erased meanwhile is not told any more. The event's type says which status is told, so a late
`generation.started` still says `processing`. Fields that are not known are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from execution_arrow.delivery.policy import delivery_id, event_id
from execution_arrow.facts import Stored
from execution_arrow.machine.state import Attempt, Run
from execution_arrow.ports import Secret
from execution_arrow.signing import sign_babysea, sign_standard
from execution_arrow.stores.outgoing import Delivery

_STATUS = {
    "generation.started": "processing",
    "generation.completed": "succeeded",
    "generation.failed": "failed",
    "generation.canceled": "canceled",
}


def body_of(delivery: Delivery, data: Mapping[str, Any], now: float) -> bytes:
    """The message's bytes, as they are signed: the same at each try, but for the time in a replay."""
    document = {
        "webhook_event": delivery.type,
        "webhook_timestamp": _told_at(delivery, now),
        "webhook_delivery_id": delivery_id(delivery),
        "webhook_data": data,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(delivery: Delivery, body: bytes, secrets: Sequence[Secret], now: float) -> dict[str, str]:
    """Standard Webhooks' headers with a signature per secret, and BabySea's.

    BabySea's has room for one signature: it is made with the oldest secret that is still good, so that a
    receiver may change to the newest at any moment before the old one ends.
    """
    texts = [secret.reveal() for secret in secrets]
    return {
        "content-type": "application/json",
        **sign_standard(texts, event_id(delivery), int(now), body),
        "x-babysea-signature": sign_babysea(texts[-1], int(now), body),
        "x-babysea-event": delivery.type,
        "x-babysea-timestamp": _told_at(delivery, now),
        "x-babysea-delivery-id": delivery_id(delivery),
    }


def told_files(delivery: Delivery, run: Run) -> tuple[Stored, ...]:
    """The files that the event tells of."""
    winner = run.attempt(run.winner) if run.winner is not None else None
    told = delivery.type == "generation.completed" and winner is not None
    return winner.files if told and winner is not None else ()


def generation_data(delivery: Delivery, run: Run, links: Mapping[str, str]) -> dict[str, Any]:
    """`webhook_data` of a generation's event. `links` are the addresses of its files, by their keys."""
    spec, settlement = run.spec, run.settlement
    status = _STATUS.get(delivery.type, run.status.value)
    ended = status != "processing"
    attempt = _told_attempt(run)
    used = attempt.provider if attempt is not None and attempt.id == run.winner else None
    returned = settlement is not None and settlement.done and settlement.verb == "release"
    known: dict[str, Any] = {
        "account_id": spec.account,
        "model_identifier": spec.model,
        "generation_provider_initialize": spec.chain[0] if spec.chain else None,
        "generation_provider_used": used if ended else None,
        "generation_status": status,
        "generation_prediction_id": attempt.job if attempt is not None else None,
        "generation_id": spec.id,
        "generation_error": run.error or None if ended else None,
        "generation_error_code": run.error_code or None if ended else None,
        "credits_refunded": returned if ended and delivery.settled and status != "succeeded" else None,
        "credits_settled": delivery.settled if ended else None,
    }
    if files := told_files(delivery, run):
        known["generation_output_file"] = [links[file.key] for file in files]
    return {name: value for name, value in known.items() if value is not None}


def _told_attempt(run: Run) -> Attempt | None:
    winner = run.attempt(run.winner) if run.winner is not None else None
    return winner or next((a for a in reversed(run.attempts) if a.job is not None), None)


def _told_at(delivery: Delivery, now: float) -> str:
    """When it happened; of a replay, when it is told: receivers may refuse what is old (contract, 5.4)."""
    return _iso(now if delivery.replays else delivery.at)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
