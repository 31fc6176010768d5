"""What a rule gets and gives."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ledger_fortress.answers import Reason
from ledger_fortress.entries import Entry
from ledger_fortress.state import Account, Hold

from .posting import Origin

REFUND_LIFE = 30 * 86_400 * 1_000_000


class Policy(NamedTuple):
    """What a team may choose.

    `refund_life`: for how many microseconds refunded credits live whose own grant has expired.
    """

    refund_life: int = REFUND_LIFE


class Case(NamedTuple):
    """What a rule looks at."""

    account: Account
    hold: Hold | None
    now: int
    origin: Origin
    policy: Policy


class Ruling(NamedTuple):
    """The account and the hold afterwards, and the entry in between."""

    account: Account
    entry: Entry
    hold: Hold | None = None


class Denial(NamedTuple):
    """Why not, and how much was asked for."""

    reason: Reason
    needed: int = 0


def canonical(body: dict[str, Any]) -> str:
    """The body of an entry as canonical JSON."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
