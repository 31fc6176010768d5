"""What every ledger store must do, as a pytest suite.

Subclass it and provide the fixture `stores`, a function that opens a store on the *same* ledger each time it
is called, so that the suite can look at the ledger from a second connection:

    class TestMyStore(LedgerStoreContract):
        @pytest.fixture
        def stores(self, tmp_path):
            return lambda clock: MyStore(tmp_path, clock=clock)

A store that lives in one object alone returns that object each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

from ledger_fortress.answers import Applied, Reason, Refusal, Replayed
from ledger_fortress.commands import (
    Charge,
    Grant,
    Item,
    Linked,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
)
from ledger_fortress.engine import run
from ledger_fortress.entries import notices_of
from ledger_fortress.ledger import Ledger
from ledger_fortress.protocol import Changes, LedgerStore, Loaded, Touch, chunks
from ledger_fortress.rules import Policy
from ledger_fortress.state import Member

from .scenario import FakeClock

OpenStore: TypeAlias = Callable[[Callable[[], float]], LedgerStore]
CREDIT = 1_000_000


def _grant(account: str, key: str, credits_: int = 10, **more: Any) -> Grant:
    return Grant(account=account, key=key, amount=credits_ * CREDIT, create=True, **more)


def _reserve(account: str, key: str, credits_: int = 3, timeout: int = 60) -> Reserve:
    return Reserve(account=account, key=key, amount=credits_ * CREDIT, timeout=timeout * CREDIT)


class LedgerStoreContract:
    """Run by pytest in a subclass; see the module's description."""

    def test_a_second_store_sees_what_was_written(self, stores: OpenStore) -> None:
        clock = FakeClock()
        first = stores(clock)
        written = run(first, [_grant("a", "in"), _reserve("a", "h"), Charge(account="a", hold="h")], Policy())
        second = stores(clock)
        loaded = second.read(Touch(("a", "none"), (("a", "in"), ("a", "h/settle")), (("a", "h"),)))
        assert set(loaded.accounts) == {"a"}
        assert loaded.accounts["a"].available == 7 * CREDIT
        assert loaded.holds["a", "h"].state == "charged"
        rows = [answer.entry for answer in written if isinstance(answer, Applied)]
        assert loaded.entries == {("a", "in"): rows[0], ("a", "h/settle"): rows[2]}
        assert list(chunks(second, "a", 2)) == second.entries("a", 0, 100)
        assert [entry.version for entry in second.entries("a", 1, 2)] == [2, 3]

    def test_every_field_comes_back_as_it_went_in(self, stores: OpenStore) -> None:
        clock = FakeClock()
        store = stores(clock)
        kept: list[Changes] = []

        class Spy:
            """Passes everything on and keeps what was saved."""

            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

            def transact(self, touch: Touch, decide: Callable[[Loaded], Changes]) -> Changes:
                kept.append(store.transact(touch, decide))
                return kept[-1]

        odd = 'ключ "1" \\ ☃'
        spy: Any = Spy()
        ledger = Ledger(spy)
        ledger.grant(odd, 5, key=odd, source=odd, priority=-7, note="заметка", create=True)
        ledger.grant(odd, "0.000001", key="tiny")
        ledger.reserve(odd, "5.000001", key="h", member=odd, timeout=0.5, on_timeout="report")
        again = stores(clock).read(Touch((odd,), ((odd, odd), (odd, "h")), ((odd, "h"),)))
        assert again.accounts[odd] == kept[-1].accounts[0][0]
        assert again.holds[odd, "h"] == kept[-1].holds[0]
        assert again.entries[odd, "h"] == kept[-1].entries[-1]
        with stores(clock).scan() as scan:
            assert list(scan.notes()) == list(kept[0].notes)
        assert ledger.audit().ok

    def test_a_repeat_is_answered_from_the_store(self, stores: OpenStore) -> None:
        clock = FakeClock()
        batch: list[Item] = [
            _grant("a", "in"),
            _reserve("a", "h", 30),
            _reserve("a", "h2"),
            Release(account="a", hold="h2"),
        ]
        first = run(stores(clock), batch, Policy())
        again = run(stores(clock), batch, Policy())
        assert [answer.first if isinstance(answer, Replayed) else None for answer in again] == first
        assert len(stores(clock).entries("a", 0, 100)) == 5

    def test_nothing_is_saved_when_deciding_fails(self, stores: OpenStore) -> None:
        store = stores(FakeClock())
        run(store, [_grant("a", "in")], Policy())
        before = store.read(Touch(("a",))).accounts

        def fail(loaded: Loaded) -> Changes:
            raise RuntimeError("the rules have a bug")

        try:
            store.transact(Touch(("a",)), fail)
        except RuntimeError:
            pass
        else:
            raise AssertionError("the store swallowed an error of the rules")
        assert store.read(Touch(("a",))).accounts == before
        assert isinstance(run(store, [_reserve("a", "h")], Policy())[0], Applied)

    def test_what_is_stale_is_not_saved(self, stores: OpenStore) -> None:
        store = stores(FakeClock())
        run(store, [_grant("a", "in")], Policy())
        kept: list[Changes] = []

        def decide(loaded: Loaded) -> Changes:
            account = loaded.accounts["a"]
            stale = Changes(accounts=((account._replace(version=account.version + 1), account.version - 1),))
            kept.append(stale)
            if len(kept) > 20:
                raise RuntimeError("retried for ever")
            return stale

        try:
            store.transact(Touch(("a",)), decide)
        except Exception:  # noqa: BLE001  (how it refuses is the store's own business)
            pass
        else:
            raise AssertionError("an account was saved over a version that was not the stored one")
        assert store.read(Touch(("a",))).accounts["a"].version == 2

    def test_time_is_loaded_with_what_is_due(self, stores: OpenStore) -> None:
        clock = FakeClock()
        store = stores(clock)
        run(store, [_grant("a", "in"), *(_reserve("a", f"h{n}", 1, 10 * n) for n in (3, 1, 2))], Policy())
        assert store.due(10) == []
        assert store.read(Touch(("a",))).due == {}
        clock.tick(20)
        due = store.read(Touch(("a",))).due["a"]
        assert [hold.key for hold in due.holds] == ["h1", "h2"]
        assert due.next_deadline == round((clock.seconds + 10) * CREDIT)
        assert store.due(10) == ["a"]
        ledger = Ledger(store)
        assert ledger.sweep() == 2
        assert store.due(10) == []
        assert [hold.key for hold in store.open_holds("a")] == ["h3"]
        assert ledger.audit().ok

    def test_members_come_with_their_holds(self, stores: OpenStore) -> None:
        clock = FakeClock()
        limit = SetMember(account="a", key="m", member="ann", cap=5 * CREDIT, window=90 * CREDIT)
        hold = replace(_reserve("a", "h"), member="ann")
        run(stores(clock), [_grant("a", "in"), limit, hold], Policy())
        row = Member("a", "ann", 5 * CREDIT, 90 * CREDIT, round(clock() * CREDIT), 3, 0, 3 * CREDIT)
        for touch in (
            Touch(("a",), members=(("a", "ann"), ("a", "bob"))),
            Touch(("a",), holds=(("a", "h"),)),
            Touch(("a",), keys=(("a", "h"),)),
        ):
            assert stores(clock).read(touch).members == {("a", "ann"): row}
        assert stores(clock).read(Touch(("a",))).members == {}
        clock.tick(60)
        assert stores(clock).read(Touch(("a",))).members == {("a", "ann"): row}  # her hold is due
        Ledger(stores(clock)).sweep()
        assert stores(clock).read(touch).members == {("a", "ann"): row._replace(held=0)}
        with stores(clock).scan("a") as scan:
            assert list(scan.members()) == [row._replace(held=0)]

    def test_the_outbox_is_part_of_the_commit(self, stores: OpenStore) -> None:
        clock = FakeClock()
        store = stores(clock)
        alerts = [SetAlert(account=name, key="al", name="low", below=9 * CREDIT) for name in "ba"]
        run(store, [_grant("a", "in"), _grant("b", "in"), *alerts, _reserve("b", "h")], Policy())
        clock.tick(1)
        run(store, [_reserve("a", "h"), Charge(account="a", hold="x", amount=1, on_missing="debt")], Policy())
        told = stores(clock).notices(None, (), True, 10)
        assert [(notice.account, notice.version, notice.place, notice.kind) for notice in told] == [
            ("b", 4, 0, "low_balance"),
            ("a", 4, 0, "low_balance"),
            ("a", 5, 0, "late_charge"),
        ]
        assert [notice for entry in store.entries("a", 0, 9) for notice in notices_of(entry)] == told[1:]
        assert store.acknowledge([notice[:3] for notice in told[:2]] * 2) == 2
        assert stores(clock).notices(None, (), True, 10) == told[2:]
        assert stores(clock).notices("b", (), False, 10) == told[:1]
        assert stores(clock).notices(None, ("low_balance", "other"), False, 1) == told[:1]
        assert stores(clock).notices(None, ("other",), False, 10) == []
        assert Ledger(store).audit().ok

    def test_terms_come_back_as_they_went_in(self, stores: OpenStore) -> None:
        clock = FakeClock()
        ends = round(clock() * CREDIT) + 9 * CREDIT
        rolling = _grant("a", "in", expires=ends, rollover=2 * CREDIT, rollover_life=5)
        alert = SetAlert(account="a", key="al", name='ключ "1"', below=20 * CREDIT, rearm=30 * CREDIT)
        run(stores(clock), [rolling, alert], Policy())
        terms = stores(clock).read(Touch(("a",))).accounts["a"].terms
        assert [tuple(one) for one in terms.alerts] == [('ключ "1"', 20 * CREDIT, 30 * CREDIT, 1)]
        assert [roll[1:] for roll in terms.rolls] == [(ends, 2 * CREDIT, 5)]

    def test_a_transfer_is_one_commit(self, stores: OpenStore) -> None:
        store = stores(FakeClock())
        run(store, [_grant("a", "in"), _grant("b", "in")], Policy())
        move = Transfer(account="a", key="t", to="b", amount=4 * CREDIT)
        first, second = (run(stores(FakeClock()), [move], Policy())[0] for _ in range(2))
        assert isinstance(first, Applied)
        assert second == Replayed(first)
        accounts = store.read(Touch(("a", "b"))).accounts
        assert [accounts[name].available for name in "ab"] == [6 * CREDIT, 14 * CREDIT]
        assert [store.entries(name, 2, 9)[0].kind for name in "ab"] == ["transfer_out", "transfer_in"]
        assert Ledger(store).audit().ok

    def test_checkpoints_have_numbers_without_gaps(self, stores: OpenStore) -> None:
        clock = FakeClock()
        store = stores(clock)
        assert store.last_checkpoint() is None
        run(store, [_grant("a", "in")], Policy())
        made = [Ledger(stores(clock)).seal() for _ in range(3)]
        assert stores(clock).checkpoints(0, 9) == made
        assert stores(clock).checkpoints(1, 1) == made[1:2]
        assert stores(clock).last_checkpoint() == made[2]
        assert store.add_checkpoint(made[1]) is False
        assert store.checkpoints(0, 9) == made
        assert Ledger(store).audit().ok

    def test_linked_commands_are_all_or_none(self, stores: OpenStore) -> None:
        store = stores(FakeClock())
        run(store, [_grant("a", "in"), _grant("b", "in")], Policy())
        bad = Linked("l1", (_reserve("a", "x", 5), _reserve("b", "y", 50)))
        answers = run(store, [bad], Policy())
        assert [a.reason for a in answers if isinstance(a, Refusal)] == [
            Reason.LINK_REFUSED,
            Reason.INSUFFICIENT,
        ]
        assert store.open_holds(None) == []
        good = Linked("l2", (_reserve("a", "x", 5), _reserve("b", "z", 5)))
        assert all(isinstance(answer, Applied) for answer in run(store, [good], Policy()))
        assert [entry.link for entry in store.entries("b", 2, 9)] == ["l1:1:2", "l2:1:2"]
        assert Ledger(store).audit().ok

    def test_two_writers_never_overdraw(self, stores: OpenStore) -> None:
        """Forty holds of 1 on 10 credits, from eight threads on four stores: ten, never eleven."""
        clock = FakeClock()
        run(stores(clock), [_grant("a", "in")], Policy())
        opened = [stores(clock) for _ in range(4)]
        start = threading.Barrier(8)

        def hammer(worker: int) -> int:
            start.wait()
            held = 0
            for number in range(5):
                # Not through a Ledger: its writer would stand between the store and the race.
                answer = run(opened[worker % 4], [_reserve("a", f"w{worker}n{number}", 1)], Policy())[0]
                held += isinstance(answer, Applied)
            return held

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(hammer, range(8))) == 10
        account = opened[0].read(Touch(("a",))).accounts["a"]
        assert (account.available, account.held) == (0, 10 * CREDIT)
        proof = Ledger(opened[0]).audit()
        assert proof.ok, proof.problems
        assert account.version == len(opened[0].entries("a", 0, 1_000))

    def test_one_key_wins_once(self, stores: OpenStore) -> None:
        """Eight threads send the same command: one entry, eight answers with its hash."""
        clock = FakeClock()
        run(stores(clock), [_grant("a", "in")], Policy())
        opened = [stores(clock) for _ in range(4)]
        start = threading.Barrier(8)

        def send(worker: int) -> tuple[str, bool]:
            start.wait()
            answer = run(opened[worker % 4], [_reserve("a", "same", 2)], Policy())[0]
            assert isinstance(answer, Applied | Replayed)
            return answer.receipt.hash, answer.receipt.replayed

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(8)))
        assert len({digest for digest, _ in answers}) == 1
        assert sorted(replayed for _, replayed in answers) == [False] + [True] * 7
