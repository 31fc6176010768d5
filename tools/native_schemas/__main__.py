"""`build [provider ...]` converts and writes; `check` compares the files on disk with the manifest.

A document that no registry holds is named by its file: `build bfl=openapi.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from . import facts, manifest, openapi, paths, typescript

INTERPRETER = Path("Scripts" if sys.platform == "win32" else "bin") / "python"


def origin(source: dict[str, Any]) -> dict[str, str]:
    return {key: str(source[key]) for key in ("package", "version", "licence")}


def write(provider: str, schemas: dict[str, dict[str, Any]], source: dict[str, str]) -> list[Path]:
    written = []
    for model, schema in schemas.items():
        target = paths.schema_file(provider, model)
        target.parent.mkdir(parents=True, exist_ok=True)
        described = source | {"id": model}
        target.write_text(paths.dump(paths.envelope(described, "machine", schema)), encoding="utf-8")
        written.append(target)
    return written


def build_npm(workspace: Path, npm: dict[str, Any], chosen: set[str]) -> dict[str, Any]:
    wanted = {name: source for name, source in npm.items() if name in chosen}
    if not wanted:
        return {}
    packages = {source["package"]: source["version"] for source in wanted.values()}
    typescript.install(workspace, packages | npm["tools"])
    records = {}
    for name, source in wanted.items():
        original = workspace / "node_modules" / source["package"] / source["file"]
        if source["file"].endswith(".json"):
            records[name] = build_document(name, source, original)
            continue
        written = write(name, typescript.convert(workspace, source), origin(source))
        records[name] = manifest.record(source, "typescript.py", original, written)
    return records


def build_document(name: str, source: dict[str, Any], original: Path) -> dict[str, Any]:
    written = write(name, openapi.convert(original, source), origin(source))
    return manifest.record(source, "openapi.py", original, written)


def build_pip(workspace: Path, name: str, source: dict[str, Any]) -> dict[str, Any]:
    """Install the SDK in an environment of its own and let it describe itself."""
    home = workspace / name
    venv.create(home, with_pip=True)
    python = home / INTERPRETER
    wanted = [f"{source['package']}=={source['version']}", *source.get("also", [])]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    question = json.dumps({"omit": source.get("omit", []), "ids": source["ids"]})
    command = [python, paths.TOOL / "python_types.py"]
    done = subprocess.run(command, input=question, check=True, stdout=subprocess.PIPE, text=True)
    written = write(name, json.loads(done.stdout), origin(source))
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    original = Path(where.stdout.strip()) / source["file"]
    return manifest.record(source, "python_types.py", original, written)


def build(chosen: set[str], files: dict[str, Path]) -> int:
    sources = paths.sources()
    known = (set(sources["npm"]) - {"tools"}) | set(sources["pip"])
    if unknown := chosen - known - set(facts.providers()) | (set(files) - set(sources["file"])):
        raise SystemExit(f"unknown provider {', '.join(sorted(unknown))}: see sources.yaml and facts/")
    if files and not chosen:
        chosen = {"nothing else"}
    with tempfile.TemporaryDirectory() as folder:
        records = build_npm(Path(folder), sources["npm"], (chosen or known) & known)
        for name, source in sources["pip"].items():
            if not chosen or name in chosen:
                records[name] = build_pip(Path(folder), name, source)
    records |= {name: build_document(name, sources["file"][name], file) for name, file in files.items()}
    facts.write_all()
    manifest.write(records)
    return check()


def check() -> int:
    problems = manifest.problems()
    for problem in problems:
        print(problem)
    print(f"{len(manifest.schema_files())} native schemas, {len(problems)} problems")
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.native_schemas", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="download, convert, write (needs npm and pip)")
    builder.add_argument(
        "provider", nargs="*", help="only these; default: all that a registry holds; or PROVIDER=FILE"
    )
    commands.add_parser("check", help="are the files what the manifest says? (no network)")
    arguments = parser.parse_args()
    if arguments.command == "check":
        return check()
    named = dict(part.split("=", 1) for part in arguments.provider if "=" in part)
    chosen = {part for part in arguments.provider if "=" not in part}
    return build(chosen, {name: Path(file) for name, file in named.items()})


if __name__ == "__main__":
    sys.exit(main())
