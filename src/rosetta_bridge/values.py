"""The frozen values that callers hold: a normalized request, a rendered payload, a verdict, a cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .frozen import maker
from .language.fields import ABSENT, Field


class _Request:
    """What `normalize` leaves in a request: the value of every field in the contract's order, then `absent`.

    `absent` has bit i set where the caller did not name field i. Compiled routes read the row; members that
    it implies are worked out when they are first read, as most requests are rendered and nothing else. A
    request made in another way (by its constructor, by pickle) has its members and no row: `_fields` is None.
    """

    __slots__ = ("_fields", "_given", "_row", "_values", "_work", "asked", "kind", "model", "order")
    _fields: dict[str, Field] | None
    _row: tuple[Any, ...]


@dataclass(frozen=True, init=False)
class Request(_Request):
    """A request that passed `Model.normalize`.

    `values` are the public fields, defaults included, as plain JSON; treat them as read-only. `given` names
    the fields that the caller sent (a default that nobody asked for is never reported as dropped). `order`
    is one of `fastest`, `cheapest`, `reliable`, `balanced`, or the caller's own sequence of providers.
    `asked` is the number of outputs asked for. `work` is a short class of work for comparing latencies:
    resolution and duration as in `1080p/8s`, `2K` or `8s`; sides in pixels where there is no resolution;
    `default` where there is neither.
    """

    __slots__ = ()
    model: str
    kind: str
    values: dict[str, Any]
    given: frozenset[str]
    order: str | tuple[str, ...]
    asked: int
    work: str

    def __init__(
        self,
        model: str,
        kind: str,
        values: dict[str, Any],
        given: frozenset[str],
        order: str | tuple[str, ...],
        asked: int,
        work: str,
    ) -> None:
        put = object.__setattr__
        put(self, "model", model)
        put(self, "kind", kind)
        put(self, "_values", values)
        put(self, "_given", given)
        put(self, "order", order)
        put(self, "asked", asked)
        put(self, "_work", work)
        put(self, "_fields", None)

    def __reduce__(self) -> tuple[type[Request], tuple[Any, ...]]:
        return type(self), tuple(getattr(self, member.name) for member in fields(self))


def _values(request: Request) -> dict[str, Any]:
    *found, _ = request._row
    pairs = zip(request._fields or (), found, strict=True)
    return {name: value for name, value in pairs if value is not ABSENT}


def _given(request: Request) -> frozenset[str]:
    absent = request._row[-1]
    return frozenset(name for i, name in enumerate(request._fields or ()) if not absent >> i & 1)


def _when_read(slot: str, find: Callable[[Any], Any]) -> Any:
    """A member that is kept in a slot, and found when it is first read."""

    def read(request: Any) -> Any:
        try:
            return kept(request)
        except AttributeError:
            object.__setattr__(request, slot, found := find(request))
            return found

    kept = getattr(_Request, slot).__get__
    return property(read)


# After the class is made: in its body they would be taken for defaults.
for _name, _find in (("values", _values), ("given", _given), ("work", lambda r: work_class(r.values))):
    setattr(Request, _name, _when_read(f"_{_name}", _find))


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
    library takes. `{"$fetch": url, "as": "file" | "base64" | "data_url" | "upload"}` inside them stands for
    content that the sender fetches first; `fetches` lists these markers. `dropped` names the fields that the
    caller gave and that this provider does not receive, each with the reason.
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


# `Payload(...)` of all its members, in a quarter of the time.
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


class Override(NamedTuple):
    """A file that one of a higher layer replaces or extends: its path, its layer, its `sha256:` digest."""

    path: str
    layer: str
    digest: str
