"""Endpoints and deliveries on PostgreSQL: the promises of `stores.outgoing`, each a statement or two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from execution_arrow.stores.base import Done, Fenced, Result
from execution_arrow.stores.operations import OutgoingOperations
from execution_arrow.stores.outgoing import (
    FORGOTTEN,
    Delivery,
    Endpoint,
    KeepEndpoint,
    Posted,
    Publish,
    Replay,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
)
from execution_arrow.stores.postgres_batch import Answer, Asking, first


class Outbox(OutgoingOperations[Answer]):
    """The part of a batch that is about endpoints and deliveries."""

    def __init__(self, batch: Asking) -> None:
        self._batch = batch

    def _publish(self, op: Publish) -> Answer:
        posted = self._batch.ask(
            "publish",
            account=op.account,
            subject=op.subject,
            type=op.type,
            at=op.at,
            body=op.body,
            only=op.endpoint,
        )
        return lambda: Posted(first(posted)[0])

    def _keep(self, op: KeepEndpoint) -> Answer:
        endpoint = op.endpoint
        if op.remove:
            kept = self._batch.ask("remove_endpoint", id=endpoint.id, version=endpoint.version)
        else:
            name = "keep_changed" if endpoint.version else "keep_new"
            kept = self._batch.ask(
                name, id=endpoint.id, account=endpoint.account, events=list(endpoint.events),
                document=endpoint.document, disabled=endpoint.disabled, version=endpoint.version, at=op.at,
            )  # fmt: skip
        return lambda: Fenced() if kept.fetchone() is None else Done()

    def _take(self, op: TakeDeliveries) -> Answer:
        forgotten = self._batch.ask("forget_deliveries", now=self._batch.given, keep=op.keep, most=FORGOTTEN)
        found = self._batch.ask(
            "take_deliveries", now=self._batch.given, seconds=op.seconds, limit=op.limit, each=op.each,
            busy=json.dumps(dict(op.busy)), after=op.after,
        )  # fmt: skip
        later = self._batch.ask("later_delivery")

        def answer() -> Result:
            taken = sorted(
                map(delivery_of, found.fetchall()), key=lambda d: (d.endpoint <= op.after, d.endpoint)
            )
            now, next_at = self._batch.now(), first(later)[0]
            return Taken(tuple(taken), now, now if forgotten.rowcount == FORGOTTEN else next_at)

        return answer

    def _report(self, op: Report) -> Answer:
        mark = {"endpoint": op.endpoint, "subject": op.subject, "no": op.no, "claim": op.claim, "at": op.at}
        changed = self._batch.ask(
            "report", **mark, state=op.state, next_at=op.next_at, answer=op.answer, error=op.error
        )
        self._batch.ask("count_failure", **mark, failed=op.failed)
        endpoint = self._batch.ask("endpoint", endpoint=op.endpoint)

        def answer() -> Result:
            found = endpoint.fetchone()
            if changed.fetchone() is None:
                return Fenced()
            return Reported(endpoint_of(found) if found else None)

        return answer

    def _replay(self, op: Replay) -> Answer:
        changed = self._batch.ask(
            "replay", endpoint=op.endpoint, subject=op.subject, no=op.no, at=op.at, most=op.most
        )
        return lambda: Posted(changed.rowcount)


def endpoint_of(found: Sequence[Any]) -> Endpoint:
    name, account, events, document, disabled, version, failures, since = found
    return Endpoint(
        id=name, account=account, events=tuple(events), document=document, disabled=disabled, version=version,
        failures=failures, failing_since=since,
    )  # fmt: skip


def delivery_of(found: Sequence[Any]) -> Delivery:
    (endpoint, subject, no, account, kind, at, settled, body, state, tries, replays, claim, next_at, ended_at,
     answer, error) = found  # fmt: skip
    return Delivery(
        endpoint=endpoint, subject=subject, no=no, account=account, type=kind, at=at, settled=settled,
        body=body, state=state, tries=tries, replays=replays, claim=claim, next_at=next_at, ended_at=ended_at,
        answer=answer, error=error,
    )  # fmt: skip
