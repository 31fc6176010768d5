"""The chain and the sums: what every entry must be to the entry before it.

This is the part of an audit that looks into no entry's body: its hash from its own fields, its place and date
after the entry before it, and its balances from the balances before it. One pass, in any order that keeps
each account's own; of an account no more is kept than where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

from ledger_fortress.entries import Entry
from ledger_fortress.state import Account

MAX_PROBLEMS: Final = 1_000


class Problems:
    """What was found, each naming its account and version; after a thousand no more are kept."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def report(self, problem: str) -> None:
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(problem)


class Wrong(Exception):
    """An entry that cannot be."""


class Head(NamedTuple):
    """Where an account stands after an entry."""

    version: int
    hash: bytes
    at: int
    available: int
    held: int
    debt: int


Standing: TypeAlias = tuple[int, bytes, int, int, int, int, str]
"""The fields of a `Head`, a plain tuple because one is made for every entry, and the name as it is hashed."""


class Chains:
    """Follows entries, and knows where each account stands after them."""

    def __init__(self, problems: Problems, sealed: dict[bytes, tuple[str, int]] | None = None) -> None:
        """`sealed`: hashes to be found, with their account and version; what was found is taken out."""
        self.entries = 0
        self.heads: dict[str, Standing] = {}
        self._problems = problems
        self._sealed = {} if sealed is None else sealed
        self._kinds = {kind: _sized(kind) for kind in ("reserve", "charge", "release", "refund", "extend")}

    def begin(self, entry: Entry, digest: bytes) -> bool:
        """Go on after an entry that is trusted to have this hash; False: it has not."""
        if entry.hash != digest or digest_of(entry) != digest:
            return False
        self.heads[entry.account] = (
            entry.version, digest, entry.at, entry.available, entry.held, entry.debt, _sized(entry.account),
        )  # fmt: skip
        self._see(entry.account, entry.version, digest)
        return True

    def follow(self, entries: Iterable[tuple[Any, ...]]) -> None:
        """Check entries, or their fields in order; what is wrong is reported, and the next is held to it.

        The loop proves the usual entry right at once. What it cannot prove so is looked at again, slowly.
        """
        heads, sealed, kinds, count = self.heads, self._sealed, self._kinds, 0
        for entry in entries:
            count += 1
            (
                account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held,
                debt, body, mark, link, note, prev, digest,
            ) = entry  # fmt: skip
            before = heads.get(account) or _start(account)
            number, head, time, old_available, old_held, old_debt, name = before
            heads[account] = version, digest, at, available, held, debt, name
            if digest in sealed:
                self._see(account, version, digest)
            if key and hold and mark and link is None and note is None and type(prev) is bytes:
                numbers = f"{version},{at},{amount},{d_available},{d_held},{d_debt},{available},{held},{debt}"
                text = (
                    f"\x0164:{prev.hex()}{name}{kinds.get(kind) or _sized(kind)}{len(key)}:{key}{len(hold)}"
                    f":{hold}{len(numbers)}:{numbers}{len(body)}:{body}{2 * len(mark)}:{mark.hex()}0:0:"
                )
                if (
                    text.isascii()  # lengths count bytes: beyond ASCII they are others
                    and sha256(text.encode()).digest() == digest
                    and prev == head
                    and version == number + 1
                    and at >= time
                    and available == old_available + d_available >= 0 <= held == old_held + d_held
                    and debt == old_debt + d_debt >= 0
                    and (available == 0 or debt == 0)
                ):
                    continue
            self._judge(before, entry)
        self.entries += count

    def compare(self, stored: Account) -> None:
        """The stored row against the account's last entry, and its buckets against its balances."""
        head = self.heads[stored.account][:6]
        told = stored.version, stored.head, stored.at, stored.available, stored.held, stored.debt
        for field, expected, found in zip(Head._fields, head, told, strict=True):
            if expected != found:
                shown = f"is {found!r}, its entries say {expected!r}" if field != "hash" else "differs"
                name = "head" if field == "hash" else field
                self._problems.report(place(stored.account, stored.version) + f"stored {name} {shown}")
        ready = sum(bucket.available for bucket in stored.buckets if not bucket.effective)
        if (ready, sum(bucket.held for bucket in stored.buckets)) != (head[3], head[4]):
            self._problems.report(place(stored.account, stored.version) + "stored buckets do not add up")

    def _judge(self, before: Standing, fields: tuple[Any, ...]) -> None:
        entry = Entry._make(fields)
        try:
            check(Head._make(before[:6]), entry)
        except Wrong as wrong:
            self._problems.report(place(entry.account, entry.version) + str(wrong))
        except (ValueError, TypeError, AttributeError) as error:
            self._problems.report(place(entry.account, entry.version) + unreadable(error))

    def _see(self, account: str, version: int, digest: bytes) -> None:
        if self._sealed.get(digest) == (account, version):
            del self._sealed[digest]


def _start(account: str) -> Standing:
    return 0, bytes(32), 0, 0, 0, 0, _sized(account)


def _sized(text: str) -> str:
    return f"{len(text)}:{text}"


def place(account: str, version: int) -> str:
    """How a problem begins."""
    return f"account {account!r} version {version}: "


def unreadable(error: Exception) -> str:
    """What is said of an entry whose fields are not what an entry has."""
    return f"unreadable ({type(error).__name__}: {error})"


def check(before: Head, e: Entry) -> None:
    """Raise `Wrong` where the entry cannot follow."""
    if e.version != before.version + 1:
        raise Wrong(f"follows version {before.version}: entries are missing or out of order")
    if e.prev_hash != before.hash:
        raise Wrong("does not continue the chain of the entry before it")
    if e.at < before.at:
        raise Wrong("is dated before the entry before it")
    if digest_of(e) != e.hash:
        raise Wrong("its fields do not give its hash: it was changed after it was written")
    sums = before.available + e.d_available, before.held + e.d_held, before.debt + e.d_debt
    if sums != (e.available, e.held, e.debt):
        raise Wrong(f"balances do not follow: {sums} expected, {(e.available, e.held, e.debt)} written")
    available, held, debt = sums
    if available < 0 or held < 0 or debt < 0 or (available and debt):
        raise Wrong(f"impossible balances (available, held, debt) {sums}")


def digest_of(e: Entry) -> bytes:
    """The hash that the fields of an entry give, written out as the format says."""
    numbers = (e.version, *e[5:13])
    fields = (
        e.prev_hash.hex(), e.account, e.kind, e.key or "", e.hold or "", ",".join(map(str, numbers)), e.body,
        e.fingerprint.hex() if e.fingerprint else "", e.link or "", e.note_hash.hex() if e.note_hash else "",
    )  # fmt: skip
    told = b"".join([b"%d:%b" % (len(field), field) for field in map(str.encode, fields)])
    return sha256(b"\x01" + told).digest()
