"""The published document `generation.v1`: a generation as other systems read it.

This is the only module of the package that loads pydantic. Amounts are text with six decimals, times are
RFC 3339 with an offset. The prompt is part of `request` and of nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from execution_arrow.record import AttemptRecord, File, Generation

Credits = Annotated[str, Field(pattern=r"^[0-9]{1,10}\.[0-9]{6}$")]
Count = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


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
        )


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
            index=file.index,
            key=file.key,
            sha256=file.sha256,
            size=file.size,
            media_type=file.media_type,
            width=file.width,
            height=file.height,
            seconds=file.seconds,
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
            idempotency_key=generation.idempotency_key,
            created_at=_time(generation.created_at),
            started_at=_maybe(generation.started_at),
            closed_at=_maybe(generation.closed_at),
        )


PUBLISHED: dict[str, type[BaseModel]] = {"generation.v1": GenerationV1}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: float | None) -> datetime | None:
    return _time(seconds) if seconds is not None else None
