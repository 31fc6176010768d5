"""Edge cases in which ordinary credit ledgers lose money, work or the trace of it, and what this one does.

Each test's line says what goes wrong elsewhere. The numbers are those of the list of cases; the ones marked
there as executed against another ledger are all here.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_fortress import Credits, Ledger, Reason, Refused
from ledger_fortress.commands import Grant, Reserve
from ledger_fortress.credits import LIMIT
from ledger_fortress.rules import Policy
from ledger_fortress.stores.sql import queries
from ledger_fortress.stripe import StripeRejected, StripeWebhook
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.stripe.events import invoice

DEBT = Policy(late_charge="debt", over_charge="debt")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(url, clock=clock) as opened:
        opened.grant("a", 10, key="in", create=True)
        opened.grant("b", 10, key="in", create=True)
        yield opened
        proof = opened.audit()
        assert proof.ok, proof.problems


def refusal(call: Callable[[], object]) -> Reason:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.reason


def have(ledger: Ledger, account: str = "a") -> tuple[str, str, str]:
    balance = ledger.balance(account)
    return str(balance.available), str(balance.held), str(balance.debt)


def test_01_reserve_again_after_a_refund(ledger: Ledger) -> None:
    """Elsewhere: true, and nothing is deducted. Here the id is spent, and the answer says so."""
    ledger.reserve("a", 5, key="gen")
    ledger.release("a", "gen")
    again = ledger.reserve("a", 5, key="gen")
    assert (again.replayed, again.open) == (True, False)
    assert refusal(lambda: ledger.reserve("a", 6, key="gen")) is Reason.KEY_CONFLICT
    assert ledger.reserve("a", 5, key="gen-2").open
    assert have(ledger) == ("5.000000", "5.000000", "0.000000")


def test_02_reserve_again_after_a_charge(ledger: Ledger) -> None:
    """Elsewhere: a second job rides on one payment. Here: the first answer, and the hold is closed."""
    first = ledger.reserve("a", 5, key="gen")
    ledger.charge("a", "gen")
    again = ledger.reserve("a", 5, key="gen")
    assert (again.hash, again.replayed, again.open) == (first.hash, True, False)
    assert have(ledger)[0] == "5.000000"


def test_03_the_same_id_in_another_account(ledger: Ledger) -> None:
    """Elsewhere: "insufficient funds" although there are 10. Here keys belong to their account."""
    ledger.reserve("a", 5, key="gen")
    assert not ledger.reserve("b", 5, key="gen").replayed
    ledger.charge("b", "gen", 1)
    view = ledger.hold("a", "gen")
    assert view is not None
    assert view.state == "open"


@pytest.mark.parametrize("ends", ["release", "timeout"])
def test_04_the_work_succeeds_after_its_credits_were_given_back(
    ledger: Ledger, clock: FakeClock, ends: str
) -> None:
    """Elsewhere: free output, recorded nowhere. Here: owed or refused by policy, and listed either way."""
    for name, lenient in (("refused", ledger), ("owed", Ledger(ledger._store, policy=DEBT))):
        lenient.reserve("a", 4, key=name, timeout=60)
        if ends == "release":
            lenient.release("a", name)
        clock.tick(60)
    ledger.reserve("a", 10, key="other")
    ledger.charge("a", "other")
    gone = {"release": Reason.HOLD_RELEASED, "timeout": Reason.HOLD_TIMED_OUT}[ends]
    assert refusal(lambda: ledger.charge("a", "refused")) is gone
    Ledger(ledger._store, policy=DEBT).charge("a", "owed", 3)
    assert have(ledger) == ("0.000000", "0.000000", "3.000000")
    listed = {(one.trouble.value, one.key) for one in ledger.reconcile()}
    assert {("unpaid", "refused"), ("late_charge", "owed")} <= listed
    assert [alert.kind for alert in ledger.alerts("a")] == ["late_refused", "late_charge"]


def test_05_a_job_that_takes_long(ledger: Ledger, clock: FakeClock) -> None:
    """Elsewhere: one window for all, so long jobs are refunded while they run. Here each hold has its own."""
    ledger.reserve("a", 1, key="picture", timeout=60)
    ledger.reserve("a", 2, key="clip", timeout=600)
    ledger.reserve("a", 3, key="unsure", timeout=60, on_timeout="report")
    clock.tick(300)
    ledger.extend("a", "clip", 600, key="heartbeat")
    clock.tick(500)
    assert [hold.key for hold in ledger.open_holds("a")] == ["unsure", "clip"]
    assert [hold.key for hold in ledger.open_holds("a", overdue=True)] == ["unsure"]


def test_06_a_hold_without_a_name(ledger: Ledger) -> None:
    """Elsewhere: 4 credits that can never be charged, refunded or found. Here a hold has a name."""
    with pytest.raises(TypeError, match="key"):
        ledger.reserve("a", 4)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="key"):
        ledger.reserve("a", 4, key="")
    assert have(ledger)[1] == "0.000000"


def test_07_the_real_cost_differs_from_the_hold(ledger: Ledger) -> None:
    """Elsewhere: an exception. Here less returns the rest, and more is decided by policy."""
    ledger.reserve("a", 5, key="less")
    ledger.charge("a", "less", 3)
    assert have(ledger) == ("7.000000", "0.000000", "0.000000")
    ledger.reserve("a", 5, key="more")
    assert refusal(lambda: ledger.charge("a", "more", 6)) is Reason.EXCEEDS_HOLD
    Ledger(ledger._store, policy=DEBT).charge("a", "more", 9)
    assert have(ledger) == ("0.000000", "0.000000", "2.000000")


def test_08_a_charge_is_refunded_in_parts(ledger: Ledger) -> None:
    """Elsewhere: never; only an unlinked grant. Here: linked, in parts, into the bucket it came from."""
    ledger.reserve("a", 5, key="gen")
    ledger.charge("a", "gen", 4)
    ledger.refund("a", "gen", 1, key="r1")
    ledger.refund("a", "gen", 2, key="r2")
    assert refusal(lambda: ledger.refund("a", "gen", 2, key="r3")) is Reason.EXCEEDS_CHARGE
    ledger.refund("a", "gen", key="r4")
    assert have(ledger)[0] == "10.000000"
    assert [(bucket.source, str(bucket.available)) for bucket in ledger.balance("a").buckets] == [
        (None, "10.000000")
    ]


def test_09_two_grants_with_the_same_words(ledger: Ledger) -> None:
    """Elsewhere: the text is the key, and the second gift is silently lost. Here the key is the key."""
    ledger.grant("a", 5, key="gift-1", note="Goodwill")
    ledger.grant("a", 7, key="gift-2", note="Goodwill")
    assert have(ledger)[0] == "22.000000"
    assert refusal(lambda: ledger.grant("a", 8, key="gift-2", note="Goodwill")) is Reason.KEY_CONFLICT
    assert ledger.grant("a", 7, key="gift-2", note=" Goodwill ").replayed


def test_10_the_words_are_kept_beside_the_key(ledger: Ledger) -> None:
    """Elsewhere: the human text is dropped when a key is given. Here both are kept."""
    ledger.grant("a", 5, key="gift", note="thanks for waiting")
    with ledger._store.scan("a") as scan:
        assert [note.text for note in scan.notes()] == ["thanks for waiting"]
    assert [entry.key for entry in ledger.entries("a")][-1] == "gift"


def test_11_every_no_has_a_name(ledger: Ledger) -> None:
    """Elsewhere: `False` for four different reasons. Here four names."""
    ledger.reserve("a", 5, key="gen")
    ledger.charge("a", "gen", 5)
    assert ledger.charge("a", "gen", 5).replayed
    assert refusal(lambda: ledger.charge("a", "gen", 4)) is Reason.KEY_CONFLICT
    assert refusal(lambda: ledger.charge("a", "gen", 5, key="twice")) is Reason.HOLD_CHARGED
    assert refusal(lambda: ledger.charge("a", "never", 5)) is Reason.UNKNOWN_HOLD
    assert refusal(lambda: ledger.charge("b", "gen", 5)) is Reason.UNKNOWN_HOLD
    assert refusal(lambda: ledger.charge("c", "gen", 5)) is Reason.UNKNOWN_ACCOUNT
    assert refusal(lambda: ledger.reserve("a", 6, key="big")) is Reason.INSUFFICIENT


def test_12_no_floats(ledger: Ledger) -> None:
    """Elsewhere: 0.1 + 0.2 raises, at once or later. Here a float is refused, and decimals are exact."""
    with pytest.raises(TypeError, match="float"):
        ledger.reserve("a", 0.1 + 0.2, key="gen")  # type: ignore[arg-type]
    ledger.reserve("a", Decimal("0.1") + Decimal("0.2"), key="gen")
    assert ledger.balance("a").held == Credits("0.3")


def test_13_small_prices_and_large_balances(ledger: Ledger) -> None:
    """Elsewhere: 0.0005 is refused, a full account breaks the webhook for days. Here both have an answer."""
    ledger.reserve("a", "0.000001", key="tiny")
    room = LIMIT - 10_000_000
    ledger.grant("a", Credits.micro(room), key="all")
    assert refusal(lambda: ledger.grant("a", "0.001", key="more")) is Reason.BALANCE_LIMIT


def test_14_history_cannot_be_rewritten(tmp_path: Path, clock: FakeClock) -> None:
    """Elsewhere: the owner updates and deletes rows, and nothing notices. Here it is hard, and shows."""
    path = tmp_path / "credits.db"
    with Ledger.open(f"sqlite:///{path}", clock=clock) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        ledger.reserve("a", 5, key="gen")
        kept = ledger.seal().hash
    raw = sqlite3.connect(path, isolation_level=None)
    for statement in ("UPDATE ledger_entry SET amount = 1", "DELETE FROM ledger_entry"):
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(statement)
    raw.execute("DROP TRIGGER ledger_entry_no_delete")
    raw.execute("DELETE FROM ledger_entry WHERE version = 3")
    raw.execute("DELETE FROM ledger_hold")
    row = raw.execute("SELECT hash FROM ledger_entry WHERE version = 2").fetchone()
    raw.execute(
        "UPDATE ledger_account SET version = 2, held = 0, available = 10000000, head = ?, "
        "buckets = replace(buckets, '5000000,5000000', '10000000,0')",
        row,
    )
    raw.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        problems = ledger.audit().problems
        assert problems == ("account 'a' version 3: was sealed and is missing",)
        assert ledger.seal().prev_hash == kept


def test_15_every_row_explains_itself(ledger: Ledger) -> None:
    """Elsewhere: what a row moved depends on other rows. Here the balance is the sum of the deltas."""
    ledger.reserve("a", 5, key="gen")
    ledger.release("a", "gen")
    Ledger(ledger._store, policy=DEBT).charge("a", "gen", 5)
    available = held = debt = 0
    for entry in ledger.entries("a"):
        available += entry.d_available
        held += entry.d_held
        debt += entry.d_debt
        assert (available, held, debt) == (entry.available, entry.held, entry.debt)
        assert "legs" in json.loads(entry.body)
    assert have(ledger) == ("5.000000", "0.000000", "0.000000")


def test_16_an_order_that_does_not_depend_on_the_clock(ledger: Ledger) -> None:
    """Elsewhere: two rows of one instant, and pages that skip or repeat. Here versions without a gap."""
    ledger.apply([Reserve(account="a", key=f"h{n}", amount=1, timeout=10**6) for n in range(9)])
    seen: list[int] = []
    after: int | None = None
    while True:
        page = ledger.statement("a", after, 2)
        seen += [entry.version for entry in page]
        after = page.next
        if after is None:
            break
    assert seen == list(range(1, 12))
    assert len({entry.at for entry in ledger.entries("a")}) == 1


def test_17_held_is_not_spent(ledger: Ledger) -> None:
    """Elsewhere: one number. Here the user sees what is held and what is owed."""
    ledger.reserve("a", 4, key="gen")
    assert have(ledger) == ("6.000000", "4.000000", "0.000000")


def test_18_a_payment_has_a_currency(ledger: Ledger) -> None:
    """Elsewhere: any amount is divided by 100. Here a currency has a rate and an exponent, or is refused."""
    webhook = StripeWebhook(ledger, "whsec_1", rates={"usd": 1, "jpy": "0.0065"})
    webhook.book(invoice("1", 1_000, "a", "jpy"))
    assert have(ledger)[0] == "16.500000"
    with pytest.raises(StripeRejected, match="unknown_currency"):
        webhook.book(invoice("2", 15_000_000, "a", "idr"))
    assert have(ledger)[0] == "16.500000"


def test_19_a_manual_grant_blocks_no_payment(ledger: Ledger) -> None:
    """Elsewhere: free text and payments share their names. Here a payment's key says where it is from."""
    webhook = StripeWebhook(ledger, "whsec_1", rates={"usd": 1})
    ledger.grant("a", 1, key="invoice:in_1", note="stripe:invoice:in_1")
    ledger.grant("a", 1, key="in_1")
    assert not webhook.book(invoice("1", 1_000, "a")).replayed
    assert have(ledger)[0] == "22.000000"


