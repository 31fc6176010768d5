"""Endpoints and deliveries on SQLite: the promises of `stores.outgoing`, inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from execution_arrow.stores.base import Commit, Done, Fenced, Result
from execution_arrow.stores.operations import OutgoingOperations
from execution_arrow.stores.outgoing import (
    FORGOTTEN,
    Delivery,
    DeliveryState,
    Endpoint,
    KeepEndpoint,
    Posted,
    Publish,
    Replay,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
    in_turn,
)
from execution_arrow.values import replace

_COLUMNS = """endpoint, subject, no, account, type, at, settled, body, state, tries, replays, claim, next_at,
              ended_at, answer, error"""
# `wants`, in SQL: an empty account stands for every one, an empty list of types for all.
_WANTS = """(account IS NULL OR account = :account)
            AND (events = '[]' OR EXISTS (SELECT 1 FROM json_each(events) WHERE value = :type))"""
_POST = """
    INSERT INTO deliveries (endpoint, subject, no, account, type, at, settled, body, state, next_at, ended_at)
    SELECT id, :subject, :no, :account, :type, :at, :settled, :body,
           CASE WHEN disabled THEN 'dead' ELSE 'waiting' END, :at, CASE WHEN disabled THEN :at END
    FROM endpoints WHERE {chosen}
    ON CONFLICT DO NOTHING RETURNING state"""
POST_WANTED, POST_ONLY = _POST.format(chosen=_WANTS), _POST.format(chosen="id = :only")
ENDPOINTS = "SELECT id, account, events, document, disabled, version, failures, failing_since FROM endpoints"
ENDPOINT = f"{ENDPOINTS} WHERE id = ?"
# From one endpoint with something waiting to the next, whatever waits in between.
_EACH = """
    WITH RECURSIVE names (name) AS (
        SELECT MIN(endpoint) FROM deliveries WHERE state = 'waiting'
        UNION ALL
        SELECT (SELECT MIN(endpoint) FROM deliveries WHERE state = 'waiting' AND endpoint > name)
        FROM names WHERE name IS NOT NULL
    )"""
_NAMES = f"{_EACH} SELECT name FROM names WHERE name IS NOT NULL"
_LATER = f"""{_EACH} SELECT MIN(
    (SELECT MIN(next_at) FROM deliveries WHERE state = 'waiting' AND endpoint = name)) FROM names"""
_HEADS = f"""
    SELECT {_COLUMNS} FROM deliveries d
    WHERE endpoint = :endpoint AND state = 'waiting' AND next_at <= :now AND NOT EXISTS (
        SELECT 1 FROM deliveries p
        WHERE p.endpoint = d.endpoint AND p.subject = d.subject AND p.no < d.no AND p.state = 'waiting')
    ORDER BY next_at LIMIT :room"""
_LINE_UP = """UPDATE deliveries SET next_at = :next_at
              WHERE endpoint = :endpoint AND subject = :subject AND no >= :no AND state = 'waiting'"""


class Outbox(OutgoingOperations[Result]):
    """A transaction under way, and the store's time when it began."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._connection, self._now = connection, now

    def post_events(self, op: Commit) -> int:
        """The deliveries of a commit's events; how many of them wait."""
        found = self._connection.execute("SELECT account FROM generations WHERE id = ?", (op.id,)).fetchone()
        return sum(
            self._post(
                account=found[0], subject=op.id, no=event.no, type=event.type, at=event.at,
                settled=event.settled, body=None, only=None,
            )
            for event in op.events
        )  # fmt: skip

    def _post(self, **values: Any) -> int:
        post = POST_WANTED if values["only"] is None else POST_ONLY
        return [state for (state,) in self._connection.execute(post, values).fetchall()].count("waiting")

    def _publish(self, op: Publish) -> Result:
        return Posted(
            self._post(
                account=op.account, subject=op.subject, no=1, type=op.type, at=op.at,
                settled=True, body=op.body, only=op.endpoint,
            )
        )  # fmt: skip

    def _keep(self, op: KeepEndpoint) -> Result:
        endpoint, connection = op.endpoint, self._connection
        known = connection.execute("SELECT version FROM endpoints WHERE id = ?", (endpoint.id,)).fetchone()
        if (known[0] if known else 0) != endpoint.version:
            return Fenced()
        if op.remove:
            connection.execute("DELETE FROM endpoints WHERE id = ?", (endpoint.id,))
            connection.execute("DELETE FROM deliveries WHERE endpoint = ?", (endpoint.id,))
            return Done()
        connection.execute(
            "INSERT OR REPLACE INTO endpoints (id, account, events, document, disabled, version) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (endpoint.id, endpoint.account, json.dumps(endpoint.events), endpoint.document, endpoint.disabled,
             endpoint.version + 1),
        )  # fmt: skip
        if endpoint.disabled:
            connection.execute(
                "UPDATE deliveries SET state = 'dead', ended_at = ? WHERE endpoint = ? AND state = 'waiting'",
                (op.at, endpoint.id),
            )
        return Done()

    def _take(self, op: TakeDeliveries) -> Result:
        connection, now = self._connection, self._now
        forgotten = connection.execute(
            "DELETE FROM deliveries WHERE rowid IN (SELECT rowid FROM deliveries WHERE ended_at < ? LIMIT ?)",
            (now - op.keep, FORGOTTEN),
        ).rowcount
        names = [name for (name,) in connection.execute(_NAMES).fetchall()]
        taken: list[Delivery] = []
        for endpoint in in_turn(names, op.after):
            room = min(op.each - op.busy.get(endpoint, 0), op.limit - len(taken))
            if room > 0:
                found = connection.execute(
                    _HEADS, {"endpoint": endpoint, "now": now, "room": room}
                ).fetchall()
                taken.extend(map(delivery_in, found))
        until = now + op.seconds
        for delivery in taken:
            key = {
                "endpoint": delivery.endpoint,
                "subject": delivery.subject,
                "no": delivery.no,
                "next_at": until,
            }
            connection.execute(
                "UPDATE deliveries SET claim = claim + 1 WHERE endpoint = ? AND subject = ? AND no = ?",
                (delivery.endpoint, delivery.subject, delivery.no),
            )
            connection.execute(_LINE_UP, key)
        held = tuple(replace(d, claim=d.claim + 1, next_at=until) for d in taken)
        later = connection.execute(_LATER).fetchone()
        return Taken(held, now, now if forgotten == FORGOTTEN else later[0])

    def _report(self, op: Report) -> Result:
        connection = self._connection
        ended = op.at if op.state != "waiting" else None
        changed = connection.execute(
            """UPDATE deliveries SET state = CASE WHEN :ended IS NULL THEN state ELSE :state END,
                      ended_at = coalesce(:ended, ended_at), next_at = :next_at, tries = tries + 1,
                      answer = :answer, error = :error
               WHERE endpoint = :endpoint AND subject = :subject AND no = :no AND claim = :claim""",
            {"ended": ended, "state": op.state, "next_at": op.next_at, "answer": op.answer, "error": op.error,
             "endpoint": op.endpoint, "subject": op.subject, "no": op.no, "claim": op.claim},
        )  # fmt: skip
        if changed.rowcount != 1:
            return Fenced()
        connection.execute(
            _LINE_UP, {"endpoint": op.endpoint, "subject": op.subject, "no": op.no, "next_at": op.next_at}
        )
        if op.failed:
            connection.execute(
                "UPDATE endpoints SET failures = failures + 1, failing_since = coalesce(failing_since, ?) "
                "WHERE id = ?",
                (op.at, op.endpoint),
            )
        elif op.failed is not None:
            connection.execute(
                "UPDATE endpoints SET failures = 0, failing_since = NULL WHERE id = ? AND failures > 0",
                (op.endpoint,),
            )
        found = connection.execute(ENDPOINT, (op.endpoint,)).fetchone()
        return Reported(None if found is None else endpoint_in(found))

    def _replay(self, op: Replay) -> Result:
        changed = self._connection.execute(
            """UPDATE deliveries
               SET state = 'waiting', tries = 0, replays = replays + 1, next_at = :at, ended_at = NULL
               WHERE rowid IN (
                   SELECT rowid FROM deliveries
                   WHERE endpoint = :endpoint AND subject = coalesce(:subject, subject)
                     AND no = coalesce(:no, no)
                     AND (state = 'dead' OR (:no IS NOT NULL AND state = 'delivered'))
                     AND EXISTS (SELECT 1 FROM endpoints e WHERE e.id = :endpoint AND NOT e.disabled)
                   ORDER BY ended_at LIMIT :most)""",
            {"at": op.at, "endpoint": op.endpoint, "subject": op.subject, "no": op.no, "most": op.most},
        )
        return Posted(changed.rowcount)


