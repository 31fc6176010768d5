"""The operations of the SQLite store, each inside the caller's transaction. Plain SQL, no rule."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from execution_arrow.stores.base import (
    LONGEST_LEASE,
    Append,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Commit,
    Committed,
    Create,
    Created,
    Disown,
    Done,
    Existing,
    Fenced,
    Inboxed,
    JobTaken,
    Release,
    Result,
    Row,
    plain,
)
from execution_arrow.stores.operations import Operations
from execution_arrow.stores.outgoing import Outgoing
from execution_arrow.stores.sqlite_outgoing import Outbox

ROW = """SELECT g.id, g.account, g.key, g.spec, g.state, g.version, g.epoch, g.owner, w.until, g.next_at,
                g.created_at
          FROM generations g LEFT JOIN workers w ON w.id = g.owner"""
NAMED = "WHERE g.id IN (SELECT value FROM json_each(?))"
# Two questions, so that each walks an index; the ids are few beside the history.
UNFINISHED = """SELECT id FROM (
                    SELECT id FROM generations INDEXED BY generations_due
                    WHERE owner IS NULL AND next_at IS NOT NULL
                    UNION ALL
                    SELECT id FROM generations INDEXED BY generations_owner
                    WHERE owner IS NOT NULL AND next_at IS NOT NULL
                ) WHERE id > ? ORDER BY id LIMIT ?"""
_FREE = (
    """(g.owner IS NULL OR NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = g.owner AND w.until > :now))"""
)
# Three questions instead of one with OR, so that each walks an index of its own and an idle worker's claim
# does not read the whole history. An orphan (its owner's lease is over) is due at once, whatever its time:
# nobody knows what it was in the middle of. Owners are few, so the first query steps from one to the next.
_ORPHANS = """
    WITH RECURSIVE owners (name) AS (
        SELECT MIN(owner) FROM generations WHERE owner IS NOT NULL
        UNION ALL
        SELECT (SELECT MIN(owner) FROM generations WHERE owner > name) FROM owners WHERE name IS NOT NULL
    )
    SELECT g.id FROM owners JOIN generations g ON g.owner = owners.name
    WHERE NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = owners.name AND w.until > :now)
      AND g.next_at IS NOT NULL
    LIMIT :limit"""
_TOLD = f"""SELECT DISTINCT g.id FROM facts f JOIN generations g ON g.id = f.generation
            WHERE f.folded = 0 AND {_FREE} LIMIT :limit"""
_DUE = """SELECT id FROM generations WHERE owner IS NULL AND next_at IS NOT NULL AND next_at <= :now
          ORDER BY next_at LIMIT :limit"""
_LATER = """
    SELECT MIN(at) FROM (
        SELECT MIN(next_at) AS at FROM generations WHERE owner IS NULL AND next_at IS NOT NULL
        UNION ALL
        SELECT MAX(w.until, :now) FROM workers w WHERE w.id <> :owner AND EXISTS (
            SELECT 1 FROM generations g WHERE g.owner = w.id AND g.next_at IS NOT NULL))"""
_UNFOLDED = "SELECT seq, generation, attempt, dedup, body, at FROM facts WHERE folded = 0 AND"
_WAITING = "EXISTS (SELECT 1 FROM facts f WHERE f.generation = g.id AND f.folded = 0)"


class Batch(Operations[Result]):
    """A transaction under way, and the store's time when it began."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self.connection, self.now = connection, now

    def _create(self, op: Create) -> Result:
        if op.key is not None:
            found = self.connection.execute(
                "SELECT id, fingerprint FROM generations WHERE account = ? AND key = ?", (op.account, op.key)
            ).fetchone()
            if found:
                return Existing(*found)
        self.connection.execute(
            """INSERT INTO generations (id, account, model, status, key, fingerprint, spec, state, version,
                                        epoch, owner, next_at, created_at, changed_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)""",
            (op.id, op.account, op.model, op.status, op.key, op.fingerprint, op.spec, op.state,
             1 if op.owner else 0, op.owner, op.next_at, op.created_at, op.created_at),
        )  # fmt: skip
        return Created()

    def _commit(self, op: Commit) -> Result:
        jobs = [tuple(plain(part) for part in job) for job in op.jobs]
        for provider, credentials, job, attempt in jobs:
            holder = self.connection.execute(
                "SELECT attempt FROM jobs WHERE provider = ? AND job = ? AND credentials = ?",
                (provider, job, credentials),
            ).fetchone()
            if holder and holder[0] != attempt:
                return JobTaken(holder[0], job)
        changed = self.connection.execute(
            """UPDATE generations SET state = ?, status = ?, next_at = ?, changed_at = ?,
                                      version = version + 1, key = CASE WHEN ? THEN NULL ELSE key END,
                                      owner = CASE WHEN ? THEN NULL ELSE owner END
               WHERE id = ? AND owner = ? AND epoch = ? AND version = ?""",
            (op.state, op.status, op.next_at, op.at, op.free_key, op.next_at is None, op.id, op.owner,
             op.epoch, op.version),
        )  # fmt: skip
        if changed.rowcount != 1:
            return Fenced()
        if jobs:
            self.connection.executemany(
                "INSERT OR IGNORE INTO jobs VALUES (?, ?, ?, ?, ?)",
                [(provider, job, keys, attempt, op.id) for provider, keys, job, attempt in jobs],
            )
        for fact in op.heard:
            self._insert_fact(fact, folded=True)
        if op.folded:
            self.connection.executemany(
                "UPDATE facts SET folded = 1 WHERE seq = ?", [(seq,) for seq in op.folded]
            )
        if op.erased is not None:
            self.connection.execute("UPDATE generations SET spec = ? WHERE id = ?", (op.erased, op.id))
            self.connection.execute("DELETE FROM facts WHERE generation = ? AND folded = 1", (op.id,))
        return Committed(op.version + 1, self._announce(op) if op.events else 0)

    def _announce(self, op: Commit) -> int:
        """Write the events; returns how many deliveries that has made."""
        self.connection.executemany(
            "INSERT INTO events (generation, no, type, at, settled) VALUES (?, ?, ?, ?, ?)",
            [(op.id, event.no, event.type, event.at, event.settled) for event in op.events],
        )
        return Outbox(self.connection, self.now).post_events(op)

    def _insert_fact(self, fact: Inboxed, folded: bool) -> bool:
        inserted = self.connection.execute(
            """INSERT INTO facts (generation, attempt, dedup, body, at, folded)
               SELECT id, ?, ?, ?, ?, ? FROM generations WHERE id = ?
               ON CONFLICT (generation, attempt, dedup) DO NOTHING""",
            (fact.attempt, fact.dedup, json.dumps(fact.body), fact.at, folded, fact.generation),
        )
        if folded and inserted.rowcount != 1:
            self.connection.execute(
                "UPDATE facts SET folded = 1 WHERE generation = ? AND attempt = ? AND dedup = ?",
                (fact.generation, fact.attempt, fact.dedup),
            )
        return inserted.rowcount == 1

    def _append(self, op: Append) -> Result:
        return Done(new=self._insert_fact(op.fact, folded=False))

    def _claim(self, op: Claim) -> Result:
        self.connection.execute(
            "UPDATE workers SET until = ? WHERE until > ?", (self.now + op.seconds, self.now + LONGEST_LEASE)
        )
        if op.ids:
            marks = ", ".join("?" * len(op.ids))
            wanted = f"g.id IN ({marks}) AND (g.next_at IS NOT NULL OR {_WAITING})"
            query = f"SELECT g.id FROM generations g WHERE {wanted} AND {_FREE.replace(':now', '?')} LIMIT ?"
            ids = self.connection.execute(query, (*op.ids, self.now, op.limit)).fetchall()
        else:
            ids = []
            for query in (_ORPHANS, _TOLD, _DUE):
                values = {"now": self.now, "limit": op.limit - len(ids)}
                ids += [row for row in self.connection.execute(query, values) if row not in ids]
        if not ids:
            return Claimed((), self.now, self._look_again(op, taken=0))
        names = [name for (name,) in ids]
        self.connection.executemany(
            "UPDATE generations SET owner = ?, epoch = epoch + 1 WHERE id = ?",
            [(op.owner, name) for name in names],
        )
        self._extend(op.owner, op.seconds)
        rows = sorted(
            read_rows(self.connection, NAMED, (json.dumps(names),)), key=lambda row: names.index(row.id)
        )
        return Claimed(tuple(rows), self.now, self._look_again(op, taken=len(rows)))

    def _look_again(self, op: Claim, taken: int) -> float | None:
        """When there may be more, for who asks for whatever is due."""
        if op.ids:
            return None
        return self.now if taken == op.limit else self._next_at(op.owner)

    def _next_at(self, owner: str) -> float | None:
        """The next free row's time or the end of somebody else's lease, whichever is earlier."""
        found = self.connection.execute(_LATER, {"owner": owner, "now": self.now}).fetchone()
        at: float | None = found[0]
        return at

    def _release(self, op: Release) -> Result:
        self.connection.executemany(
            "UPDATE generations SET owner = NULL, next_at = ? WHERE id = ? AND owner = ?",
            [(next_at, generation_id, op.owner) for generation_id, next_at in op.rows],
        )
        return Done()

    def _disown(self, op: Disown) -> Result:
        self.connection.execute(
            """UPDATE generations SET owner = NULL, next_at = CASE WHEN next_at IS NULL THEN NULL ELSE ? END
               WHERE owner = ? AND id NOT IN (SELECT value FROM json_each(?))""",
            (self.now, op.owner, json.dumps(list(op.keep))),
        )
        return Done()

    def _beat(self, op: Beat) -> Result:
        self._extend(op.owner, op.seconds)
        # A lease that ended an hour ago protects nothing; rows of such workers are claimable without it too.
        self.connection.execute("DELETE FROM workers WHERE until < ?", (self.now - 3600,))
        return Beaten(self.now)

    def _outgoing(self, op: Outgoing) -> Result:
        return Outbox(self.connection, self.now).perform(op)

    def _extend(self, owner: str, seconds: float) -> None:
        self.connection.execute(
            """INSERT INTO workers (id, until) VALUES (?, ?)
               ON CONFLICT (id) DO UPDATE SET until = excluded.until""",
            (owner, self.now + seconds),
        )


