"""Checkpoints: what a ledger was, in 32 bytes that can be kept elsewhere.

Each account has a chain of its own, which shows that nothing in it was changed; it cannot show that its last
entries, or all of them, were cut off. `seal` writes down the head of every account. A checkpoint's hash is
SHA-256 over one version byte and then, each as its length in bytes (decimal), a colon, and its text:

    previous checkpoint's hash in hex · number · at · number of accounts · heads

where `heads` are those of the accounts that have changed since the checkpoint before, sorted by name, as
canonical JSON; the first checkpoint's previous hash is 32 zero bytes. By way of the chain each hash stands
for every account. `verify` recomputes all checkpoints and finds every sealed head in the entries. Whoever
keeps the last hash outside the database also notices when checkpoints themselves were cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from .entries import GENESIS
from .errors import StoreBusy
from .protocol import LedgerStore
from .state import Account, Checkpoint

_VERSION: Final = b"\x01"
_TRIES: Final = 16


def checkpoint_hash(prev_hash: bytes, number: int, at: int, accounts: int, heads: str) -> bytes:
    """The hash of a checkpoint with these fields."""
    fields = (prev_hash.hex(), str(number), str(at), str(accounts), heads)
    return sha256(_VERSION + b"".join(b"%d:%b" % (len(f), f) for f in (x.encode() for x in fields))).digest()


def seal(store: LedgerStore, at: int) -> Checkpoint:
    """Write down the heads of all accounts as the next checkpoint, dated `at` or when it was sealed last."""
    for _ in range(_TRIES):
        last: Checkpoint | None = None
        sealed: dict[str, int] = {}
        for last in every_checkpoint(store):
            sealed.update((account, version) for account, version, _ in json.loads(last.heads))
        with store.scan() as scan:
            accounts = sorted(scan.accounts(), key=lambda account: account.account)
        checkpoint = _next(last, accounts, sealed, at)
        if store.add_checkpoint(checkpoint):
            return checkpoint
    raise StoreBusy("other writers kept sealing the ledger")


def every_checkpoint(store: LedgerStore, size: int = 100) -> Iterator[Checkpoint]:
    """All checkpoints in order, read page by page."""
    after = 0
    while True:
        page = store.checkpoints(after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1].number


def _next(
    last: Checkpoint | None, accounts: Iterable[Account], sealed: dict[str, int], at: int
) -> Checkpoint:
    heads: list[tuple[str, int, str]] = []
    count = 0
    for account in accounts:
        count += 1
        if sealed.get(account.account) != account.version:
            heads.append((account.account, account.version, account.head.hex()))
    text = json.dumps(heads, separators=(",", ":"), ensure_ascii=False)
    number, prev_hash = (1, GENESIS) if last is None else (last.number + 1, last.hash)
    at = at if last is None else max(at, last.at)
    digest = checkpoint_hash(prev_hash, number, at, count, text)
    return Checkpoint(number, at, count, prev_hash, digest, text)
