"""Frozen values that are quick to make.

A frozen dataclass sets each member through `object.__setattr__`, one call apiece; for a payload of twelve
members that takes longer than all the checks of a request. Here the members are slots of a bare base class:
an object is made as one of those, its members are set by plain assignment, and then it becomes what it is,
which adds no slot. It is the frozen value in every respect: equality, hash, pickling, refusal to be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def making(
    kind: type[Any], members: Mapping[str, str], scope: dict[str, Any], later: tuple[str, ...] = ()
) -> list[str]:
    """Lines of Python that return a `kind` whose members have the values of these expressions.

    They read names that this puts into `scope`. All slots have to be there, and nothing else: a `TypeError`.
    `later` names those that the class itself sets when they are first read.
    """
    bare = kind.__base__
    slots = () if bare is None else bare.__dict__.get("__slots__", ())
    if sorted(slots) != sorted({*members, *later}) or kind.__dict__["__slots__"]:
        raise TypeError(f"the members of {kind.__name__} are the slots of its base: {', '.join(slots)}")
    scope |= {"_bare": bare, "_kind": kind}
    return [
        "_made = _bare()",
        *(f"_made.{name} = {expression}" for name, expression in members.items()),
        "_made.__class__ = _kind",
        "return _made",
    ]


def maker(kind: type[T], names: tuple[str, ...]) -> Callable[..., T]:
    """A function of all members, in the order of `names` and without defaults, that makes a `kind`."""
    scope: dict[str, Any] = {}
    members = dict(zip(names, names, strict=True))
    lines = "".join(f"    {line}\n" for line in making(kind, members, scope))
    exec(f"def make({', '.join(names)}):\n{lines}", scope)  # the names of our own classes
    made: Callable[..., T] = scope["make"]
    return made