def test_20_a_payment_is_taken_back(ledger: Ledger) -> None:
    """Elsewhere: out of scope. Here: what is left, the rest is owed, and the next grant pays it."""
    ledger.reserve("a", 8, key="gen")
    ledger.charge("a", "gen")
    ledger.dispute("a", 10, key="dp_1", grant="in")
    assert have(ledger) == ("0.000000", "0.000000", "8.000000")
    ledger.grant("a", 9, key="next")
    assert have(ledger) == ("1.000000", "0.000000", "0.000000")
    ledger.dispute_won("a", "dp_1")
    assert have(ledger) == ("11.000000", "0.000000", "0.000000")


def test_21_an_alert_is_part_of_the_commit(ledger: Ledger) -> None:
    """Elsewhere: a second call, so a crash in between loses it. Here the entry itself carries it."""
    ledger.set_alert("a", "low", 5, key="alert")
    ledger.reserve("a", 6, key="gen")
    told = ledger.alerts("a")
    assert [(alert.kind, alert.details["available"]) for alert in told] == [("low_balance", Credits(4))]
    assert json.loads(list(ledger.entries("a"))[told[0].mark[1] - 1].body)["notices"]
    assert (ledger.ack(told), ledger.ack(told), ledger.alerts("a")) == (1, 0, [])


