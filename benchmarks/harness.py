"""Timing that survives a busy machine, and the one format in which benchmarks report.

Two candidates timed one after the other measure the machine's mood as much as the code. Here every round
runs each candidate once, in a rotating order, so that a slow second hits all of them alike; what is compared
is the ratio of the medians; the worst single round stands beside it, so that nothing hides behind a median.

A report is one JSON object per line. `holds` is true or false for a figure with a target and null for a
figure that is only context (an absolute time says more about the machine than about the code).
`Report.finish()` exits non-zero when a target does not hold, and when nothing was measured, because an empty
run proves nothing.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TextIO

__all__ = ["Comparison", "Report", "Rounds", "interleave"]


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds per operation of each candidate, one figure per round, run side by side."""

    seconds: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        """Return the median seconds per operation of one candidate."""
        return statistics.median(self.seconds[name])

    def compare(self, ours: str, peer: str) -> "Comparison":
        """Say how many times faster `ours` is than `peer`: 2.0 is twice as fast, below 1.0 is slower."""
        pairs = zip(self.seconds[peer], self.seconds[ours], strict=True)
        return Comparison(
            ours=ours,
            peer=peer,
            speedup=self.median(peer) / self.median(ours),
            lowest=min(theirs / mine for theirs, mine in pairs),
            rounds=len(self.seconds[ours]),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How `ours` did against `peer`: the ratio of the medians, and the lowest ratio seen in any one round."""

    ours: str
    peer: str
    speedup: float
    lowest: float
    rounds: int


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    operations: int | Mapping[str, int] = 1,
    warmup: int = 1,
    timer: Callable[[], float] = time.perf_counter,
) -> Rounds:
    """Run every candidate once per round, in a rotating order, and return seconds per operation.

    A candidate is a callable without arguments that performs `operations` operations (one number for all, or
    one per candidate) on data prepared beforehand. The collector is off while a candidate runs and is run in
    between, so that nobody pays for another's garbage. Raises `ValueError` on no candidates or no rounds.
    """
    if not candidates or rounds < 1:
        raise ValueError("interleave needs at least one candidate and one round")
    names = list(candidates)
    per_call = operations if isinstance(operations, Mapping) else dict.fromkeys(names, operations)
    for _ in range(warmup):
        for name in names:
            candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(_timed(candidates[name], timer) / per_call[name])
    return Rounds({name: tuple(figures) for name, figures in seconds.items()})


def _timed(candidate: Callable[[], object], timer: Callable[[], float]) -> float:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = timer()
        candidate()
        return timer() - start
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class Report:
    """Prints figures as JSON lines and remembers whether every target held."""

    benchmark: str
    out: TextIO | None = None
    failed: list[str] = field(default_factory=list)
    lines: int = 0

    def at_least(
        self, metric: str, value: float, target: float, *, peer: str | None, unit: str, **more: object
    ) -> None:
        """Print a figure that must be `target` or more."""
        self._line(metric, value, ("at least", target), value >= target, peer, unit, more)

    def at_most(
        self, metric: str, value: float, target: float, *, peer: str | None, unit: str, **more: object
    ) -> None:
        """Print a figure that must be `target` or less."""
        self._line(metric, value, ("at most", target), value <= target, peer, unit, more)

    def faster(self, metric: str, comparison: Comparison, target: float, **more: object) -> None:
        """Print how many times faster than its peer something is, which must be at least `target`."""
        facts = {"lowest_round": _rounded(comparison.lowest), "rounds": comparison.rounds, **more}
        self.at_least(metric, comparison.speedup, target, peer=comparison.peer, unit="x", **facts)

    def context(
        self, metric: str, value: float, *, unit: str, peer: str | None = None, **more: object
    ) -> None:
        """Print a figure that nobody is held to, such as an absolute time on this machine."""
        self._line(metric, value, None, None, peer, unit, more)

    def finish(self) -> NoReturn:
        """Exit with 0 when every target held, else with 1 and the missed metrics on stderr."""
        if self.failed or not self.lines:
            reason = ", ".join(self.failed) or "nothing was measured"
            print(f"{self.benchmark}: missed: {reason}", file=sys.stderr)
            raise SystemExit(1)
        raise SystemExit(0)

    def _line(
        self,
        metric: str,
        value: float,
        target: tuple[str, float] | None,
        holds: bool | None,
        peer: str | None,
        unit: str,
        more: Mapping[str, object],
    ) -> None:
        self.lines += 1
        if holds is False:
            self.failed.append(metric)
        bound, limit = target or (None, None)
        line = {"benchmark": self.benchmark, "metric": metric, "value": _rounded(value), "unit": unit}
        line |= {"target": limit, "bound": bound, "holds": holds, "peer": peer, **more}
        print(json.dumps(line), file=self.out or sys.stdout, flush=True)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if isinstance(value, float) else value
