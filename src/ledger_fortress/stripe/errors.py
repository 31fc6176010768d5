"""What a Stripe event can be rejected for. Answer Stripe with `.status`: it delivers again for three days."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ledger_fortress.errors import LedgerError


class Wrong(StrEnum):
    """Why an event was rejected."""

    BAD_SIGNATURE = "bad_signature"
    BAD_EVENT = "bad_event"
    UNKNOWN_CURRENCY = "unknown_currency"
    NO_ACCOUNT = "no_account"
    NEEDS_CHARGE = "needs_charge"


_NEXT: Final = {
    Wrong.BAD_SIGNATURE: "check that the secret is this endpoint's and that the body is passed on as it came",
    Wrong.BAD_EVENT: "this is not an event as Stripe sends them",
    Wrong.UNKNOWN_CURRENCY: "add the currency to `rates`; Stripe will deliver the event again",
    Wrong.NO_ACCOUNT: "let `account` find it, or return NOT_OURS for payments that buy no credits; for an "
    "invoice's charge, `payments=StripePayments(client)` shows it the invoice too",
    Wrong.NEEDS_CHARGE: "pass `payments=StripePayments(client)`, which fetches it",
}
_STATUS: Final = {Wrong.BAD_SIGNATURE: 400, Wrong.BAD_EVENT: 400}


class StripeRejected(LedgerError):
    """An event that could not be booked; nothing has moved. `.wrong` names why, `.status` is for the answer.

    Where money is at stake it is never passed over in silence: fix the cause, and the next delivery books it.
    """

    def __init__(self, wrong: Wrong, what: str) -> None:
        self.wrong = wrong
        self.what = what
        self.status = _STATUS.get(wrong, 500)
        super().__init__(f"{wrong.value}: {what}: {_NEXT[wrong]}")

    def __reduce__(self) -> tuple[object, ...]:
        return StripeRejected, (self.wrong, self.what)
