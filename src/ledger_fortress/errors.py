"""What the ledger raises.

`Refused` is an expected answer that must not be overlooked: the verbs raise it so that nobody dispatches work
on a hold that was never made. The rest are operating errors; each says what to do next.
"""

from __future__ import annotations

from .answers import Reason, Receipt, Refusal, Replayed
from .credits import Credits
from .views import Balance

_NEXT = {
    Reason.INSUFFICIENT: "grant credits or ask for less, with a new key",
    Reason.FROZEN: "unfreeze the account, then use a new key",
    Reason.CLOSED: "the account is closed for good; use another one",
    Reason.REWOUND: "the store has lost entries that were acknowledged: repair it, then unfreeze the account",
    Reason.UNKNOWN_ACCOUNT: "open the account first, or grant with create=True",
    Reason.ACCOUNT_EXISTS: "the account is there already; nothing to do",
    Reason.KEY_CONFLICT: "this key stands for another command of the account; use a key of its own",
    Reason.KEY_TOO_OLD: "the key is beyond the ledger's horizon and may have been answered and forgotten; "
    "look the work up, then use a new key",
    Reason.UNKNOWN_HOLD: "no such hold on this account; check the key",
    Reason.HOLD_OPEN: "the hold is not charged yet; charge or release it",
    Reason.HOLD_CHARGED: "the hold is charged; refund it to give credits back",
    Reason.HOLD_RELEASED: "the hold was released; reserve again with a new key",
    Reason.HOLD_TIMED_OUT: "the hold ran out of time; on_missing='debt' and a new key book the charge",
    Reason.EXCEEDS_HOLD: "charge at most what the hold has; the hold is still open",
    Reason.EXCEEDS_CHARGE: "refund at most what is left of the charge",
    Reason.DISPUTE_OPEN: "the key names a dispute, which is not decided yet",
    Reason.DISPUTE_WON: "the dispute was won, and its credits were given back",
    Reason.DISPUTE_LOST: "the dispute was lost, and its credits are gone",
    Reason.UNKNOWN_DISPUTE: "no such dispute on this account; check the key, or open it first",
    Reason.UNKNOWN_GRANT: "no such grant on this account; check the key, or grant first",
    Reason.UNKNOWN_TARGET: "the account that should receive the transfer does not exist; open it first",
    Reason.TARGET_CLOSED: "the account that should receive the transfer is closed; choose another one",
    Reason.MEMBER_LIMIT: "the member's limit for this window is reached: wait or raise it, and use a new key",
    Reason.EXCEEDS_GRANT: "take back at most what was granted",
    Reason.TOO_MANY_ALERTS: "an account has at most 16 alerts; take one away first",
    Reason.GRANT_EXPIRED: "its expiry has passed; grant again with a later one and a new key",
    Reason.TOO_MANY_BUCKETS: "the account is split into too many grants; spend or merge some first",
    Reason.BALANCE_LIMIT: "an account holds at most 2^53 - 1 micro-credits",
    Reason.STILL_HELD: "settle the open holds first",
    Reason.LINK_REFUSED: "another command of the linked batch was refused, so none was applied",
}


class LedgerError(Exception):
    """Base of everything that ledger_fortress raises on purpose, apart from TypeError and ValueError."""

    retryable = False


class Refused(LedgerError):
    """The ledger said no, by name: see `.reason`.

    `.needed` is what was asked for, `.available` and `.balance` what the account had at that moment (without
    its buckets). `.replayed` is true when the same key had been refused before: that verdict is final, and
    the same request needs a new key.
    """

    def __init__(self, refusal: Refusal, *, replayed: bool = False) -> None:
        self.refusal = refusal
        self.reason = refusal.reason
        self.replayed = replayed
        self.needed = Credits.micro(refusal.needed)
        self.available = Credits.micro(refusal.available)
        self.balance = Balance(self.available, Credits.micro(refusal.held), Credits.micro(refusal.debt), ())
        amounts = f" (needed {self.needed}, available {self.available})" if refusal.needed else ""
        super().__init__(
            f"{refusal.reason.value}: account {refusal.account!r}, key {refusal.key!r}{amounts}: "
            f"{_NEXT[refusal.reason]}"
        )

    @property
    def receipt(self) -> Receipt | None:
        """Proof of the recorded refusal, or None where the refusal was not recorded."""
        return Replayed(self.refusal).receipt if self.refusal.entry is not None else None

    def __reduce__(self) -> tuple[object, ...]:
        return _refused, (self.refusal, self.replayed)


def _refused(refusal: Refusal, replayed: bool) -> Refused:
    return Refused(refusal, replayed=replayed)


class StoreUnavailable(LedgerError):
    """The store did not answer. With `maybe_applied` the command may have been applied all the same.

    Repeat it with the same key: it is applied once, and the repeat says which it was.
    """

    retryable = True

    def __init__(self, message: str, *, maybe_applied: bool = False) -> None:
        self.maybe_applied = maybe_applied
        state = "it may or may not have been applied" if maybe_applied else "nothing was applied"
        super().__init__(f"{message}; {state}: repeat with the same key")


class StoreBusy(StoreUnavailable):
    """Other writers kept the store busy for the whole waiting time; nothing was applied."""


class WriterElsewhere(StoreUnavailable):
    """Another process writes this file, and this SQLite build allows only one that does."""


class SchemaOutdated(LedgerError):
    """The store was written by another version of the ledger; opening never migrates unless asked."""


class MissingEntries(LedgerError):
    """Entries were moved to an archive, and this is not it: only those who need them are told so."""


class MissingExtra(LedgerError):
    """A store of this kind needs packages that are not installed."""