def endpoints(connection: sqlite3.Connection) -> list[Endpoint]:
    """Every endpoint."""
    return [endpoint_in(row) for row in connection.execute(f"{ENDPOINTS} ORDER BY id").fetchall()]


def deliveries(
    connection: sqlite3.Connection,
    endpoint: str | None,
    state: DeliveryState | None,
    subject: str | None,
    limit: int,
) -> list[Delivery]:
    wanted = {"endpoint =": endpoint, "state =": state, "subject =": subject}
    terms = [f"{column} ?" for column, value in wanted.items() if value is not None]
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM deliveries {where} ORDER BY at DESC, endpoint, subject, no LIMIT ?",
        (*(value for value in wanted.values() if value is not None), limit),
    )
    return [delivery_in(row) for row in rows.fetchall()]


def endpoint_in(row: Sequence[Any]) -> Endpoint:
    name, account, events, document, disabled, version, failures, since = row
    return Endpoint(
        id=name, account=account, events=tuple(json.loads(events)), document=document,
        disabled=bool(disabled), version=version, failures=failures, failing_since=since,
    )  # fmt: skip


def delivery_in(row: Sequence[Any]) -> Delivery:
    (endpoint, subject, no, account, kind, at, settled, body, state, tries, replays, claim, next_at, ended_at,
     answer, error) = row  # fmt: skip
    return Delivery(
        endpoint=endpoint, subject=subject, no=no, account=account, type=kind, at=at, settled=bool(settled),
        body=body, state=state, tries=tries, replays=replays, claim=claim, next_at=next_at, ended_at=ended_at,
        answer=answer, error=error,
    )  # fmt: skip
