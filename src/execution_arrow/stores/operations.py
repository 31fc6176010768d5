"""The list of operations, once for all stores: each store says how it performs each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar, assert_never

from execution_arrow.stores.base import Append, Beat, Claim, Commit, Create, Disown, Op, Release

A = TypeVar("A")


class Operations(ABC, Generic[A]):
    """How one store performs operations. `A` is what it gets at once: a result, or a promise of one."""

    def perform(self, op: Op) -> A:
        match op:
            case Commit():
                return self._commit(op)
            case Append():
                return self._append(op)
            case Create():
                return self._create(op)
            case Claim():
                return self._claim(op)
            case Release():
                return self._release(op)
            case Disown():
                return self._disown(op)
            case Beat():
                return self._beat(op)
            case _:
                assert_never(op)

    @abstractmethod
    def _create(self, op: Create) -> A: ...

    @abstractmethod
    def _commit(self, op: Commit) -> A: ...

    @abstractmethod
    def _append(self, op: Append) -> A: ...

    @abstractmethod
    def _claim(self, op: Claim) -> A: ...

    @abstractmethod
    def _release(self, op: Release) -> A: ...

    @abstractmethod
    def _disown(self, op: Disown) -> A: ...

    @abstractmethod
    def _beat(self, op: Beat) -> A: ...
