"""The ledger as a program uses it: one method per verb, each a line over the engine.

Every verb that moves credits takes a key chosen by the caller and returns a `Receipt` or raises. Repeating a
call with the same key and the same content never moves credits twice: it returns the first answer, marked
`.replayed`. After `StoreUnavailable` that is exactly what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from secrets import token_bytes
from types import TracebackType
from typing import Self

from ledger_fortress.answers import Answer, Applied, Receipt, Refusal, Replayed
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Close,
    Command,
    Extend,
    Freeze,
    Grant,
    Item,
    Linked,
    OnMissing,
    OnTimeout,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    Unfreeze,
)
from ledger_fortress.credits import CreditsLike, micros_of
from ledger_fortress.engine import run, run_sweep
from ledger_fortress.entries import micros_since_epoch
from ledger_fortress.errors import Refused
from ledger_fortress.packing import salted
from ledger_fortress.protocol import Failure, LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores import open_store
from ledger_fortress.stores.base import Clock

from .reading import Reader


class Ledger(Reader):
    """Holds, charges, releases and refunds credits, at most once each. Safe to share between threads.

    `Ledger.open("memory:")` keeps everything in this process; `Ledger.open("sqlite:///credits.db")` in a
    file, durable when a verb returns. Use it as a context manager, or call `close()`.
    """

    def __init__(self, store: LedgerStore, *, policy: Policy | None = None) -> None:
        """Over a store of one's own; `Ledger.open` is the usual way."""
        super().__init__(store)
        self._policy = policy or Policy()

    @classmethod
    def open(
        cls, url: str, *, clock: Clock | None = None, migrate: bool = False, policy: Policy | None = None
    ) -> Self:
        """Open the ledger at `url`: `memory:` or `sqlite:///path` (`sqlite:////absolute/path`).

        `clock` gives seconds since 1970 and is for tests. A new file gets its tables; an existing one is
        migrated only with `migrate=True`, otherwise `SchemaOutdated` names the command. Raises `MissingExtra`
        for a kind of store that is not installed and `ValueError` for anything else.
        """
        return cls(open_store(url, clock=clock, migrate=migrate), policy=policy)

    def close(self) -> None:
        """Release the store. Closing twice is harmless."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open_account(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """Open an account. Refused with `account_exists` if it is there under another key."""
        return self._one(OpenAccount(account=account, key=key, note=note))

    def grant(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        source: str | None = None,
        priority: int = 0,
        effective: datetime | None = None,
        expires: datetime | None = None,
        note: str | None = None,
        create: bool = False,
    ) -> Receipt:
        """Give credits to an account; debt is paid from them first.

        They are spent by `priority` (smallest first), then by earliest `expires`, then by age, and only from
        `effective` until just before `expires`. `create` opens the account where it does not exist.
        """
        return self._one(
            Grant(
                account=account,
                key=key,
                amount=micros_of(amount),
                source=source,
                priority=priority,
                effective=0 if effective is None else micros_since_epoch(effective),
                expires=NEVER if expires is None else micros_since_epoch(expires),
                note=note,
                create=create,
            )
        )

    def reserve(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        timeout: float = 900,
        on_timeout: OnTimeout = "release",
        member: str | None = None,
        note: str | None = None,
        seen: Receipt | None = None,
    ) -> Receipt:
        """Hold credits for a piece of work; `key` names the hold. Dispatch only after this has returned.

        After `timeout` seconds the hold is given back by itself (`on_timeout="release"`) or only listed as
        overdue until its owner settles it ("report"). `seen` presents an earlier receipt: if the ledger has
        lost that entry, it refuses with `rewound` and takes no new holds on the account.
        """
        return self._one(
            Reserve(
                account=account,
                key=key,
                amount=micros_of(amount),
                timeout=_micros(timeout),
                on_timeout=on_timeout,
                member=member,
                note=note,
                seen=seen,
            )
        )

    def charge(
        self,
        account: str,
        hold_key: str,
        amount: CreditsLike | None = None,
        *,
        on_missing: OnMissing = "refuse",
        key: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """Take `amount` of the hold for good (all of it by default) and give the rest back; 0 takes nothing.

        An open hold is never refused a charge of at most its amount. Where the hold is gone (released, timed
        out, unknown), `on_missing="debt"` charges what is available and books the rest as debt.
        """
        micros = None if amount is None else micros_of(amount, zero=True)
        return self._one(
            Charge(
                account=account, hold=hold_key, key=key or "", amount=micros, on_missing=on_missing, note=note
            )
        )

    def release(
        self, account: str, hold_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """Give all of the hold back. What has expired meanwhile expires."""
        return self._one(Release(account=account, hold=hold_key, key=key or "", note=note))

    def refund(
        self,
        account: str,
        hold_key: str,
        amount: CreditsLike | None = None,
        *,
        key: str,
        note: str | None = None,
    ) -> Receipt:
        """Give back part of what was charged (by default all that is left), to the buckets it came from.

        A bucket that has expired meanwhile is replaced by one that lives for the policy's `refund_life`.
        """
        micros = None if amount is None else micros_of(amount)
        return self._one(Refund(account=account, hold=hold_key, key=key, amount=micros, note=note))

    def extend(self, account: str, hold_key: str, timeout: float, *, key: str) -> Receipt:
        """Let an open hold stand for `timeout` seconds from now, if that is later than its deadline."""
        return self._one(Extend(account=account, hold=hold_key, timeout=_micros(timeout), key=key))

    def freeze(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """Take no new holds; settling, refunds, grants and expiry go on."""
        return self._one(Freeze(account=account, key=key, note=note))

    def unfreeze(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """Take new holds again."""
        return self._one(Unfreeze(account=account, key=key, note=note))

    def close_account(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """End an account that holds nothing: no new holds or grants, refunds only."""
        return self._one(Close(account=account, key=key, note=note))

    def apply(self, commands: Sequence[Item]) -> list[Answer]:
        """Apply several commands in one commit and answer each: `Applied`, `Replayed` or `Refusal`.

        They are independent, each seeing what those before it did; only a `Linked` batch is all or none, and
        its members are answered one by one. Refusals are values here and have no truth value. A command that
        fails by a programming error raises after the others have been committed.
        """
        answers = self._run(commands)
        for answer in answers:
            if isinstance(answer, Failure):
                answer.error.add_note(
                    "the other commands were applied; applying all again repeats none of them"
                )
                raise answer.error
        return [answer for answer in answers if not isinstance(answer, Failure)]

    def sweep(self, limit: int = 100) -> int:
        """Write down what time has done to up to `limit` due accounts. Returns the number of entries.

        Nothing depends on it: balances and rules settle for time by themselves. It makes expiry and timeouts
        of idle accounts appear in their statements.
        """
        self._guard()
        return run_sweep(self._store, self._store.due(limit))

    def _one(self, command: Command) -> Receipt:
        answer = self._run([command])[0]
        if isinstance(answer, Failure):
            raise answer.error
        if isinstance(answer, Refusal):
            raise Refused(answer)
        if isinstance(answer, Replayed) and isinstance(answer.first, Refusal):
            raise Refused(answer.first, replayed=True)
        assert isinstance(answer, Applied | Replayed)
        return answer.receipt

    def _run(self, items: Sequence[Item]) -> list[Answer | Failure]:
        self._guard()
        return run(self._store, [_with_salt(item) for item in items], self._policy)


def _micros(seconds: float) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"timeout is a number of seconds, not {type(seconds).__name__}")
    if not isfinite(seconds):
        raise ValueError(f"timeout must be a finite number of seconds, got {seconds}")
    return round(seconds * 1_000_000)


def _with_salt(item: Item) -> Item:
    if not isinstance(item, Linked):
        return salted(item, token_bytes(16)) if item.note is not None else item
    return Linked(item.id, tuple(salted(command, token_bytes(16)) for command in item.commands))
