"""Notices are written with the entry that caused them, once, and wait until somebody has delivered them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_fortress import Credits, Ledger
from ledger_fortress.answers import Refusal
from ledger_fortress.commands import Linked, Reserve, Transfer
from ledger_fortress.testing import FakeClock

C = 1_000_000


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(url, clock=FakeClock()) as opened:
        for name in ("a", "b"):
            opened.grant(name, 10, key="in", create=True)
            opened.set_alert(name, "low", 5, key="alert")
        yield opened
        assert opened.audit().ok


def reserve(account: str, key: str, credits_: int) -> Reserve:
    return Reserve(account=account, key=key, amount=credits_ * C, timeout=60 * C)


def test_what_a_notice_says(ledger: Ledger) -> None:
    receipt = ledger.reserve("a", 6, key="h")
    (told,) = ledger.alerts()
    assert (told.mark, told.account, told.kind) == (("a", receipt.version, 0), "a", "low_balance")
    assert dict(told.details) == {"name": "low", "below": Credits(5), "available": Credits(4)}
    assert told.at == list(ledger.entries("a"))[-1].time


def test_a_repeat_tells_nothing_new(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.reserve("a", 6, key="h")
    assert len(ledger.alerts()) == 1


def test_a_batch_that_fails_has_told_nothing(ledger: Ledger) -> None:
    batch = Linked("l", (reserve("a", "h", 6), reserve("b", "h", 60)))
    assert all(isinstance(answer, Refusal) for answer in ledger.apply([batch]))
    assert ledger.alerts() == []
    ledger.apply([Linked("m", (reserve("a", "h2", 6), reserve("b", "h2", 6)))])
    assert [alert.mark for alert in ledger.alerts()] == [("a", 4, 0), ("b", 5, 0)]


def test_both_sides_of_a_transfer_are_watched(ledger: Ledger) -> None:
    ledger.reserve("b", 8, key="h")
    ledger.apply([Transfer(account="a", key="t", to="b", amount=6 * C)])
    assert [alert.account for alert in ledger.alerts()] == ["a", "b"]
    ledger.reserve("b", 4, key="h2")  # 8 again, so it was armed; 4 fires it once more
    assert [alert.account for alert in ledger.alerts()] == ["a", "b", "b"]


def test_pages_kinds_and_accounts(ledger: Ledger) -> None:
    ledger.reserve("a", 6, key="h")
    ledger.charge("b", "lost", 1, on_missing="debt")
    ledger.reserve("b", 6, key="h")
    store = ledger._store
    assert [alert.kind for alert in ledger.alerts(limit=2)] == ["low_balance", "late_charge"]
    assert [alert.account for alert in ledger.alerts("b")] == ["b", "b"]
    assert [notice.kind for notice in store.notices(None, ("late_charge", "late_refused"), True, 9)] == [
        "late_charge"
    ]
    first = ledger.alerts(limit=1)
    assert ledger.ack(first) == 1
    assert len(ledger.alerts()) == 2
    assert len(store.notices(None, (), False, 9)) == 3
    assert store.acknowledge([("a", 99, 0), ("nobody", 1, 0)]) == 0
    assert ledger.ack([]) == 0


def test_entries_carry_what_the_outbox_has(ledger: Ledger) -> None:
    """Whoever has only the entries, an export for example, can make the outbox again."""
    ledger.reserve("a", 6, key="h")
    body = json.loads(list(ledger.entries("a"))[-1].body)
    assert body["notices"] == [["low_balance", {"available": 4 * C, "below": 5 * C, "name": "low"}]]
