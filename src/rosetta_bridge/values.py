"""The frozen values that callers hold: a normalized request, a rendered payload, a verdict, a cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .fields import ABSENT, Field
from .frozen import maker


class _Request:
    """What `normalize` leaves in a request: the value of every field in the contract's order, then `absent`.

    `absent` has bit i set where the caller did not name field i. Compiled routes read the row; members that
    it implies are worked out when they are first read, as most requests are rendered and nothing else. A
    request made in another way (by its constructor, by pickle) has its members and no row: `_fields` is None.
    """

    __slots__ = ("_fields", "_row", "asked", "given", "kind", "model", "order", "values", "work")
    _fields: dict[str, Field] | None
    _row: tuple[Any, ...]

    if not TYPE_CHECKING:  # else every misspelt member would pass as one of these

        def __getattr__(self, name):
            if name == "_fields":
                return None
            if name not in ("values", "given", "work") or self._fields is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name)
            *found, absent = self._row
            if name == "values":
                pairs = zip(self._fields, found, strict=True)
                value = {field: value for field, value in pairs if value is not ABSENT}
            elif name == "given":
                value = frozenset(field for i, field in enumerate(self._fields) if not absent >> i & 1)
            else:
                value = work_class(self.values)
            object.__setattr__(self, name, value)
            return value


@dataclass(frozen=True, slots=True)
class Request(_Request):
    """A request that passed `Model.normalize`.

    `values` are the public fields, defaults included, as plain JSON; treat them as read-only. `given` names
    the fields that the caller sent (a default that nobody asked for is never reported as dropped). `order`
    is one of `fastest`, `cheapest`, `reliable`, `balanced`, or the caller's own sequence of providers.
    `asked` is the number of outputs asked for. `work` is a short class of work for comparing latencies:
    resolution and duration as in `1080p/8s`, `2K` or `8s`; sides in pixels where there is no resolution;
    `default` where there is neither.
    """

    model: str
    kind: str
    values: dict[str, Any]
    given: frozenset[str]
    order: str | tuple[str, ...]
    asked: int
    work: str


class _Payload:
    __slots__ = (
        "arguments", "body", "catalog_digest", "dropped", "encoding", "fetches", "headers", "method", "model",
        "path", "provider", "route",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payload(_Payload):
    """What to send to a provider, without host, credentials and webhooks, which are the sender's.

    `path` is below the provider's base URL, `model` the provider's own id, `body` the whole JSON body (or
    the parts, when `encoding` is `multipart`), `arguments` the part of it that the provider's own client
    library takes. `{"$fetch": url, "as": "file" | "base64" | "data_url"}` inside them stands for content
    that the sender fetches first; `fetches` lists these markers. `dropped` names the fields that the caller
    gave and that this provider does not receive, each with the reason.
    """

    provider: str
    route: str
    method: str
    path: str
    model: str
    encoding: str
    headers: dict[str, str]
    body: Any
    arguments: Any
    fetches: tuple[dict[str, str], ...]
    dropped: dict[str, str]
    catalog_digest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one provider can honour a request exactly; if not, the first `field` and `reason` against it.

    `reasons` holds all of them as (field, reason); field is None where no single field is to blame. `route`
    is the mapping's route that the request takes there, None where it takes none.
    """

    provider: str
    eligible: bool
    field: str | None = None
    reason: str | None = None
    reasons: tuple[tuple[str | None, str], ...] = ()
    route: str | None = None

    def __str__(self) -> str:
        if self.eligible:
            return f"{self.provider}: eligible" + (f" (route {self.route})" if self.route else "")
        told = "; ".join(f"{field}: {reason}" if field else reason for field, reason in self.reasons)
        return f"{self.provider}: not eligible: {told}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the provider bills for a request, in micro-credits (1 credit = 1 USD = 1,000,000), rounded up.

    `kind` is `exact`, `upper_bound` (the real count is known only afterwards and is never larger) or
    `approximate`. `evidence` is the kind of source that the price comes from, `date` the ISO date on which
    it was read.
    """

    micros: int
    kind: str
    evidence: str
    date: str


# `Request(...)` and `Payload(...)` of all their members, in a quarter of the time.
make_request = maker(
    Request, ("model", "kind", "values", "given", "order", "asked", "work"), later=("_fields", "_row")
)
make_payload = maker(
    Payload,
    ("provider", "route", "method", "path", "model", "encoding", "headers", "body", "arguments", "fetches",
     "dropped", "catalog_digest"),
)  # fmt: skip


def work_class(values: dict[str, Any]) -> str:
    """`1080p/8s`, `2K`, `8s`, `1024x768` or `default`; see `Request.work`."""
    size, seconds = values.get("generation_resolution"), values.get("generation_duration")
    if size is None and "generation_width" in values and "generation_height" in values:
        size = f"{values['generation_width']}x{values['generation_height']}"
    if seconds is None:
        return "default" if size is None else str(size)
    return f"{seconds}s" if size is None else f"{size}/{seconds}s"
