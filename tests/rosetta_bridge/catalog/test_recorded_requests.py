"""What the official clients really sent, beside what we send for the same wish: every difference has a
reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from rosetta_bridge import Catalog

FOLDER = Path(__file__).parent / "recorded"
FILES = sorted(FOLDER.glob("*.json"))


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two JSON values differ; null means left out, as some clients spell it."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from differences(theirs.get(key), ours.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}.{index}".lstrip("."))
    elif theirs != ours or isinstance(theirs, bool) != isinstance(ours, bool):
        yield path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_differs_from_the_official_client_only_with_a_reason(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    model = Catalog.shipped(include="secondary")[case["model"]]
    payload = model.render(model.normalize(case["request"]), case["provider"])
    assert set(differences(case["recorded"]["body"], payload.body)) == set(case["differences"])
    assert all(case["differences"].values()), "a difference needs its reason"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_same_endpoint(file: Path) -> None:
    """Theirs may have a base path (version, account) before ours and percent-encode slashes."""
    case = json.loads(file.read_text(encoding="utf-8"))
    model = Catalog.shipped(include="secondary")[case["model"]]
    payload = model.render(model.normalize(case["request"]), case["provider"])
    assert payload.method == case["recorded"]["method"]
    assert unquote(urlsplit(case["recorded"]["path"]).path).endswith(payload.path)


def test_there_is_something_to_compare() -> None:
    assert {json.loads(f.read_text(encoding="utf-8"))["provider"] for f in FILES} >= {
        "byteplus", "cloudflare", "fal", "replicate",
    }  # fmt: skip
