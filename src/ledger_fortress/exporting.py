"""A ledger as JSON Lines, and back.

The file begins with a head that names the format. Then come the entries, each a `ledger-entry.v1` document,
then the rows that stand for what they add up to (accounts, holds, members, notices, notes, checkpoints;
amounts in micro-credits, times in microseconds since 1970), and an end with a count and a digest. Both
directions stream: neither a ledger nor a file is ever in memory as a whole, beyond what an audit needs.

Whatever is imported is audited on the way. An account's own row is written last, after the whole file has
been found right, and without it an account does not exist: an import that breaks off leaves nothing that can
be used, and the same import again goes on where the first one stopped.

The digest is a sum of SHA-256 over the rows, so that it depends on no order. It tells a copy that differs;
what shows a change made on purpose is the chain of each account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from .entries import Note, Notice
from .errors import LedgerError
from .progress import STEP, Progress
from .protocol import LedgerStore, Scan
from .sealing import every_checkpoint
from .state import Account, Alert, Bucket, Checkpoint, Hold, Member, Roll, Slice, Terms
from .wire import entry_fields, entry_of

FORMAT: Final = "ledger-export.v1"


class BadExport(LedgerError, ValueError):
    """A file that is no export, is cut short, was changed, or does not fit the ledger it is imported into."""


class Row(NamedTuple):
    """One row and the table that it belongs to."""

    table: str
    value: Any


_TABLES: Final[dict[str, type[Any]]] = {
    "account": Account,
    "hold": Hold,
    "note": Note,
    "member": Member,
    "notice": Notice,
    "checkpoint": Checkpoint,
}
_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "head": bytes.fromhex,
    "hash": bytes.fromhex,
    "prev_hash": bytes.fromhex,
    "salt": bytes.fromhex,
    "buckets": lambda rows: tuple(Bucket(*row) for row in rows),
    "slices": lambda rows: tuple(Slice(*row) for row in rows),
    "terms": lambda pair: Terms(tuple(Alert(*row) for row in pair[0]), tuple(Roll(*row) for row in pair[1])),
}


class Digest:
    """A sum over rows that depends on no order.

    An entry counts with its own hash, which covers all of it; an account's `due`, a hint, does not count.
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, row: Row) -> None:
        if row.table == "entry":
            self._sum += int.from_bytes(row.value.hash)
            return
        value = row.value._replace(due=0) if row.table == "account" else row.value
        told = f"{row.table}{json.dumps(value, default=bytes.hex)}"
        self._sum += int.from_bytes(sha256(told.encode()).digest())

    def hexdigest(self) -> str:
        return f"{self._sum % 2**256:064x}"


def rows_of(scan: Scan) -> Iterator[Row]:
    """Everything in a picture of the ledger, in the order of an export, which is that of an audit."""
    for entry in scan.entries():
        yield Row("entry", entry)
    tables: tuple[tuple[str, Iterable[Any]], ...] = (
        ("account", scan.accounts()),
        ("hold", scan.holds()),
        ("member", scan.members()),
        ("notice", scan.notices()),
        ("note", scan.notes()),
    )
    for name, rows in tables:
        for row in rows:
            yield Row(name, row)


def digest_of(store: LedgerStore, account: str | None = None) -> str:
    """The digest of what is stored, of one account or all: the same as that of its export."""
    digest = Digest()
    with store.scan(account) as scan:
        for row in rows_of(scan):
            digest.add(row)
    for checkpoint in every_checkpoint(store) if account is None else ():
        digest.add(Row("checkpoint", checkpoint))
    return digest.hexdigest()


def export_lines(
    store: LedgerStore, account: str | None = None, progress: Progress | None = None
) -> Iterator[str]:
    """The lines of an export of one consistent picture, each with its line end."""
    digest, count = Digest(), 0
    yield _line({"row": "head", "format": FORMAT, "account": account})
    with store.scan(account) as scan:
        for row in rows_of(scan):
            yield write_row(row)
            digest.add(row)
            count += 1
            if progress is not None and count % STEP == 0:
                progress(count)
    # Asked for after the picture: what was delivered since then need not be delivered again, and what is not
    # in the picture is not missed.
    for notice in store.notices(account, (), True, 2**31):
        yield _line({"row": "pending", "notice": list(notice[:3])})
    for checkpoint in every_checkpoint(store) if account is None else ():
        yield write_row(Row("checkpoint", checkpoint))
        digest.add(Row("checkpoint", checkpoint))
        count += 1
    if progress is not None:
        progress(count)
    yield _line({"row": "end", "rows": count, "digest": digest.hexdigest()})


def write_row(row: Row) -> str:
    """A row as a line."""
    if row.table == "entry":
        return _line(entry_fields(row.value))
    return _line({"row": row.table} | row.value._asdict())


def read_line(line: str, number: int) -> tuple[str, Any]:
    """A line as (table, row); "head", "pending" and "end" come as they are. Raises `BadExport`."""
    try:
        told = json.loads(line)
        if told.get("schema_version") == "ledger-entry.v1":
            return "entry", entry_of(told)
        name: str = told.pop("row")
        if name in ("head", "pending", "end"):
            return name, told
        row = _TABLES[name]
        return name, row(**{field: _READ.get(field, _same)(told[field]) for field in row._fields})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadExport(f"line {number} is no line of an export ({type(error).__name__}: {error})") from None


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=bytes.hex) + "\n"


def _same(value: Any) -> Any:
    return value
