"""When a delivery is tried again, and when an address is given up: functions of what is stored and the time.

Chance is drawn from the delivery's own name, so two hosts that fail together do not come back together, and
the same delivery always waits the same times.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint

if TYPE_CHECKING:
    from execution_arrow.egress import EgressPolicy

GONE = 410  # the receiver's own word that nobody wants to hear any more (Standard Webhooks 1.0.0)
_SPREAD = 0.2  # of every pause, up and down


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """How webhooks are sent. Times are seconds.

    `pauses` are between the tries of one delivery, each 20 % shorter or longer; the first five tries are
    BabySea's (docs.babysea.ai, changelog of 2026-05-14), the rest bridges an evening. Any 2xx within
    `timeout` is success. An endpoint is disabled after `give_up_after` failures in a row over at least
    `give_up_time`: a restart of the receiver is no reason. What was delivered, or could not be, is kept for
    `keep`.

    `at_once` deliveries are under way in one process, `each` of them to one endpoint, one where it fails.
    `egress` says where webhooks may go; the default is https to the public internet on port 443.
    """

    pauses: tuple[float, ...] = (0.5, 1.5, 3.0, 5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0)
    timeout: float = 10.0
    give_up_after: int = 15
    give_up_time: float = 3600.0
    keep: float = 72 * 3600.0
    at_once: int = 64
    each: int = 4
    longest_wait: float = 3600.0  # of a receiver's Retry-After
    egress: EgressPolicy | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try: the receiver's status, or 0 and why there was none."""

    status: int
    error: str = ""
    retry_after: float | None = None
    ours: bool = False  # it never left, for a reason that is not the receiver's

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


def event_id(delivery: Delivery) -> str:
    """The event's id, the same for every endpoint, try and replay: what a receiver tells repeats by."""
    return f"evt_{delivery.subject.removeprefix('gen_')}_{delivery.no}"


def delivery_id(delivery: Delivery) -> str:
    """The delivery's id, the same for every try and another one for a replay: a UUID (version 8)."""
    value = int.from_bytes(_digest(delivery)[:16], "big") & ~(0xF << 76) & ~(0x3 << 62)
    return str(UUID(int=value | 0x8 << 76 | 0x2 << 62))


def judge(
    delivery: Delivery, answer: Answer, now: float, policy: WebhookPolicy
) -> tuple[DeliveryState, float]:
    """What becomes of the delivery, and when it is tried again."""
    if answer.good:
        return "delivered", now
    if delivery.tries >= len(policy.pauses) or answer.status == GONE:
        return "dead", now
    digest = _digest(delivery, delivery.tries)
    chance = int.from_bytes(digest[16:20], "big") / 2**32
    pause = policy.pauses[delivery.tries] * (1 + _SPREAD * (2 * chance - 1))
    asked = min(answer.retry_after or 0.0, policy.longest_wait)
    return "waiting", now + max(pause, asked)


def why_disabled(endpoint: Endpoint, answer: Answer, now: float, policy: WebhookPolicy) -> str:
    """Why the endpoint is not to be asked any more; empty while it is."""
    if answer.status == GONE:
        return "gone"
    since = endpoint.failing_since
    lasting = since is not None and now - since >= policy.give_up_time
    return "failing" if lasting and endpoint.failures >= policy.give_up_after else ""


def _digest(delivery: Delivery, *more: int) -> bytes:
    parts = (delivery.endpoint, delivery.subject, delivery.no, delivery.replays, *more)
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=20).digest()
