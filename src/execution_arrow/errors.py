"""Everything `execution_arrow` raises.

One base, `ArrowError`, with `code` (BabySea's error code where one fits), `retryable`, `retry_after`
(seconds) and `http_status`, the status a web service would answer with; what a code means is in `codes`.
Below it two families: what the caller of `Arrow` may meet, and what ports raise to the driver, which turns
them into facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from execution_arrow.codes import CODES

if TYPE_CHECKING:
    from execution_arrow.record import Generation


class ArrowError(Exception):
    """Base of every error of this package."""

    code: str = "BSE5000"
    http_status: int = 500
    retryable: ClassVar[bool] = False
    retry_after: float | None = None

    def __init_subclass__(cls) -> None:
        """A class that names a code has that code's status and answer, unless it says otherwise."""
        if "code" in vars(cls):
            cls.http_status = vars(cls).get("http_status", CODES[cls.code].http)
            cls.retryable = vars(cls).get("retryable", CODES[cls.code].retryable)


# --- the caller's ---------------------------------------------------------------------------------------


class RequestRejected(ArrowError):
    """The request cannot run as it stands. `issues` holds all of them, each with field, code and message."""

    code = "BSE2001"

    def __init__(self, issues: Iterable[Any]) -> None:
        self.issues: tuple[Any, ...] = tuple(issues)
        lines = "\n".join(f"  - {issue}" for issue in self.issues)
        super().__init__(
            f"the request was rejected with {len(self.issues)} issue(s), nothing was charged:\n{lines}"
        )


class NoPrice(ArrowError):
    """No price is known for this request, so it is not dispatched. Give the tariff a price for the model."""

    code = "BSE2001"
    http_status = 422


class CatalogBroken(ArrowError):
    """A mapping file is wrong. The message names file, line and path; nothing was held or sent."""


class InsufficientCredits(ArrowError):
    """The balance cannot cover the request. Nothing was dispatched; top up and send it again."""

    code = "BSE1004"

    def __init__(self, account: str, needed: int, available: int) -> None:
        self.account, self.needed, self.available = account, needed, available
        super().__init__(
            f"account {account!r} has {available / 1e6:.6f} credits and this generation needs up to "
            f"{needed / 1e6:.6f}; grant credits and send it again"
        )


class LedgerRefused(ArrowError):
    """The ledger refused the hold for another reason than the balance; `reason` is its own word."""

    code = "BSE1003"

    def __init__(self, account: str, reason: str) -> None:
        self.account, self.reason = account, reason
        known = reason != "unknown_account"
        super().__init__(
            f"the ledger refused a hold for account {account!r}: {reason}; nothing was dispatched"
            + ("" if known else "; the account is made by its first grant: `ledger.grant(..., create=True)`")
        )


class IdempotencyConflict(ArrowError):
    """The same idempotency key came with another request (BSE2015)."""

    code = "BSE2015"

    def __init__(self, key: str, generation_id: str) -> None:
        self.key, self.generation_id = key, generation_id
        super().__init__(
            f"idempotency key {key!r} belongs to generation {generation_id} with another request; "
            "use a new key for a new request"
        )


class UnknownGeneration(ArrowError, LookupError):
    """No generation has this id here."""

    code = "BSE4001"

    def __init__(self, generation_id: str) -> None:
        self.generation_id = generation_id
        super().__init__(
            f"no generation {generation_id!r} in this store; check the id and the store's address"
        )


class UnknownEndpoint(ArrowError, LookupError):
    """No webhook endpoint has this id here."""

    code = "BSE4001"

    def __init__(self, endpoint_id: str) -> None:
        self.endpoint_id = endpoint_id
        super().__init__(f"no webhook endpoint {endpoint_id!r}: `execution-arrow webhooks list` shows them")


class WebhookRejected(ArrowError):
    """A webhook that came in is not to be believed. `reason`: a `signing.Signature`, or `malformed`."""

    code = "BSE1002"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"this webhook is not believed: {reason}; answer {self.http_status} and do nothing")


class GenerationFailed(ArrowError):
    """The generation ended as `failed` or `canceled`; nothing was charged unless its record says so."""

    code = "BSE3003"

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        super().__init__(
            f"generation {generation.id} {generation.status}: {generation.error or 'no provider could do it'}"
        )


