"""Signatures by the official library, and what a ledger has after deliveries."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_fortress import AsyncLedger, Balance, Credits, Ledger, Refused
from ledger_fortress.stripe import (
    AsyncStripePayments,
    AsyncStripeWebhook,
    Rate,
    StripePayments,
    StripeRejected,
    StripeWebhook,
    Wrong,
)
from tests.ledger_fortress.stripe.events import (
    CREATED,
    NEW,
    OLD,
    SECRET,
    charge,
    deliver,
    dispute,
    event,
    invoice,
    invoice_charge,
    invoice_object,
    invoice_payment,
    invoice_refund,
    refund,
    session,
    signed,
)


class Charges:
    """The port: charges by id, invoices by charge. Payments whose number begins with `i` are of invoices."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def charge(self, name: str) -> dict[str, Any]:
        self.asked.append(name)
        number = name.removeprefix("ch_")
        return invoice_charge(number, 1_000) if number.startswith("i") else charge(number, 1_000)

    def invoices(self, charge: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(f"invoices of {charge['id']}")
        number = charge["id"].removeprefix("ch_")
        return [invoice_object(number, 1_000)] if number.startswith("i") else []


class AsyncCharges:
    """The same, awaited."""

    async def charge(self, name: str) -> dict[str, Any]:
        return Charges().charge(name)

    async def invoices(self, charge: Mapping[str, Any]) -> list[dict[str, Any]]:
        return Charges().invoices(charge)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger.open("memory:", clock=lambda: CREATED + 60.0)


@pytest.fixture
def webhook(ledger: Ledger) -> StripeWebhook:
    return StripeWebhook(ledger, SECRET, rates={"usd": 1, "jpy": "0.0065"}, payments=Charges())


def total(ledger: Ledger, account: str = "acct_1") -> str:
    return str(ledger.balance(account))


def test_a_paid_invoice(ledger: Ledger, webhook: StripeWebhook) -> None:
    first = deliver(webhook, invoice("7", 2_500))
    assert (first.action, first.account, first.replayed) == ("paid", "acct_1", False)
    again = deliver(webhook, invoice("7", 2_500))
    assert again.replayed
    assert again.receipts[0].hash == first.receipts[0].hash
    assert total(ledger) == "25.000000 available, 0.000000 held"
    assert [bucket.source for bucket in ledger.balance("acct_1").buckets] == ["stripe:usd@10000"]


def test_a_yen_is_not_a_dollar(ledger: Ledger, webhook: StripeWebhook) -> None:
    deliver(webhook, invoice("7", 1_000, currency="jpy"))
    assert total(ledger) == "6.500000 available, 0.000000 held"


def test_an_event_says_its_name(webhook: StripeWebhook) -> None:
    outcome = deliver(webhook, event("customer.created", {"id": "cus_1", "object": "customer"}))
    assert (outcome.event, outcome.type) == ("evt_customer_created_1", "customer.created")
    assert (outcome.action, outcome.receipts) == ("ignored", ())


def rejected(webhook: StripeWebhook, payload: str | bytes, signature: str | None) -> Wrong:
    with pytest.raises(StripeRejected) as caught:
        webhook.receive(payload, signature)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value.wrong


def test_signatures(ledger: Ledger, webhook: StripeWebhook) -> None:
    """Changed, foreign, missing, garbled and old ones book nothing; the real one does, as bytes too."""
    payload, header = signed(invoice("7", 2_500))
    assert rejected(webhook, payload.replace("2500", "9500"), header) is Wrong.BAD_SIGNATURE
    assert rejected(webhook, *signed(invoice("7", 2_500), "whsec_other")) is Wrong.BAD_SIGNATURE
    assert rejected(webhook, *signed(invoice("7", 2_500), timestamp=CREATED - 3_600)) is Wrong.BAD_SIGNATURE
    for broken in (None, "", "t=1", "v1=abc", "nonsense"):
        assert rejected(webhook, payload, broken) is Wrong.BAD_SIGNATURE
    assert ledger.accounts() == []
    assert webhook.receive(payload.encode(), header).action == "paid"


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '"invoice.paid"', "{}", '{"object":"event","type":"invoice.paid"}']
)
def test_signed_nonsense(webhook: StripeWebhook, body: str) -> None:
    header = stripe.WebhookSignature.generate_signature_header(body, SECRET)
    assert rejected(webhook, body, header) is Wrong.BAD_EVENT


