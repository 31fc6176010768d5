"""What a provider has changed: today's native schemas beside newer ones, and whom it concerns.

A parameter that is gone, or takes less than it did, breaks requests that set it; one that is required now
breaks those that do not. What takes more, or has another default, breaks nothing. Only what differs is told;
a route is named when its mapping sets the parameter, or would have to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosetta_bridge.language.checks import native_keys
from rosetta_bridge.model import Model

from .natives import native_schema, properties

FACTS = (
    "type", "enum", "minimum", "maximum", "multipleOf",
    "minItems", "maxItems", "minLength", "maxLength", "default",
)  # fmt: skip
LEAST, MOST = ("minimum", "minItems", "minLength"), ("maximum", "maxItems", "maxLength")


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
        if not self.routes or self.kind == "new":
            return False
        return self.kind in ("removed", "gone") or _required_now(self) or _less(self.before, self.after)


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
        change = Change(provider, native, kind, name, old.get(name), new.get(name))
        top, all_of_them = name.partition(".")[0], _required_now(change)
        concerned = tuple(told for told, names in users if top in names or all_of_them)
        yield replace(change, routes=concerned)


def _required_now(change: Change) -> bool:
    """Whether every request must set the parameter, and none had to before."""
    return bool((change.after or {}).get("required")) and not (change.before or {}).get("required")


def _less(before: Any, after: Any) -> bool:
    """Whether a value that was good may be wrong now. What cannot be compared is taken to be less."""
    if before is None or after is None or before == after:
        return False
    if before.get("type") != after.get("type") and (before.get("type"), after.get("type")) != (
        "integer", "number",
    ):  # fmt: skip
        return True
    if "enum" in after and not ("enum" in before and all(v in after["enum"] for v in before["enum"])):
        return True
    if any(name in after and not before.get(name, after[name] - 1) >= after[name] for name in LEAST):
        return True
    if any(name in after and not before.get(name, after[name] + 1) <= after[name] for name in MOST):
        return True
    others = ("multipleOf", "anyOf", "oneOf")
    if any(name in after and before.get(name) != after[name] for name in others):
        return True
    return _less(before.get("items", {}), after.get("items", {}))


def _facts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of every parameter, without the words."""
    plain = dict(schema)
    needed = {name: {"required": True} for name in plain.get("required", ())}
    return {name: _said(_at(plain, name)) | needed.get(name, {}) for name in properties(plain)}


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
