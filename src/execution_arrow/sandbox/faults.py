"""What may go wrong, as data.

A fault strikes calls to one provider: every one of them, the first few, those from the n-th on, those of
one model, or a share of them. Which ones a share hits is a function of the seed and of the call's number,
never of a global random generator, so the same seed and the same calls meet the same faults.
"""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass, fields

#: every kind with what a caller sees; the providers say each in their own words
KINDS = {
    "down": "nobody listens: connection refused (or reset before reading, where the port is shared)",
    "queued": "the job starts `seconds` later",
    "slow": "the job takes `seconds` longer",
    "delay": "the answer takes `seconds` longer",
    "rate_limited": "429 with Retry-After: `seconds`",
    "server_error": "500, nothing accepted",
    "no_credit": "400, 402, 403 or 429, as the provider says that the account has no money",
    "lost_reply": "accepted and billed, then the connection closes without an answer",
    "job_fails": "accepted, then failed",
    "moderation": "refused or failed because of the content",
    "never_finishes": "accepted, then running for ever; a cancel works",
    "late": "accepted, ends `seconds` late and ignores a cancel",
    "no_output": "succeeded without a result, and billed",
    "dead_link": "succeeded; addresses of the result that are told within `seconds` of that lead nowhere",
}
SECONDS = {"queued": 5.0, "slow": 5.0, "delay": 5.0, "rate_limited": 1.0, "late": 60.0, "dead_link": 1.0}
PLACES = ("submit", "poll", "result", "cancel", "any")
#: kinds that change an answer and not a job: the only ones that make sense on a poll or a cancel
ANSWERS = frozenset({"down", "delay", "rate_limited", "server_error", "lost_reply"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at a provider.

    `times` strikes, after `after` matching calls went through, each with `probability`; only for the native
    `model` if one is named; on the calls named by `on` (`submit`, `poll`, `result`, `cancel` or `any`).
    `seconds` belongs to the kinds of `SECONDS`. Raises `ValueError` for anything that cannot happen.
    """

    kind: str
    _: KW_ONLY
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    model: str | None = None
    on: str = "submit"
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")
        if self.on not in PLACES:
            raise ValueError(f"a fault strikes on one of {', '.join(PLACES)}, not on {self.on!r}")
        if self.on != "submit" and self.kind not in ANSWERS:
            raise ValueError(f"{self.kind!r} is about a job, so it strikes on 'submit', not on {self.on!r}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got {self.probability!r}")
        if (self.times is not None and self.times < 1) or self.after < 0 or (self.seconds or 0) < 0:
            raise ValueError("times is at least 1; after and seconds are not negative")

    @property
    def duration(self) -> float:
        """`seconds`, or the default of the kind."""
        return SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    @property
    def is_outage(self) -> bool:
        """Whether the whole provider is down for everybody, so that its port can be closed."""
        return self.kind == "down" and (self.times, self.after, self.probability, self.model) == (
            None,
            0,
            1.0,
            None,
        )


_READERS = {"times": int, "after": int, "probability": float, "model": str, "on": str, "seconds": float}
assert set(_READERS) == {f.name for f in fields(Fault)} - {"kind", "_"}


def parse_fault(text: str) -> tuple[str, Fault]:
    """Read `provider=kind[:probability][,name=value...]`, as in `fal=lost_reply:0.1,times=2`.

    Raises `ValueError` with the part that cannot be read.
    """
    provider, equals, rest = text.partition("=")
    head, *options = rest.split(",")
    kind, colon, share = head.partition(":")
    if not (provider and equals and kind):
        raise ValueError(
            f"cannot read the fault {text!r}; write provider=kind[:probability][,times=1][,seconds=2]"
        )
    values: dict[str, object] = {}
    for option in [f"probability={share}", *options] if colon else options:
        name, _, value = option.partition("=")
        if name not in _READERS:
            raise ValueError(f"a fault has no {name!r} in {text!r}; it has: {', '.join(_READERS)}")
        try:
            values[name] = _READERS[name](value)
        except ValueError:
            raise ValueError(f"cannot read {name}={value!r} in the fault {text!r}") from None
    return provider, Fault(kind, **values)  # type: ignore[arg-type]


def chance(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone: the sandbox's only randomness."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class FaultBook:
    """The faults that are on, and how often each has struck. Strikes are decided in the order of arrival."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._entries: dict[str, list[_Entry]] = {}
        self._number = 0

    def add(self, provider: str, fault: Fault) -> None:
        self._number += 1
        self._entries.setdefault(provider, []).append(_Entry(fault, self._number))

    def heal(self, provider: str, kind: str | None = None) -> None:
        """Remove the provider's faults, or those of one kind."""
        kept = [e for e in self._entries.get(provider, ()) if kind is not None and e.fault.kind != kind]
        self._entries[provider] = kept

    def outage(self, provider: str) -> bool:
        return any(e.fault.is_outage for e in self._entries.get(provider, ()))

    def active(self, provider: str) -> tuple[Fault, ...]:
        return tuple(e.fault for e in self._entries.get(provider, ()) if not e.spent)

    def strike(self, provider: str, on: str, model: str | None) -> Fault | None:
        """The fault that this call meets, if any: the first of the provider's faults that fires."""
        for entry in self._entries.get(provider, ()):
            if entry.fires(self._seed, provider, on, model):
                return entry.fault
        return None


class _Entry:
    __slots__ = ("fault", "number", "seen", "struck")

    def __init__(self, fault: Fault, number: int) -> None:
        self.fault, self.number, self.seen, self.struck = fault, number, 0, 0

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def fires(self, seed: int, provider: str, on: str, model: str | None) -> bool:
        fault = self.fault
        if fault.on not in (on, "any") and not fault.is_outage:
            return False
        if self.spent or (fault.model is not None and fault.model != model):
            return False
        self.seen += 1
        if self.seen <= fault.after:
            return False
        if (
            fault.probability < 1
            and chance(seed, provider, self.number, fault.kind, self.seen) >= fault.probability
        ):
            return False
        self.struck += 1
        return True
