"""Rows as JSON arrays in the order of their fields, bytes in hex: for stores that keep whole values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.state import (
    Account,
    Bucket,
    Checkpoint,
    Hold,
    Member,
    Slice,
    pack_terms,
    unpack_terms,
)


def row_of(value: Iterable[Any]) -> str:
    """A value as a row. Each of the functions below makes the value of it again."""
    fields = list(value)
    if isinstance(value, Account):
        fields[-1] = pack_terms(value.terms)
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, default=lambda raw: raw.hex())


def account_of(row: bytes) -> Account:
    *fields, buckets, terms = json.loads(row)
    fields[2] = bytes.fromhex(fields[2])
    return Account._make((*fields, tuple(map(Bucket._make, buckets)), unpack_terms(terms)))


def entry_of(row: bytes) -> Entry:
    fields = json.loads(row)
    for place in (14, 16, 17, 18):
        if fields[place] is not None:
            fields[place] = bytes.fromhex(fields[place])
    return Entry._make(fields)


def hold_of(row: bytes) -> Hold:
    *fields, slices = json.loads(row)
    return Hold._make((*fields, tuple(map(Slice._make, slices))))


def member_of(row: bytes) -> Member:
    return Member._make(json.loads(row))


def note_of(row: bytes) -> Note:
    account, version, salt, text = json.loads(row)
    return Note(account, version, bytes.fromhex(salt), text)


def notice_of(row: bytes) -> Notice:
    return Notice._make(json.loads(row))


def checkpoint_of(row: bytes) -> Checkpoint:
    number, at, accounts, prev_hash, digest, heads = json.loads(row)
    return Checkpoint(number, at, accounts, bytes.fromhex(prev_hash), bytes.fromhex(digest), heads)
