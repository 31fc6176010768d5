"""Which jobs share a commit, and what a failing store does to each of them.

`Group` is a plain object: `offer` it a job, `take_batch`, `resolve` the batch. It has no thread and no lock,
so a simulator may call it inline; `writer` puts both around it.

A store error before COMMIT means that nothing was applied: the batch is tried once more, then halved until
the job that the store cannot take is alone with its error. An unanswered COMMIT is different: everybody in
that batch is told that it may have been applied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Final, TypeVar

from .answers import Answer
from .commands import Item
from .engine import MAX_BATCH, flatten, run_group
from .errors import LedgerError, MissingEntries, StoreBusy, StoreUnavailable, WriterElsewhere
from .protocol import Failure, LedgerStore
from .rules import Policy

MAX_QUEUED: Final = 8_192
"""Commands that may wait for a commit. Beyond that callers wait for room, and after a while are refused."""
MAX_GROUP: Final = 1_024
"""Commands of different callers in one commit: enough that the sync no longer counts."""

_E = TypeVar("_E", bound=BaseException)


class Job:
    """What one caller wants in one commit, and what came of it: `answers`, or `error`."""

    __slots__ = ("answers", "done", "error", "items", "policy", "size")

    def __init__(self, items: Sequence[Item], policy: Policy) -> None:
        self.items = items
        self.policy = policy
        self.size = len(flatten(items))
        self.answers: list[Answer | Failure] = []
        self.error: BaseException | None = None
        self.done = False

    @property
    def address(self) -> Hashable:
        """Jobs with one address are delivered together."""
        return self

    def deliver(self, jobs: list[Any]) -> bool:
        """Tell those who wait for `jobs`, all of this address, that they are done; False: nobody is there."""
        return True

    def result(self) -> list[Answer | Failure]:
        """The answers; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.answers


class Group:
    """Jobs that wait for a commit, in order. Not locked: one thread at a time."""

    def __init__(self, store: LedgerStore, *, capacity: int = MAX_QUEUED, most: int = MAX_GROUP) -> None:
        self._store = store
        self._capacity = capacity
        self._most = min(most, MAX_BATCH)
        self._jobs: deque[Job] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def last(self) -> Job | None:
        """The job that came last, if it still waits."""
        return self._jobs[-1] if self._jobs else None

    def offer(self, job: Job) -> bool:
        """Take the job, or answer False because there is no room. An empty queue has room for any job."""
        if self._jobs and self._size + job.size > self._capacity:
            return False
        self._jobs.append(job)
        self._size += job.size
        return True

    def take_batch(self) -> list[Job]:
        """Remove and return the jobs of the next commit, first come, first served."""
        batch: list[Job] = []
        size = 0
        while self._jobs and (not batch or size + self._jobs[0].size <= self._most):
            job = self._jobs.popleft()
            batch.append(job)
            size += job.size
        self._size -= size
        return batch

    def resolve(self, batch: Sequence[Job]) -> None:
        """Commit the jobs and give each its answers or its error. Raises only what is no `Exception`."""
        parts = [list(batch)] if batch else []
        again = len(batch) > 1  # a job that is alone is its caller's to repeat
        while parts:
            part = parts.pop()
            error = self._commit(part)
            if error is None:
                continue
            if isinstance(error, StoreUnavailable) and error.maybe_applied:
                fail(part, error)
            elif _hopeless(error):
                for other in (part, *parts):
                    fail(other, error)
                return
            elif again:
                again = False
                parts.append(part)
            elif len(part) == 1:
                fail(part, error)
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]

    def _commit(self, part: list[Job]) -> Exception | None:
        try:
            answers = run_group(self._store, [(job.items, job.policy) for job in part])
        except Exception as error:  # noqa: BLE001  (whatever it is, those who wait must hear of it)
            return error
        for job, given in zip(part, answers, strict=True):
            job.answers, job.done = given, True
        return None


def fail(part: list[Job], error: BaseException) -> None:
    """Give every job its error."""
    for job in part:
        job.error, job.done = (error if len(part) == 1 else _twin(error)), True


def _twin(error: _E) -> _E:
    """The same error for another caller: one that is raised in two threads mixes up their tracebacks."""
    kind = type(error)
    twin = kind.__new__(kind, *error.args)
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error
    return twin


def _hopeless(error: Exception) -> bool:
    """An error about the store as a whole, which no smaller batch would escape."""
    if isinstance(error, StoreUnavailable):
        return isinstance(error, StoreBusy | WriterElsewhere)
    return isinstance(error, LedgerError) and not isinstance(error, MissingEntries)
