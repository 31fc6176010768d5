"""The list of operations, once for all stores: each store says how it performs each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar, assert_never

from execution_arrow.stores.base import Append, Beat, Claim, Commit, Create, Disown, Op, Release
from execution_arrow.stores.outgoing import (
    KeepEndpoint,
    Outgoing,
    Publish,
    Replay,
    Report,
    TakeDeliveries,
)

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
                return self._outgoing(op)

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

    @abstractmethod
    def _outgoing(self, op: Outgoing) -> A: ...


class OutgoingOperations(ABC, Generic[A]):
    """The part of them that is about endpoints and deliveries."""

    def perform(self, op: Outgoing) -> A:
        match op:
            case TakeDeliveries():
                return self._take(op)
            case Report():
                return self._report(op)
            case KeepEndpoint():
                return self._keep(op)
            case Replay():
                return self._replay(op)
            case Publish():
                return self._publish(op)
            case _:
                assert_never(op)

    @abstractmethod
    def _keep(self, op: KeepEndpoint) -> A: ...

    @abstractmethod
    def _take(self, op: TakeDeliveries) -> A: ...

    @abstractmethod
    def _report(self, op: Report) -> A: ...

    @abstractmethod
    def _replay(self, op: Replay) -> A: ...

    @abstractmethod
    def _publish(self, op: Publish) -> A: ...
