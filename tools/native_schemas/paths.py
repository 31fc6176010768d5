"""Where things are, how a native id becomes a file name, and how every JSON file here is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

TOOL = Path(__file__).resolve().parent
ROOT = TOOL.parents[1]
NATIVE = ROOT / "schemas" / "native"
MANIFEST = NATIVE / "manifest.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def sources() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((TOOL / "sources.yaml").read_text(encoding="utf-8"))
    return loaded


def schema_file(provider: str, model: str) -> Path:
    """`fal-ai/veo3.1` of fal is `schemas/native/fal/fal-ai__veo3.1.json`."""
    return NATIVE / provider / (model.replace("/", "__").replace(":", "..") + ".json")


def dump(value: Any) -> str:
    """One spelling for every generated file, so that equal content is equal bytes."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def envelope(source: dict[str, str], origin: str, body: dict[str, Any]) -> dict[str, Any]:
    """Put the origin of a schema in front of it."""
    return {"$schema": DRAFT, "x-origin": origin, "x-source": source, **body}
