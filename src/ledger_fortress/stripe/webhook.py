"""The thin shell: verify with the official library, read, look up, apply; again if somebody was faster."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple, Required, TypeAlias, TypedDict, Unpack

from ledger_fortress.answers import Answer, Reason, Receipt, Refusal, Replayed
from ledger_fortress.commands import Command, OpenAccount
from ledger_fortress.entries import Entry
from ledger_fortress.errors import MissingExtra, Refused
from ledger_fortress.ledger import Ledger
from ledger_fortress.ledger.aio import AsyncLedger

from .booking import Need, Terms, book
from .currencies import RateLike, rate_table
from .errors import StripeRejected, Wrong
from .meanings import (
    AccountOf,
    Ignored,
    Json,
    Meaning,
    by_metadata,
    charge_needed,
    charge_of,
    invoices_needed,
    meaning_of,
    text,
)
from .payments import AsyncPayments, Payments

TRIES: Final = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event: `action` is "paid", "refunded", "disputed", or "ignored" with the reason.

    `receipts` prove what was booked; `replayed` is true where the ledger had it already.
    """

    event: str
    type: str
    action: str
    account: str | None = None
    receipts: tuple[Receipt, ...] = ()
    replayed: bool = False
    why: str | None = None


class _Look(NamedTuple):
    account: str
    key: str


_Ask: TypeAlias = "_Look | tuple[Command, ...]"
_Dialogue: TypeAlias = Generator[_Ask, Any, Outcome]


class Settings(TypedDict, total=False):
    """What both faces can be told beside ledger, secret and payments; `rates` must be."""

    rates: Required[Mapping[str, RateLike]]
    account: AccountOf
    priority: int
    life: timedelta | None
    tolerance: int


