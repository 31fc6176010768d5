"""Published OpenAPI documents to one JSON Schema per endpoint.

Two layouts are read: one document whose paths have a JSON body (`/v1/flux-2-pro`), and a list of models
that each carry a document of their own whose `Input` is the body (Replicate). OpenAPI 3.0's `nullable` and
`anyOf` with null mean "may be left out", which is what absent means here, so null falls away; prose too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROSE = ("title", "description", "example", "examples", "x-order", "nullable", "deprecated")
DEFINITIONS = "#/components/schemas/"


def convert(original: Path, source: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Input schema per id; stops when the document does not know one."""
    document = json.loads(original.read_text(encoding="utf-8"))
    if isinstance(document, list):
        models = {f"{model['owner']}/{model['name']}": model for model in document}
        return {key: of_model(key, models) for key in source["ids"]}
    return {key: of_path(f"/v1/{key}", document) for key in source["ids"]}


def of_path(path: str, document: dict[str, Any]) -> dict[str, Any]:
    if path not in document["paths"]:
        raise SystemExit(f"the document has no path {path}")
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return closed(path, body, document["components"]["schemas"])


def of_model(key: str, models: dict[str, Any]) -> dict[str, Any]:
    latest = models[key]["latest_version"] if key in models else None
    if not latest:
        raise SystemExit(f"the package has no version of {key}")
    definitions = latest["openapi_schema"]["components"]["schemas"]
    schema = closed(key, {"$ref": DEFINITIONS + "Input"}, definitions)
    return {"x-version": f"{latest['id'][:8]} of {latest['created_at'][:10]}", **schema}


def closed(key: str, body: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = tidy(body, definitions, ())
    if schema.get("type") != "object" or not schema.get("properties"):
        raise SystemExit(f"{key}: no object is declared, so it would prove nothing")
    schema["properties"] = dict(sorted(schema["properties"].items()))
    return schema | {"additionalProperties": False}


def tidy(node: Any, definitions: dict[str, Any], above: tuple[str, ...]) -> Any:
    """`node` with its references inlined, without prose and without the spellings of nothing."""
    if isinstance(node, list):
        return [tidy(item, definitions, above) for item in node]
    if not isinstance(node, dict):
        return int(node) if isinstance(node, float) and node.is_integer() else node
    if "$ref" in node:
        name = node["$ref"].removeprefix(DEFINITIONS)
        if name in above:
            raise SystemExit(f"{name} refers to itself")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return tidy(definitions[name] | rest, definitions, (*above, name))
    result = {
        key: tidy(value, definitions, above)
        for key, value in node.items()
        if key == "properties" or key not in PROSE
    }
    if "properties" in node:
        result["properties"] = {
            name: tidy(value, definitions, above) for name, value in node["properties"].items()
        }
        result["additionalProperties"] = False
    return joined(result)


def joined(node: dict[str, Any]) -> dict[str, Any]:
    """A union or intersection of one member is that member."""
    for key in ("anyOf", "oneOf", "allOf"):
        members = [member for member in node.get(key, ()) if member != {"type": "null"}]
        if len(members) == 1:
            node = members[0] | {name: value for name, value in node.items() if name != key}
        elif members:
            node = node | {key: members}
    return node
