"""Writing an entry: the one place where an account moves from one version to the next.

That makes it the place where thresholds are watched. An alert fires in the entry that takes `available` below
it, once; it is armed again by the entry that brings `available` back to its `rearm` or more.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from ledger_fortress.entries import Entry, canonical, chain_hash
from ledger_fortress.state import NO_TERMS, Account, Alert, Bucket, Terms
from ledger_fortress.tuples import new


class Origin(NamedTuple):
    """Where an entry comes from: the command's key, fingerprint, link and note hash."""

    key: str | None
    fingerprint: bytes | None
    link: str | None
    note_hash: bytes | None


TIME: Final = Origin(None, None, None, None)
"""The origin of what happens by itself: expiry, effectiveness, timeouts."""


def post(
    account: Account,
    origin: Origin,
    kind: str,
    hold: str | None,
    at: int,
    amount: int,
    deltas: tuple[int, int, int],
    body: str,
    buckets: tuple[Bucket, ...] | None = None,
    due: int | None = None,
    status: str | None = None,
    terms: Terms | None = None,
) -> tuple[Account, Entry]:
    """The account after one more entry, and the entry. `deltas` are of (available, held, debt)."""
    name, version, head, _, old_status, available, held, debt, old_due, old_buckets, old_terms = account
    d_available, d_held, d_debt = deltas
    version, available, held, debt = version + 1, available + d_available, held + d_held, debt + d_debt
    # The ledger's own law, checked where it would be broken: no rule may write past it.
    assert available >= 0 <= held, (kind, deltas)
    assert debt >= 0 == (available and debt), (kind, deltas)
    terms = old_terms if terms is None else terms
    if terms is not NO_TERMS and terms.alerts:
        terms, body = _watch(terms, available, body)
    key, fingerprint, link, note_hash = origin
    numbers = f"{version},{at},{amount},{d_available},{d_held},{d_debt},{available},{held},{debt}"
    mark = "" if fingerprint is None else fingerprint.hex()
    note = "" if note_hash is None else note_hash.hex()
    digest = chain_hash(head, name, kind, key or "", hold or "", numbers, body, mark, link or "", note)
    entry = new(Entry, (
        name, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
        body, fingerprint, link, note_hash, head, digest,
    ))  # fmt: skip
    after = new(Account, (
        name, version, digest, at, status or old_status, available, held, debt,
        old_due if due is None else due, old_buckets if buckets is None else buckets, terms,
    ))  # fmt: skip
    return after, entry


def _watch(terms: Terms, available: int, body: str) -> tuple[Terms, str]:
    """Fire and re-arm alerts; those that fire are written into the body."""
    alerts: list[Alert] = []
    fired: list[Any] = []
    for alert in terms.alerts:
        if alert.fired and available >= alert.rearm:
            alert = alert._replace(fired=0)
        elif not alert.fired and available < alert.below:
            alert = alert._replace(fired=1)
            fired.append(["low_balance", {"available": available, "below": alert.below, "name": alert.name}])
        alerts.append(alert)
    if fired:
        told = json.loads(body)
        body = canonical({**told, "notices": [*told.get("notices", ()), *fired]})
    return terms._replace(alerts=tuple(alerts)), body
