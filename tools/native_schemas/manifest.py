"""The manifest: what was converted from which bytes by which script, so that anybody can check it offline."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from . import facts, paths

REBUILD = "run `python -m tools.native_schemas build`"


def schema_files() -> list[Path]:
    return sorted(path for path in paths.NATIVE.glob("*/*.json"))


def name(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()


def asked(source: dict[str, Any]) -> str:
    """Digest of what `sources.yaml` asks of one source."""
    return hashlib.sha256(json.dumps(source, sort_keys=True, default=str).encode()).hexdigest()


def converters(*modules: str) -> dict[str, str]:
    return {module: paths.digest(paths.TOOL / module) for module in (*modules, "paths.py")}


def record(source: dict[str, Any], converter: str, original: Path, written: list[Path]) -> dict[str, Any]:
    """One provider's entry: package, digest of the file read, converter, and the schemas made of it."""
    about = {key: source[key] for key in ("package", "version", "licence", "file")}
    return {
        **about,
        "file_sha256": paths.digest(original),
        "asked_sha256": asked(source),
        "converter_sha256": converters(converter),
        "schemas": {name(path): paths.digest(path) for path in sorted(written)},
    }


def hand_made(provider: str, path: Path) -> dict[str, Any]:
    files = sorted(paths.schema_file(provider, model) for model in facts.schemas(provider))
    return {
        "facts_sha256": paths.digest(path),
        "converter_sha256": converters("facts.py"),
        "schemas": {name(file): paths.digest(file) for file in files},
    }


def read() -> dict[str, Any]:
    if not paths.MANIFEST.exists():
        return {"machine": {}, "hand-made": {}}
    document: dict[str, Any] = json.loads(paths.MANIFEST.read_text(encoding="utf-8"))
    return document


def write(records: dict[str, Any]) -> None:
    """Entries of providers that were not converted this time stay as they were."""
    machine = {**read()["machine"], **records}
    document = {
        "about": "Digests of the converters, of the files they read and of what they wrote. " + REBUILD,
        "machine": dict(sorted(machine.items())),
        "hand-made": {provider: hand_made(provider, path) for provider, path in facts.providers().items()},
    }
    paths.MANIFEST.write_text(paths.dump(document), encoding="utf-8")


def problems() -> list[str]:
    """Everything on disk that the manifest does not vouch for; empty when all is current."""
    document = read()
    vouched: dict[str, str] = {}
    for kind in ("machine", "hand-made"):
        for entry in document[kind].values():
            vouched |= entry["schemas"]
    on_disk = {name(path): path for path in schema_files()}
    found = [f"{path} is not in the manifest: {REBUILD}" for path in sorted(set(on_disk) - set(vouched))]
    found += [f"{path} is missing on disk: {REBUILD}" for path in sorted(set(vouched) - set(on_disk))]
    for path in sorted(set(vouched) & set(on_disk)):
        if paths.digest(on_disk[path]) != vouched[path]:
            found.append(f"{path} was edited: put the change into an overlay or into facts/, then {REBUILD}")
    return found + stale(document) + orphans()


def stale(document: dict[str, Any]) -> list[str]:
    """Sources asked for but not converted, converters and facts that changed since."""
    found = []
    sources = paths.sources()
    for provider, source in {**sources["npm"], **sources["pip"], **sources["file"]}.items():
        if provider == "tools":
            continue
        entry = document["machine"].get(provider, {})
        if entry.get("asked_sha256") != asked(source):
            found.append(f"{provider}: sources.yaml asks for other schemas than were converted: {REBUILD}")
    for provider, path in facts.providers().items():
        if document["hand-made"].get(provider, {}).get("facts_sha256") != paths.digest(path):
            found.append(f"facts/{path.name} changed since its schemas were written: {REBUILD}")
    for kind in ("machine", "hand-made"):
        for provider, entry in document[kind].items():
            for module, digest in entry["converter_sha256"].items():
                if paths.digest(paths.TOOL / module) != digest:
                    found.append(f"{provider}: {module} changed since the conversion: {REBUILD}")
    return found


def orphans() -> list[str]:
    found = []
    for path in sorted(paths.NATIVE.glob("*/*.overlay.yaml")):
        if not path.with_name(path.name.removesuffix(".overlay.yaml") + ".json").exists():
            found.append(f"{name(path)} has no schema beside it")
    return found
