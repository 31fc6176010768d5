"""What is around the ledger, on servers: copies, Stripe, selections, and what a person should look at."""

from __future__ import annotations

import json

from ledger_fortress import Ledger
from ledger_fortress.exporting import digest_of, export_lines
from ledger_fortress.importing import import_lines
from ledger_fortress.stores import open_store
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stripe import StripeWebhook
from ledger_fortress.testing.scenario import START, FakeClock
from tests.ledger_fortress.stripe.events import SECRET, invoice, refund, session
from tests.ledger_fortress.test_export import fill


def test_a_copy_there_and_back(url: str) -> None:
    """Memory to a server and back: digest, verification, and that a second import changes nothing."""
    clock = FakeClock()
    first = MemoryStore(clock)
    fill(first, clock)
    there = open_store(url, clock=FakeClock(START + 100))
    done = import_lines(there, export_lines(first))
    assert done.digest == digest_of(there) == digest_of(first)
    proof = Ledger(there).audit()
    assert proof.ok, proof.problems
    assert import_lines(there, export_lines(first)).fresh == 0
    back = MemoryStore(FakeClock(START + 100))
    import_lines(back, export_lines(there))
    assert digest_of(back) == digest_of(first)
    assert sorted(export_lines(back)) == sorted(export_lines(first))
    assert Ledger(there).alerts() == Ledger(first).alerts()
    there.close()


def test_stripe_in_two_processes_worth_of_ledgers(url: str) -> None:
    with Ledger.open(url) as one, Ledger.open(url) as two:
        hooks = [StripeWebhook(each, SECRET, rates={"usd": 1}) for each in (one, two)]
        for told in (
            refund("7", 1_000, 400),
            session("7", 1_000),
            invoice("8", 500),
            refund("7", 1_000, 100),
        ):
            assert not (hooks[0].book(told).replayed and told["type"] != "charge.refunded")
            assert hooks[1].book(told).replayed
        assert str(two.balance("acct_1")) == "11.000000 available, 0.000000 held"
        assert [entry.kind for entry in one.statement("acct_1", kind=["clawback", "grant"])] == [
            "clawback",
            "grant",
            "grant",
        ]


def test_findings(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        ledger.reserve("a", 3, key="h", timeout=1e-6, on_timeout="report")
        ledger.charge("a", "lost", 15, on_missing="debt")
        found = [(one.trouble.value, one.key, str(one.amount)) for one in ledger.reconcile()]
        assert found == [
            ("overdue", "h", "3.000000"),
            ("late_charge", "lost", "15.000000"),
            ("debt", None, "8.000000"),
        ]
        assert json.loads(list(export_lines(ledger._store))[-1])["rows"] > 4
