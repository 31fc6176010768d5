"""Copies of a whole store, to go back to: what a backup is, and what a power cut leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from execution_arrow.stores.base import Append, Claim, Claimed, Commit, Create, Disown, Op, Release, Result
from execution_arrow.stores.memory_outgoing import Outbox
from execution_arrow.stores.sqlite import SqliteStore
from ledger_fortress.stores.memory import _Tables

_NOT_COPIED = ("_lock", "_clock", "_bell")


def touched(op: Op, result: Result) -> Iterable[str] | None:
    """The rows that an operation may have written; None: any."""
    match op:
        case Create() | Commit():
            return (op.id,)
        case Append():
            return (op.fact.generation,)
        case Release():
            return (name for name, _ in op.rows)
        case Claim() if isinstance(result, Claimed):
            return (row.id for row in result.rows)
        case Disown():
            return None
        case _:
            return ()


def snapshot(store: Any, before: Any = None, changed: Iterable[str] | None = None) -> Any:
    """A copy of everything a store holds, to be given to `restore`.

    With the copy `before`, only the rows in `changed` of a `MemoryStore` are copied, the others are shared
    with it: nothing in a copy is ever changed.
    """
    if isinstance(store, SqliteStore):
        store.apply(())  # there is nothing to be copied before somebody has made the tables
        copy = sqlite3.connect(":memory:")
        with sqlite3.connect(store._path) as source:
            source.backup(copy)
        source.close()
        return copy
    if before is not None and changed is not None:
        rows = before["_records"] | {
            name: _copy(store._records[name]) for name in changed if name in store._records
        }
        rest = {name: _copy(getattr(store, name)) for name in before if name != "_records"}
        return {"_records": rows, **rest}
    return {name: _copy(value) for name, value in vars(store).items() if name not in _NOT_COPIED}


def restore(store: Any, copy: Any) -> None:
    """Make a store what it was when `copy` was taken."""
    if isinstance(store, SqliteStore):
        with sqlite3.connect(store._path) as target:
            copy.backup(target)
        target.close()
        return
    for name, value in copy.items():
        setattr(store, name, _copy(value))


def _copy(value: Any) -> Any:
    """A copy down to what is never changed in place."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, dict):
        fresh = value.copy()  # keeps the factory of a defaultdict
        for key, item in value.items():
            if type(item) not in _PLAIN:
                fresh[key] = _copy(item)
        return fresh
    if kind is list or kind is set:
        return value.copy()  # of values that are frozen
    names = vars(value) if kind in (_Tables, Outbox) else _changeable(kind)
    if not names:
        return value
    fresh = object.__new__(kind)
    for name in names:
        setattr(fresh, name, _copy(getattr(value, name)))
    return fresh


@cache
def _changeable(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a class whose values change in place."""
    if is_dataclass(kind) and not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return tuple(field.name for field in fields(kind))
    return ()


_PLAIN = frozenset({str, int, float, bool, tuple, bytes, type(None)})
