"""What a team decides about doubt, lateness and money.

A policy is frozen into each generation when it is created; changing it changes only later ones. All
times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How far to go for a result, and what to do when nobody can say what happened.

    `on_unknown`: after a submit whose answer was lost, and `unknown_patience` seconds of looking for it,
    ask another provider (`failover`: possibly paying twice for one result, never charging the customer
    twice), keep looking until the generation's deadline (`wait`), or give the credits back (`fail`).
    `unknown_patience=None` means 60 s where the provider can be asked or calls back, else 0.
    """

    on_unknown: Literal["failover", "wait", "fail"] = "failover"
    unknown_patience: float | None = None
    max_unknown_per_generation: int = 1
    on_overdue: Literal["failover", "wait"] = "failover"
    attempt_deadline: float | None = None  # None = the provider's default for the kind
    generation_deadline: float | None = None  # None = twice the longest attempt deadline
    retry_here_within: float = 5.0  # a Retry-After up to this long is worth waiting for
    retries_here: int = 2  # further tries at the same provider after `not_sent` or "come back"
    cancel_patience: float = 15.0  # a successor waits this long for a cancel's answer
    empty_patience: float = 60.0  # a success without outputs is asked again for this long
    collect_deadline: float = 900.0  # results must be ours by then
    write_off_after: float = 72 * 3600.0
    charge_on_cancel: bool = False  # off: a canceled generation is never paid
    charge_on_moderation: bool = False  # off: a refused one neither

    def __post_init__(self) -> None:
        for name in (
            "retry_here_within",
            "cancel_patience",
            "empty_patience",
            "collect_deadline",
            "write_off_after",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Policy.{name} must be 0 or more seconds, not {getattr(self, name)!r}")
        for name in ("unknown_patience", "attempt_deadline", "generation_deadline"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"Policy.{name} must be None or 0 or more seconds, not {value!r}")
        if self.on_unknown not in ("failover", "wait", "fail"):
            raise ValueError(
                f"Policy.on_unknown must be 'failover', 'wait' or 'fail', not {self.on_unknown!r}"
            )
        if self.on_overdue not in ("failover", "wait"):
            raise ValueError(f"Policy.on_overdue must be 'failover' or 'wait', not {self.on_overdue!r}")
