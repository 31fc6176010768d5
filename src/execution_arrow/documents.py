"""The published documents: a generation, a usage and a finding as other systems read them.

With `delivery.documents` the only module of the package that loads pydantic. Amounts are text with six
decimals, times are RFC 3339 with an offset. The prompt is part of `request` and of nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from execution_arrow.delivery.documents import WebhookV1
from execution_arrow.record import AttemptRecord, File, Generation, ProviderError
from execution_arrow.reports.accounting import ProviderUsage, Usage
from execution_arrow.reports.reconciling import Finding

Credits = Annotated[str, Field(pattern=r"^[0-9]{1,10}\.[0-9]{6}$")]
Count = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class FileV1(_Document):
    """One stored result, named by its content."""

    index: Count
    key: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Count
    media_type: str
    width: Count | None
    height: Count | None
    seconds: float | None

    @classmethod
    def of(cls, file: File) -> FileV1:
        return cls(
            index=file.index, key=file.key, sha256=file.sha256, size=file.size, media_type=file.media_type,
            width=file.width, height=file.height, seconds=file.seconds,
        )  # fmt: skip


class ProviderErrorV1(_Document):
    """Why one provider did not do it, in BabySea's terms."""

    provider: str
    code: Annotated[str, Field(pattern="^BSE[0-9]{4}$")]
    type: str
    message: str
    """What the code means, in our words."""
    retryable: bool
    """The same request may succeed later."""
    provider_code: str
    provider_message: str
    """The provider's own words, shortened; no key and no signed link is in them."""

    @classmethod
    def of(cls, error: ProviderError) -> ProviderErrorV1:
        """The document of an error."""
        return cls(
            provider=error.provider, code=error.code, type=error.type, message=error.message,
            retryable=error.retryable, provider_code=error.provider_code,
            provider_message=error.provider_message,
        )  # fmt: skip


class AttemptV1(_Document):
    """One submission to one provider."""

    id: str
    provider: str
    outcome: Literal["pending", "unknown", "used", "failed", "canceled", "discarded"]
    state: str
    """Where the attempt is; finer than the outcome."""
    stop: Literal["overdue", "user", "lost_race"] | None
    job: str | None
    """The provider's id of the job."""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    cost: Credits | None
    """What the provider bills us; null while that is not known."""
    cost_source: Literal["quoted", "reported", "unknown"]
    possible_waste: bool
    code: str
    """The provider's own word for what went wrong, or ours."""
    message: str
    moderation: bool
    """The provider refused because of the content."""
    hedge: bool = False
    """Asked beside another one that was slow."""
    kept: list[FileV1] = []
    """Results that came too late and were copied all the same."""

    @classmethod
    def of(cls, attempt: AttemptRecord) -> AttemptV1:
        return cls(
            id=attempt.id,
            provider=attempt.provider,
            outcome=attempt.outcome.value,
            state=attempt.state.value,
            stop=attempt.stop.value if attempt.stop is not None else None,
            job=attempt.job,
            started_at=_time(attempt.started_at),
            ended_at=_maybe(attempt.ended_at),
            cost=str(attempt.cost) if attempt.cost is not None else None,
            cost_source=attempt.cost_source,  # type: ignore[arg-type]
            possible_waste=attempt.possible_waste,
            code=attempt.code,
            message=attempt.message,
            moderation=attempt.moderation,
            hedge=attempt.hedge,
            kept=[FileV1.of(file) for file in attempt.kept],
        )


