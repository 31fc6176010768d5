"""What a provider is: a module of pure functions and two tables.

A provider module never opens a socket. It says which HTTP call to make and reads the answer into a fact;
the driver makes the call. Every function takes and returns values, so that a recorded exchange, a fuzzer
and the simulator can stand where the network is.

Certainty of a submit is the one thing that costs money when it is wrong, so it is a rule of this module
and not of each provider: a transport failure before the first byte is `NotSent`; a status that the
provider's error table *declares* to be definitive is `Refused`; an accepted job is `Accepted` (or
`Completed`); everything else, above all a 5xx that no table declares, is `Ambiguous`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from execution_arrow.facts import Ambiguous, CancelFact, LookupFact, Refused, StatusFact, SubmitFact
from execution_arrow.ports import InputFile, Payload, Secret
from execution_arrow.values import quick


@quick
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call:
    """One HTTP request, complete: the transport adds nothing but the connection.

    `json` and `content` exclude each other. `timeout` is in seconds, for the wait after the request was sent.
    It prints as method and address alone: headers hold the key, body and query the callback's token.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    timeout: float = 30.0

    def __repr__(self) -> str:
        return f"Call({self.method} {self.url.partition('?')[0]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer with its whole body. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a provider module may know beside the payload: where, with which key, on whose behalf."""

    base_url: str  # without a trailing slash; default in `Semantics.base_url`
    secret: Secret
    attempt: str  # attempt id; sent as `X-Client-Request-Id` so that both sides' logs agree
    callback_url: str | None = field(default=None, repr=False)  # holds the attempt's token; None = poll only
    deadline: float | None = None  # seconds the provider is given, for deadline headers
    settings: Mapping[str, str] = field(default_factory=dict)  # e.g. Cloudflare's account id


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An accepted job: its id, the URLs the provider told us to use, and what was submitted."""

    id: str
    urls: Mapping[str, str] = field(default_factory=dict)
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """A poll answer that is not yet a verdict: make this call too, then `read_result` (fal's result)."""

    call: Call


# Seconds, where nobody says for how long a job can be asked. Asking is free, and one that is gone says so.
NOT_SAID = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """Declared behaviour, the source of the documentation's table and of the machine's decisions.

    `billed` names the ends that the provider bills: a subset of `failed`, `moderation`, `canceled`, `expired`
    (success is always billed). Times are seconds. Sources stand beside the values in each module.
    """

    name: str
    base_url: str
    key_variable: str  # the documented environment variable of the API key
    poll_every: float | None  # minimum interval; None where there is nothing to poll
    webhook: Literal["signed", "unsigned"] | None
    cancel: Literal["any", "queued"] | None  # in which states a cancel can work
    cancel_free: bool = False  # a canceled job costs nothing
    cancel_erases: bool = False  # the same DELETE removes the record of a finished job
    lookup: Literal["conclusive", "suggestive"] | None = None
    billed: frozenset[str] = frozenset()
    artifact_life: float | None = None  # how long a result's address is good
    renewed_for: float | None = None  # after its end a job says new ones for so long; None: it has no others
    results_source: str = ""  # of the two
    settings: tuple[str, ...] = ()  # names of required `Context.settings`
    regions: Mapping[str, str] = field(default_factory=dict)  # other base URLs by region
    image_deadline: float = 300.0
    video_deadline: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """What a callback says: its job and, where the signature is good (`sure`), perhaps its status."""

    job: str
    sure: bool
    told: StatusFact | None = None


class Refusal(StrEnum):
    """Why a callback changes nothing."""

    FORGED = "forged"  # signed, but by none of the provider's keys
    STALE = "stale"  # signed, but more than five minutes ago or ahead
    MALFORMED = "malformed"  # names no job


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a call about no attempt in particular says: its job, and when that happened (unix seconds)."""

    job: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Callbacks per account: a call names its job alone, and is signed by Standard Webhooks or worth nothing.

    `read` never raises; None is a call about something that is no job. The secret is asked of the credentials
    as that of the provider `<name>/webhooks`.
    """

    read: Callable[[bytes], Event | Refusal | None]


StatusReader = Callable[[Payload, str, Reply], StatusFact]


class Callbacks(Protocol):
    """How a provider calls back. Reading never raises, whatever a stranger sends."""

    def build_keys(self, context: Context) -> Call | tuple[str, ...] | None:
        """What signatures are checked with, or how to ask for it; None where callbacks are not signed."""
        ...

    def read_keys(self, reply: Reply) -> tuple[str, ...]: ...

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        """Header names are lower case. Without keys nothing can be sure."""
        ...


class Provider(Protocol):
    """One inference provider. Implementations hold no state and do no I/O.

    `read_*` never raise for anything a server may send: what cannot be read is `Ambiguous` after a submit
    and `PollFailed` after a poll, never a success.
    """

    semantics: Semantics
    callbacks: Callbacks | Events | None  # None where the provider never calls back

    def is_sync(self, payload: Payload) -> bool:
        """Whether the answer to this submit holds the results themselves."""
        ...

    def build_submit(self, payload: Payload, context: Context) -> Call:
        """The paid call. The driver sends it at most once per attempt."""
        ...

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact: ...

    def inline_output(self, reply: Reply, index: int) -> bytes:
        """The bytes of output `index` of a synchronous reply. Raises `ValueError` for unreadable ones."""
        ...

    def build_poll(self, job: Job, context: Context) -> Call: ...

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact | Follow: ...

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        """Read the answer to a `Follow`."""
        ...

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        """None where the provider has no cancel for this job."""
        ...

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact: ...

    def build_lookup(self, payload: Payload, context: Context) -> Call | None:
        """Ask for jobs that could be the one whose submit answer was lost; None where it cannot be asked."""
        ...

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        """Find the one job that matches. `bound(job)` says that a job already belongs to another attempt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """Where each file lies now, by its URL, and the headers that the submit needs for it."""

    places: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Uploading(Protocol):
    """A provider that keeps a request's files for us."""

    def upload(
        self, payload: Payload, context: Context, files: Mapping[str, InputFile]
    ) -> Generator[Call, Reply, Uploaded | Refused | Ambiguous]:
        """The calls that it takes, each told its answer; at last where the files are, or why nowhere."""
        ...


Providers = Mapping[str, Provider]
