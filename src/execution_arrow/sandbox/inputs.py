"""The words in which a model's input is described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """`many`: whether the result is a list of URLs. `raw`: the media type of an answer in bytes (Cloudflare).

    `family` selects a table of sizes. `properties` None: nothing is known and nothing is checked. `form`: the
    input comes as a form.
    """

    kind: str = "image"
    many: bool = True
    family: str = ""
    raw: str | None = None
    form: bool = False
    properties: Schema | None = None
    required: tuple[str, ...] = ("prompt",)
    defaults: Mapping[str, Any] = field(default_factory=dict)


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


def links(most: int) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "maxItems": most}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
SEED: Schema = {"type": "integer"}
