"""The providers' own input schemas, with overlays for what their types cannot say.

`<folder>/<provider>/<model id with / as __>.json` is JSON Schema 2020-12, converted from the provider's own
package or OpenAPI file (`"x-origin": "machine"`) or written by hand (`"hand-made"`). `<same>.overlay.yaml`
has a `merge` that is laid over it as a JSON merge patch (RFC 7396: null removes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rosetta_bridge.errors import InvalidCatalog, Problem, RosettaError
from rosetta_bridge.language.yaml12 import parse

CHECKOUT: Final = Path(__file__).parents[3] / "schemas" / "native"
FETCHED: Final = "https://example.com/fetched"


class NoNativeSchemas(RosettaError):
    """The folder of native schemas is not there; an installed package does not carry it."""


def native_folder(folder: Path | None = None) -> Path:
    """The folder given, or the checkout's. Raises `NoNativeSchemas`."""
    chosen = folder or CHECKOUT
    if not chosen.is_dir():
        raise NoNativeSchemas(
            f"no native schemas in {chosen}: run this in a checkout, or name the folder with --native DIR"
        )
    return chosen


def native_schema(folder: Path, provider: str, model: str) -> dict[str, Any] | None:
    """The schema with its overlay; None when there is none for this model."""
    base = folder / provider / (model.replace("/", "__") + ".json")
    if not base.is_file():
        return None
    schema = json.loads(base.read_text("utf-8"))
    overlay = base.with_name(base.name.removesuffix(".json") + ".overlay.yaml")
    if overlay.is_file():
        doc = parse(overlay.read_bytes(), str(overlay))
        if doc.data.get("schema") != "overlay.v1" or not isinstance(doc.data.get("merge"), dict):
            raise InvalidCatalog(
                [Problem(str(overlay), 1, "", "expected `schema: overlay.v1` and a map `merge`")]
            )
        schema = merge_patch(schema, doc.data["merge"])
    return dict(schema)


def merge_patch(base: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def properties(schema: dict[str, Any], node: dict[str, Any] | None = None, prefix: str = "") -> Iterator[str]:
    """Every native parameter; inside objects as `outer.inner`. Alternatives are not entered."""
    node = schema if node is None else node
    for name, spec in _resolved(schema, node).get("properties", {}).items():
        yield prefix + name
        if isinstance(spec, dict) and len(prefix.split(".")) < 4:
            yield from properties(schema, spec, f"{prefix}{name}.")


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for _ in range(8):
        ref = node.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            break
        target: Any = schema
        for key in ref[2:].split("/"):
            target = target.get(key, {}) if isinstance(target, dict) else {}
        node = target
    return node


def without_markers(value: Any) -> Any:
    """The body as it would leave: fetched content stands as a dummy text."""
    if isinstance(value, dict):
        return FETCHED if "$fetch" in value else {key: without_markers(inner) for key, inner in value.items()}
    return [without_markers(inner) for inner in value] if isinstance(value, list) else value
