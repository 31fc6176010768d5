"""The shapes of the files that authors write, for editors: `model.v1` and `mapping.v1`.

Only what can be said without knowing the model: which keys there are and what they hold. Everything else is
the loader's to judge, which sees all files together; a file that an editor accepts may still be refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_NAMES: dict[str, Any] = {"propertyNames": {"pattern": r"^generation_[a-z0-9_]+$"}}
FieldName = Annotated[str, Field(pattern=r"^generation_[a-z0-9_]+$")]
Text = Annotated[str, Field(min_length=1)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Number = int | float


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class PublicField(_File):
    """One field of the public request."""

    type: (
        Literal["string", "enum", "integer", "number", "boolean", "url", "url_list", "string_list"] | None
    ) = None
    strength: Literal["binding", "hint"] = "binding"
    """A hint may be dropped; a binding field that cannot be honoured excludes the provider."""
    required: bool = False
    default: str | int | float | bool | None = None
    values: Annotated[list[str | int], Field(min_length=1)] | None = None
    min: Number | None = None
    max: Number | None = None
    step: Number | None = None
    min_length: Annotated[int, Field(ge=0)] | None = None
    max_length: Annotated[int, Field(ge=0)] | None = None
    max_items: Annotated[int, Field(ge=1)] | None = None
    description: str | None = None


class RetiredFrom(_File):
    """From when it is no longer used, and what takes its place."""

    date: Date
    successor: str | None = None
    source: Text


class ModelV1(_File):
    """`<lab>/<model>/model.yaml`: what the public may ask of a model."""

    schema_: Annotated[Literal["model.v1"] | None, Field(alias="schema")] = None
    extends: Literal["shipped"] | None = None
    """`shipped`: only the changed keys stand here, the rest comes from the layer below."""
    kind: Literal["image", "video"] | None = None
    lab: Text | None = None
    providers: Annotated[list[Text], Field(min_length=1)] | None = None
    """In the model's default order; each has a file of its name beside this one."""
    fields: Annotated[dict[FieldName, PublicField], Field(min_length=1, json_schema_extra=_NAMES)] | None = (
        None
    )
    tables: dict[Text, JsonValue] | None = None
    """Facts of the model, used as `$name` by the mappings."""
    together: list[list[FieldName]] | None = None
    """All of them are given, or none."""
    exclusive: list[list[FieldName]] | None = None
    """At most one of them is given."""
    aliases: list[Text] | None = None
    retired: RetiredFrom | None = None
    description: str | None = None


class EvidenceFrom(_File):
    """Where it is known from."""

    level: Literal["sdk", "openapi", "docs", "secondary"]
    source: Text
    date: Date


class PricePart(_File):
    """One part of a price."""

    per: Literal["request", "image", "second", "input", "megapixel"]
    times: JsonValue = None
    usd: JsonValue
    """A decimal in quotes, or a table over fields."""
    size: JsonValue = None
    beyond: JsonValue = None
    unit: JsonValue = None


class PriceOf(_File):
    """What the provider bills, from which source."""

    evidence: Literal["sdk", "openapi", "docs", "secondary"] | None = None
    source: Text | None = None
    parts: Annotated[list[PricePart], Field(min_length=1)] | None = None
    kind: Literal["exact", "upper_bound", "approximate"] | None = None
    date: Date | None = None


class RouteV1(_File):
    """One native endpoint with the requests that it serves; what is not said here is taken from the file."""

    model: Text | None = None
    """The native model id; `{model}` in `path` and `wrap`."""
    path: Text | None = None
    encoding: Literal["json", "multipart"] | None = None
    headers: dict[Text, str] | None = None
    wrap: JsonValue = None
    """What surrounds the body; `$body` stands for it, exactly once."""
    body: dict[Text, JsonValue] | None = None
    """The provider's own parameters, verbatim; `$field` and `{field}` mean "from the request"."""
    accepts: dict[Text, JsonValue] | None = None
    """Field to a value, a list of values, a range, or `none`."""
    refuses: list[dict[Text, JsonValue]] | None = None
    drops: dict[Text, Text] | None = None
    """Field to the reason why it is left out."""
    leaves: JsonValue = None
    """Native parameters that are left at the provider's default on purpose."""
    tables: dict[Text, JsonValue] | None = None
    price: PriceOf | None = None
    evidence: EvidenceFrom | None = None
    native: Text | None = None
    unproved: Text | None = None
    retired: RetiredFrom | None = None


class NamedRouteV1(RouteV1):
    """A route among several: the first whose `when` holds is taken."""

    when: dict[Text, JsonValue] | None = None


class MappingV1(RouteV1):
    """`<lab>/<model>/<provider>.yaml`, a family or a provider's base: how a provider is asked."""

    schema_: Annotated[Literal["mapping.v1", "family.v1", "provider.v1"] | None, Field(alias="schema")] = None
    extends: Text | None = None
    """`shipped`, or the path of a family from this file."""
    routes: dict[Text, NamedRouteV1] | None = None
    """In order; the first that matches is taken."""
    must_set: list[Text] | None = None
    """Native names that cost money, or change the result, when they are left out."""


PUBLISHED: dict[str, Any] = {"model.v1": ModelV1, "mapping.v1": MappingV1}
