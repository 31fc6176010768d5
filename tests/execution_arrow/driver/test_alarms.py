"""Many sessions wait on one timer, and each is woken at the time that was set last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from execution_arrow.driver.alarms import Alarms
from execution_arrow.driver.session import Session
from tests.execution_arrow.machine.build import make_run

RUN = make_run()


@dataclass
class Loop:
    """The one call of an event loop that alarms make; time is set by hand."""

    time: float = 1000.0
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    set_so_far: int = 0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self.set_so_far += 1
        timer = (self.time + delay, callback)
        self.timers.append(timer)
        return _Timer(lambda: self.timers.remove(timer))

    def run_to(self, time: float) -> None:
        while self.timers and min(self.timers, key=lambda t: t[0])[0] <= time:
            timer = min(self.timers, key=lambda t: t[0])
            self.timers.remove(timer)
            self.time = max(self.time, timer[0])
            timer[1]()
        self.time = time


@dataclass
class _Timer:
    cancel: Callable[[], None]


@dataclass
class World:
    loop: Loop = field(default_factory=Loop)
    sessions: dict[str, Session] = field(default_factory=dict)
    woken: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alarms = Alarms(self.loop, self.sessions, self._wake)

    def _wake(self, session: Session) -> None:
        self.woken.append((session.run.spec.id, self.loop.time))

    def session(self, name: str) -> Session:
        run = replace(RUN, spec=replace(RUN.spec, id=name))
        return self.sessions.setdefault(name, Session(run, version=1, epoch=1))


def world(monkeypatch: Any) -> World:
    made = World()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made.loop)
    return made


def test_each_is_woken_at_the_time_that_was_set_last(monkeypatch: Any) -> None:
    w = world(monkeypatch)
    a, b, c = (w.session(name) for name in "abc")
    w.alarms.set(a, 1005.0)
    w.alarms.set(b, 1003.0)
    w.alarms.set(c, 1001.0)
    w.alarms.set(a, 1002.0)  # earlier
    w.alarms.set(b, 1004.0)  # later
    w.alarms.set(c, None)  # not at all
    w.loop.run_to(1010.0)
    assert w.woken == [("a", 1002.0), ("b", 1004.0)]
    assert not w.loop.timers  # nobody waits: no timer


def test_who_is_gone_is_not_woken(monkeypatch: Any) -> None:
    w = world(monkeypatch)
    w.alarms.set(w.session("a"), 1001.0)
    del w.sessions["a"]
    w.loop.run_to(1010.0)
    assert w.woken == []
    assert not w.loop.timers


def test_after_the_end_nobody_is_woken_whatever_a_last_turn_still_sets(monkeypatch: Any) -> None:
    """A session that was adopted while the Arrow closed had its alarm ring in a loop without a task group."""
    w = world(monkeypatch)
    a, b = w.session("a"), w.session("b")
    w.alarms.set(a, 1001.0)
    w.alarms.end()
    w.alarms.set(a, 1002.0)
    w.alarms.set(b, 1003.0)
    w.loop.run_to(1010.0)
    assert w.woken == []
    assert not w.loop.timers


def test_ten_thousand_who_wait_for_an_hour_are_one_look_at_the_clock_a_minute(monkeypatch: Any) -> None:
    w = world(monkeypatch)
    for number in range(10_000):
        w.alarms.set(w.session(f"g{number:05}"), 4600.0 + number)
    assert len(w.loop.timers) == 1
    w.loop.run_to(1600.0)
    assert w.woken == []
    assert w.loop.set_so_far <= 12  # the first, then one for each of ten minutes


def test_a_wall_clock_that_is_set_back_or_forward_is_noticed_within_a_minute(monkeypatch: Any) -> None:
    w = world(monkeypatch)
    w.alarms.set(w.session("a"), 1030.0)
    ((due, ring),) = w.loop.timers
    w.loop.timers.clear()
    w.loop.time = (
        500.0  # the timer runs on a clock that nobody sets: it rings, and the old times mean nothing
    )
    ring()
    assert w.woken == [("a", 500.0)]  # everybody looks what there is to do, and agrees on a new time
    w.woken.clear()
    w.alarms.set(w.session("a"), 1030.0)
    ((again, ring),) = w.loop.timers
    assert again - 500.0 <= 60.0 < due
    w.loop.time = 2000.0
    ring()
    assert w.woken == [("a", 2000.0)]


def test_what_is_out_of_date_does_not_pile_up(monkeypatch: Any) -> None:
    w = world(monkeypatch)
    sessions = [w.session(name) for name in "abcdefgh"]
    for number in range(5_000):
        w.alarms.set(sessions[number % 8], 2000.0 + number)
    assert len(w.alarms._heap) <= 2 * 8 + 64 + 1
    w.loop.run_to(9000.0)
    assert sorted(name for name, _ in w.woken) == list("abcdefgh")
