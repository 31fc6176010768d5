"""Frozen peers of the routing benchmark: other ways to choose among providers.

Each is our own re-writing from a description of its rules, fed with the same feedback as the island. Do not
improve this file: it is a yardstick.
"""

from __future__ import annotations

import random
from collections import deque


class Static:
    """The caller's order, for ever."""

    def __init__(self, names: str, seed: int) -> None:
        self.names = tuple(names)

    def asked(self, work: str, eligible: tuple[str, ...]) -> None:
        """It does not tell one kind of request from another."""

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        return self.names

    def start(self, name: str, now: float) -> object | None:
        return name

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        return


class Gold(Static):
    """A batch score over the last 24 hours: success - 0.5 wasted - 0.3 p95/max p95, exported now and then.

    Providers without an attempt in the window are not served, as its documentation intends. Before the first
    export the caller's order is used.
    """

    every = 24 * 3_600.0

    def __init__(self, names: str, seed: int) -> None:
        super().__init__(names, seed)
        self._log: deque[tuple[float, str, bool, float]] = deque()
        self._ranking: tuple[str, ...] = ()
        self._next = self.every

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        if now >= self._next:
            self._next += self.every * (1 + (now - self._next) // self.every)
            self._export(now)
        return self._ranking or self.names

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        self._log.append((now, name, success, seconds))

    def _export(self, now: float) -> None:
        while self._log and self._log[0][0] < now - 24 * 3_600.0:
            self._log.popleft()
        seen: dict[str, list[tuple[bool, float]]] = {}
        for _at, name, success, seconds in self._log:
            seen.setdefault(name, []).append((success, seconds))
        slow = {name: _p95([seconds for _ok, seconds in rows]) for name, rows in seen.items()}
        most = max(slow.values(), default=1.0)
        scores = {}
        for name, rows in seen.items():
            rate = sum(ok for ok, _seconds in rows) / len(rows)
            scores[name] = rate - 0.5 * (1.0 - rate) - 0.3 * slow[name] / most
        self._ranking = tuple(sorted(scores, key=scores.__getitem__, reverse=True))


class GoldHourly(Gold):
    """The same, exported each hour."""

    every = 3_600.0


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


class LatencyCooldown(Static):
    """Lowest mean of the last 10 success latencies first, unknown ones as 0, everything forgotten each hour;
    60 s of cooldown when more than half of at least 5 requests of the current minute failed."""

    def __init__(self, names: str, seed: int) -> None:
        super().__init__(names, seed)
        self._latencies: dict[str, deque[float]] = {}
        self._reset = 3_600.0
        self._minute: dict[str, tuple[int, int, int]] = {}
        self._cooling: dict[str, float] = {}
        self._random = random.Random(3_000 + seed)

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        if now >= self._reset:
            self._reset = now + 3_600.0
            self._latencies.clear()
        names = list(self.names)
        self._random.shuffle(names)
        names.sort(key=self._mean)
        ready = [name for name in names if self._cooling.get(name, 0.0) <= now]
        return tuple(ready or names)

    def _mean(self, name: str) -> float:
        known = self._latencies.get(name)
        return sum(known) / len(known) if known else 0.0

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        if success:
            self._latencies.setdefault(name, deque(maxlen=10)).append(seconds)
        minute, total, failed = self._minute.get(name, (0, 0, 0))
        if minute != int(now // 60):
            minute, total, failed = int(now // 60), 0, 0
        total, failed = total + 1, failed + (not success)
        self._minute[name] = (minute, total, failed)
        if total >= 5 and failed > total / 2:
            self._cooling[name] = now + 60.0


class Thompson(Static):
    """Discounted Thompson sampling on the expected net value per success: Beta for the success, a faded
    mean for the seconds, half-life 20 minutes over a 24 h memory as prior; prices known."""

    def __init__(self, names: str, seed: int) -> None:
        super().__init__(names, seed)
        self._random = random.Random(3_000 + seed)
        self._fast = {name: [0.0, 0.0, 0.0, 0.0] for name in names}
        self._slow = {name: [0.0, 0.0, 0.0, 0.0] for name in names}
        self._at = 0.0

    def _fade(self, now: float) -> None:
        span, self._at = now - self._at, now
        for memory, half_life in ((self._fast, 1_200.0), (self._slow, 86_400.0)):
            factor = 0.5 ** (span / half_life)
            for sums in memory.values():
                for i in range(4):
                    sums[i] *= factor

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        self._fade(now)
        for memory in (self._fast, self._slow):
            sums = memory[name]
            sums[0] += 1.0
            sums[1] += success
            sums[2] += seconds if success else 0.0
            sums[3] += 0.0 if success else seconds

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        self._fade(now)
        scores = {name: self._draw(name, costs[name]) for name in self.names}
        return tuple(sorted(self.names, key=scores.__getitem__, reverse=True))

    def _chance(self, won: float, lost: float) -> float:
        return self._random.betavariate(won, lost)

    def _draw(self, name: str, dollars: float) -> float:
        n, won, waited, lost = self._slow[name]
        usual = (0.95 * 3 + won) / (3 + n)
        seconds = (10.0 + waited) / (1.0 + won)
        failure = (2.0 + lost) / (1.0 + n - won)
        n, won, waited, _lost = self._fast[name]
        seconds = (4 * seconds + waited) / (4 + won)
        p = max(0.01, self._chance(4 * usual + won + 0.05, 4 * (1 - usual) + n - won + 0.05))
        value = 1.0 - 0.3 * seconds / 60.0 - 0.2 * dollars / 0.05
        return value - (0.10 + 0.3 * failure / 60.0) * (1.0 - p) / p


class MeanProbes(Thompson):
    """The same two memories, served by the expected index without any optimism; up to three requests in a
    hundred go first to the provider that was asked the longest time ago."""

    share = 0.03

    def __init__(self, names: str, seed: int) -> None:
        super().__init__(names, seed)
        self._tokens = 0.0
        self._asked = dict.fromkeys(names, 0.0)

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        self._tokens = min(1.0, self._tokens + self.share)
        ranked = super().order(now, costs)
        oldest = min(self.names, key=self._asked.__getitem__)
        if self._tokens >= 1.0 and ranked[0] != oldest:
            self._tokens -= 1.0
            ranked = (oldest, *(name for name in ranked if name != oldest))
        self._asked[ranked[0]] = now
        return ranked

    def _chance(self, won: float, lost: float) -> float:
        return won / (won + lost)
