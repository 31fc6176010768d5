"""Verdicts on their way into sums.

What is new about one lane is collected here and added to the counters before anybody reads them. One attempt
adds an item to a list; the arithmetic is done for some verdicts at a time, in local variables, because it
stands on the way of every attempt.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from math import exp2, log
from operator import add, mul

from .window import EPOCH, WIDTH, epoch

Verdict = tuple[float, bool, float, "int | None"]  # moment, whether it delivered, seconds, cost
WAITING_MOST = 32  # verdicts of one lane
LEAST = 1e-3  # seconds; what took less is taken to have taken as long


class Tally:
    """What is new about one lane within one epoch of each memory: from `begin` up to `end`. `fast` and `slow`
    are its weighted sums, when nothing is `waiting`; `last` is the latest moment among them."""

    __slots__ = (
        "_half_lives",
        "begin",
        "end",
        "fast",
        "last",
        "numbers",
        "slow",
        "starts",
        "waiting",
        "work",
    )

    def __init__(self, half_lives: tuple[float, float], work: str, at: float) -> None:
        self._half_lives = half_lives
        lengths = [EPOCH * half_life for half_life in half_lives]
        self.numbers = [epoch(half_life, at) for half_life in half_lives]
        self.starts = [*map(mul, self.numbers, lengths)]
        self.begin, self.end = max(self.starts), min(map(add, self.starts, lengths))
        self.fast, self.slow = [0.0] * WIDTH, [0.0] * WIDTH
        self.waiting: list[Verdict] = []
        self.work, self.last = work, at

    def add_up(self) -> None:
        """Add what waits to the sums, as `window.Sums` describes them: a success to tried and won, its log
        seconds where it was timed and its cost where it was priced, a failure to tried and wasted."""
        waiting, self.waiting = self.waiting, []
        quick_start, steady_start = self.starts
        quick_life, steady_life = self._half_lives
        last = self.last
        q0, q1, q2, q3, q4, q5, q6, q7 = self.fast
        s0, s1, s2, s3, s4, s5, s6, s7 = self.slow
        for at, delivered, seconds, cost in waiting:
            q = exp2((at - quick_start) / quick_life)
            s = exp2((at - steady_start) / steady_life)
            if at > last:
                last = at
            q0 += q
            s0 += s
            if not delivered:
                q5 += q * seconds
                s5 += s * seconds
                continue
            q1 += q
            s1 += s
            if seconds > 0.0:
                logged = log(seconds if seconds > LEAST else LEAST)
                quick, steady = q * logged, s * logged
                q2 += q
                q3 += quick
                q4 += quick * logged
                s2 += s
                s3 += steady
                s4 += steady * logged
            if cost is not None:
                q6 += q * cost
                q7 += q
                s6 += s * cost
                s7 += s
        self.fast, self.slow = [q0, q1, q2, q3, q4, q5, q6, q7], [s0, s1, s2, s3, s4, s5, s6, s7]
        self.last = last