def read_rows(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
    """The rows of a query that begins as `ROW`, in its order: two statements, however many they are."""
    found = connection.execute(f"{ROW} {where}", values).fetchall()
    if len(found) == 1:
        facts = connection.execute(f"{_UNFOLDED} generation = ? ORDER BY seq", (found[0][0],))
    else:
        names = json.dumps([row[0] for row in found])
        facts = connection.execute(
            f"{_UNFOLDED} generation IN (SELECT value FROM json_each(?)) ORDER BY seq", (names,)
        )
    inboxes: defaultdict[str, list[Inboxed]] = defaultdict(list)
    for fact in map(inboxed, facts):
        inboxes[fact.generation].append(fact)
    return [_row(row, inboxes.get(row[0], ())) for row in found]


def _row(found: Sequence[Any], inbox: Sequence[Inboxed]) -> Row:
    identity, account, key, spec, state, version, epoch, owner, until, next_at, created_at = found
    return Row(
        id=identity, account=account, key=key, spec=spec, state=state, version=version, epoch=epoch,
        owner=owner, owner_until=until, next_at=next_at, created_at=created_at, inbox=tuple(inbox),
    )  # fmt: skip


def inboxed(row: Sequence[Any]) -> Inboxed:
    seq, generation, attempt, dedup, body, at = row
    return Inboxed(generation=generation, attempt=attempt, dedup=dedup, body=json.loads(body), at=at, seq=seq)
