"""A ledger in Redis: several processes and hosts, as durable as the server is configured to be.

A transaction loads what it touches in one script, decides, and saves with another, which first checks that
every account still has the version it was loaded with and that no new key is taken. Where one has moved on,
nothing is written and all begins again.

Many writers of one hot account would spend their time overtaking each other. So whoever was overtaken once
takes the *lease* of the shard: until he has saved, nobody else loads in order to write, or saves, there. The
lease only decides who comes next. That nothing is lost rests on the versions alone, so a lease may end too
early (its holder was stopped for longer than `LEASE_MS`) and one that nobody gives back ends by itself.

One script changes accounts of one shard only; see `redis_rows`. A batch is bounded, because a Redis does
nothing else while a script runs.
"""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, Self

from ledger_fortress.errors import LedgerError, SchemaOutdated, StoreBusy, StoreUnavailable
from ledger_fortress.progress import Counter, Progress
from ledger_fortress.protocol import Changes, Decide, Loaded, Touch

from .archive import Archive
from .base import ATTEMPTS, Clock, now_micros
from .redis_reads import Questions
from .redis_rows import Layout, Lease, Plan, Question, plan, stub_of
from .redis_server import Server, call, split_options

SCHEMA_VERSION: Final = "1"
MAX_SHARDS: Final = 1_024
LEASE_MS: Final = 1_000
ARCHIVE_PAGE: Final = 100
BUSY_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 0.005
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class RedisStore(Questions):
    """The ledger `name` in the Redis at `url`.

    That is `redis://`, `rediss://` or `redis+unix://`, or with some node of a Cluster `redis+cluster://` or
    `rediss+cluster://`.

    `shards` is settled when the ledger is made (1, unless said otherwise) and cannot be changed; None takes
    it as it is. Without `create` it has to be there already. `archive` is a file that old entries go to, see
    `archive_before`. `durability` is what the server promised when the ledger was opened. `clock` replaces
    the server's clock, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "credits",
        shards: int | None = None,
        create: bool = True,
        archive: Path | str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"name {name!r}: use 1 to 64 letters, digits, '_', '.' and '-'")
        if shards is not None and not 1 <= shards <= MAX_SHARDS:
            raise ValueError(f"shards must be from 1 to {MAX_SHARDS}, got {shards}")
        self._clock = clock
        self._server = Server(url, None if archive is None else Archive(archive))
        try:
            self.durability = self._server.inspect()
            self._layout = self._open_layout(name, shards, create)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_url(cls, url: str, *, clock: Clock | None = None, migrate: bool = False) -> Self:
        """`redis://host/0?name=credits&shards=8&create=no&archive=/path/file.db`; any may be left out."""
        rest, options = split_options(url, {"name", "shards", "create", "archive"})
        shards = options.get("shards")
        if shards is not None and not (shards.isascii() and shards.isdigit()):
            raise ValueError(f"shards={shards!r} is not a number")
        create = options.get("create", "yes")
        if create not in ("yes", "no"):
            raise ValueError(f"create={create!r}: say yes or no")
        return cls(
            rest,
            name=options.get("name", "credits"),
            shards=None if shards is None else int(shards),
            create=create == "yes",
            archive=options.get("archive"),
            clock=clock,
        )

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        """See the protocol. Gives up after `ATTEMPTS` conflicts, or `BUSY_SECONDS` of others' leases."""
        lease, conflicts, until = Lease(token_hex(8)), 0, time.monotonic() + BUSY_SECONDS
        try:
            while conflicts < ATTEMPTS:
                loaded = self._load(touch, lease)
                if loaded is None:
                    lease = lease._replace(life=LEASE_MS)
                    if time.monotonic() > until:
                        raise StoreBusy(
                            f"other writers kept a shard of the {self._server.where} for {BUSY_SECONDS:g} s"
                        )
                    time.sleep(random.uniform(0, _LONGEST_PAUSE))
                    continue
                changes = decide(loaded)
                if not any(changes._replace(answers=())):
                    return changes
                if self._save(plan(self._layout, loaded, touch, changes, lease.name)):
                    lease = lease._replace(life=0)  # given back with the save
                    return changes
                conflicts += 1
                lease = lease._replace(life=LEASE_MS)
        finally:
            if lease.life:
                self._give_back(touch, lease)
        raise StoreBusy(f"other writers of the {self._server.where} were faster {ATTEMPTS} times")

    def read(self, touch: Touch) -> Loaded:
        loaded = self._load(touch, None)
        assert loaded is not None  # readers wait for nobody
        return loaded

    def trust_clock(self) -> bool:
        """False: the server's clock is taken as it is."""
        return False

    def close(self) -> None:
        self._server.close()

    def _load(self, touch: Touch, lease: Lease | None) -> Loaded | None:
        """What is there; None, for a writer, while another one has the lease."""
        question = Question(self._layout, touch, now_micros(self._clock) if self._clock else None, lease)
        reply = self._server.ask(lambda client: call(client, "load", question, question.argument))
        return None if reply is None else question.answer(touch, reply, self._server.archive)

    def archive_before(self, before: int, progress: Progress | None = None) -> int:
        """Move entries from before this time (microseconds) to the archive; returns how many.

        They are in the file, synced and read back, before the server lets go of them, a page at a time, so
        that it may be interrupted and repeated. What stays is an entry's number and hash, and its key.
        """
        archive, counter, moved = self._server.archive, Counter(progress), 0
        if archive is None:
            raise LedgerError(
                f"the {self._server.where} was opened without an archive: redis://...?archive=file"
            )
        for name in self._names():
            state = self._layout.of(name, "account")
            done = int(self._server.fetch("hget", state, "archived") or 0)
            if done:  # an account is in one archive, not in two that each lack a part of it
                self.entries(name, done - 1, 1)
            while rows := [row for row in self.entries(name, done, ARCHIVE_PAGE) if row.at < before]:
                archive.add(rows)
                todo = Plan()
                for row in counter.over(rows):
                    todo.write("HSET", self._layout.of(name, "entry"), str(row.version), stub_of(row))
                done = rows[-1].version
                todo.write("HSET", state, "archived", str(done))
                self._save(todo)
                moved += len(rows)
        counter.done()
        return moved

    def _give_back(self, touch: Touch, lease: Lease) -> None:
        """Let the next writer in; if that fails, the lease ends by itself."""
        todo = Plan()
        todo.under(self._layout.shared(self._layout.one_shard(touch.accounts), "writer"), lease.name)
        with suppress(StoreUnavailable):
            self._save(todo)

    def _save(self, todo: Plan) -> bool:
        argument = todo.argument
        return bool(self._server.change(lambda client: call(client, "save", todo, argument)) == 0)

    def _open_layout(self, name: str, shards: int | None, create: bool) -> Layout:
        """Make the ledger if there is none, and find out how it was made."""
        layout = Layout(name, shards or 1)
        found = self._server.ask(lambda client: client.hgetall(layout.meta))
        if not found and not create:
            raise LedgerError(f"there is no ledger {name!r} in the {self._server.where}: check the name")
        if not found:
            todo = Plan()
            todo.check(layout.meta, "schema", "")
            todo.write("HSET", layout.meta, "schema", SCHEMA_VERSION, "shards", str(shards or 1))
            self._save(todo)
            found = self._server.ask(lambda client: client.hgetall(layout.meta))
        schema, made = found[b"schema"].decode(), int(found[b"shards"])
        if schema != SCHEMA_VERSION:
            raise SchemaOutdated(
                f"{self._server.where} has ledger schema {schema}, this version works with {SCHEMA_VERSION}: "
                "no migration leads there, use the version of the package that wrote it"
            )
        if shards not in (None, made):
            raise ValueError(
                f"the ledger {name!r} was made with {made} shards, which cannot be made {shards}"
            )
        return Layout(name, made)
