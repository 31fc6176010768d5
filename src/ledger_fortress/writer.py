"""Grouping what many callers ask for at once into few commits.

A commit costs a sync of the disk whatever is in it, so commands that arrive while one commit is under way
wait together and share the next. Nobody waits for company: a batch is whatever has gathered by the time the
store is free.

`Writer` puts a lock and a small thread around a `Group`. A caller who is alone commits in its own thread; the
second caller at the same time starts the writer's thread, which ends when it has had nothing to do for a
while. Waiting for an answer may be given up; the command goes on.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Hashable, Sequence
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from .answers import Answer
from .commands import Item
from .errors import StoreBusy
from .grouping import MAX_GROUP, MAX_QUEUED, Group, Job, fail
from .protocol import Failure, LedgerStore
from .rules import Policy

ROOM_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 30.0


class Writer:
    """The group of one store, shared by all its callers. Get it with `writer_of`."""

    def __init__(self, store: LedgerStore, *, capacity: int = MAX_QUEUED, most: int = MAX_GROUP) -> None:
        self._group = Group(store, capacity=capacity, most=most)
        self._options = store, capacity, most
        self.dropped = 0
        """Answers that nobody could be given, because the event loop that asked had closed."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._free = threading.Condition(self._lock)
        self._waiters: list[Mail] = []
        self._thread: threading.Thread | None = None
        self._busy = False
        self._leave = False
        self._commits = 0

    def after_fork(self) -> None:
        """In a child: the parent's queue is the parent's, and its thread is not here."""
        store, capacity, most = self._options
        self._group = Group(store, capacity=capacity, most=most)
        self._reset()

    def call(self, items: Sequence[Item], policy: Policy) -> list[Answer | Failure]:
        """Apply the items in one commit, perhaps together with others', and wait for the answers."""
        job = _Waiting(items, policy)
        if not job.size:
            return []
        with self._lock:
            alone = not self._busy and not self._group
            if alone:
                self._busy = True
            else:
                self._enqueue(job)
        if not alone:
            job.wait()
            return job.result()
        try:
            self._group.resolve([job])
        finally:
            with self._lock:
                self._set_free()
        return job.result()

    def offer(self, job: Job, room: Mail | None = None) -> bool:
        """Hand the job to the writer's thread without waiting.

        False: the queue is full, and `room` will be delivered once, from another thread, when it is not.
        """
        with self._lock:
            if self._thread is None:
                self._start()
            if self._group.offer(job):
                if len(self._group) == 1:  # whoever waits for work has been told of the others
                    self._work.notify()
                return True
            if room is not None:
                self._waiters.append(room)
            return False

    def drain(self) -> None:
        """Wait until what has been offered so far is answered, and send the thread away."""
        with self._lock:
            last, commits = self._group.last, self._commits
            self._free.wait_for(
                lambda: (last is None or last.done) and (not self._busy or self._commits > commits),
                CLOSE_SECONDS,
            )
            thread = self._thread
            if thread is None or thread is threading.current_thread():
                return
            self._leave = True
            self._work.notify_all()
        thread.join(CLOSE_SECONDS)

    def _enqueue(self, job: Job) -> None:
        if self._thread is None:
            self._start()
        if not self._room.wait_for(lambda: self._group.offer(job), ROOM_SECONDS):
            raise no_room()
        self._work.notify()

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="ledger-fortress writer", daemon=True)
        thread.start()
        self._thread = thread

    def _set_free(self) -> None:
        self._busy = False
        self._commits += 1
        self._free.notify_all()
        if self._group:
            self._work.notify()

    def _serve(self) -> None:
        while batch := self._next_batch():
            try:
                self._group.resolve(batch)
            except BaseException as error:  # noqa: BLE001  (nobody may be left waiting for ever)
                fail([job for job in batch if not job.done], error)
            self.dropped += _deliver(batch)
            with self._lock:
                self._set_free()

    def _next_batch(self) -> list[Job]:
        """Wait for jobs and take them; none when there has been nothing to do for a while."""
        with self._lock:
            idle = False
            while self._busy or not self._group:
                if (idle or self._leave) and not self._busy:
                    self._thread, self._leave = None, False
                    return []
                idle = not self._work.wait(IDLE_SECONDS)
            self._busy = True
            batch = self._group.take_batch()
            self._room.notify_all()
            waiters, self._waiters = self._waiters, []
        _deliver(waiters)
        return batch


class Mail(Protocol):
    """What somebody waits for; those of one address are delivered together, by any of them."""

    @property
    def address(self) -> Hashable: ...
    def deliver(self, mail: list[Any], /) -> bool: ...


def _deliver(post: Sequence[Mail]) -> int:
    """Deliver everything, in one call per address; returns how many found nobody there."""
    mail: dict[Hashable, list[Mail]] = {}
    for one in post:
        mail.setdefault(one.address, []).append(one)
    return sum(len(together) for together in mail.values() if not together[0].deliver(together))


class _Waiting(Job):
    """A job whose caller waits in a thread."""

    __slots__ = ("_gate",)

    def __init__(self, items: Sequence[Item], policy: Policy) -> None:
        super().__init__(items, policy)
        self._gate = threading.Lock()
        self._gate.acquire()

    def deliver(self, jobs: list[Any]) -> bool:
        self._gate.release()
        return True

    def wait(self) -> None:
        self._gate.acquire()


def no_room() -> StoreBusy:
    """What a caller is told who has waited for room in vain."""
    return StoreBusy(f"{MAX_QUEUED} commands have been waiting for a commit for {ROOM_SECONDS:g} s")


# By identity: a store need not be hashable, and it lives as long as its writer.
_writers: WeakValueDictionary[int, Writer] = WeakValueDictionary()
_registry = threading.Lock()


def writer_of(store: LedgerStore) -> Writer:
    """The one writer of this store in this process; it lasts as long as somebody keeps it."""
    with _registry:
        writer = _writers.get(id(store))
        if writer is None:
            writer = _writers[id(store)] = Writer(store)
        return writer


def _after_fork_in_child() -> None:
    global _registry
    _registry = threading.Lock()
    for writer in list(_writers.values()):
        writer.after_fork()


def _at_exit() -> None:
    """What has been accepted is committed, also when a program ends without closing its ledger."""
    for writer in list(_writers.values()):
        writer.drain()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
