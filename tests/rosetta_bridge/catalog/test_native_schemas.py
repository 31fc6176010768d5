"""The native schemas are what their manifest says, close what they describe, and say where each fact is
from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rosetta_bridge import Catalog
from tools.native_schemas import facts, manifest, paths

SCHEMAS = manifest.schema_files()
OVERLAYS = sorted(paths.NATIVE.glob("*/*.overlay.yaml"))
CATALOG = Catalog.shipped(include="secondary")
ROUTES = [
    (model, provider, route)
    for model in CATALOG.models()
    for provider, mapping in CATALOG[model].mappings.items()
    for route in mapping.routes
]


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def merge(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    kept = {key: value for key, value in base.items() if over.get(key, value) is not None}
    return kept | {k: merge(base.get(k), v) for k, v in over.items() if v is not None}


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema below `node` that describes the keys of an object."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def test_the_manifest_is_current() -> None:
    """Digests of converters, sources and outputs; see tools/native_schemas/README.md for the one command."""
    assert manifest.problems() == []


def test_an_edited_schema_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = tmp_path / "schemas" / "native"
    for file in (*SCHEMAS, *OVERLAYS, paths.MANIFEST):
        copy = edited / file.relative_to(paths.NATIVE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    monkeypatch.setattr(paths, "NATIVE", edited)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "MANIFEST", edited / "manifest.json")
    assert manifest.problems() == []
    victim = manifest.schema_files()[0]
    victim.write_text(victim.read_text(encoding="utf-8").replace("string", "number", 1), encoding="utf-8")
    assert [problem for problem in manifest.problems() if victim.name in problem]


def test_hand_made_schemas_follow_from_their_facts() -> None:
    for provider in facts.providers():
        for model, schema in facts.schemas(provider).items():
            written = paths.schema_file(provider, model).read_text(encoding="utf-8")
            assert written == paths.dump(schema), f"{provider} {model}: {manifest.REBUILD}"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_schema_refuses_what_it_does_not_know(path: Path) -> None:
    schema = load(path)
    Draft202012Validator.check_schema(schema)
    assert schema["x-origin"] in ("machine", "hand-made")
    assert schema["x-source"]
    for node in objects(schema):
        assert node.get("additionalProperties") is False, node.get("properties", {}).keys()
    assert list(Draft202012Validator(schema).iter_errors({"no_such_parameter": 1}))


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_overlay_narrows_what_exists_and_names_its_sources(path: Path) -> None:
    overlay = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(overlay) == {"schema", "sources", "merge"}
    assert overlay["schema"] == "overlay.v1"
    for fact in overlay["sources"]:
        assert fact["says"]
        assert fact["source"]
        assert isinstance(fact["date"], date)
    schema = load(path.with_name(path.name.replace(".overlay.yaml", ".json")))
    unknown = set(overlay["merge"].get("properties", {})) - set(schema["properties"])
    assert not unknown, "an overlay says more of known parameters, it does not invent any"
    merged = merge(schema, overlay["merge"])
    Draft202012Validator.check_schema(merged)
    assert merged != schema


@pytest.mark.parametrize(("model", "provider", "route"), ROUTES, ids=lambda part: getattr(part, "name", part))
def test_a_route_has_evidence_and_a_native_schema(model: str, provider: str, route: Any) -> None:
    assert route.evidence.source
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", route.evidence.date)
    native = route.native or route.model
    has_schema = paths.schema_file(provider, native).is_file()
    assert has_schema or route.unproved, f"{model} {provider} {native}"
    assert not (has_schema and route.unproved), "a reason for a schema that exists"


def test_every_schema_serves_a_route() -> None:
    used = {paths.schema_file(provider, route.native or route.model) for _, provider, route in ROUTES}
    assert {path.name for path in SCHEMAS} - {path.name for path in used} == set()


def test_sources_are_stated_for_every_folder() -> None:
    text = (paths.NATIVE / "SOURCES.md").read_text(encoding="utf-8")
    document = load(paths.MANIFEST)
    for entry in document["machine"].values():
        assert entry["package"] in text
        assert entry["version"] in text
        assert entry["licence"] in text
    for provider in {path.parent.name for path in SCHEMAS}:
        assert f"`{provider}/`" in text
