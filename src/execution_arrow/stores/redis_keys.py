"""How a job store lies in Redis: the names of its keys, and rows, facts and deliveries as text.

All keys of a store carry its name as their hash tag. A generation is a hash, with its facts, its inbox and
its events beside it. Sets and sorted sets answer what is looked for: what is due, who owns what, what has a
waiting fact, what is whose, in the order of ids. `redis_diff` keeps them in step with the hashes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any, Final

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Inboxed, Row
from execution_arrow.stores.outgoing import Delivery, Endpoint

META: Final = ("schema", "life", "tx", "seq")
NARROW: Final = (
    "account", "key", "version", "epoch", "owner", "next_at", "created_at", "status", "fingerprint",
)  # fmt: skip
WIDE: Final = (*NARROW, "spec", "state")
SEPARATOR: Final = "\x1f"


class Keys:
    """The keys of the store of this name."""

    def __init__(self, name: str) -> None:
        self._tag = f"{{{name}}}:"
        self.lock, self.meta = self.key("lock"), self.key("meta")
        self.leases, self.owners = self.key("leases"), self.key("owners")
        self.names, self.jobs = self.key("keys"), self.key("jobs")
        self.due, self.open, self.all = self.key("due"), self.key("open"), self.key("all")
        self.told, self.told_free = self.key("told"), self.key("told_free")
        self.endpoints, self.ended = self.key("endpoints"), self.key("ended")
        self.posted = self.key("posted")
        self.hints = self.key("hints")

    def key(self, *parts: str) -> bytes:
        return (self._tag + ":".join(parts)).encode()

    def row(self, generation_id: str) -> bytes:
        return self.key("g", generation_id)

    def facts(self, generation_id: str) -> bytes:
        return self.key("facts", generation_id)

    def inbox(self, generation_id: str) -> bytes:
        return self.key("inbox", generation_id)

    def events(self, generation_id: str) -> bytes:
        return self.key("events", generation_id)

    def account(self, account: str) -> bytes:
        return self.key("of", account)

    def of_job(self, provider: str, job: str) -> bytes:
        return self.key("j", mark(provider, job))

    def owned(self, owner: str) -> bytes:
        return self.key("owned", owner)

    def deliveries(self, endpoint: str) -> bytes:
        return self.key("d", endpoint)

    def waiting(self, endpoint: str) -> bytes:
        return self.key("w", endpoint)

    def dead(self, endpoint: str) -> bytes:
        return self.key("x", endpoint)

    def line(self, endpoint: str, subject: str) -> bytes:
        return self.key("q", endpoint, subject)


def text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def number(value: bytes | None) -> float | None:
    return None if value is None else float(value)


def mark(*parts: Any) -> str:
    """Several texts as one, whatever is in them."""
    return json.dumps(parts)


def fields_of(row: Row, status: str, fingerprint: str) -> dict[str, str | None]:
    """A row as fields of its hash; None where there is none."""
    return {
        "account": row.account, "key": row.key, "version": str(row.version), "epoch": str(row.epoch),
        "owner": row.owner, "next_at": None if row.next_at is None else repr(row.next_at),
        "created_at": repr(row.created_at), "status": status, "fingerprint": fingerprint, "spec": row.spec,
        "state": row.state,
    }  # fmt: skip


def row_of(
    identity: str, found: Sequence[bytes | None], leases: Mapping[str, float], inbox: Sequence[Inboxed] = ()
) -> tuple[Row, str, str] | None:
    """A row, its status and fingerprint, from the fields `NARROW` or `WIDE`; None for no row."""
    account, key, version, epoch, owner, next_at, created_at, status, fingerprint, *wide = found
    if version is None or account is None or created_at is None:
        return None
    spec, state = wide if wide else (b"", b"")
    name = text(owner)
    row = Row(
        id=identity, account=account.decode(), key=text(key), spec=(spec or b"").decode(),
        state=(state or b"").decode(), version=int(version), epoch=int(epoch or 0), owner=name,
        owner_until=leases.get(name) if name else None, next_at=number(next_at),
        created_at=float(created_at), inbox=tuple(inbox),
    )  # fmt: skip
    return row, text(status) or "", text(fingerprint) or ""


def leases_of(found: Mapping[bytes, bytes]) -> dict[str, float]:
    return {owner.decode(): float(until) for owner, until in found.items()}


def fact_text(fact: Inboxed) -> str:
    return json.dumps([fact.attempt, fact.dedup, fact.body, fact.at])


def inbox_of(generation_id: str, found: Mapping[bytes, bytes]) -> list[Inboxed]:
    """What waits, in the order of its arrival."""
    facts = []
    for seq in sorted(found, key=int):
        attempt, dedup, body, at = json.loads(found[seq])
        facts.append(
            Inboxed(generation=generation_id, attempt=attempt, dedup=dedup, body=body, at=at, seq=int(seq))
        )
    return facts


def event_text(event: Event) -> str:
    return json.dumps([event.no, event.type, event.at, event.settled])


def event_of(found: bytes) -> Event:
    no, kind, at, settled = json.loads(found)
    return Event(no=no, type=kind, at=at, settled=settled)


def endpoint_text(endpoint: Endpoint) -> str:
    return json.dumps(asdict(endpoint))


@lru_cache(maxsize=16_384)  # they hardly change, and whoever wants to hear of an event is among all of them
def endpoint_of(found: bytes) -> Endpoint:
    values = json.loads(found)
    return Endpoint(**{**values, "events": tuple(values["events"])})


_DELIVERY: Final = tuple(one.name for one in fields(Delivery))


def delivery_text(delivery: Delivery) -> str:
    return json.dumps({name: getattr(delivery, name) for name in _DELIVERY})  # there may be thousands at once


def delivery_of(found: bytes) -> Delivery:
    return Delivery(**json.loads(found))


def delivery_name(subject: str, no: int) -> str:
    """A delivery's field among its endpoint's; as a member its order is that of its number."""
    return f"{subject}{SEPARATOR}{no:010d}"


def named_delivery(name: bytes) -> tuple[str, int]:
    subject, _, no = name.decode().rpartition(SEPARATOR)
    return subject, int(no)
