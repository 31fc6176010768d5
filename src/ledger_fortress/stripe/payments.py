"""What Stripe has to be asked for, because an event does not contain it: two ports, and the official client.

A dispute's event has the id of its charge alone. And since Stripe's API of 2025-03-31 a charge no longer says
which invoice it paid; `invoice_payment` objects do, one for each invoice and payment:
https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from .meanings import Json, id_of

_MOST: Final = 100  # Stripe's largest page


class Payments(Protocol):
    """What Stripe has to be asked for. `StripePayments` asks it."""

    def charge(self, charge: str) -> Json:
        """The charge with this id, as JSON."""
        ...

    def invoices(self, charge: Json) -> Sequence[Json]:
        """The invoices that this charge paid, as JSON; none where it paid something else."""
        ...


class AsyncPayments(Protocol):
    """The same, awaited. `AsyncStripePayments` asks it."""

    async def charge(self, charge: str) -> Json:
        """The charge with this id, as JSON."""
        ...

    async def invoices(self, charge: Json) -> Sequence[Json]:
        """The invoices that this charge paid, as JSON; none where it paid something else."""
        ...


class StripePayments:
    """Asks Stripe, by the official client: `StripePayments(stripe.StripeClient(api_key))`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def charge(self, charge: str) -> Json:
        """The charge with this id. Raises what the client raises."""
        found: Json = self._client.v1.charges.retrieve(charge).to_dict()
        return found

    def invoices(self, charge: Json) -> Sequence[Json]:
        """The invoices that this charge paid. Raises what the client raises."""
        invoice, wanted = id_of(charge.get("invoice")), _wanted(charge)
        if invoice is not None:
            return [self._client.v1.invoices.retrieve(invoice).to_dict()]
        return [] if wanted is None else _invoices(self._client.v1.invoice_payments.list(wanted))


class AsyncStripePayments:
    """Like `StripePayments`, awaited: over the client's own asynchronous calls."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def charge(self, charge: str) -> Json:
        """The charge with this id. Raises what the client raises."""
        found: Json = (await self._client.v1.charges.retrieve_async(charge)).to_dict()
        return found

    async def invoices(self, charge: Json) -> Sequence[Json]:
        """The invoices that this charge paid. Raises what the client raises."""
        invoice, wanted = id_of(charge.get("invoice")), _wanted(charge)
        if invoice is not None:
            return [(await self._client.v1.invoices.retrieve_async(invoice)).to_dict()]
        return [] if wanted is None else _invoices(await self._client.v1.invoice_payments.list_async(wanted))


def _wanted(charge: Json) -> dict[str, Any] | None:
    """What to ask `/v1/invoice_payments` for: those of the charge's payment intent."""
    payment = id_of(charge.get("payment_intent"))
    if payment is None:
        return None
    return {
        "payment": {"type": "payment_intent", "payment_intent": payment},
        "status": "paid",
        "limit": _MOST,
        "expand": ["data.invoice"],
    }


def _invoices(found: Any) -> list[Json]:
    """The invoices within a list of invoice payments."""
    rows = found.to_dict()["data"]
    return [row["invoice"] for row in rows]
