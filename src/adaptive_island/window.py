"""Memories that fade, made of numbers that are only ever added to.

A memory with half-life h weighs an event of age a by 2^(-a/h). Instead of shrinking the sums again and
again, an event is *added* with the weight 2^((t - L)/h), L being the landmark (the start of the epoch it
falls in), and a reader multiplies the whole sum by 2^(-(now - L)/h). Writers therefore need nothing but
addition, which any store has, and the order in which they add does not matter. A single landmark for ever
would overflow a double after 1,024 half-lives (14 days at 20 minutes); an epoch is 12 half-lives long, so
that no weight exceeds 4,096, and what is older than the epoch before the current one weighs less than
1/4,096 and is forgotten.

(Forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

EPOCH = 12.0  # half-lives


class Sums(NamedTuple):
    """What is known about one provider at one class of work: weighted sums, all additive.

    Attempts with a verdict, successes, timed successes, their log seconds, the squares of these, seconds
    until failure, cost of priced successes in micro-credits, priced successes.
    """

    tried: float = 0.0
    won: float = 0.0
    timed: float = 0.0
    log: float = 0.0
    square: float = 0.0
    wasted: float = 0.0
    cost: float = 0.0
    priced: float = 0.0


WIDTH = len(Sums._fields)
NOTHING = Sums()


def epoch(half_life: float, at: float) -> int:
    """The epoch that the moment `at` falls in."""
    return int(at // (EPOCH * half_life))


def rescale(half_life: float, number: int, now: float) -> float:
    """What a sum of epoch `number` is multiplied by when it is read at `now`; 0 where it is out of sight.

    A sum that lies in the future of `now` (a clock was set back) is at most one epoch away and is read as
    if it were written now, or it is not read at all.
    """
    length = EPOCH * half_life
    age = now - number * length
    if age >= 2 * length or age < -length:
        return 0.0
    return float(2.0 ** (-max(age, 0.0) / half_life))


def live(half_life: float, now: float) -> tuple[int, int]:
    """The two epochs that a reader at `now` needs, newest first."""
    current = epoch(half_life, now)
    return current, current - 1


def total(half_life: float, now: float, epochs: Iterable[tuple[int, Sequence[float]]]) -> Sums:
    """The faded sums at `now` over all epochs given as (number, sums)."""
    result = [0.0] * WIDTH
    for number, sums in epochs:
        factor = rescale(half_life, number, now)
        if factor:
            for position, value in enumerate(sums):
                result[position] += factor * value
    return Sums(*result)
