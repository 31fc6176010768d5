"""Stripe payments as ledger entries: grants for what is paid, clawbacks for what is refunded or disputed.

    webhook = StripeWebhook(ledger, "whsec_...", rates={"usd": 1, "jpy": "0.0065"})
    outcome = webhook.receive(request.body, request.headers["Stripe-Signature"])

Any order and any number of deliveries end at the same balance. Needs the extra `stripe` to verify signatures.
"""

from __future__ import annotations

from .currencies import Rate
from .errors import StripeRejected, Wrong
from .meanings import NOT_OURS, by_metadata
from .payments import AsyncPayments, AsyncStripePayments, Payments, StripePayments
from .webhook import AsyncStripeWebhook, Outcome, StripeWebhook

__all__ = [
    "NOT_OURS",
    "AsyncPayments",
    "AsyncStripePayments",
    "AsyncStripeWebhook",
    "Outcome",
    "Payments",
    "Rate",
    "StripePayments",
    "StripeRejected",
    "StripeWebhook",
    "Wrong",
    "by_metadata",
]
