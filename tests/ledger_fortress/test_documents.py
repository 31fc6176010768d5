"""Published documents: an entry comes back as it was, whoever reads it."""

from __future__ import annotations

import json
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_fortress import Ledger, Refused
from ledger_fortress.audit import replay
from ledger_fortress.credits import LIMIT
from ledger_fortress.documents import (
    BadDocument,
    CreditAlertV1,
    CreditEventV1,
    LedgerEntryV1,
    parse_alert,
    parse_entry,
    parse_event,
)
from ledger_fortress.entries import Entry
from ledger_fortress.rules import Policy
from ledger_fortress.testing.scenario import FakeClock
from ledger_fortress.wire import amount_of, amount_text, entry_fields, entry_of, time_of, time_text


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    clock = FakeClock(1_700_000_000.123456)
    ledger = Ledger.open("memory:", clock=clock)
    odd = 'ключ "1" \\ ☃'
    ledger.grant(odd, "9007199254.740991", key=odd, source=odd, note="заметка", create=True)
    ledger.reserve(odd, "0.000001", key="h", timeout=1)
    clock.tick(5)
    ledger.sweep()
    ledger.charge(odd, "lost", "9007199254.740991", on_missing="debt")
    ledger.charge(odd, "more", 7, on_missing="debt")
    return list(ledger.entries(odd))


def test_an_entry_comes_back_to_the_bit(entries: list[Entry]) -> None:
    """Through the published document, and through the same fields without its library."""
    texts = [LedgerEntryV1.of(entry).model_dump_json() for entry in entries]
    assert [parse_entry(text) for text in texts] == entries
    assert replay(map(parse_entry, texts)).problems == ()
    assert [entry_of(json.loads(json.dumps(entry_fields(entry)))) for entry in entries] == entries
    assert [json.loads(text) for text in texts] == [entry_fields(entry) for entry in entries]


def test_an_event_says_what_moved(entries: list[Entry]) -> None:
    event = CreditEventV1.of(entries[-1])
    assert (event.type, event.key, event.hold) == ("credit.charge", "more/settle", "more")
    assert (event.change.debt, event.balance.debt, event.balance.available) == ("7.000000",) * 2 + (
        "0.000000",
    )
    assert event.id == entries[-1].hash.hex()
    assert parse_event(event.model_dump_json()) == event
    timed_out = next(CreditEventV1.of(entry) for entry in entries if entry.kind == "timeout")
    assert (timed_out.key, timed_out.hold, timed_out.change.held) == (None, "h", "-0.000001")


def test_every_kind_of_alert() -> None:
    """A low balance, a late charge that was booked or refused, one that the policy cut short."""
    clock = FakeClock()
    ledger = Ledger.open("memory:", clock=clock, policy=Policy(over_charge="cap"))
    ledger.grant("a", 10, key="in", create=True)
    ledger.set_alert("a", "low", 5, key="al")
    ledger.reserve("a", 6, key="h1", timeout=1)
    ledger.reserve("a", 1, key="h2")
    clock.tick(2)
    with pytest.raises(Refused):
        ledger.charge("a", "h1")
    ledger.charge("a", "h1", on_missing="debt", key="again")
    ledger.charge("a", "h2", 3)
    told = [CreditAlertV1.of(alert) for alert in ledger.alerts()]
    kinds = {alert.type.removeprefix("credit.") for alert in told}
    assert kinds == {"low_balance", "late_refused", "late_charge", "short_charge"}
    assert [parse_alert(alert.model_dump_json()) for alert in told] == told
    short = next(alert for alert in told if alert.type == "credit.short_charge")
    assert (short.hold, short.asked, short.charged, short.below) == ("h2", "3.000000", "1.000000", None)
    with pytest.raises(BadDocument, match=r"credit-alert\.v1.*\$\.version"):
        parse_alert(short.model_copy(update={"version": 0}).model_dump_json())


def test_a_wrong_document_is_told_where(entries: list[Entry]) -> None:
    document = LedgerEntryV1.of(entries[1]).model_dump(mode="json")
    document["amount"], document["hash"], document["balance"]["held"] = 12, "ab", "-1.000000"
    with pytest.raises(BadDocument, match=r"ledger-entry\.v1") as caught:
        parse_entry(json.dumps(document))
    assert [re.match(r"\$\.[\w.]+", place)[0] for place in caught.value.places] == [  # type: ignore[index]
        "$.amount",
        "$.balance.held",
        "$.hash",
    ]
    assert pickle.loads(pickle.dumps(caught.value)).places == caught.value.places
    with pytest.raises(BadDocument, match=r"credit-event\.v1"):
        parse_event(b"{")


@given(st.integers(-LIMIT, LIMIT), st.integers(0, LIMIT))
def test_amounts_and_times_lose_nothing(micros: int, at: int) -> None:
    assert amount_of(amount_text(micros)) == micros
    assert time_of(time_text(at)) == at


@pytest.mark.parametrize("wrong", ["", "1", "1.5", "1.0000000", "--1.000000", "1.00000x", "x.000000"])
def test_what_is_no_amount(wrong: str) -> None:
    with pytest.raises(ValueError, match="six decimals"):
        amount_of(wrong)
