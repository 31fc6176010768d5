"""Stripe events as its API sends them, cut down to the fields around the ones that are read.

In both of its shapes: an endpoint keeps the API version with which it was made, and the one of 2025-03-31
changed how invoices, payments and charges point at each other.
"""

from __future__ import annotations

import json
from typing import Any

import stripe

from ledger_fortress.stripe import StripeWebhook

SECRET = "whsec_" + "t" * 32
CREATED = 1_763_633_700
OLD, NEW = "2024-06-20", "2026-10-28.endive"


def event(kind: str, thing: dict[str, Any], number: int = 1, api: str = NEW) -> dict[str, Any]:
    return {
        "id": f"evt_{kind.replace('.', '_')}_{number}",
        "object": "event",
        "api_version": api,
        "created": CREATED,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def invoice_object(
    number: str, paid: int, account: str = "acct_1", currency: str = "usd", api: str = NEW
) -> dict[str, Any]:
    details = {"metadata": {"ledger_account": account}}
    shape: dict[str, Any] = {"parent": {"type": "subscription_details", "subscription_details": details}}
    if api == OLD:
        shape = {
            "charge": f"ch_{number}",
            "paid": True,
            "payment_intent": f"pi_{number}",
            "subscription": f"sub_{account}",
            "subscription_details": details,
        }
    return {
        "id": f"in_{number}",
        "object": "invoice",
        "amount_paid": paid,
        "amount_due": paid,
        "currency": currency,
        "customer": f"cus_{account}",
        "metadata": {},
        "status": "paid",
        **shape,
    }


def invoice(number: str, paid: int, *rest: str, api: str = NEW, **fields: str) -> dict[str, Any]:
    return event("invoice.paid", invoice_object(number, paid, *rest, api=api, **fields), api=api)


def invoice_charge(number: str, amount: int, refunded: int = 0, api: str = NEW) -> dict[str, Any]:
    """The charge of an invoice. It names no account, and in the newer API not even its invoice."""
    shape = {"invoice": f"in_{number}"} if api == OLD else {}
    return charge(number, amount, refunded, metadata={}, **shape)


def invoice_payment(number: str, amount: int, **fields: Any) -> dict[str, Any]:
    """How the newer API joins an invoice with its payment, with the invoice expanded."""
    return {
        "id": f"inpay_{number}",
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "currency": "usd",
        "invoice": invoice_object(number, amount),
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"},
        "status": "paid",
        **fields,
    }


def session(number: str, total: int, account: str = "acct_1", **fields: Any) -> dict[str, Any]:
    kind = fields.pop("kind", "checkout.session.completed")
    thing = {
        "id": f"cs_{number}",
        "object": "checkout.session",
        "amount_total": total,
        "client_reference_id": account,
        "currency": "usd",
        "customer": f"cus_{account}",
        "invoice": None,
        "invoice_creation": {"enabled": False},
        "metadata": {},
        "mode": "payment",
        "payment_intent": f"pi_{number}",
        "payment_status": "paid",
        "status": "complete",
    }
    return event(kind, thing | fields)


def charge(
    number: str, amount: int, refunded: int = 0, account: str = "acct_1", **fields: Any
) -> dict[str, Any]:
    return {
        "id": f"ch_{number}",
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": refunded,
        "currency": "usd",
        "customer": f"cus_{account}",
        "metadata": {"ledger_account": account},
        "payment_intent": f"pi_{number}",
        "refunded": refunded == amount,
        **fields,
    }


def refund(number: str, amount: int, refunded: int, **fields: Any) -> dict[str, Any]:
    return event("charge.refunded", charge(number, amount, refunded, **fields), refunded)


def invoice_refund(number: str, amount: int, refunded: int, api: str = NEW) -> dict[str, Any]:
    return event("charge.refunded", invoice_charge(number, amount, refunded, api), refunded, api)


def dispute(
    number: str, kind: str, status: str, amount: int, of: Any = None, **fields: Any
) -> dict[str, Any]:
    thing = {
        "id": f"du_{number}",
        "object": "dispute",
        "amount": amount,
        "charge": f"ch_{number}" if of is None else of,
        "currency": "usd",
        "metadata": {},
        "payment_intent": f"pi_{number}",
        "reason": "fraudulent",
        "status": status,
    }
    return event(f"charge.dispute.{kind}", thing | fields)


def signed(told: dict[str, Any], secret: str = SECRET, timestamp: int | None = None) -> tuple[str, str]:
    """Body and header, signed by the official library as Stripe does."""
    payload = json.dumps(told)
    return payload, stripe.WebhookSignature.generate_signature_header(payload, secret, timestamp)


def deliver(webhook: StripeWebhook, told: dict[str, Any]) -> Any:
    return webhook.receive(*signed(told))
