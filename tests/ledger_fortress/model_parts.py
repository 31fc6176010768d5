"""What the model's ledger is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Bucket:
    source: str | None
    priority: int
    expires: int
    age: int
    starts: int = 0
    free: int = 0
    held: int = 0
    roll: tuple[int, int] | None = None

    def order(self) -> tuple[int, int, int]:
        return self.priority, self.expires, self.age


Parts = list[tuple[Bucket | None, int]]


@dataclass
class Member:
    cap: int | None
    window: int
    start: int
    token: int
    spent: int = 0
    held: int = 0


@dataclass
class Hold:
    amount: int
    deadline: int
    on_timeout: str
    parts: Parts
    state: str = "open"
    charged: int = 0
    refunded: int = 0
    born: int = 0
    counted: tuple[Member, int] | None = None
    owed_as: tuple[str | None, int, int] = ("refund", 0, 0)


@dataclass
class Account:
    status: str = "open"
    debt: int = 0
    buckets: list[Bucket] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    answers: dict[str, tuple[Any, str]] = field(default_factory=dict)
    grants: dict[str, tuple[Bucket, int]] = field(default_factory=dict)
    members: dict[str | None, Member] = field(default_factory=dict)
    alerts: dict[str, tuple[str, int, int, bool]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    @property
    def available(self) -> int:
        return sum(bucket.free for bucket in self.buckets if not bucket.starts)

    @property
    def held(self) -> int:
        return sum(bucket.held for bucket in self.buckets)
