"""What the orchestrator needs from others, in its own words.

Nothing here imports a database, a socket, or one of the three lower packages: `wiring` adapts those, a
user may adapt something else, and tests put fakes here. Ports that wait are async; ports that answer from
memory are plain calls. Amounts are integer micro-credits (1 credit = 1,000,000).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from execution_arrow.values import quick

if TYPE_CHECKING:
    from execution_arrow.facts import HoldClosed, HoldOpened, HoldRefused, Settled, SettleRefused, Stored
    from execution_arrow.providers.base import Call, Reply


class Secret:
    """A credential that does not print, does not pickle and compares to nothing but itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one header that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled; pass the reference it was read by")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One provider's native request, frozen into the generation before anything is dispatched.

    `body` is JSON. `fetches` names input URLs whose bytes are put where `{"$fetch": url, "as": ...}` stands
    in the body, right before the one call (`inputs.filled`); the row keeps the URLs. No credentials, no host.
    """

    provider: str
    route: str
    method: str
    path: str
    model: str
    encoding: str  # "json" or "multipart"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    fetches: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """The bytes behind an input URL. `media_type` is what they are, else what was announced."""

    data: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one eligible provider would be sent, what it would bill us, and what the account would pay."""

    payload: Payload
    cost: int | None  # the provider's bill, None = unknown
    price: int  # the account's price


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A normalised request with everything that is frozen before dispatch.

    `quotes` are in the caller's fallback order; `order` is the wish (`fastest` or provider names).
    """

    model: str
    kind: str  # "image" or "video"
    values: Mapping[str, Any]
    order: str | tuple[str, ...]
    work: str
    asked: int  # number of outputs
    quotes: tuple[Quote, ...]
    catalog_digest: str


class Normalizer(Protocol):
    """Requests to payloads. Raises `errors.RequestRejected` with every issue, or `errors.NoPrice`."""

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """An order with its reason; always a permutation of what was allowed (or of the explicit wish)."""

    providers: tuple[str, ...]
    source: str
    reason: str
    dropped: tuple[str, ...] = ()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of one attempt, as the router learns it. `outcome` as in `machine.Outcome`."""

    id: str
    model: str
    provider: str
    region: str
    account: str  # the credentials' reference
    work: str
    outcome: str
    fault: str  # "provider", "caller", "account" or "none"
    seconds: float
    cost: int | None
    at: float
    retry_after: float | None = None


class Router(Protocol):
    """Who is asked, in which order. Must not block; one that raises is done without (`routing`)."""

    def rank(
        self,
        model: str,
        allowed: Sequence[str],
        *,
        order: str | Sequence[str],
        region: str,
        costs: Mapping[str, int],
        work: str,
        sticky: str | None,
        accounts: tuple[str, ...],
    ) -> Ranked:
        """`accounts` holds the credentials' reference of each of `allowed`: breakers belong to those."""
        ...

    def admit(self, model: str, provider: str, *, region: str, account: str, work: str, attempt: str) -> bool:
        """Count an attempt from now on; False when its breaker is open or its probe is taken."""
        ...

    def record(self, verdict: Verdict) -> None: ...


class LedgerPort(Protocol):
    """Holds and settlements, keyed by generation. Raises `errors.StoreUnavailable` without an answer."""

    async def hold(
        self, account: str, key: str, amount: int, timeout: float
    ) -> HoldOpened | HoldRefused | HoldClosed:
        """Repeating it changes nothing; `HoldClosed` when it finds a hold of this key that was settled."""
        ...

    async def settle(self, account: str, key: str, verb: str, amount: int) -> Settled | SettleRefused:
        """`verb` is `charge` (amount) or `release`. Repeating it changes nothing."""
        ...

    async def held(self) -> Sequence[Held]:
        """Every open hold, for `reconcile`."""
        ...

    async def remarks(self, since: float) -> Sequence[Remark]:
        """What else a person should look at; history from `since` (unix seconds) on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open hold of the ledger. `key` is the generation's id where the hold is ours."""

    account: str
    key: str
    amount: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What the ledger itself wants a person to look at, in its own words. `key` None: the whole account."""

    trouble: str
    account: str
    key: str | None
    amount: int
    since: float
    advice: str


class Transport(Protocol):
    """Sends one `Call`. Raises `errors.NotSentError` or `errors.MaybeSentError`, nothing else."""

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        """`spool`: the whole reply is on disk under this name before it is returned."""
        ...

    async def aclose(self) -> None: ...


class Inputs(Protocol):
    """Fetches the files that a request names, where a provider wants their bytes and not their address."""

    def fetch(self, urls: Sequence[str]) -> AbstractAsyncContextManager[Mapping[str, InputFile]]:
        """Every file by its URL, in memory until the block ends: that is when the call has been made.

        Raises `errors.InputGone` (the caller's fault) or `errors.InputRetry`.
        """
        ...

    async def aclose(self) -> None: ...


class ArtifactStore(Protocol):
    """Copies results to where they stay. Content-addressed: the same bytes are one file."""

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> Stored:
        """Stream, hash, sniff and keep. Raises `errors.ArtifactGone` (for good) or `errors.ArtifactRetry`.

        `headers` hold a provider's key and are given only where a result needs it: they go to the host of
        `url` and never with a redirect to another one.
        """
        ...

    async def put(self, data: bytes, *, index: int, kind: str) -> Stored: ...

    def path(self, key: str) -> Path | None:
        """Where a stored file can be opened, or None when it is not on this machine."""
        ...

    async def link(self, key: str) -> str | None:
        """An address of a stored file for whoever has it, good for a while; None where there is none."""
        ...

    def read(self, key: str) -> AsyncIterator[bytes]: ...

    async def remove(self, key: str) -> bool:
        """Delete a stored file; whether it was there."""
        ...

    async def check(self) -> None:
        """Whether files can be kept now. Raises `errors.ArtifactRetry` or `OSError` where they cannot."""
        ...

    async def sweep(self, before: float) -> int:
        """Delete what was last stored before this time (unix seconds); returns how many files."""
        ...

    async def aclose(self) -> None: ...


class Credentials(Protocol):
    """Keys by reference, read at each use so that a rotated key is used at once."""

    def reference(self, provider: str, account: str) -> str:
        """The name under which the key for this customer and provider is kept; written to the attempt."""
        ...

    def get(self, provider: str, reference: str) -> Secret:
        """Raises `errors.MissingCredentials` with the variable it looked for."""
        ...

    def settings(self, provider: str, reference: str) -> Mapping[str, str]: ...


class Clock(Protocol):
    """Wall time for records and a monotonic clock for leases."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class Names(Protocol):
    """Where ids and unguessable tokens come from."""

    def generation(self) -> str: ...

    def attempt(self) -> str: ...

    def token(self) -> str: ...
