"""Checkpoints against the entries: nothing that was sealed may be missing or different."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256

from ledger_fortress.state import Checkpoint

from .chain import Problems, Standing, place


class Seals:
    """The heads that checkpoints have sealed, and which of them are still to be seen.

    With `until`, the hash of a checkpoint, the heads up to it are believed instead: `believed` has the last
    one of every account, and only what was sealed after it is waited for.
    """

    def __init__(
        self, checkpoints: Iterable[Checkpoint], problems: Problems, until: bytes | None = None
    ) -> None:
        self.waiting: dict[bytes, tuple[str, int]] = {}
        self.believed: dict[str, tuple[int, bytes]] = {}
        self.reached = 0
        self._report = problems.report
        last: dict[str, tuple[int, bytes]] = {}
        number, head, at = 0, bytes(32), 0
        for seal in checkpoints:
            if not _whole(seal) or (seal.number, seal.prev_hash) != (number + 1, head) or seal.at < at:
                self._report(f"checkpoint {seal.number}: does not continue the chain of the one before it")
            number, head, at = seal.number, seal.hash, seal.at
            self._take(seal, last)
            if seal.hash == until:
                self.reached, self.believed = seal.number, dict(last)
                self.waiting.clear()
        if until is not None and not self.reached:
            self._report(f"no checkpoint has the hash {until.hex()}: it was cut off, or is another ledger's")

    def believe(self, receipts: Mapping[str, tuple[int, bytes]]) -> None:
        """Believe these heads too; what was sealed of those accounts before them is not waited for."""
        self.believed |= receipts
        self.waiting = {
            digest: (account, version)
            for digest, (account, version) in self.waiting.items()
            if version >= receipts.get(account, (0, b""))[0]
        }

    def finish(self, heads: Mapping[str, Standing], account: str | None) -> None:
        """Report what was sealed and never seen, of one account or all."""
        for name, version in self.waiting.values():
            if account in (None, name):
                there = name in heads and heads[name][0] >= version
                said = "not the entry that was sealed" if there else "was sealed and is missing"
                self._report(place(name, version) + said)

    def _take(self, seal: Checkpoint, last: dict[str, tuple[int, bytes]]) -> None:
        try:
            for account, version, text in json.loads(seal.heads):
                digest = bytes.fromhex(text)
                self.waiting[digest] = account, version
                last[account] = version, digest
        except (ValueError, TypeError) as error:
            self._report(f"checkpoint {seal.number}: its heads cannot be read ({error})")
        if seal.accounts != len(last):
            self._report(f"checkpoint {seal.number}: counts {seal.accounts} accounts, not {len(last)}")


def _whole(seal: Checkpoint) -> bool:
    told = (seal.prev_hash.hex(), str(seal.number), str(seal.at), str(seal.accounts), seal.heads)
    raw = b"".join(b"%d:%b" % (len(text), text) for text in (field.encode() for field in told))
    return seal.hash == sha256(b"\x01" + raw).digest()
