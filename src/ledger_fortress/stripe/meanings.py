"""What a Stripe event means for a ledger: a pure reading of its JSON.

An event is a snapshot, delivered at least once and in no particular order. So only what holds for ever is
read from it: that an invoice was paid, that so much of a charge has been refunded *in all*, that a dispute
took money or gave it back. What one event adds to another is left to the ledger: it knows what it has seen.

An inquiry (a dispute whose status begins with `warning_`) moves no money and is passed over until it becomes
a dispute. A checkout session that makes an invoice is passed over too: its `invoice.paid` tells the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ledger_fortress.credits import LIMIT

from .errors import StripeRejected, Wrong

Json: TypeAlias = Mapping[str, Any]
AccountOf: TypeAlias = Callable[[Json], str | None]

NOT_OURS: Final = ""
"""What an account function returns for a payment that does not buy credits."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount as Stripe says it, and what one smallest unit is worth."""

    minor: int
    currency: str
    rate: int

    @property
    def micros(self) -> int:
        return self.minor * self.rate


@dataclass(frozen=True, slots=True)
class Paid:
    """Money came in: credits are granted under a key of the payment."""

    account: str
    key: str
    money: Money


@dataclass(frozen=True, slots=True)
class Refunded:
    """So much of a charge has been given back in all; `grants` are keys that its grant may have."""

    account: str
    charge: str
    money: Money
    grants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disputed:
    """A dispute took the money (`opened`), gave it back (`won`) or keeps it for good (`lost`)."""

    account: str
    dispute: str
    state: Literal["opened", "won", "lost"]
    money: Money
    grants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for a ledger, and why."""

    why: str


Meaning: TypeAlias = Paid | Refunded | Disputed | Ignored

_OPENED: Final = frozenset({"needs_response", "under_review", "appeal_needs_response", "appeal_under_review"})
_ENDED: Final[dict[str, Literal["won", "lost"]]] = {"won": "won", "lost": "lost"}


def by_metadata(thing: Json) -> str | None:
    """The account that a payment names itself, or None.

    Looks for `ledger_account` in the metadata of the object and of its subscription, then for the checkout
    session's `client_reference_id`. Stripe copies a payment intent's metadata to its charges.
    """
    parent = thing.get("parent") or {}
    for holder in (thing, parent.get("subscription_details"), thing.get("subscription_details")):
        found = ((holder or {}).get("metadata") or {}).get("ledger_account")
        if found:
            return str(found)
    reference = thing.get("client_reference_id")
    return str(reference) if reference else None


def meaning_of(
    event: Json,
    rates: Mapping[str, int],
    account: AccountOf,
    charge: Json | None = None,
    invoices: Sequence[Json] = (),
) -> Meaning:
    """What the event means.

    `charge` is the charge that a dispute is about, `invoices` are those that the charge of a refund or
    dispute paid: both where the event does not contain them.

    Raises `StripeRejected` where money moved and nobody can say how much it is worth or whose it is.
    """
    kind, thing = text(event, "type"), (event.get("data") or {}).get("object")
    read = _READERS.get(kind)
    if read is None:
        return Ignored(f"{kind}: not an event that moves credits")
    if not isinstance(thing, Mapping):
        raise StripeRejected(Wrong.BAD_EVENT, f"{kind} without data.object")
    return read(_Reading(kind, thing, rates, account, charge, tuple(invoices)))


def charge_needed(event: Json) -> str | None:
    """The id of the charge that must be fetched before the event can be read, or None."""
    charge = _charge_in(event)
    return charge if isinstance(charge, str) and charge else None


def charge_of(event: Json) -> Json | None:
    """The charge within the event of a refund or a dispute, or None."""
    charge = _charge_in(event)
    return charge if isinstance(charge, Mapping) else None


def _charge_in(event: Json) -> object:
    """The charge that an event is about: its id, or the charge itself; None where no money moves."""
    kind, thing = text(event, "type"), (event.get("data") or {}).get("object")
    if not isinstance(thing, Mapping):
        return None
    if kind == "charge.refunded":
        return thing if thing.get("amount_refunded") else None
    if _READERS.get(kind) is not _disputed or _state_of(kind, thing) is None:
        return None
    return thing.get("charge")


def invoices_needed(charge: Json, account: AccountOf) -> bool:
    """Whether Stripe has to be asked for the invoices that the charge paid.

    Since the API of 2025-03-31 a charge has no field that says so. Before, it had one, with the invoice's id
    alone: enough, unless the account can be found on the invoice only.
    """
    if "invoice" not in charge:
        return id_of(charge.get("payment_intent")) is not None
    return isinstance(charge["invoice"], str) and account(charge) is None


@dataclass(frozen=True, slots=True)
class _Reading:
    kind: str
    thing: Json
    rates: Mapping[str, int]
    account: AccountOf
    charge: Json | None
    invoices: tuple[Json, ...]

    def money(self, field: str) -> Money:
        minor, currency = self.thing.get(field), text(self.thing, "currency").lower()
        if type(minor) is not int or not 0 <= minor <= LIMIT:
            raise StripeRejected(Wrong.BAD_EVENT, f"{self.kind}: {field} is {minor!r}, not an amount")
        rate = self.rates.get(currency)
        if rate is None:
            raise StripeRejected(Wrong.UNKNOWN_CURRENCY, f"{self.kind}: {minor} {currency}: no rate for it")
        return Money(minor, currency, rate)

    def whose(self, thing: Json) -> str:
        for holder in (thing, *self.invoices):
            account = self.account(holder)
            if account is not None:
                return account
        raise StripeRejected(
            Wrong.NO_ACCOUNT, f"{self.kind}: nothing says which account {thing.get('id')} belongs to"
        )

    def grants(self, charge: Json) -> tuple[str, ...]:
        """The keys under which the charge's payment may have been granted."""
        invoices = [id_of(invoice) for invoice in (charge.get("invoice"), *self.invoices)]
        payment = id_of(charge.get("payment_intent"))
        named = (*(("invoice", invoice) for invoice in invoices), ("payment", payment))
        return tuple(dict.fromkeys(f"stripe:{kind}:{number}" for kind, number in named if number))


