"""What a job store keeps for outgoing webhooks, and the operations on it. Part of `stores.base`'s protocol.

An endpoint is somebody's address; a delivery is one event on its way to one endpoint. `Commit` makes the
deliveries of its events in the same transaction, one for each endpoint that `wants` them, so an event cannot
be true and untold. Whoever delivers takes what is `waiting` and due, for a number of seconds in which nobody
else takes it, and reports what came of it under the number of that taking. Nothing is found by a position in
a list: a delivery is looked for by its state and time until it has ended.

The store decides nothing here either. It keeps two promises about order: of one endpoint's deliveries about
one subject only the first that is still waiting is given out, and no endpoint is given more than its room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from execution_arrow.values import quick

DeliveryState = Literal["waiting", "delivered", "dead"]
FORGOTTEN: Final = 100  # ended deliveries that one taking forgets at most
REPLAYED: Final = 1000  # dead deliveries that one replay lets wait again at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address that events are sent to. `document` is the sender's own, and the store does not look at it.

    `account` None: events of every account. `events`: the types that are wanted, all where it is empty.
    What happens while it is `disabled` is kept as dead. `version` counts changes; `failures` in a row, since
    `failing_since`, are counted by `Report` and forgotten with the next change.
    """

    id: str
    account: str | None
    events: tuple[str, ...]
    document: str
    disabled: bool = False
    version: int = 0
    failures: int = 0
    failing_since: float | None = None


def wants(endpoint: Endpoint, account: str, kind: str) -> bool:
    """Whether an event of this account and type is for this endpoint. Stores may say it in their language."""
    return endpoint.account in (None, account) and (not endpoint.events or kind in endpoint.events)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. (endpoint, subject, no) names it.

    `subject` is a generation's id, or the name that `Publish` gave. `body` is None where the content is read
    from the generation when it is sent. `claim` counts the takings, `tries` what was reported of them since
    the last `Replay`, `replays` those. `next_at` is when it may be taken; `ended_at` when it was delivered or
    died. `answer` is the receiver's last status, 0 where there was none.
    """

    endpoint: str
    subject: str
    no: int
    account: str
    type: str
    at: float
    settled: bool = True
    body: str | None = None
    state: DeliveryState = "waiting"
    tries: int = 0
    replays: int = 0
    claim: int = 0
    next_at: float = 0.0
    ended_at: float | None = None
    answer: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepEndpoint:
    """Write an endpoint, made from version `endpoint.version` (0: it must not exist); `Done`, or `Fenced`.

    What waits for an endpoint that is kept as disabled is dead from `at` on. `remove`: it goes, with all of
    its deliveries.
    """

    endpoint: Endpoint
    at: float
    remove: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeDeliveries:
    """Take up to `limit` due deliveries for `seconds`; `Taken`.

    No endpoint gets more than `each` less what `busy` says of it. Endpoints are served in the order of their
    ids, beginning behind `after` and around, so that nobody waits for ever where there is more to do than
    `limit`. What ended more than `keep` seconds ago is forgotten on the way, a few at a time.
    """

    seconds: float
    limit: int
    each: int
    busy: Mapping[str, int] = field(default_factory=dict)
    after: str = ""
    keep: float = 72 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a delivery that was taken as `claim`; `Reported`, or `Fenced` if it was taken anew.

    `state` waiting: it is to be tried again at `next_at`; where it has died meanwhile it stays dead. `failed`
    adds to the endpoint's failures in a row, False ends the row, None says nothing about the endpoint.
    """

    endpoint: str
    subject: str
    no: int
    claim: int
    state: DeliveryState
    at: float
    next_at: float
    answer: int
    error: str
    failed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Let an endpoint's dead deliveries wait again, due at `at`, those first that died first; `Posted`.

    At most `most` of them: where it is as many, there may be more, and whoever wants them asks again. With a
    `subject` only those about it, and with a `no` that one, also when it was delivered. Nothing is
    replayed for an endpoint that is disabled.
    """

    endpoint: str
    at: float
    subject: str | None = None
    no: int | None = None
    most: int = REPLAYED


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """An event that is no generation's: a delivery for each endpoint that wants it; `Posted`.

    The same subject is published once. `endpoint`: to this one, whatever it wants.
    """

    account: str
    subject: str
    type: str
    at: float
    body: str
    endpoint: str | None = None


Outgoing = KeepEndpoint | TakeDeliveries | Report | Replay | Publish


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken, at `now` by the store's clock.

    `next_at`: when the next of all waiting deliveries is due, those included that have no room now. It is
    `now` where as much was forgotten as may be, so that what ends faster than it is looked for goes as well.
    """

    deliveries: tuple[Delivery, ...]
    now: float
    next_at: float | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """It is written; `endpoint` as it is now, None when it was removed."""

    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """So many deliveries wait now that did not before."""

    count: int


OutgoingResult = Taken | Reported | Posted


def in_turn(names: Sequence[str], after: str) -> list[str]:
    """Endpoints in the order in which a taking serves them."""
    return [name for name in names if name > after] + [name for name in names if name <= after]