class GenerationV1(_Document):
    """A generation at one moment; `version` grows with every change."""

    schema_version: Literal["generation.v1"] = "generation.v1"
    id: str
    version: Count
    account: str
    model: str
    kind: Literal["image", "video"]
    status: Literal["pending", "processing", "succeeded", "failed", "canceled"]
    request: dict[str, Any]
    region: str
    chain: list[str]
    """Providers in the order in which they are asked."""
    chain_source: str
    chain_reason: str
    provider_used: str | None
    attempts: list[AttemptV1]
    provider_errors: list[ProviderErrorV1] = []
    files: list[FileV1]
    hold: Credits
    charged: Credits
    cost: Credits
    """What providers bill us as far as it is known, used and wasted."""
    waste: Credits
    possible_waste: Credits
    """What may have been billed without anybody knowing."""
    error_code: str
    error: str
    stuck: str
    """The ledger's refusal when a settlement needs a human, else empty."""
    watching: bool
    erased: bool = False
    """The request has been forgotten."""
    idempotency_key: str | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    closed_at: AwareDatetime | None

    @classmethod
    def of(cls, generation: Generation) -> GenerationV1:
        """The document of a generation."""
        return cls(
            id=generation.id,
            version=generation.version,
            account=generation.account,
            model=generation.model,
            kind=generation.kind,  # type: ignore[arg-type]
            status=generation.status.value,
            request=dict(generation.request),
            region=generation.region,
            chain=list(generation.chain),
            chain_source=generation.chain_source,
            chain_reason=generation.chain_reason,
            provider_used=generation.provider_used,
            attempts=[AttemptV1.of(attempt) for attempt in generation.attempts],
            provider_errors=[ProviderErrorV1.of(error) for error in generation.provider_errors],
            files=[FileV1.of(file) for file in generation.files],
            hold=str(generation.hold),
            charged=str(generation.charged),
            cost=str(generation.cost),
            waste=str(generation.waste),
            possible_waste=str(generation.possible_waste),
            error_code=generation.error_code,
            error=generation.error,
            stuck=generation.stuck,
            watching=generation.watching,
            erased=generation.erased,
            idempotency_key=generation.idempotency_key,
            created_at=_time(generation.created_at),
            started_at=_maybe(generation.started_at),
            closed_at=_maybe(generation.closed_at),
        )


class ProviderUsageV1(_Document):
    """One provider's attempts by outcome, and what they cost us."""

    provider: str
    submissions: Count
    used: Count
    failed: Count
    canceled: Count
    discarded: Count
    unknown: Count
    """Nobody could say whether they were accepted."""
    pending: Count
    cost: Credits
    """What the provider bills as far as it is known."""
    wasted: Credits
    """The part of the cost that no customer's result came of."""
    possible_waste: Credits
    """What may have been billed without anybody knowing; not in `cost`."""

    @classmethod
    def of(cls, usage: ProviderUsage) -> ProviderUsageV1:
        return cls(
            provider=usage.provider, submissions=usage.submissions, used=usage.used, failed=usage.failed,
            canceled=usage.canceled, discarded=usage.discarded, unknown=usage.unknown, pending=usage.pending,
            cost=str(usage.cost), wasted=str(usage.wasted), possible_waste=str(usage.possible_waste),
        )  # fmt: skip


class UsageV1(_Document):
    """Generations created in a window of time, and all of their attempts, per provider."""

    schema_version: Literal["usage.v1"] = "usage.v1"
    since: AwareDatetime
    until: AwareDatetime
    """The window's end, which is not in it."""
    generations: Count
    unreadable: Count
    """Rows of a newer version, which are in no sum."""
    charged: Credits
    """What accounts paid for these generations."""
    providers: list[ProviderUsageV1]

    @classmethod
    def of(cls, usage: Usage) -> UsageV1:
        """The document of a usage."""
        return cls(
            since=_time(usage.since),
            until=_time(usage.until),
            generations=usage.generations,
            unreadable=usage.unreadable,
            charged=str(usage.charged),
            providers=[ProviderUsageV1.of(provider) for provider in usage.providers],
        )


class FindingV1(_Document):
    """One thing that a person should look at."""

    schema_version: Literal["finding.v1"] = "finding.v1"
    trouble: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    """What is wrong, a name that never changes; the ledger's own begin with `ledger_`."""
    account: str
    generation: str | None
    amount: Credits
    since: AwareDatetime
    detail: str
    advice: str
    """What to do next, for people."""
    repaired: bool
    """It has just been set going again."""

    @classmethod
    def of(cls, finding: Finding) -> FindingV1:
        """The document of a finding."""
        return cls(
            trouble=str(finding.trouble),
            account=finding.account,
            generation=finding.generation,
            amount=str(finding.amount),
            since=_time(finding.since),
            detail=finding.detail,
            advice=finding.advice,
            repaired=finding.repaired,
        )


PUBLISHED: dict[str, Any] = {
    "generation.v1": GenerationV1, "provider-error.v1": ProviderErrorV1, "usage.v1": UsageV1,
    "finding.v1": FindingV1, "webhook.v1": WebhookV1,
}  # fmt: skip


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: float | None) -> datetime | None:
    return _time(seconds) if seconds is not None else None