def test_settings_are_checked_at_once(ledger: Ledger) -> None:
    for secret, rates, error in (
        ("", {"usd": 1}, ValueError),
        ("s", {}, ValueError),
        ("s", {"usd": 0.1}, TypeError),
    ):
        with pytest.raises(error):
            StripeWebhook(ledger, secret, rates=rates)


def test_bought_credits_have_terms(ledger: Ledger) -> None:
    """They live from the event's own time, so that a repeat is the same command."""
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, priority=5, life=timedelta(days=90))
    deliver(webhook, invoice("7", 100))
    (bucket,) = ledger.balance("acct_1").buckets
    assert bucket.priority == 5
    assert bucket.expires == datetime.fromtimestamp(CREATED, UTC) + timedelta(days=90)


def test_a_rate_that_changed_is_no_second_grant(ledger: Ledger, webhook: StripeWebhook) -> None:
    """A late repeat finds its grant, and a refund takes back at the rate at which was sold."""
    deliver(webhook, session("7", 1_000))
    dearer = StripeWebhook(ledger, SECRET, rates={"usd": Rate("0.5")})
    assert deliver(dearer, session("7", 1_000)).replayed
    deliver(dearer, refund("7", 1_000, 400))
    assert total(ledger) == "6.000000 available, 0.000000 held"


def test_refunds_in_parts(ledger: Ledger, webhook: StripeWebhook) -> None:
    """Each event says how much in all; reordered and repeated ones take nothing twice."""
    deliver(webhook, session("7", 1_000))
    for so_far, left in ((300, "7"), (300, "7"), (800, "2"), (300, "2"), (800, "2"), (1_000, "0")):
        deliver(webhook, refund("7", 1_000, so_far))
        assert ledger.balance("acct_1").available == Credits(left)
    assert [entry.amount for entry in ledger.statement("acct_1", kind="clawback")] == [
        3_000_000,
        5_000_000,
        2_000_000,
    ]


def test_a_refund_takes_the_credits_that_were_bought(ledger: Ledger, webhook: StripeWebhook) -> None:
    """Not those that would burn first."""
    ledger.grant("acct_1", 10, key="plan", source="plan", priority=-1, create=True)
    deliver(webhook, session("7", 1_000))
    deliver(webhook, refund("7", 1_000, 1_000))
    assert [(bucket.source, bucket.available) for bucket in ledger.balance("acct_1").buckets] == [
        ("plan", Credits(10))
    ]


@pytest.mark.parametrize("api", [OLD, NEW])
def test_a_refunded_invoice_takes_the_credits_that_it_brought(ledger: Ledger, api: str) -> None:
    """Of that grant, at its rate, on the account that only the invoice names: in both shapes of the API."""
    ledger.grant("acct_1", 10, key="plan", source="plan", priority=-1, create=True)
    payments = Charges()
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=payments)
    deliver(webhook, invoice("i7", 1_000, api=api))
    dearer = StripeWebhook(ledger, SECRET, rates={"usd": "0.5"}, payments=payments)
    for told in (invoice_refund("i7", 1_000, 300, api), invoice_refund("i7", 1_000, 1_000, api)):
        assert deliver(dearer, told).account == "acct_1"
    assert [(bucket.source, bucket.available) for bucket in ledger.balance("acct_1").buckets] == [
        ("plan", Credits(10))
    ]
    assert payments.asked == ["invoices of ch_i7"] * 2


def test_a_charge_that_names_its_invoice_and_its_account_asks_nobody(ledger: Ledger) -> None:
    payments = Charges()
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=payments)
    deliver(webhook, refund("7", 1_000, 300, invoice=None))
    deliver(webhook, refund("8", 1_000, 300, invoice="in_8"))
    deliver(webhook, refund("9", 1_000, 300, payment_intent=None))
    assert payments.asked == []


def test_an_invoice_s_charge_without_payments_is_rejected_where_nothing_names_its_account(
    ledger: Ledger,
) -> None:
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1})
    with pytest.raises(StripeRejected, match="payments=StripePayments") as told:
        deliver(webhook, invoice_refund("i7", 1_000, 300))
    assert told.value.wrong is Wrong.NO_ACCOUNT
    named = StripeWebhook(ledger, SECRET, rates={"usd": 1}, account=lambda thing: "acct_1")
    assert deliver(named, invoice_refund("i7", 1_000, 300)).action == "refunded"


