"""Stripe events as its API sends them, cut down to the fields around the ones that are read."""

from __future__ import annotations

import json
from typing import Any

import stripe

from ledger_fortress.stripe import StripeWebhook

SECRET = "whsec_" + "t" * 32
CREATED = 1_763_633_700


def event(kind: str, thing: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {
        "id": f"evt_{kind.replace('.', '_')}_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": CREATED,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def invoice(number: str, paid: int, account: str = "acct_1", currency: str = "usd") -> dict[str, Any]:
    parent = {
        "type": "subscription_details",
        "subscription_details": {"metadata": {"ledger_account": account}},
    }
    return event(
        "invoice.paid",
        {
            "id": f"in_{number}",
            "object": "invoice",
            "amount_paid": paid,
            "amount_due": paid,
            "currency": currency,
            "customer": f"cus_{account}",
            "metadata": {},
            "parent": parent,
            "status": "paid",
        },
    )


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
