"""Hand-made schemas: facts that a person read (names, types, values), kept as compact YAML, expanded to JSON
Schema.

`facts/<provider>.yaml` maps a native model id to `{source, level, date, required, properties}`; `like:
<id>` starts from another entry of the same file (maps merge, `null` removes a property). Such a schema is
marked `"x-origin": "hand-made"`: it catches a misspelt or invented parameter, but it is no machine's
word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from . import paths

FOLDER = paths.TOOL / "facts"


def providers() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def schemas(provider: str) -> dict[str, dict[str, Any]]:
    entries = yaml.safe_load(providers()[provider].read_text(encoding="utf-8"))
    models = {key: value for key, value in entries.items() if not key.startswith("_")}
    return {model: schema(model, inherit(model, entries)) for model in models}


def inherit(model: str, entries: dict[str, Any]) -> dict[str, Any]:
    own = dict(entries[model])
    parent = own.pop("like", None)
    if parent is None:
        return own
    base = inherit(parent, entries)
    properties = {**base["properties"], **own.get("properties", {})}
    kept = {name: value for name, value in properties.items() if value is not None}
    return {**base, **own, "properties": kept}


def schema(model: str, entry: dict[str, Any]) -> dict[str, Any]:
    source = {"id": model, "source": entry["source"], "level": entry["level"], "date": str(entry["date"])}
    extra = {key: value for key, value in entry.items() if key not in ("source", "level", "date")}
    properties = dict(sorted(extra.pop("properties").items()))
    required = sorted(extra.pop("required"))
    body = {"type": "object", "properties": properties, "required": required, **extra}
    return paths.envelope(source, "hand-made", body | {"additionalProperties": False})


def write_all() -> None:
    for provider in providers():
        for model, content in schemas(provider).items():
            target = paths.schema_file(provider, model)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(paths.dump(content), encoding="utf-8")
