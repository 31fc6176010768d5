"""What `reconcile` lists, and that it stops listing what has been put right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_fortress import Credits, Ledger, Receipt, Refused
from ledger_fortress.recovery import Finding, Trouble
from ledger_fortress.rules import Policy
from ledger_fortress.testing.scenario import START, FakeClock

ZERO = datetime.fromtimestamp(START, UTC)
DAY = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory:", "sqlite:///{}/credits.db"])
def ledger(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(request.param.format(tmp_path), clock=clock) as it:
        it.grant("a", 10, key="in", create=True)
        it.grant("b", 10, key="in", create=True)
        yield it


def told(ledger: Ledger, account: str | None = None) -> list[tuple[str, str, str | None, str]]:
    return [
        (str(one.trouble.value), one.account, one.key, str(one.amount)) for one in ledger.reconcile(account)
    ]


def test_all_is_well(ledger: Ledger, clock: FakeClock) -> None:
    """Open holds within their time, settled ones and those that time gives back are nobody's trouble."""
    for key in ("charged", "released", "timed_out", "open"):
        ledger.reserve("a", 1, key=key, timeout=10 if key == "timed_out" else 2 * DAY)
    ledger.charge("a", "charged")
    ledger.release("a", "released")
    clock.tick(60)
    assert ledger.reconcile() == []


def test_overdue_until_it_is_settled(ledger: Ledger, clock: FakeClock) -> None:
    ledger.reserve("a", 3, key="late", timeout=10, on_timeout="report")
    ledger.reserve("b", 2, key="later", timeout=20, on_timeout="report")
    clock.tick(30)
    late = Finding(Trouble.OVERDUE, "a", "late", Credits(3), ZERO + timedelta(seconds=10))
    assert ledger.reconcile()[0] == late
    assert told(ledger) == [
        ("overdue", "a", "late", "3.000000"),
        ("overdue", "b", "later", "2.000000"),
    ]
    assert told(ledger, "b") == [("overdue", "b", "later", "2.000000")]
    ledger.charge("a", "late")
    ledger.release("b", "later")
    assert ledger.reconcile() == []


def test_a_hold_that_is_extended_for_ever_is_stuck(ledger: Ledger, clock: FakeClock) -> None:
    ledger.reserve("a", 1, key="h", timeout=DAY)
    clock.tick(DAY - 1)
    ledger.extend("a", "h", 3 * DAY, key="more")
    assert ledger.reconcile() == []
    clock.tick(1)
    assert told(ledger) == [("stuck", "a", "h", "1.000000")]
    assert ledger.reconcile(stuck_after=timedelta(days=2)) == []


def test_work_that_nobody_paid_for(ledger: Ledger, clock: FakeClock) -> None:
    """A charge after the timeout is refused: listed as unpaid; booked as debt: listed as late."""
    ledger.reserve("a", 4, key="h", timeout=10)
    clock.tick(10)
    with pytest.raises(Refused, match="hold_timed_out"):
        ledger.charge("a", "h", 3)
    assert told(ledger) == [("unpaid", "a", "h", "3.000000")]
    clock.tick(1)
    ledger.charge("a", "h", 3, on_missing="debt", key="h again")
    assert told(ledger) == [("late_charge", "a", "h", "3.000000")]
    assert ledger.reconcile(since=ZERO + timedelta(seconds=12)) == []
    assert len(ledger.reconcile(since=ZERO + timedelta(seconds=11))) == 1


def test_a_charge_that_was_cut_short(clock: FakeClock) -> None:
    """The policy charged less than the work cost: what is missing is told."""
    ledger = Ledger.open("memory:", clock=clock, policy=Policy(over_charge="cap"))
    ledger.grant("a", 10, key="in", create=True)
    ledger.reserve("a", 2, key="h")
    ledger.charge("a", "h", 5)
    assert told(ledger) == [("short_charge", "a", "h", "3.000000")]


def test_debt_until_it_is_paid(ledger: Ledger, clock: FakeClock) -> None:
    """Also where time alone pays it: a grant that became effective and was not written down yet."""
    ledger.charge("a", "lost", 15, on_missing="debt")
    assert told(ledger) == [("late_charge", "a", "lost", "15.000000"), ("debt", "a", None, "5.000000")]
    ledger.grant("a", 5, key="soon", effective=ZERO + timedelta(seconds=60))
    assert len(ledger.reconcile()) == 2
    clock.tick(60)
    assert told(ledger) == [("late_charge", "a", "lost", "15.000000")]


def test_a_rewound_account(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="rewound"):
        ledger.reserve("a", 1, key="h", seen=Receipt("a", 99, "00" * 32))
    assert told(ledger) == [("rewound", "a", None, "0.000000")]
    ledger.unfreeze("a", key="repaired")
    assert ledger.reconcile() == []


def test_every_trouble_has_advice() -> None:
    for trouble in Trouble:
        assert Finding(trouble, "a", None, Credits(0), ZERO).advice
