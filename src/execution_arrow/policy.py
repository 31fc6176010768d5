"""What a team decides about doubt, lateness and money.

A policy is frozen into each generation when it is created; changing it changes only later ones. All
times are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

_CHOICES = {"on_unknown": ("failover", "wait", "fail"), "on_overdue": ("failover", "wait")}
_SECONDS = ("retry_here_within", "cancel_patience", "empty_patience", "collect_deadline", "write_off_after")
_SECONDS_OR_NONE = ("unknown_patience", "attempt_deadline", "generation_deadline", "hedge_after")
_COUNTS = ("max_unknown_per_generation", "retries_here")
_SWITCHES = ("charge_on_cancel", "charge_on_moderation", "keep_discarded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How far to go for a result, and what to do when nobody can say what happened.

    `on_unknown`: after a submit whose answer was lost, and `unknown_patience` seconds of looking for it,
    ask another provider (`failover`: possibly paying twice for one result, never charging the customer
    twice), keep looking until the generation's deadline (`wait`), or give the credits back (`fail`).
    `unknown_patience=None` means 60 s where the provider can be asked or calls back, else 0.

    `hedge_after`: ask a second provider beside one that runs for that long already. Only where both cancel
    for free and nothing is in doubt; what it costs is the operator's, the hold stays as it is. None = never.

    Raises `ValueError` or `TypeError` with the field that is wrong.
    """

    on_unknown: Literal["failover", "wait", "fail"] = "failover"
    unknown_patience: float | None = None
    max_unknown_per_generation: int = 1
    on_overdue: Literal["failover", "wait"] = "failover"
    attempt_deadline: float | None = None  # None = the provider's default for the kind
    generation_deadline: float | None = None  # None = twice the longest attempt deadline
    hedge_after: float | None = None
    retry_here_within: float = 5.0  # a Retry-After up to this long is worth waiting for
    retries_here: int = 2  # further tries at the same provider after `not_sent` or "come back"
    cancel_patience: float = 15.0  # a successor waits this long for a cancel's answer
    empty_patience: float = 60.0  # a success without outputs is asked again for this long
    collect_deadline: float = 900.0  # results must be ours by then
    write_off_after: float = 72 * 3600.0  # an attempt that nothing resolves is given up after this
    charge_on_cancel: bool = False  # on: a canceled generation pays for what its provider bills for
    charge_on_moderation: bool = False  # on: a refused one too
    keep_discarded: bool = False  # on: results that came too late are copied like any other

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                self._refuse(name, " or ".join(map(repr, allowed)))
        for name in _SECONDS:
            if not _is_seconds(getattr(self, name)):
                self._refuse(name, "0 or more seconds")
        for name in _SECONDS_OR_NONE:
            value = getattr(self, name)
            if value is not None and not _is_seconds(value):
                self._refuse(name, "None or 0 or more seconds")
        for name in _COUNTS:
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                self._refuse(name, "a whole number, 0 or more")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                self._refuse(name, "True or False")

    def _refuse(self, name: str, wanted: str) -> None:
        value = getattr(self, name)
        kind = TypeError if not isinstance(value, str | int | float) else ValueError
        raise kind(f"Policy.{name} must be {wanted}, not {value!r}")


def _is_seconds(value: Any) -> bool:
    """A time that JSON can write: finite, and not a truth value."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and math.isfinite(value)
    )
