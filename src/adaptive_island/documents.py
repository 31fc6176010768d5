"""The published documents `attempt.v1` and `ranking.v1`: the one source of their JSON Schemas.

This is the only module of the package that loads pydantic; it is imported when the first document is read or
written. Times are RFC 3339 with an offset. Money in documents is integer micro-credits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from .attempt import LONGEST, MOST, NAME_LENGTH, Attempt, Fault, Outcome
from .errors import BadDocument

T = TypeVar("T", bound=BaseModel)
Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
Text = Annotated[str, Field(max_length=NAME_LENGTH)]
_LATEST = 253_402_300_799.0  # the last second that RFC 3339 can write
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class AttemptV1(_Document):
    """One report about one submission to one provider. Reports are idempotent by `id`."""

    schema_version: Literal["attempt.v1"] = "attempt.v1"
    id: Name
    """The attempt; the same in every report about it."""
    model: Name
    provider: Name
    region: Text = "us"
    account: Text = ""
    """The reference of the credentials that were used, never the credentials."""
    work: Text = ""
    """The class of work, such as `1080p/8s`."""
    outcome: Literal["used", "failed", "canceled", "discarded", "pending", "unknown"]
    fault: Literal["provider", "caller", "account", "none"] = "none"
    seconds: Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)] = 0.0
    """From submission to this outcome; 0 where it was not measured."""
    cost: Annotated[int, Field(ge=0, le=MOST)] | None = None
    """What the provider bills, in micro-credits."""
    retry_after: Seconds | None = None
    """For how many seconds the provider asked to stay away."""
    at: AwareDatetime
    """When this outcome was known."""

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptV1:
        """The document of an attempt. Raises ValueError where `at` is 0 ("now" means another moment to each
        reader) or past the year 9999."""
        if not 0 < attempt.at <= _LATEST:
            raise ValueError(f"a document needs the moment of the outcome: set `at`, not {attempt.at!r}")
        return cls(
            id=attempt.id,
            model=attempt.model,
            provider=attempt.provider,
            region=attempt.region,
            account=attempt.account,
            work=attempt.work,
            outcome=attempt.outcome.value,
            fault=attempt.fault.value,
            seconds=attempt.seconds,
            cost=attempt.cost,
            retry_after=attempt.retry_after,
            at=datetime.fromtimestamp(attempt.at, UTC),
        )

    def attempt(self) -> Attempt:
        """The attempt of this document."""
        values = self.model_dump(exclude={"schema_version", "outcome", "fault", "at"})
        return Attempt(
            **values, outcome=Outcome(self.outcome), fault=Fault(self.fault), at=self.at.timestamp()
        )


class RankingV1(_Document):
    """Providers of one model in one region, best first, under the key
    `predictive:ranking:<region>:<model>`."""

    providers_ranked: Annotated[list[Name], Field(min_length=1, max_length=256)]
    """Best first."""
    scores: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    """Higher is better; at least every ranked provider has one. Their scale is the publisher's own."""
    attempts_total: Annotated[int, Field(ge=0)]
    window_hours: Annotated[int, Field(ge=1)]
    computed_at: AwareDatetime

    @model_validator(mode="after")
    def _every_provider_has_a_score(self) -> RankingV1:
        missing = [name for name in self.providers_ranked if name not in self.scores]
        if missing:
            raise ValueError(f"scores lacks {', '.join(missing)}")
        return self


PUBLISHED: dict[str, type[BaseModel]] = {"attempt.v1": AttemptV1, "ranking.v1": RankingV1}


def parse_ranking(document: str | bytes) -> RankingV1:
    """A ranking from its JSON text; raises `BadDocument` naming every place that is wrong."""
    return _parsed(RankingV1, "ranking.v1", document)


def parse_attempt(document: str | bytes) -> Attempt:
    """An attempt from its JSON text; raises `BadDocument` naming every place that is wrong."""
    return _parsed(AttemptV1, "attempt.v1", document).attempt()


def _parsed(model: type[T], name: str, document: str | bytes) -> T:
    try:
        return model.model_validate_json(document)
    except ValidationError as error:
        places = (
            f"$.{'.'.join(str(step) for step in issue['loc'])}: {issue['msg']}"
            for issue in error.errors(include_url=False, include_input=False)
        )
        raise BadDocument(name, tuple(places)) from None