class WaitTimeout(ArrowError, TimeoutError):
    """The wait ended, the generation did not. It goes on; `get` or `wait` again with its id."""

    code = "BSE3002"
    retryable = False  # a second request would be paid a second time

    def __init__(self, generation_id: str, seconds: float) -> None:
        self.generation_id = generation_id
        super().__init__(
            f"generation {generation_id} did not end within {seconds:g} s; it goes on: wait for its id again"
        )


class CancelTooLate(ArrowError):
    """The generation has ended, or its results are being stored; there is nothing left to cancel."""

    code = "BSE4002"


class MissingCredentials(ArrowError):
    """No API key was found for a provider."""

    code = "BSE3004"

    def __init__(self, provider: str, variable: str) -> None:
        self.provider, self.variable = provider, variable
        super().__init__(f"no API key for {provider!r}: set the environment variable {variable}")


class MissingExtra(ArrowError, ImportError):
    """A feature needs a package that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs an extra: pip install 'babysea-primitives[{extra}]'")


class StoreUnavailable(ArrowError):
    """The store did not answer. `maybe_applied`: it may have happened, repeat it with the same key."""

    code = "BSE5001"

    def __init__(self, message: str, *, maybe_applied: bool) -> None:
        self.maybe_applied = maybe_applied
        hint = (
            "it may have been applied; repeat it with the same key"
            if maybe_applied
            else "nothing was changed"
        )
        super().__init__(f"{message} ({hint})")


class StoreNotDurable(ArrowError):
    """A server may forget what it has acknowledged, so that attempts would be sent, and paid, twice."""

    def __init__(self, where: str, lacks: str, remedy: str, *, acceptable: bool = True) -> None:
        self.lacks = lacks
        accept = "; or say accept_duplicate_submits=1, if that may happen" if acceptable else ""
        super().__init__(f"{where} may forget jobs: {lacks}: {remedy}{accept}")


class SchemaOutdated(ArrowError):
    """The store was written by another version; the message names the command that migrates it."""


class WrongLoop(ArrowError, RuntimeError):
    """A blocking verb was called where it would stop an event loop, or after a fork."""


class ArrowClosed(ArrowError, RuntimeError):
    """The Arrow was closed before or while the verb worked. Its generations are safe: open another one."""

    def __init__(self) -> None:
        super().__init__(
            "this Arrow is closed; its generations are handed back and go on: "
            "open another one and `get` or `wait` with the id"
        )


# --- what ports raise to the driver ---------------------------------------------------------------------


class NotSentError(ArrowError):
    """Certainly nothing left this machine: name resolution, connect, TLS, no free connection."""

    retryable = True


class MaybeSentError(ArrowError):
    """The request may have been received: read timeout, reset after the first byte."""


class EgressRefused(NotSentError):
    """The address is not one that a user or provider may send us to (private, loopback, wrong scheme)."""

    retryable = False


class PayloadUnsupported(NotSentError):
    """A provider module cannot send such a payload (multipart, a file inside JSON). Nothing left."""

    retryable = False

    def __init__(self, provider: str, what: str) -> None:
        self.provider = provider
        super().__init__(f"the {provider} module cannot send {what}; take this route out of the mapping")


class InputGone(ArrowError):
    """A file that the request names cannot be had or sent; another provider would not get it either.

    `reason` is `input_gone` (BSE2009), `input_too_large` (BSE2007) or `input_not_media` (BSE2004).
    """

    def __init__(self, message: str, reason: str = "input_gone") -> None:
        self.reason = reason
        super().__init__(message)


class InputRetry(ArrowError):
    """A file that the request names could not be fetched for now: timeout, 5xx. Nothing was sent."""

    retryable = True


class ArtifactGone(ArrowError):
    """A result cannot be had any more: 404 or 410, refused address, not a picture or clip, too large.

    `link`: it is the address that leads nowhere; the provider may know another one.
    """

    def __init__(self, message: str, *, link: bool = False) -> None:
        self.link = link
        super().__init__(message)


class ArtifactRetry(ArrowError):
    """A copy failed for now: timeout, 5xx, disk full. `ours`: our own place for it is to blame. `link`: the
    address may have died; the provider may know another one."""

    retryable = True

    def __init__(self, message: str, *, ours: bool = False, link: bool = False) -> None:
        self.ours, self.link = ours, link
        super().__init__(message)
