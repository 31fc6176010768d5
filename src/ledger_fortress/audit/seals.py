"""Checkpoints against the entries: nothing that was sealed may be missing or different."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from ledger_fortress.entries import Entry
from ledger_fortress.state import Checkpoint

from .books import Replay


class Seals:
    """The heads that checkpoints have sealed, and which of them were seen again."""

    def __init__(self, checkpoints: Iterable[Checkpoint], books: Replay) -> None:
        self.heads: dict[tuple[str, int], str] = {}
        self._books = books
        known: set[str] = set()
        number, head, at = 0, bytes(32), 0
        for seal in checkpoints:
            told = (seal.prev_hash.hex(), str(seal.number), str(seal.at), str(seal.accounts), seal.heads)
            raw = b"".join(b"%d:%b" % (len(text), text) for text in (field.encode() for field in told))
            whole = seal.hash == sha256(b"\x01" + raw).digest()
            if not whole or (seal.number, seal.prev_hash) != (number + 1, head) or seal.at < at:
                books.report(f"checkpoint {seal.number}: does not continue the chain of the one before it")
            number, head, at = seal.number, seal.hash, seal.at
            for account, version, digest in json.loads(seal.heads):
                known.add(account)
                self.heads[account, version] = digest
            if seal.accounts != len(known):
                books.report(f"checkpoint {seal.number}: counts {seal.accounts} accounts, not {len(known)}")

    def see(self, entry: Entry) -> None:
        """Take the next entry."""
        digest = self.heads.pop((entry.account, entry.version), None)
        if digest is not None and digest != entry.hash.hex():
            self._books.report(
                f"account {entry.account!r} version {entry.version}: not the entry that was sealed"
            )

    def finish(self) -> None:
        """Report what was sealed and never seen."""
        names = set(self._books.names())
        for account, version in self.heads:
            if account in names or len(names) != 1:
                self._books.report(f"account {account!r} version {version}: was sealed and is missing")
