"""A mapping file in its parsed form: one provider, its routes in order, and everything a route decides.

Merge order: provider base, families (outermost first), the file, the route.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any, Final

from rosetta_bridge.prices import Price

from .contract import Retired
from .expressions import Expr, Object, Ref, Switch, walk
from .fields import ABSENT, among, on_step
from .yaml12 import Doc

_READERS: Final = (Ref, Switch)


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a `when`: a field (or the second item of a list) and what must hold for it."""

    field: str
    second: bool
    wanted: str  # present, absent or value
    values: tuple[Any, ...] = ()

    def holds(self, values: MappingType[str, Any]) -> bool:
        value = values.get(self.field, ABSENT)
        if self.second:
            value = value[1] if value is not ABSENT and len(value) > 1 else ABSENT
        if self.wanted == "present":
            return value is not ABSENT
        if self.wanted == "absent":
            return value is ABSENT
        return value is not ABSENT and among(value, self.values)

    def __str__(self) -> str:
        name = self.field + (".second" if self.second else "")
        return (
            f"{name} {self.wanted}"
            if self.wanted != "value"
            else f"{name} {' or '.join(map(str, self.values))}"
        )


When = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Accept:
    """What a route takes of a field: `values` (None = any), ranges, counts, or nothing at all (`none`)."""

    values: tuple[Any, ...] | None = None
    none: bool = False
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    max_items: int | None = None
    max_length: int | None = None

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not taken; None when it is."""
        if self.none:
            return "cannot be used here"
        if self.values is not None and not among(value, self.values):
            return f"only {', '.join(map(_shown, self.values))} here, not {_shown(value)}"
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            low = "" if self.min is None else f"from {self.min} "
            return f"only {low}{'' if self.max is None else f'up to {self.max} '}here, not {_shown(value)}"
        if self.step is not None and not on_step(value, self.step, self.min):
            return f"only steps of {self.step} here, not {_shown(value)}"
        if self.max_items is not None and len(value) > self.max_items:
            return f"at most {self.max_items} here, not {len(value)}"
        if self.max_length is not None and len(value) > self.max_length:
            return f"at most {self.max_length} characters here, not {len(value)}"
        return None

    @property
    def fixes(self) -> bool:
        """Whether at most one value is left, so that nothing about the field needs to be sent."""
        return self.none or (self.values is not None and len(self.values) == 1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider rule over fields: `when` holds, or the sum of numbers and list lengths exceeds `max`."""

    because: str
    when: When = ()
    sum: tuple[str, ...] = ()
    max: int = 0

    def fires(self, values: MappingType[str, Any]) -> bool:
        if self.when:
            return all(condition.holds(values) for condition in self.when)
        total = 0
        for name in self.sum:
            value = values.get(name, 0)
            total += len(value) if isinstance(value, list | tuple) else value
        return total > self.max

    @property
    def fields(self) -> tuple[str, ...]:
        return self.sum or tuple(condition.field for condition in self.when)


@dataclass(frozen=True, slots=True)
class Evidence:
    level: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Route:
    """One native endpoint with the requests that it serves."""

    name: str
    when: When
    model: str
    path: str
    encoding: str
    headers: dict[str, str]
    wrap: Expr
    body: Object
    accepts: dict[str, Accept]
    refuses: tuple[Refusal, ...]
    drops: dict[str, str]
    leaves: tuple[str, ...]
    price: Price | None
    evidence: Evidence
    native: str
    unproved: str
    retired: Retired | None
    must_set: tuple[str, ...]
    item_limits: dict[str, int]
    source: Doc
    parts: tuple[Expr, ...] = member(init=False, repr=False, compare=False)
    """The body and all parts of it, from the outside in; checks ask for them again and again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(walk(self.body)))

    def mentions(self) -> set[str]:
        """Fields that the body reads somewhere."""
        return {e.field for e in self.parts if isinstance(e, _READERS)}


@dataclass(frozen=True, slots=True)
class Mapping:
    provider: str
    routes: tuple[Route, ...]

    def route(self, values: MappingType[str, Any]) -> Route | None:
        for route in self.routes:
            for condition in route.when:
                if not condition.holds(values):
                    break
            else:
                return route
        return None


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"[:60]
