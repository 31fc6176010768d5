"""Entries and the chain.

An account's history is a sequence of entries numbered 1, 2, 3 … without gaps. An entry says what moved
(`d_available`, `d_held`, `d_debt`), what stood there afterwards, and in its body which grant buckets moved.
It also carries the hash of the entry before it, so that changing, dropping or swapping any of them breaks
every later hash of that account.

The hash is SHA-256 over one version byte and then the fields below, each as its length in bytes (decimal),
a colon, and its UTF-8 text:

    previous hash · account · kind · key · hold · numbers · body · fingerprint · link · note hash

where hashes are in hex, `numbers` is
``version,at,amount,d_available,d_held,d_debt,available,held,debt`` and an absent text is the empty one (keys
and holds are never empty). The first entry's previous hash is 32 zero bytes. A note is
chained as SHA-256 over a 16-byte salt and its text and stored beside the entry, so that it can be erased
for good without touching the chain. The body is canonical JSON: sorted keys, no spaces, UTF-8.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

from .credits import Credits

CHAIN_VERSION: Final = "\x01"
GENESIS: Final = bytes(32)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(NamedTuple):
    """One row of an account's history. Amounts are micro-credits, `at` is microseconds since 1970 UTC."""

    account: str
    version: int
    kind: str
    key: str | None
    hold: str | None
    at: int
    amount: int
    d_available: int
    d_held: int
    d_debt: int
    available: int
    held: int
    debt: int
    body: str
    fingerprint: bytes | None
    link: str | None
    note_hash: bytes | None
    prev_hash: bytes
    hash: bytes

    @property
    def credits(self) -> Credits:
        """`amount` as credits."""
        return Credits.micro(self.amount)

    @property
    def time(self) -> datetime:
        """`at` as an aware UTC time."""
        return moment(self.at)


class Note(NamedTuple):
    """Free text that belongs to an entry and can be erased without breaking the chain."""

    account: str
    version: int
    salt: bytes
    text: str


class Notice(NamedTuple):
    """Something that somebody should hear of: a row of the outbox, written with the entry that caused it.

    `place` counts the notices of one entry from 0. `body` is canonical JSON.
    """

    account: str
    version: int
    place: int
    kind: str
    at: int
    body: str


def canonical(body: dict[str, Any]) -> str:
    """The body of an entry or of a notice as canonical JSON."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def notices_of(entry: Entry) -> tuple[Notice, ...]:
    """The notices that an entry carries: they are a part of its body, and so of the chain."""
    if '"notices":' not in entry.body:  # quotes inside a JSON text are escaped: this is the name of a field
        return ()
    told = json.loads(entry.body)["notices"]
    return tuple(
        Notice(entry.account, entry.version, place, kind, entry.at, canonical(body))
        for place, (kind, body) in enumerate(told)
    )


def moment(at: int) -> datetime:
    """Microseconds since 1970 as an aware UTC time, exactly."""
    return EPOCH + timedelta(microseconds=at)


def micros_since_epoch(when: datetime) -> int:
    """An aware time as microseconds since 1970, exactly. A naive time is refused: it names no instant."""
    if when.tzinfo is None:
        raise ValueError(f"{when.isoformat()} has no time zone; use an aware datetime, for example with UTC")
    return (when - EPOCH) // timedelta(microseconds=1)


def note_digest(salt: bytes, text: str) -> bytes:
    """What the chain keeps of a note."""
    return sha256(salt + text.encode()).digest()


def chain_hash(
    prev_hash: bytes,
    account: str,
    kind: str,
    key: str,
    hold: str,
    numbers: str,
    body: str,
    fingerprint: str,
    link: str,
    note_hash: str,
) -> bytes:
    """The hash of an entry whose fields are given in the order of the module's description."""
    text = (
        f"\x0164:{prev_hash.hex()}{len(account)}:{account}{len(kind)}:{kind}{len(key)}:{key}{len(hold)}:{hold}"
        f"{len(numbers)}:{numbers}{len(body)}:{body}{len(fingerprint)}:{fingerprint}"
    )
    text += f"{len(link)}:{link}{len(note_hash)}:{note_hash}" if link or note_hash else "0:0:"
    raw = text.encode()
    if not text.isascii():  # lengths count bytes: a text beyond ASCII is measured after encoding
        fields = (prev_hash.hex(), account, kind, key, hold, numbers, body, fingerprint, link, note_hash)
        parts = [b"%d:%b" % (len(field), field) for field in map(str.encode, fields)]
        raw = CHAIN_VERSION.encode() + b"".join(parts)
    return sha256(raw).digest()
