"""What a generation can be told.

A fact is an answer of a provider or of the ledger, a file that was stored, a user's wish. Anyone may append
one at any time; only a generation's owner folds it into state (`machine.step`). Else it waits (`fact_codec`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from execution_arrow.effects import Timer as Timer
from execution_arrow.outputs import Output as Output
from execution_arrow.outputs import Stored as Stored


class Fault(StrEnum):
    """Whose fault a failure is. It decides who is asked next: another provider, an operator or the caller."""

    PROVIDER = "provider"  # the provider could not; another one may
    ACCOUNT = "account"  # our account there: key, balance, quota; another provider may, this account cannot
    CALLER = "caller"  # the request itself; nobody else is asked
    HERE = "here"  # the same provider asks us to come back (429 with Retry-After, capacity)


# --- answers to a submit (certainty: see `providers.base`) ----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Certainly nothing left: name resolution, connect, TLS, no free connection."""

    message: str = ""
    ours: bool = False  # we did not even try; nothing is said about the provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider declared that it did not take the job; `fault` says what to do about it."""

    fault: Fault
    code: str  # the provider's own word, or `http_<status>`
    message: str = ""
    status: int | None = None
    retry_after: float | None = None  # seconds; never shortened
    moderation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider took the job. `urls` are those it told us to use (`poll`, `result`, `cancel`)."""

    job: str
    urls: Mapping[str, str] = field(default_factory=dict)
    cost: int | None = None  # micro-credits that a success will take, where the provider says it
    taken: bool = False  # the store knows this job as another attempt's


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A synchronous provider answered with the results themselves."""

    outputs: tuple[Output, ...]
    job: str | None = None
    cost: int | None = None  # micro-credits, where the provider reports it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """The request may have been accepted: read timeout, reset after the first byte, undeclared 5xx."""

    message: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLost:
    """The owner of a `sending` attempt is gone and left no answer (an older epoch, found at a claim)."""


# --- answers to a poll, a webhook, a lookup or a cancel ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Queued or working. Changes nothing, so nothing is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The provider says it is done. No outputs at all is a case of its own (transition row 19)."""

    outputs: tuple[Output, ...]
    cost: int | None = None  # micro-credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job was accepted and failed."""

    fault: Fault
    code: str
    message: str = ""
    moderation: bool = False
    cost: int | None = None  # micro-credits, where the provider reports it


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """The provider says the job was canceled, by us or by somebody else."""

    cost: int | None = None  # micro-credits, where the provider reports it


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The provider dropped the job by a deadline of its own (aborted, expired)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The provider does not know the job (404). Three within five minutes are believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownStatus:
    """A status text that is in no table: alert, and keep polling to the deadline."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed:
    """The poll itself did not get an answer worth believing (transport, 5xx, HTML with 200, bad JSON)."""

    message: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack:
    """A callback with this attempt's token named a job. `sure`: it was signed, or confirmed by asking."""

    job: str
    sure: bool
    told: StatusFact | None = None  # folded after the job was found to be this attempt's, never otherwise
    mark: str = ""  # digest of the body: what is said twice is one fact, what is new is another
    taken: bool = False  # the store knows this job as another attempt's


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """The provider was asked for the job of an unsigned callback. `gone`: it knows no such job."""

    gone: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFound:
    """A lookup found exactly one job that can only be this attempt's."""

    job: str
    urls: Mapping[str, str] = field(default_factory=dict)
    taken: bool = False  # the store knows this job as another attempt's


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupNone:
    """A lookup found nothing. `conclusive` where the provider's table says that this proves absence."""

    conclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAcknowledged:
    """The provider took note. Not a verdict: only a status is. `erases`: a DELETE that removes records."""

    erases: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRefused:
    """The provider refused, had finished already, or the answer was lost. Polling decides."""

    message: str = ""
    final: bool = False  # the provider says the job has ended: never cancel again


# --- our own world ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCancel:
    """The customer does not want it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """The request is to be forgotten, as soon as nothing is left to watch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOpened:
    """The ledger holds the credits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRefused:
    """The ledger refused the hold; `reason` is its own word (`insufficient`, `frozen`, ...)."""

    reason: str
    needed: int = 0  # micro-credits
    available: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldClosed:
    """There was such a hold, and it has been settled: one of the two stores lost its memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The router chose who is asked next. `id` and `token` were drawn by the shell."""

    provider: str
    id: str
    token: str
    credentials: str = ""  # a reference, never a secret
    epoch: int  # of the owner who may send it, once


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStored:
    """One announced output lies in our store."""

    file: Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactLost:
    """One announced output cannot be had any more (gone, refused, not a picture)."""

    index: int
    message: str = ""
    edition: int | None = None  # the address leads nowhere: of which edition it was (`Attempt.edition`)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFailed:
    """A copy failed for now; it is tried again until the attempt's collecting deadline."""

    index: int
    message: str = ""
    ours: bool = False  # the place where results are kept is to blame: no other provider would help
    edition: int | None = None  # the address leads nowhere: of which edition it was (`Attempt.edition`)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The ledger moved (or had moved) what was owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefused:
    """The ledger refused a settlement: the generation is stuck until a human looks."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeUp:
    """A timer of the agenda has run out."""

    timer: Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFailed:
    """An effect outside the providers did not get an answer (ledger or store unavailable): repeat it."""

    effect: str
    message: str = ""


Fact = (
    NotSent | Refused | Accepted | Completed | Ambiguous | OwnerLost | Running | Succeeded | Failed |
    Canceled | Expired | Missing | UnknownStatus | PollFailed | LookupFound | LookupNone |
    CalledBack | Unconfirmed | CancelAcknowledged | CancelRefused | UserCancel | Erase |
    HoldOpened | HoldRefused | HoldClosed | Planned |
    ArtifactStored | ArtifactLost | ArtifactFailed | Settled | SettleRefused | TimeUp | EffectFailed
)  # fmt: skip

SubmitFact = NotSent | Refused | Accepted | Completed | Ambiguous
StatusFact = Running | Succeeded | Failed | Canceled | Expired | Missing | UnknownStatus | PollFailed
CancelFact = CancelAcknowledged | CancelRefused
LookupFact = LookupFound | LookupNone | PollFailed
