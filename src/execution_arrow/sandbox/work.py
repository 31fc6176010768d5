"""What is ordered and what becomes of it: the values the sandbox keeps.

A job's whole life is decided when it is accepted: when it starts, when it ends and how. Its state is then
a function of the time, so nothing has to run in the background and a virtual clock is as good as a real
one. Only a cancel changes it afterwards. Times are seconds (Unix time under a real clock), `inf` is never.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a job is. The last five are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    MODERATED = "moderated"  # failed because of the content
    INVALID = "invalid"  # accepted, then refused because of its input (fal checks after queueing)
    CANCELED = "canceled"
    ABORTED = "aborted"  # the caller's own deadline passed before the start

    @property
    def ended(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file to be made. `format` is `png`, `jpeg`, `webp` or `mp4`; seconds and fps belong to clips."""

    kind: str  # "image" or "video"
    width: int
    height: int
    format: str
    seconds: float = 0.0
    fps: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An accepted submit, read from the provider's own words."""

    provider: str
    model: str  # the native id
    kind: str
    outputs: tuple[Output, ...]
    prompt: str = ""
    seed: int = 0
    native: Mapping[str, Any] = field(default_factory=dict)  # the body as it came
    references: int = 0  # input pictures
    webhook: str | None = None
    events: tuple[str, ...] = ()  # which webhook events were asked for
    start_within: float | None = None  # seconds from creation
    done_within: float | None = None
    overdue: State = State.CANCELED  # how a job ends that ran into `done_within`
    problem: Any = None  # why the input is invalid, where that is said after queueing


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One accepted job. `run` is how long it would nominally run, the base of charges by time."""

    id: str
    number: int  # per provider, from 0
    order: Order
    created: float
    starts: float
    ends: float
    end: State
    run: float
    fault: str | None = None
    stubborn: bool = False  # acknowledges a cancel and goes on
    empty: bool = False  # succeeds without a result
    dead_for: float = 0.0  # seconds after its end in which it tells addresses that lead nowhere
    erased: bool = False
    canceled: float | None = None

    @property
    def provider(self) -> str:
        return self.order.provider

    @property
    def model(self) -> str:
        return self.order.model

    @property
    def ended(self) -> float:
        """When it ends or ended; `inf` when it never will."""
        return self.ends if self.canceled is None else self.canceled

    def state(self, now: float) -> State:
        if self.canceled is not None and now >= self.canceled:
            return State.CANCELED
        if now >= self.ends:
            return self.end
        return State.QUEUED if now < self.starts else State.RUNNING

    def ran(self, now: float) -> float:
        """Seconds it ran until `now` or its end."""
        return max(0.0, min(now, self.ended) - self.starts) if math.isfinite(self.starts) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the provider charges for a job that ended: micro-credits, 0 where its rules say so."""

    provider: str
    job: str
    model: str
    state: State
    amount: int
    reason: str
    at: float
    reference: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One call that reached a provider. `status` is None when it got no answer (or has none yet)."""

    number: int
    at: float
    provider: str
    method: str
    path: str
    on: str  # submit, poll, result, cancel, list or other
    reference: str | None = None  # X-Client-Request-Id
    webhook: str | None = None
    model: str | None = None
    job: str | None = None
    fault: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take without faults, in seconds, give or take `jitter` (a share, by seed)."""

    queue: float = 0.1
    image: float = 0.4
    video: float = 1.5
    jitter: float = 0.25
