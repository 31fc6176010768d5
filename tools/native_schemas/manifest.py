"""The manifest: what was converted from which bytes by which script, so that anybody can check currency offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import facts, paths

TOOLS = ("facts.py", "manifest.py", "paths.py", "python_types.py", "typescript.py", "__main__.py", "sources.yaml")
REBUILD = "run `python -m tools.native_schemas build`"


def schema_files() -> list[Path]:
    return sorted(path for path in paths.NATIVE.glob("*/*.json"))


def name(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()


def record(source: dict[str, Any], original: Path, written: list[Path]) -> dict[str, Any]:
    """One provider's entry: the package, the digest of the file read, the schemas made of it."""
    about = {key: source[key] for key in ("package", "version", "licence", "file")}
    outputs = {name(path): paths.digest(path) for path in sorted(written)}
    return {**about, "file_sha256": paths.digest(original), "schemas": outputs}


def write(records: dict[str, Any]) -> None:
    """Entries of providers that were not converted this time stay as they were."""
    before = json.loads(paths.MANIFEST.read_text(encoding="utf-8")) if paths.MANIFEST.exists() else {}
    machine = {**before.get("machine", {}), **records}
    document = {
        "about": "Digests of the converters, of the files they read and of what they wrote. " + REBUILD,
        "tools": {tool: paths.digest(paths.TOOL / tool) for tool in sorted(TOOLS)},
        "machine": dict(sorted(machine.items())),
        "hand-made": {
            provider: {
                "facts_sha256": paths.digest(path),
                "schemas": {
                    name(target): paths.digest(target)
                    for target in sorted(paths.schema_file(provider, model) for model in facts.schemas(provider))
                },
            }
            for provider, path in facts.providers().items()
        },
    }
    paths.MANIFEST.write_text(paths.dump(document), encoding="utf-8")


def problems() -> list[str]:
    """Everything on disk that the manifest does not vouch for; empty when all is current."""
    document = json.loads(paths.MANIFEST.read_text(encoding="utf-8"))
    found = [f"{tool} changed since the last conversion: {REBUILD}" for tool in changed_tools(document)]
    vouched: dict[str, str] = {}
    for kind in ("machine", "hand-made"):
        for entry in document[kind].values():
            vouched |= entry["schemas"]
    on_disk = {name(path): path for path in schema_files()}
    found += [f"{path} is not in the manifest: {REBUILD}" for path in sorted(set(on_disk) - set(vouched))]
    found += [f"{path} is in the manifest but not on disk: {REBUILD}" for path in sorted(set(vouched) - set(on_disk))]
    for path in sorted(set(vouched) & set(on_disk)):
        if paths.digest(on_disk[path]) != vouched[path]:
            found.append(f"{path} was edited by hand: put the change into an overlay or into facts/, then {REBUILD}")
    return found + stale(document) + orphans()


def changed_tools(document: dict[str, Any]) -> list[str]:
    return [tool for tool in TOOLS if document["tools"].get(tool) != paths.digest(paths.TOOL / tool)]


def stale(document: dict[str, Any]) -> list[str]:
    """Sources asked for but not converted, and facts that changed."""
    found = []
    asked = paths.sources()
    for provider, source in {**asked["npm"], **asked["pip"]}.items():
        if provider == "tools":
            continue
        have = document["machine"].get(provider, {})
        wanted = {name(paths.schema_file(provider, model)) for model in source["ids"]}
        if have.get("version") != source["version"] or set(have.get("schemas", {})) != wanted:
            found.append(f"{provider}: sources.yaml asks for other schemas than the manifest has: {REBUILD}")
    for provider, path in facts.providers().items():
        if document["hand-made"].get(provider, {}).get("facts_sha256") != paths.digest(path):
            found.append(f"facts/{path.name} changed since its schemas were written: {REBUILD}")
    return found


def orphans() -> list[str]:
    overlays = sorted(paths.NATIVE.glob("*/*.overlay.yaml"))
    lonely = [path for path in overlays if not path.with_name(path.name[: -len(".overlay.yaml")] + ".json").exists()]
    return [f"{name(path)} has no schema beside it" for path in lonely]
