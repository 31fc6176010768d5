"""The values of a mapping: what stands in `body`, `tables`, `wrap` and `price`, parsed once.

`$` and `{}` mean "from the request"; everything else is the provider's own wording. Absent means omitted: a
key whose source is absent disappears, in a list the innermost item does, and so does an object with nothing
left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any, Final

from .yaml12 import Path

SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})\Z")


@dataclass(frozen=True, slots=True)
class Literal:
    """Sent as written. A scalar: literal lists and maps are `Items` and `Object`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ref:
    """A public field; `pick` takes one or several items of a list, `fetch` sends the content behind a URL."""

    field: str
    pick: str = ""
    fetch: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Parts joined to one text; absent when a part is."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ModelName:
    """`{model}`: the provider's own model id."""


@dataclass(frozen=True, slots=True)
class Body:
    """`$body`, in `wrap` only."""


@dataclass(frozen=True, slots=True)
class Omit:
    """`$omit`: leave the key out."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """`$unsupported`: the provider cannot."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A table over one field. A table over two is a switch of switches."""

    field: str
    rows: tuple[tuple[Any, Expr], ...]
    absent: Expr | None
    present: Expr | None
    other: Expr | None
    path: Path = member(compare=False, default=())

    def cells(self) -> Iterator[tuple[Any, Expr]]:
        """Every (row name, cell), special rows by their `$` name."""
        yield from self.rows
        for name, cell in (("$absent", self.absent), ("$present", self.present), ("$else", self.other)):
            if cell is not None:
                yield name, cell


@dataclass(frozen=True, slots=True)
class Numbered:
    """The key `name_{2..8}`: numbering and limit in one."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Object:
    entries: tuple[tuple[str | Numbered, Expr], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """`each[i]`: the fields that item i takes one by one with `.each`; the first drives, others follow."""

    items: tuple[Expr, ...]
    each: tuple[tuple[str, ...], ...]


Expr = Literal | Ref | Text | ModelName | Body | Omit | Unsupported | Switch | Object | Items


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression."""
    parts = _PARTS.get(type(expr))
    return () if parts is None else parts(expr)


def walk(expr: Expr) -> list[Expr]:
    """The expression and all parts of it, level by level from the outside in."""
    found = [expr]
    for part in found:  # which grows meanwhile
        if (parts := _PARTS.get(type(part))) is not None:
            found += parts(part)
    return found


_PARTS: Final[dict[type, Callable[[Any], tuple[Expr, ...]]]] = {
    Text: lambda text: text.parts,
    Switch: lambda switch: tuple(
        [cell for _, cell in switch.rows]
        + [cell for cell in (switch.absent, switch.present, switch.other) if cell is not None]
    ),
    Object: lambda made: tuple([value for _, value in made.entries]),
    Items: lambda items: items.items,
}