@pytest.mark.parametrize("api", [OLD, NEW])
def test_a_disputed_invoice(ledger: Ledger, webhook: StripeWebhook, api: str) -> None:
    deliver(webhook, invoice("i7", 1_000, api=api))
    opened = dispute("i7", "created", "needs_response", 1_000)
    assert deliver(webhook, opened).account == "acct_1"
    assert total(ledger) == "0.000000 available, 0.000000 held"
    inside = dispute("i7", "closed", "won", 1_000, of=invoice_charge("i7", 1_000, api=api))
    deliver(webhook, inside)
    assert total(ledger) == "10.000000 available, 0.000000 held"


def test_what_was_spent_is_owed(ledger: Ledger, webhook: StripeWebhook) -> None:
    deliver(webhook, session("7", 1_000))
    ledger.reserve("acct_1", 6, key="h")
    ledger.charge("acct_1", "h")
    deliver(webhook, refund("7", 1_000, 1_000))
    assert total(ledger) == "0.000000 available, 0.000000 held, 6.000000 owed"
    deliver(webhook, session("8", 700))
    assert total(ledger) == "1.000000 available, 0.000000 held"


def test_a_dispute_that_is_won_or_lost(ledger: Ledger, webhook: StripeWebhook) -> None:
    deliver(webhook, session("7", 1_000))
    deliver(webhook, session("8", 500))
    deliver(webhook, dispute("7", "created", "needs_response", 1_000))
    deliver(webhook, dispute("7", "funds_withdrawn", "needs_response", 1_000))
    assert total(ledger) == "5.000000 available, 0.000000 held"
    deliver(webhook, dispute("7", "closed", "won", 1_000))
    deliver(webhook, dispute("7", "funds_reinstated", "won", 1_000))
    assert total(ledger) == "15.000000 available, 0.000000 held"
    deliver(webhook, dispute("8", "created", "needs_response", 500))
    deliver(webhook, dispute("8", "closed", "lost", 500))
    assert total(ledger) == "10.000000 available, 0.000000 held"
    deliver(webhook, dispute("8", "funds_reinstated", "won", 500))  # an appeal that was won
    assert total(ledger) == "15.000000 available, 0.000000 held"
    assert ledger.audit().ok


def test_an_inquiry_moves_nothing_until_it_is_a_dispute(ledger: Ledger, webhook: StripeWebhook) -> None:
    deliver(webhook, session("7", 1_000))
    deliver(webhook, dispute("7", "created", "warning_needs_response", 1_000))
    assert total(ledger) == "10.000000 available, 0.000000 held"
    deliver(webhook, dispute("7", "updated", "needs_response", 1_000))
    assert total(ledger) == "0.000000 available, 0.000000 held"


def test_a_refund_before_its_payment(ledger: Ledger, webhook: StripeWebhook) -> None:
    """Nobody knows the account yet: it is opened, and owes until the payment arrives."""
    deliver(webhook, refund("7", 1_000, 400))
    assert total(ledger) == "0.000000 available, 0.000000 held, 4.000000 owed"
    deliver(webhook, session("7", 1_000))
    assert total(ledger) == "6.000000 available, 0.000000 held"


def test_what_the_ledger_refuses_stays_an_error(ledger: Ledger, webhook: StripeWebhook) -> None:
    """A payment on a closed account is not swallowed: Stripe delivers again, and somebody has to look."""
    ledger.open_account("acct_1", key="o")
    ledger.close_account("acct_1", key="c")
    for _ in range(2):
        with pytest.raises(Refused, match="closed"):
            deliver(webhook, invoice("7", 100))


