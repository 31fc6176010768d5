"""`ledger_fortress` as our LedgerPort."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from execution_arrow.errors import SchemaOutdated, StoreUnavailable
from execution_arrow.facts import HoldClosed, HoldOpened, HoldRefused, Settled, SettleRefused
from execution_arrow.ports import Held, Remark
from ledger_fortress import AsyncLedger, Credits, LedgerError, Reason, Refused
from ledger_fortress import StoreUnavailable as LedgerUnavailable
from ledger_fortress.errors import SchemaOutdated as LedgerOutdated
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.stores import open_store

T = TypeVar("T")

# What is not owed any more is settled: a release of a hold that is gone changes nothing.
_GONE = frozenset({Reason.UNKNOWN_HOLD, Reason.HOLD_RELEASED, Reason.HOLD_TIMED_OUT})
_HELD = ("overdue", "stuck")  # open holds; `held` lists those, and the arrow knows more about them
_SETTLED = frozenset({Reason.HOLD_CHARGED, Reason.HOLD_RELEASED, Reason.HOLD_TIMED_OUT})


class FortressLedger:
    """Holds never expire by themselves; only we settle them."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self._ledger = ledger

    async def hold(
        self, account: str, key: str, amount: int, timeout: float
    ) -> HoldOpened | HoldRefused | HoldClosed:
        if amount == 0:
            return HoldOpened()  # free by the tariff: nothing to hold, and releasing nothing changes nothing
        try:
            receipt = await _answered(
                lambda: self._ledger.reserve(
                    account, _amount(amount), key=key, timeout=timeout, on_timeout="report"
                )
            )
        except Refused as no:
            if no.reason in _SETTLED:
                return HoldClosed()
            return HoldRefused(reason=no.reason.value, needed=no.needed.micros, available=no.available.micros)
        except (ValueError, TypeError):  # a name or amount no ledger takes: asking again changes nothing
            return HoldRefused(reason="invalid", needed=amount)
        return HoldOpened() if receipt.open else HoldClosed()

    async def settle(self, account: str, key: str, verb: str, amount: int) -> Settled | SettleRefused:
        try:
            if verb == "charge":
                await _answered(lambda: self._ledger.charge(account, key, _amount(amount), on_missing="debt"))
            else:
                await _answered(lambda: self._release(account, key))
        except Refused as no:
            if verb == "release" and no.reason in _GONE:
                return Settled()
            return SettleRefused(reason=no.reason.value)
        return Settled()

    async def _release(self, account: str, key: str) -> None:
        """Release a hold, also one that is still on its way.

        A worker that was stopped with the request in its hands may send it after this, and nobody would ever
        release what it opens. So a key without a hold is used up, with the smallest hold there is, released
        at once. Where even that is refused, the refusal is what the key stands for from now on.
        """
        try:
            await self._ledger.release(account, key)
        except Refused as no:
            if no.reason is not Reason.UNKNOWN_HOLD:
                raise
            with contextlib.suppress(Refused):
                await self._ledger.reserve(account, _amount(1), key=key, timeout=60)
            await self._ledger.release(account, key)

    async def held(self) -> list[Held]:
        holds = await _answered(self._ledger.open_holds)
        return [
            Held(account=hold.account, key=hold.key, amount=hold.amount.micros, since=hold.made.timestamp())
            for hold in holds
        ]

    async def remarks(self, since: float) -> list[Remark]:
        found = await _answered(lambda: self._ledger.reconcile(since=datetime.fromtimestamp(since, UTC)))
        return [
            Remark(
                trouble=finding.trouble.value,
                account=finding.account,
                key=finding.key,
                amount=finding.amount.micros,
                since=finding.since.timestamp(),
                advice=finding.advice,
            )
            for finding in found
            if finding.trouble.value not in _HELD
        ]


async def _answered(call: Callable[[], Awaitable[T]]) -> T:
    """The ledger's answer. Raises our `StoreUnavailable` where there was none, its `Refused` as it is."""
    try:
        return await call()
    except LedgerUnavailable as error:
        raise StoreUnavailable(f"the ledger: {error}", maybe_applied=error.maybe_applied) from error


def _amount(micros: int) -> Credits:
    return Credits.micro(micros)


def open_books(where: str | LedgerStore, migrate: bool) -> LedgerStore:
    """A ledger's store by its URL; one that is open already is taken as it is.

    Raises `SchemaOutdated` with the command to type, `StoreUnavailable` for one that cannot be used,
    `ValueError` for a URL that names none.
    """
    if not isinstance(where, str):
        return where
    try:
        return open_store(where, migrate=migrate)
    except LedgerOutdated as error:
        raise SchemaOutdated(str(error)) from error
    except LedgerError as error:
        raise StoreUnavailable(f"the ledger: {error}", maybe_applied=False) from error