def test_22_many_threads_wait_instead_of_failing(tmp_path: Path) -> None:
    """Elsewhere: 108 of 160 calls raised, because the pool was empty. Here they wait for their turn."""
    with Ledger.open(f"sqlite:///{tmp_path}/credits.db") as ledger:
        ledger.grant("a", 1_000, key="in", create=True)
        start = threading.Barrier(32)

        def work(number: int) -> int:
            start.wait()
            return sum(ledger.reserve("a", 1, key=f"t{number}n{turn}").open for turn in range(5))

        with ThreadPoolExecutor(32) as pool:
            assert sum(pool.map(work, range(32))) == 160
        assert ledger.balance("a").held == Credits(160)


@pytest.mark.parametrize("query", ["load_key", "load_hold", "load_account", "load_due_holds", "due_accounts"])
def test_23_24_plans_do_not_depend_on_statistics_or_history(tmp_path: Path, query: str) -> None:
    """Elsewhere: a fresh database scans, and looking for orphans grows with history. Here: index searches."""
    path = tmp_path / "credits.db"
    with Ledger.open(f"sqlite:///{path}"):
        pass
    sql = queries("sqlite")[query]
    raw = sqlite3.connect(path)
    plan = raw.execute(f"EXPLAIN QUERY PLAN {sql}", ("x",) * sql.count("?")).fetchall()
    raw.close()
    assert [step[3] for step in plan if "SEARCH" in step[3]]
    assert not [step[3] for step in plan if step[3].startswith("SCAN")]


