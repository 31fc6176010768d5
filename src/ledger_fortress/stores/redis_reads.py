"""What the Redis store answers without deciding anything, and its small writes.

What concerns several accounts is put together from one answer per account or shard: Redis has no picture of
all of them at one moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any

from ledger_fortress.entries import Entry, Notice
from ledger_fortress.state import Checkpoint, Hold

from .base import Clock, now_micros
from .json_rows import checkpoint_of, hold_of, notice_of, row_of
from .redis_picture import PAGE, Picture, entries
from .redis_rows import MAX_ACCOUNTS, Layout, Plan
from .redis_server import Server


class Questions:
    """Reads, acknowledgements and checkpoints."""

    _clock: Clock | None
    _server: Server
    _layout: Layout

    def _save(self, todo: Plan) -> bool:
        """Write, or nothing and False where a check failed."""
        raise NotImplementedError

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        return list(entries(self._server, self._layout, account, after, limit))

    def open_holds(self, account: str | None) -> list[Hold]:
        names = [account] if account is not None else self._holding()
        rows = chain.from_iterable(self._values(name, "open") for name in names)
        return sorted(map(hold_of, rows), key=lambda hold: (hold.deadline, hold.account, hold.key))

    def accounts(self, after: str, limit: int) -> list[str]:
        least = f"({after}" if after else "-"
        pages = self._everywhere("zrangebylex", "names", least, "+", 0, limit)
        return [name.decode() for name in sorted(chain.from_iterable(pages))[:limit]]

    def due(self, limit: int) -> list[str]:
        """At most 64 accounts, all of the shard that has waited longest: one commit can sweep them."""
        most = min(limit, MAX_ACCOUNTS)
        pages = self._everywhere("zrangebyscore", "due", "-inf", self._now(), 0, most, withscores=True)
        first: list[Any] = min((page for page in pages if page), key=lambda page: page[0][1], default=[])
        return [name.decode() for name, _ in first]

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        found: Iterable[Notice]
        if pending:
            found = heapq.merge(*map(self._pending, self._layout.shards), key=_age)
        else:
            names = [account] if account is not None else self._names()
            rows = chain.from_iterable(self._values(name, "notice") for name in names)
            found = sorted(map(notice_of, rows), key=_age)
        fitting = (n for n in found if account in (None, n.account) and (not kinds or n.kind in kinds))
        return list(islice(fitting, limit))

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        count = 0
        for account, version, place in dict.fromkeys(marks):
            row = self._server.fetch("hget", self._layout.of(account, "notice"), f"{version} {place}")
            if row is not None:
                queue = self._layout.shared(self._layout.shard(account), "pending")
                count += self._server.change(partial(_drop, queue, row))
        return count

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        wanted = range(after + 1, min(after + limit, self._last_number()) + 1)
        rows = self._server.fetch("hmget", self._layout.checkpoints, list(wanted)) if wanted else []
        return [checkpoint_of(row) for row in rows]

    def last_checkpoint(self) -> Checkpoint | None:
        last = self._last_number()
        return self.checkpoints(last - 1, 1)[0] if last else None

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        key, number = self._layout.checkpoints, checkpoint.number
        todo = Plan()
        todo.check(key, "last", str(number - 1) if number > 1 else "")
        todo.write("HSET", key, str(number), row_of(checkpoint), "last", str(number))
        return self._save(todo)

    @contextmanager
    def scan(self, account: str | None = None) -> Iterator[Picture]:
        """Each account is consistent in itself; two of them may be of different moments."""
        yield Picture(self._server, self._layout, self._names() if account is None else [account])

    def _pending(self, shard: int) -> Iterator[Notice]:
        """The shard's pending notices in order, page by page; a page never ends between equal times."""
        key, least = self._layout.shared(shard, "pending"), "-inf"
        while page := self._server.fetch("zrangebyscore", key, least, "+inf", 0, PAGE, withscores=True):
            last = int(page[-1][1])
            rows = [row for row, at in page if at < last]
            rows += self._server.fetch("zrangebyscore", key, last, last)
            yield from sorted(map(notice_of, rows), key=_age)
            least = f"({last}"

    def _everywhere(self, command: str, kind: str, *values: Any, **options: Any) -> list[list[Any]]:
        """The answers of all shards."""
        keys = [self._layout.shared(shard, kind) for shard in self._layout.shards]
        return [list(self._server.fetch(command, key, *values, **options)) for key in keys]

    def _names(self) -> list[str]:
        pages = self._everywhere("zrange", "names", 0, -1)
        return [name.decode() for name in sorted(chain.from_iterable(pages))]

    def _holding(self) -> list[str]:
        """The accounts that have open holds."""
        pages = self._everywhere("smembers", "holding")
        pairs = (pair.decode().partition("\n") for pair in chain.from_iterable(pages))
        return list({account for account, _, _ in pairs})

    def _values(self, account: str, kind: str) -> list[bytes]:
        return list(self._server.fetch("hvals", self._layout.of(account, kind)))

    def _last_number(self) -> int:
        return int(self._server.fetch("hget", self._layout.checkpoints, "last") or 0)

    def _now(self) -> int:
        if self._clock is not None:
            return now_micros(self._clock)
        return self._server.time()


def _drop(key: str, row: bytes, client: Any) -> int:
    return int(client.zrem(key, row))


def _age(notice: Notice) -> tuple[int, str, int, int]:
    return notice.at, notice.account, notice.version, notice.place
