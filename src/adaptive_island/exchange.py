"""A round between an island and its store: tell, hear, read the rankings.

Only the engine's own steps run under the island's lock, in slices; whatever waits for the store does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from .cells import Sum
from .courier import Courier
from .engine import Engine
from .events import Herald
from .memo import Memo
from .policy import Policy
from .runtime import lock as new_lock
from .sharing import circuit_of, heard, reports
from .stores.base import News, RankingCache, Store

_SLICE = 512  # cells that are taken in under one hold of the lock
_PART = 2_000  # verdicts told at once: a store gives up after seconds, and one that is down costs no more


def read_rankings(
    engine: Engine, memo: Memo, cache: RankingCache, lock: AbstractContextManager[object], herald: Herald
) -> None:
    """Put the published rankings in force; documents that are not valid are named once."""
    raw = dict(cache.read())
    found = engine.rankings.read(raw)
    if found is None:
        return
    table, wrong = found
    with lock:
        engine.rankings.install(raw, table)
        memo.clear()
    if wrong:
        herald.fell_open("ranking", ValueError(wrong[0]))


class Exchange:
    """Goes round between one engine and one store, from the first `start` on in a thread of its own.
    `go_round` never raises and never overlaps itself."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        memo: Memo,
        lock: Callable[[], AbstractContextManager[object]],
        herald: Herald,
        now: Callable[[], float],
    ) -> None:
        self.store = store
        self._engine, self._memo, self._lock, self._herald, self._now = engine, memo, lock, herald, now
        self._courier = Courier(self.go_round, engine.policy.share_every)
        self.start = self._courier.start
        self.one = new_lock()  # held by who goes round
        self._life = self._cursor = ""
        self._rankings_due = 0.0
        self.heard_at: float | None = None  # when the store last answered, in unix seconds

    def go_round(self) -> None:
        """Tell what is new, hear what changed, and now and then read the rankings."""
        with self.one:
            try:
                self._tell_and_hear(self._engine.policy)
                self.heard_at = self._now()
                if self.heard_at >= self._rankings_due:
                    read_rankings(self._engine, self._memo, self.store, self._lock(), self._herald)
                    self._rankings_due = self.heard_at + self._engine.policy.rankings_every
            except Exception as error:  # noqa: BLE001  # a store that is down changes nothing
                self._herald.fell_open("store", error)

    def _tell_and_hear(self, policy: Policy) -> None:
        engine = self._engine
        with self._lock():
            counted, circuits = engine.hand_over()
        try:
            told = [circuit_of(scope, breaker) for scope, breaker in circuits.items()]
            for start in range(0, max(len(counted), bool(told)), _PART):
                self.store.push(reports(counted[start : start + _PART], policy), told if start == 0 else ())
        except BaseException:
            with self._lock():
                engine.hand_back(circuits)
            raise
        news = self.store.pull(self._life, self._cursor)
        self._take_in(news, heard(news, policy))

    def _take_in(self, news: News, sums: Sequence[Sum]) -> None:
        engine = self._engine
        if news.life != self._life:
            with self._lock():
                engine.renew()
        for part in _slices(sums):
            with self._lock():
                self._memo.forget(*engine.hear(part))
        with self._lock():
            engine.counts["unbelievable"] += len(news.sums) - len(sums)
            changes = engine.believe(news.circuits, self._now())
            if self._life and news.life != self._life:
                engine.tell_again()
            engine.confirm()
            self._memo.forget(*(change.model for change in changes))
        self._life, self._cursor = news.life, news.cursor
        self._herald.tell(changes)

    def refresh(self) -> None:
        """A round in the caller's thread, with the rankings."""
        self._rankings_due = 0.0
        self.go_round()

    def close(self) -> None:
        """A last round, for a second at most. A store that still does not answer is left as it is: closing
        it would wait for its answer."""
        if self._courier.close():
            self.store.close()

    def after_fork(self) -> None:
        """In a forked child: the queue and the thread are the parent's, what is known is a copy."""
        self.one = new_lock()
        self._engine.forget_outbox()
        self.store.after_fork()
        self._courier.after_fork()


def _slices(sums: Sequence[Sum]) -> Iterator[Sequence[Sum]]:
    return (sums[start : start + _SLICE] for start in range(0, len(sums), _SLICE))