def story(number: str) -> list[dict[str, Any]]:
    """All that can happen to one payment of 10, in some order; what is left of it is in `LEFT`."""
    paid = session(number, 1_000)
    late = session(number, 1_000, kind="checkout.session.async_payment_succeeded")
    return {
        "paid": [paid],
        "paid later": [session(number, 1_000, payment_status="unpaid"), late],
        "told twice": [paid, late],
        "refunded": [paid, refund(number, 1_000, 300), refund(number, 1_000, 700)],
        "refunded at once": [paid, refund(number, 1_000, 1_000)],
        "won": [
            paid,
            dispute(number, "created", "needs_response", 1_000),
            dispute(number, "closed", "won", 1_000),
            dispute(number, "funds_reinstated", "won", 1_000),
        ],
        "lost": [
            paid,
            dispute(number, "funds_withdrawn", "needs_response", 1_000),
            dispute(number, "closed", "lost", 1_000),
        ],
        "appealed": [
            paid,
            dispute(number, "created", "needs_response", 1_000),
            dispute(number, "closed", "lost", 1_000),
            dispute(number, "funds_reinstated", "won", 1_000),
        ],
        "open": [
            paid,
            dispute(number, "created", "warning_needs_response", 400),
            dispute(number, "updated", "needs_response", 400),
        ],
        "invoice refunded": [
            invoice(number, 1_000),
            invoice(number, 1_000, api=OLD),
            invoice_refund(number, 1_000, 300),
            invoice_refund(number, 1_000, 600, OLD),
        ],
        "invoice disputed": [
            invoice(number, 1_000, api=OLD),
            dispute(number, "created", "needs_response", 1_000),
            dispute(number, "closed", "lost", 1_000, of=invoice_charge(number, 1_000, api=OLD)),
        ],
        "both": [paid, refund(number, 1_000, 300), dispute(number, "created", "under_review", 700)],
    }[number.partition("_")[0]]


LEFT = {
    "paid": 10,
    "paid later": 10,
    "told twice": 10,
    "refunded": 3,
    "refunded at once": 0,
    "won": 10,
    "lost": 0,
    "appealed": 10,
    "open": 6,
    "invoice refunded": 4,
    "invoice disputed": 0,
    "both": 0,
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(LEFT)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.integers(0, 20),
)
def test_any_order_and_any_repetition_end_at_the_same_balance(
    names: list[str], random: Any, spent: int
) -> None:
    """The law of the module. What was spent before is owed where the payments do not cover it."""
    events = [told for place, name in enumerate(names) for told in story(f"{name}_{place}")]
    deliveries = events + random.choices(events, k=len(events))
    random.shuffle(deliveries)
    ledger = Ledger.open("memory:", clock=lambda: CREATED + 60.0)
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=Charges())
    ledger.open_account("acct_1", key="o")
    if spent:
        ledger.charge("acct_1", "earlier", spent, on_missing="debt")
    for told in deliveries:
        webhook.book(told)
    net = sum(LEFT[name] for name in names) - spent
    balance = ledger.balance("acct_1")
    expected = Balance(Credits(max(net, 0)), Credits(0), Credits(max(-net, 0)), balance.buckets)
    assert balance == expected
    proof = ledger.audit()
    assert proof.ok, proof.problems


def test_deliveries_at_the_same_time(tmp_path: Path) -> None:
    """Eight at once on two ledgers over one file: each refund is taken once, whoever comes first."""
    url = f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(url) as one, Ledger.open(url) as two:
        hooks = [StripeWebhook(each, SECRET, rates={"usd": 1}, payments=Charges()) for each in (one, two)]
        events = [session("7", 1_000), *(refund("7", 1_000, part) for part in range(100, 900, 100))]
        start = threading.Barrier(8)

        def send(worker: int) -> None:
            start.wait()
            for told in events[worker:] + events[:worker]:
                hooks[worker % 2].book(told)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(8)))
        assert total(one) == "2.000000 available, 0.000000 held"
        assert one.audit().ok


def test_the_awaited_face() -> None:
    async def main() -> str:
        async with AsyncLedger.open("memory:", clock=lambda: CREATED + 60.0) as ledger:
            webhook = AsyncStripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=AsyncCharges())
            for told in (refund("7", 1_000, 300), session("7", 1_000), dispute("8", "closed", "lost", 100)):
                outcome = await webhook.receive(*signed(told))
                assert not outcome.replayed
                assert (await webhook.book(told)).replayed
            assert (await webhook.book(event("some.thing", {}))).action == "ignored"
            with pytest.raises(StripeRejected, match="unknown_currency"):
                await webhook.book(invoice("7", 1, currency="gbp"))
            return str(await ledger.balance("acct_1"))

    assert asyncio.run(main()) == "6.000000 available, 0.000000 held"


def invoice_payments(asked: dict[str, str]) -> dict[str, Any]:
    """The list as it is filtered and expanded."""
    assert asked.pop("limit") == "100"
    assert asked.pop("status") == "paid"
    assert asked.pop("expand[0]") == "data.invoice"
    assert asked.pop("payment[type]") == "payment_intent"
    number = asked.pop("payment[payment_intent]").removeprefix("pi_")
    assert not asked
    rows = [invoice_payment(number, 1_000)] if number.startswith("i") else []
    return {"object": "list", "url": "/v1/invoice_payments", "has_more": False, "data": rows}


