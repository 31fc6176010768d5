"""The blocking face: receipts, refusals, reads, and what a caller may rely on."""

import asyncio
import pickle
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import Balance, Credits, Ledger, LedgerError, Reason, Receipt, Refused, StoreUnavailable
from ledger_fortress.answers import Applied, Refusal, Replayed
from ledger_fortress.commands import Charge, Freeze, Grant, Linked, Reserve
from ledger_fortress.errors import SchemaOutdated, StoreBusy, WriterElsewhere
from ledger_fortress.protocol import Changes, Loaded, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.rules.buckets import MAX_BUCKETS, MAX_SLICES
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing import FakeClock

C = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(clock: FakeClock) -> Ledger:
    it = Ledger.open("memory:", clock=clock)
    it.grant("a", 10, key="in", create=True)
    return it


def refused(call: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


def test_receipts_name_the_entry(ledger: Ledger) -> None:
    first = ledger.reserve("a", "2.5", key="h")
    entry = list(ledger.entries("a"))[-1]
    assert first == Receipt("a", 3, entry.hash.hex(), replayed=False, open=True)
    assert entry.credits == Credits("2.5")
    assert entry.time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert ledger.reserve("a", "2.5", key="h") == Receipt("a", 3, first.hash, replayed=True, open=True)
    charged = ledger.charge("a", "h", 2)
    assert (charged.open, charged.replayed, charged.version) == (False, False, 4)
    again = ledger.reserve("a", "2.5", key="h")
    assert (again.replayed, again.open, again.hash) == (True, False, first.hash)


def test_open_turns_false_when_the_hold_runs_out(ledger: Ledger, clock: FakeClock) -> None:
    """Nothing was written since, and the repeated reserve says all the same that its hold is gone."""
    ledger.reserve("a", 1, key="h", timeout=10)
    clock.tick(10)
    assert not ledger.reserve("a", 1, key="h", timeout=10).open


@pytest.mark.parametrize("amount", [Credits(2), Decimal("2.0"), "2", 2])
def test_amounts_all_mean_credits(ledger: Ledger, amount: Any) -> None:
    ledger.reserve("a", amount, key="h")
    assert ledger.balance("a").held == Credits.micro(2_000_000)


def test_floats_never_move_money(ledger: Ledger) -> None:
    calls = [
        lambda: ledger.grant("a", 0.1, key="k"),  # type: ignore[arg-type]
        lambda: ledger.reserve("a", 0.1, key="k"),  # type: ignore[arg-type]
        lambda: ledger.charge("a", "h", 0.1),  # type: ignore[arg-type]
        lambda: ledger.refund("a", "h", 0.1, key="k"),  # type: ignore[arg-type]
        lambda: ledger.reserve("a", True, key="k"),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="Decimal, str or int"):
            call()
    assert len(list(ledger.entries("a"))) == 2


def test_a_refusal_carries_what_is_needed(ledger: Ledger) -> None:
    no = refused(lambda: ledger.reserve("a", 12, key="h"))
    assert no.reason is Reason.INSUFFICIENT
    assert (no.needed, no.available) == (Credits(12), Credits(10))
    assert no.balance == Balance(Credits(10), Credits(0), Credits(0), ())
    assert not no.replayed
    assert no.receipt is not None
    assert no.receipt.version == 3
    assert "needed 12.000000, available 10.000000" in str(no)
    assert refused(lambda: ledger.reserve("a", 12, key="h")).replayed
    copy = pickle.loads(pickle.dumps(no))
    assert (copy.refusal, copy.replayed, str(copy)) == (no.refusal, False, str(no))
    assert refused(lambda: ledger.balance("nobody")).reason is Reason.UNKNOWN_ACCOUNT
    assert refused(lambda: ledger.statement("nobody")).receipt is None


def test_every_reason_says_what_to_do() -> None:
    for reason in Reason:
        text = str(Refused(Refusal(reason, "a", "k")))
        assert text.startswith(f"{reason.value}: account 'a', key 'k': ")
        assert len(text) > 50


def test_errors_share_a_base_and_say_whether_to_retry() -> None:
    for kind in (Refused, StoreUnavailable, SchemaOutdated):
        assert issubclass(kind, LedgerError)
    assert issubclass(StoreBusy, StoreUnavailable)
    assert issubclass(WriterElsewhere, StoreUnavailable)
    assert StoreBusy("x").retryable
    assert not LedgerError.retryable
    assert "repeat with the same key" in str(StoreUnavailable("gone", maybe_applied=True))


def test_answers_have_no_truth(ledger: Ledger) -> None:
    """`if ledger.apply(...)[0]` would dispatch work on a refusal."""
    batch = [
        Reserve(account="a", key="h", amount=C, timeout=C),
        Reserve(account="a", key="h", amount=C, timeout=C),
        Reserve(account="a", key="i", amount=99 * C, timeout=C),
    ]
    answers = ledger.apply(batch)
    assert [type(answer) for answer in answers] == [Applied, Replayed, Refusal]
    for answer in [*answers, ledger.audit()]:
        with pytest.raises(TypeError, match="truth"):
            bool(answer)


def test_apply_is_independent_and_in_order(ledger: Ledger) -> None:
    """A refusal in the middle stops nobody, and each command sees those before it."""
    answers = ledger.apply(
        [
            Reserve(account="a", key="h1", amount=9 * C, timeout=C),
            Reserve(account="a", key="h2", amount=2 * C, timeout=C),
            Charge(account="a", hold="h1", amount=0),
            Reserve(account="a", key="h3", amount=10 * C, timeout=C),
        ]
    )
    assert [type(answer) for answer in answers] == [Applied, Refusal, Applied, Applied]
    assert ledger.apply([]) == []
    with pytest.raises(ValueError, match="at most 4096"):
        ledger.apply([Freeze(account="a", key=f"k{n}") for n in range(4_097)])


def test_a_bug_in_one_command_fails_it_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from ledger_fortress.rules import verbs

    def broken(case: Any, command: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(verbs.RULES, Freeze, broken)
    with pytest.raises(ZeroDivisionError) as told:
        ledger.apply([Freeze(account="a", key="f"), Reserve(account="a", key="h", amount=C, timeout=C)])
    assert "the other commands were applied" in told.value.__notes__[0]
    assert ledger.balance("a").held == Credits(1)
    linked = Linked("l", (Reserve(account="a", key="h2", amount=C, timeout=C), Freeze(account="a", key="f")))
    with pytest.raises(ZeroDivisionError):
        ledger.apply([linked])
    assert ledger.balance("a").held == Credits(1)


def test_linked_is_final_both_ways(ledger: Ledger) -> None:
    """Refused once, a linked batch stays refused, even when there is enough; applied once, it replays."""
    ledger.grant("b", 1, key="in", create=True)
    batch = Linked(
        "l",
        (
            Reserve(account="a", key="x", amount=C, timeout=C),
            Reserve(account="b", key="y", amount=2 * C, timeout=C),
            Reserve(account="a", key="z", amount=C, timeout=C),
        ),
    )
    for _ in range(2):
        assert ledger.balance("a").held == Credits(0)
        first = ledger.apply([batch])
        reasons = [a.first if isinstance(a, Replayed) else a for a in first]
        assert [a.reason for a in reasons if isinstance(a, Refusal)] == [
            Reason.LINK_REFUSED,
            Reason.INSUFFICIENT,
            Reason.LINK_REFUSED,
        ]
        ledger.grant("b", 10, key="more")
    alone = refused(lambda: ledger.reserve("b", 2, key="y", timeout=1))
    assert alone.reason is Reason.KEY_CONFLICT  # being linked is part of the content
    good = Linked("m", tuple(Reserve(account="a", key=f"m{n}", amount=C, timeout=C) for n in range(2)))
    assert [type(answer) for answer in ledger.apply([good])] == [Applied, Applied]
    assert [type(answer) for answer in ledger.apply([good])] == [Replayed, Replayed]
    assert [entry.link for entry in ledger.entries("a")][-2:] == ["m:0:2", "m:1:2"]
    assert ledger.audit().ok


def test_a_lost_entry_is_detected(ledger: Ledger) -> None:
    """A backup was restored: the receipt that a caller still has names an entry that is not there."""
    backup = ledger._store._rows.accounts["a"], list(ledger._store._rows.entries["a"])  # type: ignore[attr-defined]
    lost = ledger.reserve("a", 1, key="h1")
    restored = MemoryStore()
    restored._rows.accounts["a"], restored._rows.entries["a"] = backup
    with Ledger(restored) as other:
        linked = [Reserve(account="a", key=f"l{n}", amount=C, timeout=C, seen=lost) for n in range(2)]
        no, stopped = other.apply([Linked("l", tuple(linked))])
        assert isinstance(no, Refusal)
        assert isinstance(stopped, Refusal)
        assert (no.reason, stopped.reason) == (Reason.REWOUND, Reason.LINK_REFUSED)
        assert refused(lambda: other.reserve("a", 1, key="h2", seen=lost)).reason is Reason.REWOUND
        assert refused(lambda: other.reserve("a", 1, key="h3")).reason is Reason.REWOUND
        assert [entry.kind for entry in other.entries("a")] == ["open", "grant", "freeze"]
        other.grant("a", 1, key="still")
        other.unfreeze("a", key="repaired", note="re-booked by hand")
        assert not other.reserve("a", 1, key="h3").replayed
        # By now version 3 is there, and it is another entry than the one that was acknowledged.
        assert refused(lambda: other.reserve("a", 1, key="h4", seen=lost)).reason is Reason.REWOUND
        with pytest.raises(ValueError, match="receipt is of account"):
            other.reserve("b", 1, key="h", seen=lost)
        assert other.audit().ok
    assert (
        refused(lambda: Ledger.open("memory:").reserve("a", 1, key="h", seen=lost)).reason is Reason.REWOUND
    )
    assert ledger.reserve("a", 1, key="h2", seen=lost).open


def test_statement_pages(ledger: Ledger) -> None:
    for number in range(5):
        ledger.grant("a", 1, key=f"g{number}")
    seen, after = [], None
    while True:
        page = ledger.statement("a", after, limit=3)
        assert len(page) <= 3
        seen += list(page)
        after = page.next
        if after is None:
            break
    assert [entry.version for entry in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert ledger.statement("a", after=7).entries == ()
    assert ledger.statement("a", limit=7).next is None
    for limit in (0, 10_001):
        with pytest.raises(ValueError, match="limit"):
            ledger.statement("a", limit=limit)


def test_balance_by_bucket(ledger: Ledger) -> None:
    soon = datetime(2024, 1, 1, tzinfo=UTC)
    ledger.grant("a", 3, key="g1", source="plan", expires=soon)
    ledger.grant("a", 4, key="g2", source="next", effective=soon, expires=soon + timedelta(days=30))
    ledger.reserve("a", 5, key="h")
    first, second, third = ledger.balance("a").buckets
    assert (first.source, first.available, first.held, first.expires) == (
        "plan",
        Credits(0),
        Credits(3),
        soon,
    )
    assert (second.source, second.waiting, second.effective) == ("next", Credits(4), soon)
    assert (third.available, third.held, third.expires) == (Credits(8), Credits(2), None)
    assert str(ledger.balance("a")) == "8.000000 available, 5.000000 held"


def test_holds_can_be_looked_up(ledger: Ledger, clock: FakeClock) -> None:
    ledger.reserve("a", 2, key="late", timeout=10, on_timeout="report", member="ann")
    ledger.reserve("a", 1, key="gone", timeout=10)
    ledger.reserve("a", 1, key="fine", timeout=100)
    ledger.charge("a", "fine", "0.25")
    ledger.refund("a", "fine", "0.05", key="r")
    clock.tick(10)
    late = ledger.hold("a", "late")
    assert late is not None
    assert (late.state, late.overdue, late.member, late.on_timeout) == ("open", True, "ann", "report")
    assert late.deadline - late.made == timedelta(seconds=10)
    fine = ledger.hold("a", "fine")
    assert fine is not None
    assert (fine.amount, fine.charged, fine.refunded) == (Credits(1), Credits("0.25"), Credits("0.05"))
    assert ledger.hold("a", "none") is None
    assert ledger.hold("nobody", "late") is None
    assert [hold.key for hold in ledger.open_holds()] == ["late"]
    assert [hold.key for hold in ledger.open_holds("a", overdue=True)] == ["late"]
    assert ledger.open_holds("b") == []


def test_reading_writes_nothing(ledger: Ledger, clock: FakeClock) -> None:
    ledger.reserve("a", 1, key="h", timeout=10)
    clock.tick(60)
    before = list(ledger.entries("a"))
    assert ledger.balance("a").held == Credits(0)
    hold = ledger.hold("a", "h")
    assert hold is not None
    assert hold.state == "timed_out"
    assert list(ledger.entries("a")) == before
    assert ledger.sweep() == 1
    assert [entry.kind for entry in ledger.entries("a")][-1] == "timeout"
    assert list(ledger.entries("a"))[-1].at == round((clock.seconds - 50) * C)


def test_a_clock_that_goes_back_dates_nothing_back(ledger: Ledger, clock: FakeClock) -> None:
    clock.tick(-3_600)
    ledger.reserve("a", 1, key="h", timeout=10)
    first, *_, last = ledger.entries("a")
    assert last.at == first.at
    clock.tick(3_609)
    assert ledger.balance("a").held == Credits(1)
    clock.tick(1)
    assert ledger.balance("a").held == Credits(0)
    assert ledger.audit().ok


def test_limits_on_buckets(ledger: Ledger) -> None:
    """A thousand open grants per account, sixty-four per hold; alike ones merge and do not count."""
    grants = [
        Grant(account="b", key=f"g{n}", amount=C, priority=n, create=True) for n in range(1, MAX_BUCKETS + 1)
    ]
    ledger.apply(grants)
    assert len(ledger.balance("b").buckets) == MAX_BUCKETS
    assert refused(lambda: ledger.grant("b", 1, key="more")).reason is Reason.TOO_MANY_BUCKETS
    ledger.grant("b", 1, key="same", priority=5)
    assert refused(lambda: ledger.reserve("b", MAX_SLICES + 2, key="h")).reason is Reason.TOO_MANY_BUCKETS
    assert ledger.reserve("b", MAX_SLICES, key="h2").open
    ledger.release("b", "h2")
    assert ledger.audit().ok


def test_refund_life_is_policy(clock: FakeClock) -> None:
    with Ledger.open("memory:", clock=clock, policy=Policy(refund_life=5 * C)) as ledger:
        ends = datetime.fromtimestamp(clock() + 10, UTC)
        ledger.grant("a", 1, key="in", expires=ends, create=True)
        ledger.reserve("a", 1, key="h")
        ledger.charge("a", "h")
        clock.tick(10)
        ledger.refund("a", "h", key="r")
        clock.tick(4)
        assert ledger.balance("a").available == Credits(1)
        clock.tick(1)
        assert ledger.balance("a").available == Credits(0)


def test_notes_are_kept_and_salted(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/c.db") as ledger:
        for name in ("a", "b"):
            ledger.grant(name, 1, key="in", note="for Ann", create=True)
        hashes = [entry.note_hash for name in ("a", "b") for entry in ledger.entries(name) if entry.note_hash]
    assert len(set(hashes)) == 2
    raw = sqlite3.connect(tmp_path / "c.db")
    assert raw.execute("SELECT text FROM ledger_note").fetchall() == [("for Ann",), ("for Ann",)]
    raw.close()


def test_naive_times_are_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="time zone"):
        ledger.grant("a", 1, key="k", expires=datetime(2030, 1, 1))  # noqa: DTZ001
    for wrong in ("60", None, True):
        with pytest.raises(TypeError, match="seconds"):
            ledger.reserve("a", 1, key="k", timeout=wrong)  # type: ignore[arg-type]


def test_blocking_on_a_loop_says_what_to_use(ledger: Ledger) -> None:
    async def main() -> None:
        for call in (lambda: ledger.balance("a"), lambda: ledger.reserve("a", 1, key="h")):
            with pytest.raises(RuntimeError, match="use AsyncLedger"):
                call()
        assert (await asyncio.to_thread(ledger.balance, "a")).available == Credits(10)

    asyncio.run(main())


def test_balance_at_needs_a_version(ledger: Ledger) -> None:
    assert ledger.balance_at("a", 99).available == Credits(10)
    for wrong in (0, -1, True, "1"):
        with pytest.raises(ValueError, match="version"):
            ledger.balance_at("a", wrong)  # type: ignore[arg-type]


def test_accounts_are_listed_in_order(ledger: Ledger) -> None:
    for name in ("c", "b"):
        ledger.open_account(name, key="o")
    assert ledger.accounts() == ["a", "b", "c"]
    assert ledger.accounts("a", 1) == ["b"]


def test_rules_are_called_again_on_what_was_loaded_again() -> None:
    """A store may decide twice: the second time counts, and nothing of the first is left."""

    class Twice(MemoryStore):
        def transact(self, touch: Touch, decide: Any) -> Changes:
            decide(self._load(touch))
            return super().transact(touch, decide)

        def _load(self, touch: Touch) -> Loaded:
            return super()._load(touch)

    with Ledger(Twice()) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        ledger.reserve("a", 1, key="h")
        assert not ledger.charge("a", "h").replayed
        assert [entry.version for entry in ledger.entries("a")] == [1, 2, 3, 4]
        assert ledger.audit().ok
