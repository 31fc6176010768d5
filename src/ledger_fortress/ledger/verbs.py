"""Verbs beyond the life of a hold: taking back, moving, limiting, alerting, sealing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ledger_fortress import sealing
from ledger_fortress.answers import Receipt
from ledger_fortress.commands import Clawback, Command, Dispute, DisputeLost, DisputeWon, Expire, Transfer
from ledger_fortress.credits import CreditsLike, micros_of
from ledger_fortress.errors import LedgerError
from ledger_fortress.outbox import AlertView, alert_of
from ledger_fortress.progress import Progress
from ledger_fortress.protocol import Touch
from ledger_fortress.state import Checkpoint

from . import making
from .members import MemberView, member_view
from .reading import Reader


class Verbs(Reader):
    """The rarer half of `Ledger`."""

    def _one(self, command: Command) -> Receipt:
        raise NotImplementedError

    def expire(self, account: str, grant_key: str, *, note: str | None = None) -> Receipt:
        """End a grant now: what is unspent of it and not held is gone. Its own key is `<grant>/expire`."""
        return self._one(Expire(account=account, grant=grant_key, note=note))

    def transfer(
        self, account: str, to: str, amount: CreditsLike, *, key: str, note: str | None = None
    ) -> Receipt:
        """Move available credits to another account; their priority and expiry go with them.

        What arrives pays debt there first. Refused for a frozen sender, an unknown or closed receiver.
        """
        return self._one(Transfer(account=account, to=to, amount=micros_of(amount), key=key, note=note))

    def clawback(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        grant: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """Take credits back: what is left of the grant `grant`, then anything available; the rest is owed."""
        return self._one(Clawback(account=account, amount=micros_of(amount), key=key, grant=grant, note=note))

    def dispute(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        grant: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """Take credits back as `clawback` does, until the dispute named `key` is won or lost."""
        return self._one(Dispute(account=account, amount=micros_of(amount), key=key, grant=grant, note=note))

    def dispute_won(
        self, account: str, dispute_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """Give back what the dispute took, to where it came from; debt is paid first."""
        return self._one(DisputeWon(account=account, hold=dispute_key, key=key or "", note=note))

    def dispute_lost(
        self, account: str, dispute_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """What the dispute took is gone for good."""
        return self._one(DisputeLost(account=account, hold=dispute_key, key=key or "", note=note))

    def set_member(
        self,
        account: str,
        member: str,
        limit: CreditsLike | None,
        *,
        key: str,
        window: float = 0,
        note: str | None = None,
    ) -> Receipt:
        """Let a member spend and hold at most `limit` (None: anything) per `window` seconds (0: for ever).

        A hold counts in the window in which it was reserved. Another limit keeps what was counted, another
        window starts counting anew. Members that were never set have no limit.
        """
        return self._one(making.set_member(account, member, limit, key, window, note))

    def set_alert(
        self,
        account: str,
        name: str,
        below: CreditsLike | None,
        *,
        key: str,
        rearm: CreditsLike | None = None,
        note: str | None = None,
    ) -> Receipt:
        """Tell once when `available` falls below `below`, and again after it was back at `rearm` or more.

        `rearm` is `below` itself by default; `below` None takes the alert away. See `alerts`.
        """
        return self._one(making.set_alert(account, name, below, key, rearm, note))

    def member(self, account: str, member: str) -> MemberView | None:
        """What a member may spend and has spent and held in the window of now; None if no limit was set."""
        loaded = self._read(account, members=(member,))
        row = loaded.members.get((account, member))
        return None if row is None else member_view(loaded, row)

    def alerts(self, account: str | None = None, limit: int = 100) -> list[AlertView]:
        """Up to `limit` notices that nobody has acknowledged, oldest first, of one account or of all."""
        self._guard()
        return [alert_of(notice) for notice in self._store.notices(account, (), True, limit)]

    def ack(self, alerts: Iterable[AlertView]) -> int:
        """Say that notices were delivered; returns how many were not yet. Doing it twice is harmless."""
        self._guard()
        return self._store.acknowledge([alert.mark for alert in alerts])

    def seal(self) -> Checkpoint:
        """Write down the heads of all accounts as a checkpoint, which `verify` holds the ledger to.

        Keep its `.hash` somewhere else, and cut-off entries, accounts or checkpoints cannot go unnoticed.
        """
        self._guard()
        return sealing.seal(self._store, self._store.read(Touch(())).now)

    def archive(self, older_than: timedelta, *, progress: Progress | None = None) -> int:
        """Move entries that are older than this to the archive with which the ledger was opened.

        For a ledger in Redis, whose memory they fill: `redis://...?archive=/path/to/file.db`. They are sealed
        first, and from then on read from there, by `verify`, `balance_at`, repeats of their keys and all
        else: open the ledger with its archive. Returns how many were moved; may be repeated at any time.
        """
        if older_than < timedelta(0):
            raise ValueError(f"older_than is a time ago, got {older_than}")
        move = getattr(self._store, "archive_before", None)
        if move is None:
            raise LedgerError("only a ledger in Redis needs an archive, where history fills the memory")
        checkpoint = self.seal()
        return int(move(checkpoint.at - older_than // timedelta(microseconds=1), progress))

    def trust_clock(self) -> bool:
        """Believe the clock again after it jumped forward; returns whether it was not believed.

        A jump of the host's clock by more than an hour does not count until then: the ledger's time goes on
        at its own pace, so that a wrong clock expires no credits and no holds.
        """
        return self._store.trust_clock()
