"""The ledger alone, fed by Stripe: bought, spent, refunded, whatever order the events come in."""

import json

import stripe

from ledger_fortress import Ledger, Reason, Refused
from ledger_fortress.stripe import StripeWebhook

SECRET = "whsec_made_up"  # yours is shown beside the endpoint in Stripe's dashboard


def delivered(kind: str, thing: dict[str, object]) -> tuple[str, str]:
    """Body and signature as Stripe would send them, made here by its own library."""
    body = json.dumps({"id": f"evt_{kind}", "object": "event", "type": kind, "data": {"object": thing}})
    return body, stripe.WebhookSignature.generate_signature_header(body, SECRET)


bought = delivered(
    "checkout.session.completed",
    {
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "payment_intent": "pi_1", "amount_total": 1_000, "currency": "usd", "client_reference_id": "acct_1",
    },
)  # fmt: skip
refunded = delivered(
    "charge.refunded",
    {
        "id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount": 1_000, "amount_refunded": 300,
        "currency": "usd", "metadata": {"ledger_account": "acct_1"},
    },
)  # fmt: skip

with Ledger.open("sqlite:///credits.db") as ledger:
    webhook = StripeWebhook(ledger, SECRET, rates={"usd": 1})  # one dollar buys one credit
    for body, signature in (refunded, bought, bought, refunded):
        outcome = webhook.receive(body, signature)
        print(outcome.type, outcome.action, "again" if outcome.replayed else "", ledger.balance("acct_1"))

    ledger.reserve("acct_1", "6.50", key="gen_1")  # before the work
    ledger.charge("acct_1", "gen_1", "6.20")  # after it, at what it cost
    try:
        ledger.reserve("acct_1", 1, key="gen_2")
    except Refused as no:
        print("refused, as it should be:", no.reason is Reason.INSUFFICIENT, no)

    assert str(ledger.balance("acct_1")) == "0.800000 available, 0.000000 held"
    print(ledger.audit())
