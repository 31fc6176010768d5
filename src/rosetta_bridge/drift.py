"""What a provider has changed: today's native schemas beside newer ones, and whom it concerns.

A parameter that is new may matter, one that is gone breaks every request that sets it, and a narrower list of
values breaks some. Only what differs is told; a route is named when its mapping sets the parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checks import native_keys
from .model import Model
from .natives import native_schema, properties

FACTS = ("type", "enum", "minimum", "maximum", "multipleOf", "minItems", "maxItems", "maxLength", "default")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `kind` is `added`, `removed` or `changed` (a parameter), `new` or `gone` (a schema);
    `routes` are the `model provider/route` whose payload sets the parameter."""

    provider: str
    native: str
    kind: str
    parameter: str
    before: Any
    after: Any
    routes: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether requests that were good may be refused now."""
        return bool(self.routes) and self.kind in ("removed", "changed", "gone")


def drift(models: Iterable[Model], ours: Path, theirs: Path) -> list[Change]:
    """Every difference between two folders of native schemas, those that may break requests first."""
    users: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = {}
    for model in models:
        for provider, mapping in model.mappings.items():
            for route in mapping.routes:
                told = f"{model.id} {provider}/{route.name}"
                native = route.native or route.model
                users.setdefault((provider, native), []).append((told, frozenset(native_keys(route.body))))
    found = [
        change
        for provider, native in sorted(_named(ours) | _named(theirs))
        for change in _compared(provider, native, ours, theirs, users.get((provider, native), ()))
    ]
    return sorted(found, key=lambda change: (not change.breaks, change.provider, change.native))


def _named(folder: Path) -> set[tuple[str, str]]:
    return {(file.parent.name, file.stem.replace("__", "/")) for file in folder.glob("*/*.json")}


def _compared(
    provider: str, native: str, ours: Path, theirs: Path, users: Iterable[tuple[str, frozenset[str]]]
) -> Iterator[Change]:
    before, after = (native_schema(folder, provider, native) for folder in (ours, theirs))
    everybody = tuple(told for told, _names in users)
    if before is None or after is None:
        yield Change(provider, native, "new" if before is None else "gone", "", None, None, everybody)
        return
    old, new = _facts(before), _facts(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        kind = "added" if name not in old else "removed" if name not in new else "changed"
        concerned = tuple(told for told, names in users if name.partition(".")[0] in names)
        yield Change(provider, native, kind, name, old.get(name), new.get(name), concerned)


def _facts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of every parameter, without the words."""
    plain = dict(schema)
    return {name: _said(_at(plain, name)) for name in properties(plain)}


def _at(schema: dict[str, Any], name: str) -> Any:
    node: Any = schema
    for key in name.split("."):
        node = _follow(schema, node).get("properties", {}).get(key, {})
    return _follow(schema, node)


def _follow(schema: dict[str, Any], node: Any) -> dict[str, Any]:
    for _ in range(8):
        ref = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(ref, str):
            break
        node = schema
        for key in ref.removeprefix("#/").split("/"):
            node = node.get(key, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, dict) else {}


def _said(node: dict[str, Any]) -> dict[str, Any]:
    said = {name: node[name] for name in FACTS if name in node}
    for name in ("anyOf", "oneOf"):
        if isinstance(node.get(name), list):
            said[name] = [_said(part) for part in node[name] if isinstance(part, dict)]
    if isinstance(node.get("items"), dict):
        said["items"] = _said(node["items"])
    return said