ROUTES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "/v1/charges/ch_7": lambda _: charge("7", 1_000),
    "/v1/charges/ch_i7": lambda _: invoice_charge("i7", 1_000),
    "/v1/invoices/in_i7": lambda _: invoice_object("i7", 1_000),
    "/v1/invoice_payments": invoice_payments,
}


class StripeApi(BaseHTTPRequestHandler):
    """The routes of Stripe's API that are asked."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        known = path in ROUTES and self.headers["Authorization"] == "Bearer sk_test_1"
        told = (
            ROUTES[path](dict(parse_qsl(query)))
            if known
            else {"error": {"type": "invalid_request_error", "message": "no"}}
        )
        body = json.dumps(told).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[stripe.StripeClient]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StripeApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield stripe.StripeClient("sk_test_1", base_addresses={"api": address}, max_network_retries=0)
    server.shutdown()
    server.server_close()


def test_the_official_client_fetches_the_charge(ledger: Ledger, client: stripe.StripeClient) -> None:
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=StripePayments(client))
    deliver(webhook, session("7", 1_000))
    assert deliver(webhook, dispute("7", "created", "needs_response", 1_000)).account == "acct_1"
    with pytest.raises(stripe.InvalidRequestError):
        deliver(webhook, dispute("9", "created", "needs_response", 1_000))
    assert total(ledger) == "0.000000 available, 0.000000 held"


@pytest.mark.parametrize("api", [OLD, NEW])
def test_the_official_client_finds_the_invoice(ledger: Ledger, client: stripe.StripeClient, api: str) -> None:
    """The older API by the charge's own field, the newer one by its invoice payments."""
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=StripePayments(client))
    deliver(webhook, invoice("i7", 1_000, api=api))
    deliver(webhook, invoice_refund("i7", 1_000, 400, api))
    deliver(webhook, dispute("i7", "created", "needs_response", 600))
    assert total(ledger) == "0.000000 available, 0.000000 held"
    assert [
        json.loads(entry.body)["grant"] for entry in ledger.statement("acct_1", kind=["clawback", "dispute"])
    ] == ["stripe:invoice:in_i7"] * 2
    assert StripePayments(client).invoices({"id": "ch_1", "payment_intent": None}) == []


@pytest.mark.parametrize("api", [OLD, NEW])
def test_the_official_client_finds_it_awaited(client: stripe.StripeClient, api: str) -> None:
    async def main() -> str:
        async with AsyncLedger.open("memory:", clock=lambda: CREATED + 60.0) as ledger:
            payments = AsyncStripePayments(client)
            webhook = AsyncStripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=payments)
            for told in (invoice("i7", 1_000, api=api), invoice_refund("i7", 1_000, 400, api)):
                await webhook.receive(*signed(told))
            assert await payments.invoices({"id": "ch_1"}) == []
            return str(await ledger.balance("acct_1"))

    assert asyncio.run(main()) == "6.000000 available, 0.000000 held"


def test_the_official_client_fetches_it_awaited(client: stripe.StripeClient) -> None:
    async def main() -> str:
        async with AsyncLedger.open("memory:") as ledger:
            payments = AsyncStripePayments(client)
            webhook = AsyncStripeWebhook(ledger, SECRET, rates={"usd": 1}, payments=payments)
            await webhook.receive(*signed(dispute("7", "created", "needs_response", 1_000)))
            return str(await ledger.balance("acct_1"))

    assert asyncio.run(main()) == "0.000000 available, 0.000000 held, 10.000000 owed"


def test_without_the_extra() -> None:
    """Importing works; what needs Stripe's library says what to install."""
    code = """
import sys
sys.modules["stripe"] = None
from ledger_fortress import Ledger
from ledger_fortress.errors import MissingExtra
from ledger_fortress.stripe import StripeWebhook
hook = StripeWebhook(Ledger.open("memory:"), "whsec_1", rates={"usd": 1})
assert hook.book({"id": "evt_1", "type": "some.thing"}).action == "ignored"
try:
    hook.receive("{}", "t=1,v1=2")
except MissingExtra as missing:
    assert "[stripe]" in str(missing)
else:
    raise AssertionError
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)}
    )
