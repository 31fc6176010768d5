"""Notices as readers see them.

A notice is written in the same commit as the entry that caused it, so that none is lost and none is made up.
Whoever delivers them reads what is pending, delivers, and acknowledges: each at least once, and the entry
that it names says for ever that it was due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from .credits import Credits
from .entries import Notice, moment

_AMOUNTS = frozenset({"amount", "asked", "available", "below", "charged", "owed"})


@dataclass(frozen=True, slots=True)
class AlertView:
    """Something that somebody should hear of.

    `kind` is `low_balance` (`name`, `below`, `available`), `late_charge` (`hold`, `amount`, `owed`),
    `late_refused` (`hold`, `amount`, `reason`) or `short_charge` (`hold`, `asked`, `charged`); `details` has
    what is in the brackets, amounts as `Credits`. `mark` is its name, unique for ever: account, version of
    the entry that caused it, and its place among the notices of that entry.
    """

    mark: tuple[str, int, int]
    kind: str
    at: datetime
    details: Mapping[str, Any]

    @property
    def account(self) -> str:
        """The account that it is about."""
        return self.mark[0]


def alert_of(notice: Notice) -> AlertView:
    """A notice with amounts as `Credits` and its time as an aware datetime."""
    told = json.loads(notice.body)
    details = {name: Credits.micro(said) if name in _AMOUNTS else said for name, said in told.items()}
    return AlertView(notice[:3], notice.kind, moment(notice.at), MappingProxyType(details))
