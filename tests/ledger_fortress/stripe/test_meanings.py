"""What each event says, and which say nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ledger_fortress.stripe import NOT_OURS, StripeRejected, Wrong, by_metadata
from ledger_fortress.stripe.meanings import (
    Disputed,
    Ignored,
    Money,
    Paid,
    Refunded,
    charge_needed,
    charge_of,
    invoices_needed,
    meaning_of,
)
from tests.ledger_fortress.stripe.events import (
    OLD,
    charge,
    dispute,
    event,
    invoice,
    invoice_charge,
    invoice_object,
    invoice_refund,
    refund,
    session,
)

RATES = {"usd": 10_000, "jpy": 6_500}


def read(told: dict[str, Any], **more: Any) -> Any:
    return meaning_of(told, RATES, more.pop("account", by_metadata), **more)


def test_payments() -> None:
    assert read(invoice("7", 2_500)) == Paid("acct_1", "stripe:invoice:in_7", Money(2_500, "usd", 10_000))
    assert read(invoice("7", 1_000, currency="jpy")).money.micros == 6_500_000
    paid = Paid("acct_1", "stripe:payment:pi_7", Money(500, "usd", 10_000))
    assert read(session("7", 500)) == paid
    assert read(session("7", 500, kind="checkout.session.async_payment_succeeded")) == paid
    assert read(session("7", 500, payment_intent={"id": "pi_7", "object": "payment_intent"})) == paid
    assert read(session("7", 500, payment_intent=None)).key == "stripe:checkout:cs_7"


def test_refunds_and_disputes() -> None:
    grants = ("stripe:payment:pi_7",)
    assert read(refund("7", 500, 200)) == Refunded("acct_1", "ch_7", Money(200, "usd", 10_000), grants)
    older = read(refund("7", 500, 200, invoice="in_7"))
    assert older.grants == ("stripe:invoice:in_7", "stripe:payment:pi_7")
    for kind, status, state in (
        ("created", "needs_response", "opened"),
        ("created", "lost", "lost"),
        ("updated", "under_review", "opened"),
        ("updated", "appeal_under_review", "opened"),
        ("funds_withdrawn", "needs_response", "opened"),
        ("funds_reinstated", "won", "won"),
        ("funds_reinstated", "lost", "won"),
        ("closed", "won", "won"),
        ("closed", "lost", "lost"),
    ):
        told = dispute("7", kind, status, 500)
        assert charge_needed(told) == "ch_7"
        expected = Disputed("acct_1", "du_7", state, Money(500, "usd", 10_000), grants)  # type: ignore[arg-type]
        assert read(told, charge=charge("7", 500)) == expected
        inside = dispute("7", kind, status, 500, of=charge("7", 500))
        assert charge_needed(inside) is None
        assert read(inside) == expected


def test_when_stripe_has_to_be_asked_for_invoices() -> None:
    """By the newer API always, by the older one where only the invoice can name the account."""
    assert invoices_needed(invoice_charge("7", 500), by_metadata)
    assert invoices_needed(charge("7", 500), by_metadata)
    assert not invoices_needed(charge("7", 500, payment_intent=None), by_metadata)
    assert invoices_needed(invoice_charge("7", 500, api=OLD), by_metadata)
    assert not invoices_needed(charge("7", 500, invoice="in_7"), by_metadata)
    assert not invoices_needed(charge("7", 500, invoice=None), by_metadata)
    assert not invoices_needed(charge("7", 500, invoice={"id": "in_7"}, metadata={}), by_metadata)
    for told in (refund("7", 500, 0), dispute("7", "created", "warning_needs_response", 500), event("x", {})):
        assert charge_of(told) is None
    found = read(invoice_refund("7", 500, 200), invoices=[invoice_object("6", 100), invoice_object("7", 500)])
    assert found.account == "acct_1"
    assert found.grants == ("stripe:invoice:in_6", "stripe:invoice:in_7", "stripe:payment:pi_7")


@pytest.mark.parametrize(
    "told",
    [
        invoice("1", 0),
        session("1", 500, payment_status="unpaid"),
        session("1", 0, payment_status="no_payment_required"),
        session("1", 500, mode="subscription"),
        session("1", 500, mode="setup"),
        session("1", 500, invoice_creation={"enabled": True}),
        refund("1", 500, 0),
        dispute("1", "created", "warning_needs_response", 500),
        dispute("1", "closed", "warning_closed", 500),
        dispute("1", "closed", "prevented", 500),
        event("customer.created", {"id": "cus_1"}),
        event("charge.succeeded", charge("1", 500)),
        event("some.thing.new", {}),
    ],
    ids=lambda told: told["type"],
)
def test_what_moves_no_credits_is_ignored_by_name(told: dict[str, Any]) -> None:
    meaning = read(told)
    assert isinstance(meaning, Ignored)
    assert meaning.why.startswith(told["type"])
    assert charge_needed(told) is None


def wrong(told: dict[str, Any], **more: Any) -> StripeRejected:
    with pytest.raises(StripeRejected) as caught:
        read(told, **more)
    return caught.value


def test_money_is_never_passed_over() -> None:
    """A payment that nobody can value or place is an error until somebody says what it is."""
    assert wrong(invoice("1", 500, currency="gbp")).wrong is Wrong.UNKNOWN_CURRENCY
    unplaced = session("1", 500, client_reference_id=None)
    assert wrong(unplaced).wrong is Wrong.NO_ACCOUNT
    assert wrong(unplaced).status == 500
    assert wrong(dispute("1", "created", "needs_response", 500)).wrong is Wrong.NEEDS_CHARGE
    assert isinstance(read(unplaced, account=lambda thing: NOT_OURS), Ignored)
    assert read(unplaced, account=lambda thing: {"cus_acct_1": "a"}.get(thing["customer"])).account == "a"


@pytest.mark.parametrize("value", [None, "500", 5.0, True, -1, 2**53])
def test_an_amount_is_a_whole_number(value: Any) -> None:
    for told, field in ((invoice("1", 1), "amount_paid"), (refund("1", 5, 1), "amount_refunded")):
        broken = copy.deepcopy(told)
        broken["data"]["object"][field] = value
        assert wrong(broken).wrong is Wrong.BAD_EVENT
        assert wrong(broken).status == 400


def test_what_is_no_event() -> None:
    for told in ({}, {"type": 7}, {"type": "invoice.paid"}, {"type": "invoice.paid", "data": {"object": []}}):
        assert wrong(told).wrong is Wrong.BAD_EVENT
    for kind in ("charge.refunded", "charge.dispute.created"):
        told = {"type": kind, "data": {"object": "ch_1"}}
        assert (charge_needed(told), charge_of(told)) == (None, None)
        assert wrong(told).wrong is Wrong.BAD_EVENT


def test_where_the_account_is_named() -> None:
    """The object itself, its subscription as Stripe tells it now and as it did before 2025, the session."""
    named = {"metadata": {"ledger_account": "a"}}
    assert by_metadata(named) == "a"
    assert by_metadata({"metadata": {}, "parent": {"subscription_details": named}}) == "a"
    assert by_metadata({"parent": None, "subscription_details": named}) == "a"
    assert by_metadata({"metadata": None, "client_reference_id": "b"}) == "b"
    assert by_metadata({"customer": "cus_1"}) is None
