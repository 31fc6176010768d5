"""What the simulated providers really did: jobs, calls and bills. The oracle's witness from outside.

A job's life is decided when it is taken: when it ends, and how. Its state is a function of the time, so
nothing has to run in the background. Nobody but the world writes here, and the product never reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENDS = ("succeeded", "failed", "moderated", "account", "canceled", "expired")


@dataclass(slots=True)
class Job:
    """One job that a provider took. `deaf`: it acknowledges a cancel and goes on."""

    id: str
    provider: str
    kind: str
    attempt: str
    created: float
    ends: float
    end: str
    count: int
    cost: int
    body: Mapping[str, Any]
    deaf: bool = False
    empty: float = 0.0  # a success shows no output for so many seconds
    canceled: float | None = None
    erased: bool = False  # nobody can ask for it any more
    edition: int = 0  # of its results' addresses: older ones lead nowhere
    unseen: bool = False  # not yet in the provider's own list
    lies: set[str] = field(default_factory=set)  # answers that its provider has given against the truth

    def state(self, now: float) -> str:
        if self.canceled is not None and now >= self.canceled:
            return "canceled"
        return self.end if now >= self.ends else "running"

    def queued(self, share: float) -> float:
        """Until when it waits for its turn."""
        return self.created + share * min(self.ends - self.created, 10.0)

    @property
    def ended(self) -> float:
        return self.ends if self.canceled is None else self.canceled


@dataclass(slots=True)
class Post:
    """One paid call that left us. `arrived`: the provider read it, perhaps long after we gave it up."""

    attempt: str
    provider: str
    sent: float
    arrived: float | None = None
    job: str | None = None


@dataclass(slots=True)
class Books:
    """All calls and jobs of one world."""

    billed: Mapping[str, frozenset[str]]  # per provider: the ends beside success that cost
    posts: dict[str, list[Post]] = field(default_factory=dict)  # by attempt
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    by_attempt: dict[str, list[Job]] = field(default_factory=dict)
    calls: int = 0

    def post(self, attempt: str, provider: str, now: float) -> Post:
        post = Post(attempt, provider, now)
        self.posts.setdefault(attempt, []).append(post)
        return post

    def take(self, job: Job) -> Job:
        self.jobs[job.provider, job.id] = job
        self.by_attempt.setdefault(job.attempt, []).append(job)
        return job

    def of_provider(self, provider: str) -> list[Job]:
        return [job for (name, _), job in self.jobs.items() if name == provider]

    def bill(self, job: Job, now: float = math.inf) -> int:
        """What the provider charges for a job that has ended by now: micro-credits."""
        state = job.state(now)
        word = {"moderated": "moderation", "account": "failed"}.get(state, state)
        if state == "succeeded" or word in self.billed[job.provider]:
            return job.cost
        return 0


def picture(job_id: str, index: int) -> bytes:
    """The bytes of a result: a PNG's beginning and end, and whose it is."""
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x08\x00\x00\x00\x08\x08\x02\x00\x00\x00"
    return head + f"{job_id}/{index}".encode().ljust(40, b".") + b"\x00\x00\x00\x00IEND\xaeB`\x82"
