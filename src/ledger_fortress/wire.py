"""Entries as plain JSON values and back, without loss.

The same fields as the published document `ledger-entry.v1`, without the library that checks documents: an
export of a million entries should not take minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .credits import MICRO
from .entries import Entry, micros_since_epoch, moment


def amount_text(micros: int) -> str:
    """Micro-credits as a text with six decimals, with a minus sign where they are negative."""
    size = abs(micros)
    return f"{'-' if micros < 0 else ''}{size // MICRO}.{size % MICRO:06d}"


def amount_of(text: str) -> int:
    """The inverse of `amount_text`. Raises ValueError."""
    whole, _, decimals = text.removeprefix("-").partition(".")
    if len(decimals) != 6 or not (whole + decimals).isdecimal():
        raise ValueError(f"{text!r} is not an amount with six decimals")
    micros = int(whole) * MICRO + int(decimals)
    return -micros if text.startswith("-") else micros


def time_text(at: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC."""
    return moment(at).isoformat().replace("+00:00", "Z")


def time_of(text: str) -> int:
    """The inverse of `time_text`. Raises ValueError."""
    return micros_since_epoch(datetime.fromisoformat(text))


def entry_fields(entry: Entry) -> dict[str, Any]:
    """An entry as the fields of `ledger-entry.v1`."""
    return {
        "schema_version": "ledger-entry.v1",
        "account": entry.account,
        "version": entry.version,
        "kind": entry.kind,
        "key": entry.key,
        "hold": entry.hold,
        "at": time_text(entry.at),
        "amount": amount_text(entry.amount),
        "change": _amounts(entry.d_available, entry.d_held, entry.d_debt),
        "balance": _amounts(entry.available, entry.held, entry.debt),
        "body": entry.body,
        "fingerprint": None if entry.fingerprint is None else entry.fingerprint.hex(),
        "link": entry.link,
        "note_hash": None if entry.note_hash is None else entry.note_hash.hex(),
        "prev_hash": entry.prev_hash.hex(),
        "hash": entry.hash.hex(),
    }


def entry_of(fields: Mapping[str, Any]) -> Entry:
    """The entry of such fields, the same to the bit. Raises KeyError, TypeError or ValueError."""
    change, balance = fields["change"], fields["balance"]
    mark, note = fields["fingerprint"], fields["note_hash"]
    return Entry(
        fields["account"],
        fields["version"],
        fields["kind"],
        fields["key"],
        fields["hold"],
        time_of(fields["at"]),
        amount_of(fields["amount"]),
        amount_of(change["available"]),
        amount_of(change["held"]),
        amount_of(change["debt"]),
        amount_of(balance["available"]),
        amount_of(balance["held"]),
        amount_of(balance["debt"]),
        fields["body"],
        None if mark is None else bytes.fromhex(mark),
        fields["link"],
        None if note is None else bytes.fromhex(note),
        bytes.fromhex(fields["prev_hash"]),
        bytes.fromhex(fields["hash"]),
    )


def _amounts(available: int, held: int, debt: int) -> dict[str, str]:
    return {"available": amount_text(available), "held": amount_text(held), "debt": amount_text(debt)}
