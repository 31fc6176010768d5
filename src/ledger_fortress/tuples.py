"""Making many named tuples quickly.

`Entry(...)` and `Entry._make(...)` call a Python function; a ledger under load does that some hundred
thousand times a second. `new(Entry, (...))` and `maker(Entry)(fields)` call none, and do not count the
fields: their caller has all of them, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

_T = TypeVar("_T", bound=tuple[Any, ...])

new: Final = tuple.__new__


def maker(kind: type[_T]) -> Callable[[Iterable[Any]], _T]:
    """A function from all fields, in order, to such a tuple."""
    return partial(new, kind)
