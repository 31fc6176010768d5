"""The verbs of `verbs`, awaited."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ledger_fortress.answers import Receipt
from ledger_fortress.commands import Clawback, Command, Dispute, DisputeLost, DisputeWon, Expire, Transfer
from ledger_fortress.credits import CreditsLike, micros_of
from ledger_fortress.outbox import AlertView
from ledger_fortress.progress import Progress
from ledger_fortress.state import Checkpoint

from . import making
from .exchange import AsyncExchange
from .members import MemberView

if TYPE_CHECKING:
    from . import Ledger

_P = ParamSpec("_P")
_T = TypeVar("_T")


class AsyncVerbs(AsyncExchange):
    """The rarer half of `AsyncLedger`."""

    _ledger: Ledger

    async def _one(self, command: Command) -> Receipt:
        raise NotImplementedError

    async def _call(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        raise NotImplementedError

    async def expire(self, account: str, grant_key: str, *, note: str | None = None) -> Receipt:
        """See `Ledger.expire`."""
        return await self._one(Expire(account=account, grant=grant_key, note=note))

    async def transfer(
        self, account: str, to: str, amount: CreditsLike, *, key: str, note: str | None = None
    ) -> Receipt:
        """See `Ledger.transfer`."""
        return await self._one(Transfer(account=account, to=to, amount=micros_of(amount), key=key, note=note))

    async def clawback(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        grant: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.clawback`."""
        return await self._one(
            Clawback(account=account, amount=micros_of(amount), key=key, grant=grant, note=note)
        )

    async def dispute(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        grant: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.dispute`."""
        return await self._one(
            Dispute(account=account, amount=micros_of(amount), key=key, grant=grant, note=note)
        )

    async def dispute_won(
        self, account: str, dispute_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """See `Ledger.dispute_won`."""
        return await self._one(DisputeWon(account=account, hold=dispute_key, key=key or "", note=note))

    async def dispute_lost(
        self, account: str, dispute_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """See `Ledger.dispute_lost`."""
        return await self._one(DisputeLost(account=account, hold=dispute_key, key=key or "", note=note))

    async def set_member(
        self,
        account: str,
        member: str,
        limit: CreditsLike | None,
        *,
        key: str,
        window: float = 0,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.set_member`."""
        return await self._one(making.set_member(account, member, limit, key, window, note))

    async def set_alert(
        self,
        account: str,
        name: str,
        below: CreditsLike | None,
        *,
        key: str,
        rearm: CreditsLike | None = None,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.set_alert`."""
        return await self._one(making.set_alert(account, name, below, key, rearm, note))

    async def member(self, account: str, member: str) -> MemberView | None:
        """See `Ledger.member`."""
        return await self._call(self._ledger.member, account, member)

    async def alerts(self, account: str | None = None, limit: int = 100) -> list[AlertView]:
        """See `Ledger.alerts`."""
        return await self._call(self._ledger.alerts, account, limit)

    async def ack(self, alerts: Iterable[AlertView]) -> int:
        """See `Ledger.ack`."""
        return await self._call(self._ledger.ack, alerts)

    async def seal(self) -> Checkpoint:
        """See `Ledger.seal`."""
        return await self._call(self._ledger.seal)

    async def archive(self, older_than: timedelta, *, progress: Progress | None = None) -> int:
        """See `Ledger.archive`; `progress` is told in another thread."""
        return await self._call(self._ledger.archive, older_than, progress=progress)

    async def trust_clock(self) -> bool:
        """See `Ledger.trust_clock`."""
        return await self._call(self._ledger.trust_clock)