class _Webhook:
    """What both faces share: everything but the waiting."""

    def __init__(
        self,
        secret: str,
        *,
        rates: Mapping[str, RateLike],
        account: AccountOf = by_metadata,
        priority: int = 0,
        life: timedelta | None = None,
        tolerance: int = 300,
    ) -> None:
        if not secret.strip():
            raise ValueError("the endpoint's signing secret is empty; it begins with whsec_")
        self._secret = secret
        self._rates = rate_table(rates)
        self._account = account
        self._terms = Terms(priority, None if life is None else life // timedelta(microseconds=1))
        self._tolerance = tolerance

    def _verified(self, payload: bytes | str, signature: str | None) -> Json:
        stripe = _stripe()
        try:
            event = stripe.Webhook.construct_event(payload, signature, self._secret, self._tolerance)
        except stripe.SignatureVerificationError as error:
            raise StripeRejected(Wrong.BAD_SIGNATURE, str(error).rstrip(".")) from None
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise StripeRejected(Wrong.BAD_EVENT, f"{type(error).__name__}: {error}") from None
        found: Json = event.to_dict()
        return found

    def _unplaced(self, event: Json, fetched: Json | None) -> Json | None:
        """The charge whose invoices have to be asked for before the event can be read, or None."""
        charge = fetched or charge_of(event)
        return charge if charge is not None and invoices_needed(charge, self._account) else None

    def _read(self, event: Json, charge: Json | None, invoices: Sequence[Json]) -> Meaning:
        return meaning_of(event, self._rates, self._account, charge, invoices)

    def _dialogue(self, event: Json, meaning: Meaning) -> _Dialogue:
        """Yields what to look up or to apply, gets the entry or the answers, returns the outcome."""
        name, kind = text(event, "id"), text(event, "type")
        if isinstance(meaning, Ignored):
            return Outcome(name, kind, "ignored", why=meaning.why)
        account, action = meaning.account, type(meaning).__name__.lower()
        created = int(event.get("created") or 0) * 1_000_000
        refused: Refusal | None = None
        for _ in range(TRIES):
            known: dict[str, Entry | None] = {}
            while isinstance(step := book(meaning, known, self._terms, created), Need):
                known[step.key] = yield _Look(account, step.key)
            if not step.commands:
                done = () if step.done is None else (_receipt(step.done),)
                return Outcome(name, kind, action, account, done, replayed=True)
            answers: list[Answer] = yield step.commands
            refused = next((answer for answer in answers if isinstance(answer, Refusal)), None)
            if refused is None:
                receipts = tuple(_booked(answer) for answer in answers)
                return Outcome(name, kind, action, account, receipts, all(one.replayed for one in receipts))
            if refused.reason is Reason.UNKNOWN_ACCOUNT:
                yield (OpenAccount(account=account, key="stripe:account"),)
            elif refused.reason is not Reason.KEY_CONFLICT:
                break
        assert refused is not None
        raise Refused(refused)


class StripeWebhook(_Webhook):
    """Books Stripe's events in a ledger. Safe to share between threads and to run in many processes.

    `rates` says how many credits one whole unit of each currency buys; `account` finds the account of an
    invoice, checkout session or charge (default `by_metadata`); `payments` fetches what events lack: the
    charge of a dispute, and the invoices of a charge. Bought credits get `priority` and live for `life` from
    the event's own time.
    """

    def __init__(
        self, ledger: Ledger, secret: str, *, payments: Payments | None = None, **settings: Unpack[Settings]
    ) -> None:
        """See the class; everything is checked at once."""
        super().__init__(secret, **settings)
        self._ledger = ledger
        self._payments = payments

    def receive(self, payload: bytes | str, signature: str | None) -> Outcome:
        """Verify the body with its `Stripe-Signature` header and book it.

        Raises `StripeRejected` where it cannot be booked, `Refused` where the ledger says no and
        `StoreUnavailable` where it cannot be reached: answer with an error, and Stripe delivers again.
        """
        return self.book(self._verified(payload, signature))

    def book(self, event: Json) -> Outcome:
        """Book an event that was verified elsewhere."""
        wanted, ask_for = charge_needed(event), self._payments
        charge = None if wanted is None or ask_for is None else ask_for.charge(wanted)
        unplaced = self._unplaced(event, charge)
        invoices = () if unplaced is None or ask_for is None else ask_for.invoices(unplaced)
        dialogue = self._dialogue(event, self._read(event, charge, invoices))
        try:
            ask = next(dialogue)
            while True:
                ask = dialogue.send(self._look(ask) if isinstance(ask, _Look) else self._ledger.apply(ask))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def _look(self, ask: _Look) -> Entry | None:
        try:
            return next(iter(self._ledger.statement(ask.account, key=ask.key)), None)
        except Refused:
            return None


class AsyncStripeWebhook(_Webhook):
    """Like `StripeWebhook`, on an `AsyncLedger`."""

    def __init__(
        self,
        ledger: AsyncLedger,
        secret: str,
        *,
        payments: AsyncPayments | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """See `StripeWebhook`."""
        super().__init__(secret, **settings)
        self._ledger = ledger
        self._payments = payments

    async def receive(self, payload: bytes | str, signature: str | None) -> Outcome:
        """See `StripeWebhook.receive`."""
        return await self.book(self._verified(payload, signature))

    async def book(self, event: Json) -> Outcome:
        """See `StripeWebhook.book`."""
        wanted, ask_for = charge_needed(event), self._payments
        charge = None if wanted is None or ask_for is None else await ask_for.charge(wanted)
        unplaced = self._unplaced(event, charge)
        invoices = () if unplaced is None or ask_for is None else await ask_for.invoices(unplaced)
        dialogue = self._dialogue(event, self._read(event, charge, invoices))
        try:
            ask = next(dialogue)
            while True:
                answer = await (self._look(ask) if isinstance(ask, _Look) else self._ledger.apply(ask))
                ask = dialogue.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    async def _look(self, ask: _Look) -> Entry | None:
        try:
            return next(iter(await self._ledger.statement(ask.account, key=ask.key)), None)
        except Refused:
            return None


def _booked(answer: Answer) -> Receipt:
    if isinstance(answer, Replayed) and isinstance(answer.first, Refusal):
        raise Refused(answer.first, replayed=True)
    assert not isinstance(answer, Refusal)
    return answer.receipt


def _receipt(entry: Entry) -> Receipt:
    return Receipt(entry.account, entry.version, entry.hash.hex(), replayed=True)


def _stripe() -> Any:
    try:
        import stripe
    except ModuleNotFoundError:
        raise MissingExtra(
            "Stripe events are verified by Stripe's own library: pip install 'babysea-primitives[stripe]'"
        ) from None
    return stripe
