"""Verifying and auditing what a store has.

`verify` promises that no entry was changed, dropped, added or swapped since it was written, and that the
stored balances are the sums of the entries. `audit` promises that and that every bucket, hold, member, notice
and note that is stored is what the entries say. Neither can see what was done by somebody who may write
everything (later hashes computed anew, last entries cut off together with their account's row) unless the
hash of a seal or a receipt was kept where he cannot.

`since` makes `verify` short: it reads only what came after a checkpoint or after receipts, and believes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from . import audit as auditor
from .answers import Receipt
from .audit.chain import Problems
from .audit.seals import Seals
from .progress import Counter, Progress
from .protocol import LedgerStore, Touch, chunks
from .sealing import every_checkpoint
from .state import Checkpoint
from .views import Verification

Since: TypeAlias = Checkpoint | str | Receipt | Iterable[Receipt]
"""What `verify` may believe: a checkpoint or its hash in hex, or receipts of one account or of several."""


def verify(
    store: LedgerStore, account: str | None, since: Since | None, progress: Progress | None
) -> Verification:
    """See `Ledger.verify`."""
    counter = Counter(progress)
    seals = list(every_checkpoint(store))  # before the picture is taken, so that it has them
    with store.scan(account) as scan:
        if since is None:
            proof = auditor.verify(scan, seals, account, counter)
        else:
            problems = Problems()
            believed, told = _believed(since, seals, problems, account)
            proof = auditor.verify_on(
                scan.accounts(), lambda name, after: chunks(store, name, after=after),
                lambda name: _version(store, name), believed, problems, account, told, counter,
            )  # fmt: skip
    counter.done()
    return proof


def audit(store: LedgerStore, account: str | None, progress: Progress | None) -> Verification:
    """See `Ledger.audit`."""
    counter = Counter(progress)
    seals = list(every_checkpoint(store))
    with store.scan(account) as scan:
        proof = auditor.audit(scan, seals, account, counter)
    counter.done()
    return proof


def _version(store: LedgerStore, name: str) -> int:
    account = store.read(Touch((name,))).accounts.get(name)
    return 0 if account is None else account.version


def _believed(
    since: Since, checkpoints: Iterable[Checkpoint], problems: Problems, account: str | None
) -> tuple[Seals, str]:
    """The heads to go on from, and what to call them."""
    if isinstance(since, Checkpoint | str):
        seals = Seals(checkpoints, problems, since.hash if isinstance(since, Checkpoint) else _digest(since))
        return seals, f"checkpoint {seals.reached}" if seals.reached else "a checkpoint that is not there"
    receipts = [since] if isinstance(since, Receipt) else list(since)
    heads: dict[str, tuple[int, bytes]] = {}
    for receipt in receipts:
        if not isinstance(receipt, Receipt):
            raise TypeError(f"since is a Checkpoint, its hash, or receipts, not {type(receipt).__name__}")
        if account in (None, receipt.account):
            head = receipt.version, _digest(receipt.hash)
            heads[receipt.account] = max(heads.get(receipt.account, head), head)
    seals = Seals(checkpoints, problems)
    seals.believe(heads)
    return seals, f"{len(heads)} receipt{'' if len(heads) == 1 else 's'}"


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValueError(f"{text[:80]!r} is no hash: write its 64 hexadecimal digits, as `seal` shows them")
    return digest
