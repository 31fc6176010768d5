"""The ledger as a program uses it: one method per verb, each a line over the engine.

Every verb that moves credits takes a key chosen by the caller and returns a `Receipt` or raises. Repeating a
call with the same key and the same content never moves credits twice: it returns the first answer, marked
`.replayed`. After `StoreUnavailable` that is exactly what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from ledger_fortress.answers import Answer, Receipt
from ledger_fortress.commands import Close, Command, Freeze, Item, OnMissing, OnTimeout, OpenAccount, Unfreeze
from ledger_fortress.credits import CreditsLike
from ledger_fortress.engine import run_sweep
from ledger_fortress.protocol import Failure, LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores import open_store
from ledger_fortress.stores.base import Clock
from ledger_fortress.writer import writer_of

from . import making
from .verbs import Verbs


class Ledger(Verbs):
    """Holds, charges, releases and refunds credits, at most once each. Safe to share between threads.

    A caller who is alone commits in its own thread; what several threads ask for at once shares commits.

    `Ledger.open("memory:")` keeps everything in this process; `Ledger.open("sqlite:///credits.db")` in a
    file, durable when a verb returns. Use it as a context manager, or call `close()`.
    """

    def __init__(self, store: LedgerStore, *, policy: Policy | None = None) -> None:
        """Over a store of one's own; `Ledger.open` is the usual way."""
        super().__init__(store)
        self._policy = policy or Policy()
        self._writer = writer_of(store)

    @classmethod
    def open(
        cls, url: str, *, clock: Clock | None = None, migrate: bool = False, policy: Policy | None = None
    ) -> Self:
        """Open the ledger at `url`: `memory:`, `sqlite:///path` (`sqlite:////absolute/path`),
        `postgresql://…`, or `redis://…`, `rediss://…`, `redis+unix://…`.

        `clock` gives seconds since 1970 and is for tests. A new SQLite file gets its tables; a PostgreSQL
        database gets them, and an older ledger is migrated, only with `migrate=True`, otherwise
        `SchemaOutdated` names the command. Raises `MissingExtra`
        for a kind of store that is not installed and `ValueError` for anything else.
        """
        return cls(open_store(url, clock=clock, migrate=migrate), policy=policy)

    def within(self, connection: object) -> Ledger:
        """The same ledger inside your own transaction: nothing has happened until you commit it.

        For a ledger in PostgreSQL. `connection` is psycopg's (version 3), or Django's inside `atomic()`, to
        the same database and in a READ COMMITTED transaction; accounts stay locked until it ends. Nothing is
        grouped or retried: after `StoreUnavailable` roll back and do your whole transaction again.
        """
        from .joined import JoinedLedger

        join = getattr(self._store, "within", None)
        if join is None:
            raise TypeError("only a ledger in PostgreSQL can join a transaction of yours")
        return JoinedLedger(join(connection), policy=self._policy)

    def close(self) -> None:
        """Finish what was begun and release the store. Closing twice is harmless."""
        self._writer.drain()
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
        rollover: CreditsLike | None = None,
        rollover_life: float = 0,
    ) -> Receipt:
        """Give credits to an account; debt is paid from them first.

        They are spent by `priority` (smallest first), then by earliest `expires`, then by age, and only from
        `effective` until just before `expires`. `create` opens the account where it does not exist. Of what
        is left then, up to `rollover` lives on for `rollover_life` seconds, once.
        """
        return self._one(
            making.grant(
                account,
                amount,
                key,
                source,
                priority,
                effective,
                expires,
                note,
                create,
                rollover,
                rollover_life,
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
        return self._one(making.reserve(account, amount, key, timeout, on_timeout, member, note, seen))

    def charge(
        self,
        account: str,
        hold_key: str,
        amount: CreditsLike | None = None,
        *,
        on_missing: OnMissing | None = None,
        key: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """Take `amount` of the hold for good (all of it by default) and give the rest back; 0 takes nothing.

        An open hold is never refused a charge of at most its amount; beyond that the ledger's policy says who
        pays. Where the hold is gone (released, timed out, unknown), `on_missing="debt"` charges what is
        available and books the rest as debt, "refuse" refuses, and None leaves it to the policy.
        """
        return self._one(making.charge(account, hold_key, amount, on_missing, key, note))

    def release(
        self, account: str, hold_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """Give all of the hold back. What has expired meanwhile expires."""
        return self._one(making.release(account, hold_key, key, note))

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
        return self._one(making.refund(account, hold_key, amount, key, note))

    def extend(self, account: str, hold_key: str, timeout: float, *, key: str) -> Receipt:
        """Let an open hold stand for `timeout` seconds from now, if that is later than its deadline."""
        return self._one(making.extend(account, hold_key, timeout, key))

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
        return making.answers_of(self._run(commands))

    def sweep(self, limit: int = 100) -> int:
        """Write down what time has done to up to `limit` due accounts. Returns the number of entries.

        Nothing depends on it: balances and rules settle for time by themselves. It makes expiry and timeouts
        of idle accounts appear in their statements.
        """
        self._guard()
        return run_sweep(self._store, self._store.due(limit))

    def _one(self, command: Command) -> Receipt:
        return making.receipt_of(self._run((command,))[0])

    def _run(self, items: Sequence[Item]) -> list[Answer | Failure]:
        self._guard()
        return self._writer.call([making.with_salt(item) for item in items], self._policy)
