"""The job store in a Redis: several processes and hosts, durable when a call returns, if the server is.

A batch is one transaction. It takes the store's lock, loads what its operations can be about
(`redis_load`), performs them in memory by the rules of the memory store, and saves the difference with
one script, which writes all of it if the lock is still its own, else nothing. So a process that was stopped
in the middle holds the others up until its lock ends, and writes nothing later. Time is the server's.

The server's promises are read when the store is opened; see `redis_server`. That it has forgotten what it had
acknowledged (restored from a copy, or another took its place) is noticed by a count of transactions: it is
told, and the generations go on from what is there.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from secrets import token_hex
from typing import Any, Final

from execution_arrow.errors import SchemaOutdated, StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Hear, Inboxed, Op, Result, Row
from execution_arrow.stores.hints import hints_of, payload_of
from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint
from execution_arrow.stores.redis_diff import Write, writes
from execution_arrow.stores.redis_keys import (
    META,
    WIDE,
    Keys,
    delivery_of,
    endpoint_of,
    event_of,
    inbox_of,
    leases_of,
    mark,
    row_of,
)
from execution_arrow.stores.redis_listen import Listener
from execution_arrow.stores.redis_load import load, lock_of
from execution_arrow.stores.redis_server import Server, split_options

logger = logging.getLogger("execution_arrow")

SCHEMA: Final = "1"
OPTIONS: Final = frozenset({"name", "accept_duplicate_submits"})
BUSY_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 0.004
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PAGE: Final = 500


class RedisStore:
    """The jobs `name` in the Redis at `url`: `redis://`, `rediss://` or `redis+unix://`, of one server.

    Raises `StoreNotDurable` for a server that may forget what it has acknowledged. With
    `accept_duplicate_submits` it is taken all the same: what it forgets may be sent, and paid, again. `clock`
    replaces the server's clock, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "jobs",
        accept_duplicate_submits: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"name {name!r}: use 1 to 64 letters, digits, '_', '.' and '-'")
        self._clock, self._keys = clock, Keys(name)
        self._server = Server(url)
        self._listener = Listener(self._server, self._keys.hints)
        self._seen: tuple[str, int] | None = None  # whose transactions, and how many of them
        self._one = threading.Lock()  # this process's own writers need not wait for each other in Redis
        try:
            self._server.refuse_unless_durable(accept_duplicate_submits)
            found = self._server.ask(lambda client: client.hget(self._keys.meta, "schema"))
            if found is not None and found.decode() != SCHEMA:
                raise SchemaOutdated(
                    f"{self._server.where} has job store schema {found.decode()}, this version knows "
                    f"{SCHEMA}; update the package"
                )
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_url(cls, url: str) -> RedisStore:
        """`redis://host/0?name=jobs&accept_duplicate_submits=1`; either may be left out."""
        rest, options = split_options(url, set(OPTIONS))
        accepted = options.get("accept_duplicate_submits", "0")
        if accepted not in ("0", "1"):
            raise ValueError(f"accept_duplicate_submits={accepted!r}: say 1 or 0")
        return cls(rest, name=options.get("name", "jobs"), accept_duplicate_submits=accepted == "1")

    # --- writing ---

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        token = token_hex(8)
        with self._one:
            now, meta = self._take_lock(token, lock_of(ops))
            try:
                picture = load(self._ask, self._keys, ops, now, int(meta.get("seq", "0")))
                before = picture.tables()
                results = [picture.perform(op) for op in ops]
                after = picture.tables()
                found = writes(self._keys, before, after, picture.idle, picture.quiet)
            except BaseException:
                self._leave(token)
                raise
            if not found:
                self._leave(token)
                return results
            hints = hints_of(ops, results)
            if hints:
                found.append(("PUBLISH", self._keys.hints, payload_of(hints)))
            self._save(token, found, meta, after.seq)
            return results

    def _take_lock(self, token: str, milliseconds: int) -> tuple[float, dict[str, str]]:
        """Wait for it; returns the time at the server, and what the store knows of itself."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            _, holder, (seconds, micros), meta = self._ask(
                lambda pipe: (
                    pipe.set(self._keys.lock, token, nx=True, px=milliseconds),
                    pipe.get(self._keys.lock),  # ours also where an answer was lost and this is asked again
                    pipe.time(),
                    pipe.hmget(self._keys.meta, META),
                )
            )
            if holder == token.encode():
                known = {name: value.decode() for name, value in zip(META, meta, strict=True) if value}
                self._notice_rewinds(known)
                return self._clock() if self._clock else int(seconds) + int(micros) / 1e6, known
            if time.monotonic() > until:
                raise StoreUnavailable(
                    f"{self._server.where}: others kept its lock for {BUSY_SECONDS:g} s", maybe_applied=False
                )
            time.sleep(random.uniform(0, _LONGEST_PAUSE))

    def _notice_rewinds(self, meta: dict[str, str]) -> None:
        there = meta.get("life", ""), int(meta.get("tx", "0"))
        seen, self._seen = self._seen, None if "life" not in meta else there
        if seen is not None and (seen[0] != there[0] or seen[1] > there[1]):
            forgot = f"{seen[1] - there[1]} transactions" if seen[0] == there[0] else "everything"
            logger.error(
                "store_rewound %s has forgotten %s that it had acknowledged: generations go on from what is "
                "there, and what was sent since may be sent again; see 'Redis' in docs/workers.md",
                self._server.where, forgot,
            )  # fmt: skip

    def _save(self, token: str, found: list[Write], meta: dict[str, str], seq: int) -> None:
        life, count = meta.get("life") or token_hex(8), int(meta.get("tx", "0")) + 1
        found.append(("HSET", self._keys.meta, "schema", SCHEMA, "life", life, "tx", count, "seq", seq))
        places = {self._keys.lock: 1}
        arguments: list[Any] = [token]
        for command, key, *rest in found:
            place = places.setdefault(key, len(places) + 1)
            arguments += [len(rest), command, place, *rest]
        if not self._server.run("save", list(places), arguments):
            raise StoreUnavailable(
                f"{self._server.where}: its lock ended before the transaction did", maybe_applied=False
            )
        self._seen = life, count

    def _leave(self, token: str) -> None:
        try:
            self._server.run("leave", [self._keys.lock], [token])
        except StoreUnavailable as error:
            logger.debug("the lock ends by itself: %s", error)

    def _ask(self, commands: Callable[[Any], object]) -> list[Any]:
        """The answers to some commands, in one round trip and one step."""

        def ask(client: Any) -> list[Any]:
            with client.pipeline(transaction=True) as pipe:
                commands(pipe)
                answers: list[Any] = pipe.execute()
                return answers

        return self._server.ask(ask)

    # --- reading ---

    def load(self, generation_id: str) -> Row | None:
        return next(iter(self.load_many((generation_id,))), None)

    def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        names, keys = list(dict.fromkeys(generation_ids)), self._keys
        if not names:
            return []

        def questions(pipe: Any) -> None:
            pipe.hgetall(keys.leases)
            for name in names:
                pipe.hmget(keys.row(name), WIDE)
                pipe.hgetall(keys.inbox(name))

        leases, *found = self._ask(questions)
        ends = leases_of(leases)
        rows = (
            row_of(name, found[2 * place], ends, inbox_of(name, found[2 * place + 1]))
            for place, name in enumerate(names)
        )
        return [row[0] for row in rows if row is not None]

    def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        def ask(client: Any) -> tuple[str, str] | None:
            name = client.hget(self._keys.names, mark(account, key))
            found = None if name is None else client.hget(self._keys.row(name.decode()), "fingerprint")
            return None if name is None or found is None else (name.decode(), found.decode())

        return self._server.ask(ask)

    def of_job(self, provider: str, job: str) -> list[str]:
        found = self._server.ask(lambda client: client.smembers(self._keys.of_job(provider, job)))
        return sorted(name.decode() for name in found)

    def holders(self, text: str) -> list[str]:
        pages, wanted = self._newest_first(self._keys.all, None), text.encode()
        return [name for some in pages for name in self._where(some, "state", lambda state: wanted in state)]

    def page(self, account: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
        index = self._keys.all if account is None else self._keys.account(account)
        names: list[str] = []
        for some in self._newest_first(index, before):
            names += some if status is None else self._where(some, "status", status.encode().__eq__)
            if len(names) >= limit:
                break
        rows = {row.id: row for row in self.load_many(names[:limit])}
        return [rows[name] for name in names[:limit] if name in rows]

    def _newest_first(self, index: bytes, before: str | None) -> Iterator[list[str]]:
        edge = "+" if before is None else f"({before}"
        while True:
            found = self._server.ask(partial(_down, index=index, edge=edge))
            if not found:
                return
            yield [name.decode() for name in found]
            edge = f"({found[-1].decode()}"

    def _where(self, names: Sequence[str], field: str, true: Callable[[bytes], bool]) -> list[str]:
        found = self._ask(lambda pipe: [pipe.hget(self._keys.row(name), field) for name in names])
        return [name for name, one in zip(names, found, strict=True) if one is not None and true(one)]

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        edge = "-" if after is None else f"({after}"
        found = self._server.ask(lambda client: client.zrangebylex(self._keys.open, edge, "+", 0, limit))
        return sorted(self.load_many([name.decode() for name in found]), key=lambda row: row.id)

    def events(self, generation_id: str) -> list[Event]:
        found = self._server.ask(lambda client: client.lrange(self._keys.events(generation_id), 0, -1))
        return [event_of(one) for one in found]

    def inbox(self, owner: str) -> list[Inboxed]:
        told, owned = self._keys.told, self._keys.owned(owner)
        names = sorted(name.decode() for name in self._server.ask(lambda client: client.sinter(told, owned)))
        if not names:
            return []
        found = self._ask(lambda pipe: [pipe.hgetall(self._keys.inbox(name)) for name in names])
        facts = [fact for name, one in zip(names, found, strict=True) for fact in inbox_of(name, one)]
        return sorted(facts, key=lambda fact: fact.seq)

    def endpoints(self) -> list[Endpoint]:
        found = self._server.ask(lambda client: client.hvals(self._keys.endpoints))
        return sorted(map(endpoint_of, found), key=lambda endpoint: endpoint.id)

    def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        """Reads all of the endpoint's, or of all endpoints: what ended is forgotten after three days."""
        names = [endpoint] if endpoint is not None else [one.id for one in self.endpoints()]
        if not names:
            return []
        found = self._ask(lambda pipe: [pipe.hvals(self._keys.deliveries(name)) for name in names])
        chosen = (
            one
            for one in map(delivery_of, (value for values in found for value in values))
            if state in (None, one.state) and subject in (None, one.subject)
        )
        return sorted(chosen, key=lambda d: (-d.at, d.endpoint, d.subject, d.no))[:limit]

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Changes of every process, as the server passes them on."""
        return self._listener.watch(hear)

    def close(self) -> None:
        self._listener.stop()
        self._server.close()


def _down(client: Any, index: bytes, edge: str) -> list[bytes]:
    found: list[bytes] = client.zrevrangebylex(index, edge, "-", 0, _PAGE)
    return found