def test_25_totals_are_audited(ledger: Ledger) -> None:
    """Elsewhere: nothing compares the sum of the entries with the balance. Here `verify` does."""
    ledger.reserve("a", 5, key="gen")
    proof = ledger.audit()
    assert (proof.ok, proof.accounts, proof.entries) == (True, 2, 5)


def test_28_members_of_a_pool(ledger: Ledger) -> None:
    """Elsewhere: absent. Here a limit counts what is spent and what is held."""
    ledger.set_member("a", "ann", 5, key="limit")
    ledger.reserve("a", 3, key="h1", member="ann")
    ledger.charge("a", "h1", 2)
    ledger.reserve("a", 3, key="h2", member="ann")
    assert refusal(lambda: ledger.reserve("a", "0.000001", key="h3", member="ann")) is Reason.MEMBER_LIMIT


def test_29_settling_on_a_frozen_account(ledger: Ledger) -> None:
    """Elsewhere: undefined. Here no new holds, and open ones are settled."""
    ledger.reserve("a", 3, key="h1")
    ledger.freeze("a", key="stop")
    assert refusal(lambda: ledger.reserve("a", 1, key="h2")) is Reason.FROZEN
    assert refusal(lambda: ledger.transfer("a", "b", 1, key="away")) is Reason.FROZEN
    ledger.charge("a", "h1")
    assert ledger.apply([Grant(account="a", key="more", amount=1)])