def _invoice(it: _Reading) -> Meaning:
    return _paid(it, "amount_paid", f"stripe:invoice:{text(it.thing, 'id')}")


def _session(it: _Reading) -> Meaning:
    session = it.thing
    if session.get("mode") != "payment":
        return Ignored(f"{it.kind}: mode {session.get('mode')}; its invoices are what is paid")
    if (session.get("invoice_creation") or {}).get("enabled"):
        return Ignored(f"{it.kind}: it makes an invoice, and that is what is paid")
    if session.get("payment_status") != "paid":
        return Ignored(f"{it.kind}: payment_status {session.get('payment_status')}")
    payment = id_of(session.get("payment_intent"))
    own = f"stripe:payment:{payment}" if payment else f"stripe:checkout:{text(session, 'id')}"
    return _paid(it, "amount_total", own)


def _paid(it: _Reading, field: str, key: str) -> Meaning:
    if it.thing.get(field) == 0:
        return Ignored(f"{it.kind}: nothing was paid")
    account = it.whose(it.thing)
    return Paid(account, key, it.money(field)) if account else _not_ours(it)


def _refunded(it: _Reading) -> Meaning:
    if it.thing.get("amount_refunded") == 0:
        return Ignored(f"{it.kind}: nothing is refunded")
    account = it.whose(it.thing)
    if not account:
        return _not_ours(it)
    return Refunded(account, text(it.thing, "id"), it.money("amount_refunded"), it.grants(it.thing))


def _disputed(it: _Reading) -> Meaning:
    state = _state_of(it.kind, it.thing)
    if state is None:
        return Ignored(f"{it.kind}: status {it.thing.get('status')} moves no money")
    inside = it.thing.get("charge")
    charge = inside if isinstance(inside, Mapping) else it.charge
    if charge is None:
        raise StripeRejected(Wrong.NEEDS_CHARGE, f"{it.kind}: charge {inside!r} is not in the event")
    account = it.whose(charge)
    if not account:
        return _not_ours(it)
    return Disputed(account, text(it.thing, "id"), state, it.money("amount"), it.grants(charge))


def _state_of(kind: str, dispute: Json) -> Literal["opened", "won", "lost"] | None:
    if kind.endswith(".funds_reinstated"):
        return "won"
    if kind.endswith(".funds_withdrawn"):
        return "opened"
    status = str(dispute.get("status"))
    return _ENDED.get(status) or ("opened" if status in _OPENED else None)


def _not_ours(it: _Reading) -> Ignored:
    return Ignored(f"{it.kind}: {it.thing.get('id')} does not buy credits")


def text(thing: Json, field: str) -> str:
    """A field that must be a text."""
    value = thing.get(field)
    if not isinstance(value, str) or not value:
        raise StripeRejected(Wrong.BAD_EVENT, f"{field} is {value!r}, not a text")
    return value


def id_of(value: object) -> str | None:
    """The id of something that Stripe gives as an id or, expanded, as the object."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


_READERS: Final[dict[str, Callable[[_Reading], Meaning]]] = {
    "invoice.paid": _invoice,
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "charge.refunded": _refunded,
    **dict.fromkeys(
        (
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
            "charge.dispute.closed",
        ),
        _disputed,
    ),
}
