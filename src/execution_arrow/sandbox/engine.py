"""The sandbox without HTTP: jobs, faults, calls and bills as functions of a seed and of given times.

Nothing here reads a clock, draws a random number or waits. The same seed and the same calls at the same
times give the same ids, the same faults and the same bills, so a simulator can drive it in virtual time.
An engine is not locked; whoever shares one between threads holds a lock.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from execution_arrow.sandbox.faults import Fault, FaultBook, chance
from execution_arrow.sandbox.prices import PriceList
from execution_arrow.sandbox.work import Bill, Job, Order, Received, State, Timing

_ENDS = {"job_fails": State.FAILED, "moderation": State.MODERATED}


class Canceling(StrEnum):
    """What a cancel came to."""

    DONE = "done"
    IGNORED = "ignored"  # acknowledged, the job goes on
    TOO_LATE = "too_late"
    RUNNING = "running"  # refused, because only queued jobs can be canceled
    UNKNOWN = "unknown"


class Engine:
    """All providers' jobs and books. `now` never goes backwards within one engine."""

    def __init__(
        self, *, seed: int = 0, timing: Timing | None = None, prices: PriceList | None = None
    ) -> None:
        self.seed = seed
        self.timing = timing or Timing()
        self.prices = prices or PriceList()
        self.faults = FaultBook(seed)
        self._jobs: dict[tuple[str, str], Job] = {}
        self._calls: list[Received] = []
        self._taken: dict[str, int] = {}  # the last job's number per provider
        self._references: dict[tuple[str, str], str | None] = {}

    # --- calls --------------------------------------------------------------------------------------------

    def receive(self, provider: str, method: str, path: str, *, reference: str | None, now: float) -> int:
        """Write down a call that arrived. Returns its number, for `note`."""
        number = len(self._calls)
        self._calls.append(
            Received(
                number=number,
                at=now,
                provider=provider,
                method=method,
                path=path,
                on="other",
                reference=reference,
            )
        )
        return number

    def note(self, call: int, **changes: object) -> None:
        """Add what became known about a call: `on`, `model`, `job`, `webhook`, `fault`, `status`."""
        self._calls[call] = replace(self._calls[call], **changes)  # type: ignore[arg-type]

    def call(self, number: int) -> Received:
        """One call by its number."""
        return self._calls[number]

    def strike(self, provider: str, on: str, model: str | None, call: int) -> Fault | None:
        """The fault this call meets, noted in the book of calls."""
        fault = self.faults.strike(provider, on, model)
        if fault is not None:
            self.note(call, fault=fault.kind)
        return fault

    # --- jobs ---------------------------------------------------------------------------------------------

    def accept(self, order: Order, fault: Fault | None, *, call: int, now: float) -> Job:
        """Take a job and decide its life."""
        number = self._taken[order.provider] = self._taken.get(order.provider, -1) + 1
        kind = fault.kind if fault else ""
        extra = fault.duration if fault else 0.0
        run = self._drawn(order, order.kind, number) + (extra if kind in ("slow", "late") else 0.0)
        starts = now + self._drawn(order, "queue", number) + (extra if kind == "queued" else 0.0)
        job = Job(
            id=self._name(order.provider, number, now),
            number=number,
            order=order,
            created=now,
            starts=starts,
            ends=math.inf if kind == "never_finishes" else starts + run,
            run=run,
            end=_ENDS.get(kind, State.SUCCEEDED),
            fault=kind or None,
            stubborn=kind == "late",
            empty=kind == "no_output",
            dead_for=extra if kind == "dead_link" else 0.0,
        )
        job = _with_deadlines(job)
        if order.problem is not None:
            job = replace(job, ends=starts, end=State.INVALID)
        self._jobs[order.provider, job.id] = job
        self._references[order.provider, job.id] = self._calls[call].reference
        self.note(call, job=job.id, model=order.model, webhook=order.webhook)
        return job

    def job(self, provider: str, job: str, *, erased: bool = False) -> Job | None:
        """A job by id; an erased one is gone, as it is at the provider, unless it is asked for."""
        found = self._jobs.get((provider, job))
        return None if found is None or (found.erased and not erased) else found

    def latest(self, job: Job) -> Job:
        """The job as it is now, erased or not."""
        return self._jobs[job.provider, job.id]

    def cancel(self, provider: str, job: str, *, now: float, queued_only: bool = False) -> Canceling:
        found = self.job(provider, job)
        if found is None:
            return Canceling.UNKNOWN
        state = found.state(now)
        if state.ended:
            return Canceling.TOO_LATE
        if found.stubborn:
            return Canceling.IGNORED
        if queued_only and state is State.RUNNING:
            return Canceling.RUNNING
        self._jobs[provider, job] = replace(found, canceled=now)
        return Canceling.DONE

    def erase(self, provider: str, job: str) -> None:
        """Forget a job's record; what it cost stays in the bill book."""
        self._jobs[provider, job] = replace(self._jobs[provider, job], erased=True)

    # --- books --------------------------------------------------------------------------------------------

    def jobs(self, provider: str | None = None) -> tuple[Job, ...]:
        """In the order of acceptance, the erased ones too."""
        return tuple(job for job in self._jobs.values() if provider in (None, job.provider))

    def calls(self, provider: str | None = None) -> tuple[Received, ...]:
        return tuple(call for call in self._calls if provider in (None, call.provider))

    def bills(self, now: float, provider: str | None = None) -> tuple[Bill, ...]:
        """The bill of each job that has ended by `now`, in the order of their ends."""
        drawn = (
            self.prices.bill(job, now, self._references[job.provider, job.id]) for job in self.jobs(provider)
        )
        return tuple(
            sorted((bill for bill in drawn if bill is not None), key=lambda bill: (bill.at, bill.job))
        )

    def trace(self, now: float) -> str:
        """A digest of everything that happened: equal traces, equal runs."""
        lines: Iterable[object] = (*self._calls, *self._jobs.values(), *self.bills(now))
        return hashlib.sha256("\n".join(map(repr, lines)).encode()).hexdigest()

    # --- draws --------------------------------------------------------------------------------------------

    def _drawn(self, order: Order, what: str, number: int) -> float:
        spread = 1 + self.timing.jitter * (2 * chance(self.seed, order.provider, what, number) - 1)
        return float(getattr(self.timing, what)) * spread

    def _name(self, provider: str, number: int, now: float) -> str:
        # the time is part of it: two runs with one seed must not give a user's store the same job twice
        digest = hashlib.sha256(f"{self.seed}|{provider}|{number}|{now!r}".encode()).digest()
        return _NAMES.get(provider, _uuid)(digest, now)


def _with_deadlines(job: Job) -> Job:
    order = job.order
    limits = [seconds for seconds in (order.start_within, order.done_within) if seconds is not None]
    if job.stubborn or not limits:
        return job
    if job.starts > job.created + min(limits):
        return replace(job, starts=math.inf, ends=job.created + min(limits), end=State.ABORTED)
    if order.done_within is not None and job.ends > job.created + order.done_within:
        return replace(job, ends=job.created + order.done_within, end=order.overdue)
    return job


def _uuid(digest: bytes, now: float) -> str:
    text = digest[:16].hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _letters(digest: bytes, now: float) -> str:
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[byte % 32] for byte in digest[:26])


def _dated(digest: bytes, now: float) -> str:
    return f"cgt-{datetime.fromtimestamp(now, UTC):%Y%m%d%H%M%S}-{_letters(digest, now)[:8]}"


def _clip(digest: bytes, now: float) -> str:
    return f"video_{digest[:16].hex()}"


_NAMES: Mapping[str, Callable[[bytes, float], str]] = {
    "byteplus": _dated, "openai": _clip, "replicate": _letters
}  # fmt: skip
