"""TypeScript declarations to JSON Schema: one compiler run for all ids of a package, then one file per id.

A single synthetic type maps each endpoint id to its input type, so nobody has to know how the package
names its types (many are aliases of a look-alike). The generator's answer is a pile of definitions;
`split` follows the references of one id, keeps what is reachable and folds unions of constants into
enums. Defaults that the package states only in prose ("Default value: ...") are lifted into `default`;
all other prose is left behind.

Some packages give one type to every endpoint whose input has the same property *names*, whatever the values
are (fal's client does: one type serves Veo 3 and Veo 3.1 Lite). `shared` finds those, so that the schema can
say so: its names are facts, its values and defaults may be another endpoint's until an overlay settles them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

DEFAULT = re.compile(r"Default value: `(.*?)`", re.DOTALL)
DEFINITION = "#/definitions/"
ALIAS = re.compile(r"export type (\w+) = (\w+);")
ENDPOINT = re.compile(r'"([^"\n]+)": \{\s+input: (\w+);')
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "target": "ES2022",
        "module": "ESNext",
        "moduleResolution": "Bundler",
        "lib": ["ES2022", "DOM"],
        "types": [],
        "skipLibCheck": True,
    }
}


def install(workspace: Path, packages: dict[str, str]) -> None:
    """`npm install` of exactly these versions, without running any package's scripts."""
    manifest = {"private": True, "dependencies": packages}
    (workspace / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is needed to convert the TypeScript packages: install Node.js 20 or newer")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=workspace, check=True)


def convert(workspace: Path, source: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Input schema per id of one npm source; raises when the package does not know an id."""
    folder = workspace / "convert"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    original = workspace / "node_modules" / source["package"] / source["file"]
    text = original.read_text(encoding="utf-8")
    if source["remove"]:
        text = text.replace(source["remove"], "")
    suffix = ".d.ts" if original.name.endswith(".d.ts") else ".ts"
    (folder / f"types{suffix}").write_text(text, encoding="utf-8")
    lines = [f"  {json.dumps(key)}: {source['type'].format(id=key)};" for key in sorted(source["ids"])]
    header = f'import type {{ {source["import"]} }} from "./types";\n'
    (folder / "want.ts").write_text(
        header + "export type Want = {\n" + "\n".join(lines) + "\n};\n", encoding="utf-8"
    )
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG), encoding="utf-8")
    tool = workspace / "node_modules" / ".bin" / "ts-json-schema-generator"
    flags = [
        "--path",
        "want.ts",
        "--type",
        "Want",
        "--tsconfig",
        "tsconfig.json",
        "--no-type-check",
        "--minify",
    ]
    done = subprocess.run([str(tool), *flags], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    others = shared(text, source["ids"])
    result = {key: split(json.loads(done.stdout), key) for key in sorted(source["ids"])}
    for key, schema in result.items():
        if others[key]:
            schema["x-shares-type-with"] = others[key]
    return result


def shared(declarations: str, ids: list[str]) -> dict[str, list[str]]:
    """Per id, the other endpoints of the package whose input is declared as the very same type."""
    aliases = dict(ALIAS.findall(declarations))
    roots: dict[str, str] = {}
    for key, name in ENDPOINT.findall(declarations):
        while name in aliases:
            name = aliases[name]
        roots[key] = name
    return {
        key: sorted(other for other, name in roots.items() if other != key and name == roots.get(key))
        for key in ids
    }


def split(pile: dict[str, Any], key: str) -> dict[str, Any]:
    """The schema of one id: its root inlined, what it refers to under `$defs`."""
    definitions = pile["definitions"]
    root = resolve(definitions["Want"]["properties"][key], definitions)
    kept: dict[str, Any] = {}
    body: dict[str, Any] = tidy(root, definitions, kept)
    if body.get("type") != "object" or "properties" not in body:
        raise SystemExit(f"{key}: the package declares no object for this id, so it would prove nothing")
    body["properties"] = dict(sorted(body["properties"].items()))
    if kept:
        body["$defs"] = dict(sorted(kept.items()))
    return body


def resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = dict(definitions[name_of(node["$ref"])])
    return node


def name_of(reference: str) -> str:
    return unquote(reference.removeprefix(DEFINITION))


def tidy(node: Any, definitions: dict[str, Any], kept: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [tidy(item, definitions, kept) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = name_of(node["$ref"])
        if name not in kept:
            kept[name] = {}
            kept[name] = tidy(resolve(node, definitions), definitions, kept)
        return {"$ref": "#/$defs/" + name} | lifted(node)
    result = {
        k: tidy(v, definitions, kept) for k, v in node.items() if k not in ("description", "properties")
    }
    if "properties" in node:  # names of parameters, of which one may be called `description`
        result["properties"] = {k: tidy(v, definitions, kept) for k, v in node["properties"].items()}
        return dict(sorted(result.items()))
    if "anyOf" in result:
        result["anyOf"] = folded(result["anyOf"])
    return result | lifted(node)


def folded(members: list[Any]) -> list[Any]:
    """All string constants of a union as one enum, behind the other members."""
    words = [member["const"] for member in members if isinstance(member.get("const"), str)]
    others = [member for member in members if not isinstance(member.get("const"), str)]
    return others + ([{"type": "string", "enum": words}] if words else [])


def lifted(node: dict[str, Any]) -> dict[str, Any]:
    """`{"default": ...}` when the description states one that can be read as JSON."""
    found = DEFAULT.search(node.get("description", ""))
    if found is None:
        return {}
    try:
        return {"default": json.loads(found.group(1))}
    except ValueError:
        return {}
