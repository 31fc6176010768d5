"""The job store as simulated processes reach it: the real stores' code, with a disk and a network that fail.

A process writes through the real `Group`; its transactions happen in its own time, so a process that was
stopped writes when it goes on, long after its lease. One copy of the store is the disk: `power_loss` takes
back what nobody asked to be durable, `rewind` restores an older copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores.base import (
    Hear,
    Hint,
    Inboxed,
    JobStore,
    Op,
    Result,
    Row,
    durable,
)
from execution_arrow.stores.hints import Bell, hints_of
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.outgoing import KeepEndpoint, Replay
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.stores.writer import Group
from tests.simulation.copies import restore, snapshot, touched
from tests.simulation.loop import Process, VirtualLoop


@dataclass(slots=True)
class Weather:
    """How often a call to a store fails before it happened, or after it happened without an answer."""

    rng: random.Random
    before: float = 0.0
    after: float = 0.0
    latency: float = 0.0  # seconds, at most
    prompt: bool = False  # it answers on the spot: nobody else has a turn in between
    deaf: float = 0.0  # share of hints that are lost
    down: bool = False
    struck_before: int = 0
    struck_after: int = 0

    def clear(self) -> None:
        self.before = self.after = self.deaf = 0.0
        self.down = False

    def fails_before(self) -> bool:
        if self.down or (self.before and self.rng.random() < self.before):
            self.struck_before += 1
            return True
        return False

    def fails_after(self) -> bool:
        if self.after and self.rng.random() < self.after:
            self.struck_after += 1
            return True
        return False


# What schema 2 has added to the documents of a row.
_NEWER = (
    '"hint":',
    '"hedge":',
    '"hedge_after":',
    '"erase":',
    '"erased":',
    '"keep_discarded":',
    '"moderation":',
)


class Disk:
    """One store, shared by all processes of a world."""

    def __init__(self, store: JobStore, weather: Weather, *, keep_durable: bool = False) -> None:
        self.store, self.weather = store, weather
        self.writes = 0
        self._durable = snapshot(store) if keep_durable else None
        self._loose: set[str] | None = set()  # rows written since then; None: any
        self.on_change: Callable[[Op, Result], object] = lambda op, result: None
        self.bell = Bell()  # not the store's own, which may ring from a thread that looks at the file

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self.weather.fails_before():
            raise StoreUnavailable("the store is away", maybe_applied=False)
        results = self._perform(ops)
        self.writes += 1
        self.bell.ring(hints_of(ops, results))
        if self._durable is not None:
            self._remember(ops, results)
        if self.weather.fails_after():
            raise StoreUnavailable("the store's answer was lost", maybe_applied=True)
        return results

    def _perform(self, ops: Sequence[Op]) -> list[Result]:
        """In one go, or one by one where somebody looks at what each of them has made of the store."""
        if not any(isinstance(op, KeepEndpoint | Replay) for op in ops):
            results = self.store.apply(ops)
            for op, result in zip(ops, results, strict=True):
                self.on_change(op, result)
            return results
        results = []
        for op in ops:
            results += self.store.apply([op])
            self.on_change(op, results[-1])
        return results

    def _remember(self, ops: Sequence[Op], results: Sequence[Result]) -> None:
        """Take along what was written loosely, when something asks to be durable."""
        for op, result in zip(ops, results, strict=True):
            names = touched(op, result)
            self._loose = None if names is None or self._loose is None else self._loose | set(names)
        if any(durable(op) for op in ops):
            self._durable = snapshot(self.store, self._durable, self._loose)
            self._loose = set()

    def age(self, owner: str) -> int:
        """Let the rows that nobody or this dead owner drives be what version 1 of the program has written.

        Those that hold something of schema 2 stay as they are: no such program could have written them.
        """
        aged = 0
        for row in self.store.page(None, None, None, 10_000):
            if row.owner in (None, owner) and not any(word in row.spec + row.state for word in _NEWER):
                spec, state = (text.replace('{"v":2,', '{"v":1,', 1) for text in (row.spec, row.state))
                self._rewrite(row.id, spec, state)
                aged += 1
        if self._durable is not None:
            self._durable, self._loose = snapshot(self.store), set()
        return aged

    def _rewrite(self, name: str, spec: str, state: str) -> None:
        if isinstance(self.store, SqliteStore):
            with contextlib.closing(sqlite3.connect(self.store._path)) as file, file:
                file.execute("UPDATE generations SET spec = ?, state = ? WHERE id = ?", (spec, state, name))
        else:
            record = self.store._records[name]  # type: ignore[attr-defined]
            record.row = replace(record.row, spec=spec, state=state)

    def forget_durable(self) -> None:
        """The store was restored: that is what the disk has now."""
        if self._durable is not None:
            self._durable, self._loose = snapshot(self.store), set()

    def power_loss(self) -> None:
        """Take back what was written since the last durable commit."""
        restore(self.store, self._durable)
        self._loose = set()


class SimAccess:
    """`stores.access.Access` for one process."""

    def __init__(self, disk: Disk, process: Process, loop: VirtualLoop) -> None:
        self._disk, self._process, self._loop = disk, process, loop
        self._gate = _Gate(disk, process)
        self._group = Group(self._gate)  # type: ignore[arg-type]
        self._flushing = False

    async def apply(self, op: Op) -> Result:
        if self._disk.weather.prompt:
            return self._gate.apply((op,))[0]
        future: asyncio.Future[Result] = self._loop.create_future()
        self._group.offer(op, lambda answer: _settle(future, answer))
        if not self._flushing:
            self._flushing = True
            latency = self._disk.weather.latency
            if latency:
                self._loop.call_later(latency * self._disk.weather.rng.random(), self._flush)
            else:
                self._loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        self._flushing = False
        while batch := self._group.take_batch():
            self._group.resolve(batch)

    async def _read(self, question: Callable[[], Any]) -> Any:
        if not self._disk.weather.prompt:
            await asyncio.sleep(0)
        if self._disk.weather.fails_before():
            raise StoreUnavailable("the store is away", maybe_applied=False)
        return question()

    async def load(self, generation_id: str) -> Row | None:
        found: Row | None = await self._read(lambda: self._disk.store.load(generation_id))
        return found

    async def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        found: tuple[str, str] | None = await self._read(lambda: self._disk.store.by_key(account, key))
        return found

    async def page(
        self, account: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Row]:
        found: list[Row] = await self._read(lambda: self._disk.store.page(account, status, before, limit))
        return found

    async def events(self, generation_id: str) -> list[Event]:
        found: list[Event] = await self._read(lambda: self._disk.store.events(generation_id))
        return found

    async def inbox(self, owner: str) -> list[Inboxed]:
        found: list[Inboxed] = await self._read(lambda: self._disk.store.inbox(owner))
        return found

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Hints reach the process in its own time, and some are lost."""
        weather = self._disk.weather

        def tell(hints: Sequence[Hint]) -> None:
            if weather.deaf and weather.rng.random() < weather.deaf:
                return
            self._loop.call_soon(hear, hints, context=self._process.context)

        return self._disk.bell.add(tell)

    async def aclose(self) -> None:
        self._flush()

    def close(self) -> None:
        self._flush()

    def __getattr__(self, name: str) -> Any:
        """Reads that were added to the protocol since."""
        method = getattr(self._disk.store, name)

        async def read(*args: Any, **kwargs: Any) -> Any:
            return await self._read(lambda: method(*args, **kwargs))

        return read


class _Gate:
    """What a dead process still tries to write is not written."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk, self._process = disk, process

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self._process.dead:
            raise StoreUnavailable("this process is dead", maybe_applied=True)
        return self._disk.apply(ops)


def _settle(future: asyncio.Future[Result], answer: Result | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


__all__ = ["Disk", "MemoryStore", "SimAccess", "Weather", "restore", "snapshot"]
