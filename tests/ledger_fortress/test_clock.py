"""A clock that jumps moves no money until somebody has looked."""

import logging

import pytest

from ledger_fortress import Ledger
from ledger_fortress.entries import moment
from ledger_fortress.stores.base import SteadyClock
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing import FakeClock

HOUR = 3_600


class Clocks:
    """The wall clock and the one that only counts, moved apart at will."""

    def __init__(self) -> None:
        self.wall, self.count = FakeClock(), FakeClock(5)
        self.steady = SteadyClock(self.wall, self.count)

    def pass_time(self, seconds: float) -> None:
        self.wall.tick(seconds)
        self.count.tick(seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def ledger(clocks: Clocks) -> Ledger:
    ledger = Ledger(MemoryStore(clocks.steady))
    ledger.grant("a", 5, key="g", expires=moment(round((clocks.wall() + 10 * HOUR) * 1e6)), create=True)
    ledger.reserve("a", 2, key="h", timeout=2 * HOUR)
    return ledger


def test_a_long_night_is_no_jump(clocks: Clocks, ledger: Ledger) -> None:
    """However long nobody asks: both clocks say the same."""
    clocks.pass_time(10 * HOUR)
    assert ledger.balance("a").available.micros == ledger.balance("a").held.micros == 0
    assert ledger.trust_clock() is False


def test_a_jump_expires_nothing_until_it_is_trusted(
    clocks: Clocks, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ledger_fortress"):
        clocks.wall.tick(1_000 * HOUR)
        assert str(ledger.balance("a")) == "3.000000 available, 2.000000 held"
        assert ledger.sweep() == 0
        ledger.reserve("a", 1, key="h2", timeout=HOUR)
    assert [record.message[:37] for record in caplog.records] == ["the clock jumped forward by 3600000 s"]
    assert ledger.trust_clock() is True
    assert str(ledger.balance("a")) == "0.000000 available, 0.000000 held"
    assert ledger.audit().ok


def test_time_goes_on_at_the_steady_pace_meanwhile(clocks: Clocks, ledger: Ledger) -> None:
    """What is due in two hours is due in two hours."""
    clocks.wall.tick(1_000 * HOUR)
    assert ledger.balance("a").held.micros == 2_000_000
    clocks.pass_time(2 * HOUR)
    assert ledger.balance("a").held.micros == 0
    assert ledger.balance("a").available.micros == 5_000_000


def test_what_was_written_meanwhile_carries_the_steady_time(clocks: Clocks, ledger: Ledger) -> None:
    """So a clock that is put right again finds no entries from the future."""
    before = clocks.wall()
    clocks.wall.tick(1_000 * HOUR)
    ledger.reserve("a", 1, key="h2", timeout=HOUR)
    assert max(entry.at for entry in ledger.entries("a")) == round(before * 1e6)
    clocks.wall.tick(-1_000 * HOUR)
    assert ledger.trust_clock() is True
    clocks.pass_time(HOUR)
    assert ledger.balance("a").held.micros == 2_000_000


@pytest.mark.parametrize("seconds", [HOUR, 1, 0, -1, -5 * HOUR])
def test_up_to_an_hour_and_backwards_is_believed(clocks: Clocks, seconds: float) -> None:
    clocks.wall.tick(seconds)
    assert clocks.steady() == clocks.wall()
    assert clocks.steady.trust() is False


def test_small_steps_are_each_believed(clocks: Clocks) -> None:
    """A clock that is corrected slowly never stands out."""
    for _ in range(10):
        clocks.wall.tick(HOUR / 2)
        assert clocks.steady() == clocks.wall()
