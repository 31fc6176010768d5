"""Write schemas/*.v1.json, the JSON Schemas (2020-12) of the published documents: `make schemas`.

Each package's `documents.py` is the one source: its `PUBLISHED` maps a versioned name such as
`attempt.v1` to the pydantic model. Within a version a schema may not change what it accepts; a change
that does is a new version beside the old one.
"""

import argparse
import importlib
import importlib.util
import json
import sys
from typing import Any

from pydantic import TypeAdapter

from tools.packages import PACKAGES, ROOT

__all__ = ["FOLDER", "published", "render"]

FOLDER = ROOT / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> dict[str, Any]:
    """Return every published document of the four packages: versioned name to pydantic model or type."""
    found: dict[str, Any] = {}
    for package in PACKAGES:
        name = f"{package}.documents"
        if importlib.util.find_spec(package) is None or importlib.util.find_spec(name) is None:
            continue
        for document, model in importlib.import_module(name).PUBLISHED.items():
            if document in found:
                raise ValueError(f"{document} is published twice, the second time by {name}")
            found[document] = model
    return found


def render(document: str, model: Any) -> str:
    """Return the schema file's text: what a reader of JSON must accept, keys in a stable order."""
    schema = TypeAdapter(model).json_schema(mode="validation")
    head = {
        "$schema": DIALECT,
        "$id": f"urn:babysea-primitives:{document}",
        "$comment": "Generated from the package's documents.py by `make schemas`.",
    }
    return json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write all schemas, or with --check say which are not current."""
    parser = argparse.ArgumentParser(prog="python -m tools.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not current")
    check = parser.parse_args().check
    stale = []
    for document, model in sorted(published().items()):
        path, text = FOLDER / f"{document}.json", render(document, model)
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, "utf-8")
    print(f"{'stale' if check else 'written'}: {', '.join(stale) or 'none, all are current'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
