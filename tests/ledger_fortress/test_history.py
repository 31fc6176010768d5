"""Looking back: selections, pages, balances of a version and of a moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_fortress import Credits, Ledger, Refused, history
from ledger_fortress.entries import Entry
from ledger_fortress.errors import LedgerError
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing.scenario import START, FakeClock

ZERO = datetime.fromtimestamp(START, UTC)
KINDS = ("grant", "reserve", "charge", "release", "refused")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory:", "sqlite:///{}/credits.db"])
def ledger(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(request.param.format(tmp_path), clock=clock) as it:
        yield it


def after(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def busy(ledger: Ledger, clock: FakeClock, steps: int = 40) -> None:
    """A history with every kind, one second between two steps."""
    ledger.grant("a", 1_000, key="in", create=True)
    for step in range(steps):
        clock.tick(1)
        ledger.reserve("a", 2, key=f"h{step}", timeout=7 if step % 5 == 0 else 1e6)
        if step % 5 == 1:
            ledger.charge("a", f"h{step}", 1)
        elif step % 5 == 2:
            ledger.release("a", f"h{step}")
        elif step % 5 == 3:
            with pytest.raises(Refused):
                ledger.reserve("a", 10_000, key=f"no{step}")
    clock.tick(100)


@pytest.fixture(scope="module")
def history_of_a() -> tuple[Ledger, list[Entry]]:
    clock = FakeClock()
    ledger = Ledger(MemoryStore(clock))
    busy(ledger, clock)
    return ledger, list(ledger.entries("a"))


SELECTION = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.one_of(st.sampled_from(KINDS), st.lists(st.sampled_from(KINDS), max_size=3)),
        "since": st.floats(-5, 60).map(after),
        "until": st.floats(-5, 60).map(after),
        "hold": st.sampled_from(["h1", "h2", "h30", "nobody"]),
        "key": st.sampled_from(["in", "h1/settle", "h4", "no3", "nobody"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(selection=SELECTION, limit=st.integers(1, 12), begin=st.integers(0, 90))
def test_pages_are_what_a_plain_search_finds(
    history_of_a: tuple[Ledger, list[Entry]], selection: dict[str, object], limit: int, begin: int
) -> None:
    """However it is selected and paged: every matching entry once, in order, none more."""
    ledger, entries = history_of_a
    kinds = selection.get("kind")
    wanted = {kinds} if isinstance(kinds, str) else kinds
    expected = [
        entry
        for entry in entries
        if entry.version > begin
        and (wanted is None or entry.kind in wanted)
        and ("since" not in selection or entry.time >= selection["since"])
        and ("until" not in selection or entry.time < selection["until"])
        and ("hold" not in selection or entry.hold == selection["hold"])
        and ("key" not in selection or entry.key == selection["key"])
    ]
    found: list[Entry] = []
    cursor: int | None = begin
    while cursor is not None:
        page = ledger.statement("a", cursor, limit, **selection)  # type: ignore[arg-type]
        assert len(page) <= limit
        found += page
        cursor = page.next
    assert found == expected


def test_a_rare_selection_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many rows a page is returned as it is, and `next` leads on to the one that is there."""
    monkeypatch.setattr(history, "MOST_READ", 20)
    monkeypatch.setattr(history, "_STEP", 10)
    clock = FakeClock()
    ledger = Ledger(MemoryStore(clock))
    busy(ledger, clock)
    ledger.freeze("a", key="stop")
    pages = [ledger.statement("a", kind="freeze")]
    while pages[-1].next is not None:
        pages.append(ledger.statement("a", pages[-1].next, kind="freeze"))
    assert [len(page) for page in pages[:-1]] == [0] * (len(pages) - 1)
    assert [entry.key for entry in pages[-1]] == ["stop"]
    assert len(pages) > 3


def test_balance_of_a_moment_counts_what_time_did(ledger: Ledger, clock: FakeClock) -> None:
    """A grant that began and ended and a hold that ran out, none of it written: each moment knows."""
    ledger.grant("a", 5, key="in", create=True)
    ledger.grant("a", 3, key="late", effective=after(10), expires=after(20))
    ledger.reserve("a", 1, key="h", timeout=15)
    clock.tick(100)
    told = [str(ledger.balance_at("a", after(second))) for second in (-1, 0, 10, 15, 20, 100)]
    assert told == [
        "0.000000 available, 0.000000 held",
        "4.000000 available, 1.000000 held",
        "7.000000 available, 1.000000 held",
        "8.000000 available, 0.000000 held",
        "5.000000 available, 0.000000 held",
        "5.000000 available, 0.000000 held",
    ]
    ledger.sweep()
    assert [str(ledger.balance_at("a", after(second))) for second in (-1, 0, 10, 15, 20, 100)] == told


def test_balance_of_now_is_the_balance(ledger: Ledger, clock: FakeClock) -> None:
    busy(ledger, clock)
    now = datetime.fromtimestamp(clock.seconds, UTC)
    assert ledger.balance_at("a", now) == ledger.balance("a")
    assert ledger.balance_at("a", after(0)).available == Credits(1_000)


def test_moments_that_make_no_sense(ledger: Ledger) -> None:
    ledger.grant("a", 5, key="in", create=True)
    for wrong, words in ((after(1), "future"), (datetime(2024, 1, 1), "time zone"), (0, "from 1")):  # noqa: DTZ001
        with pytest.raises(ValueError, match=words):
            ledger.balance_at("a", wrong)
    with pytest.raises(Refused, match="unknown_account"):
        ledger.balance_at("b", after(0))


def test_a_damaged_history_gives_no_balance(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    ledger = Ledger(store)
    ledger.grant("a", 5, key="in", create=True)
    store._rows.entries["a"][1] = store._rows.entries["a"][1]._replace(available=6_000_000)
    with pytest.raises(LedgerError, match="run verify"):
        ledger.balance_at("a", 2)
