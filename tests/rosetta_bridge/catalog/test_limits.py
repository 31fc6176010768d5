"""What each route takes less than the public contract: a committed listing, so narrowing shows in a diff.

`UPDATE_LIMITS=1 python -m pytest tests/rosetta_bridge/catalog/test_limits.py` rewrites `limits.json`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from rosetta_bridge import Catalog

LISTING = Path(__file__).parent / "limits.json"


def test_the_listing_of_derived_limits_is_current() -> None:
    catalog = Catalog.shipped(include="secondary")
    derived = {name: catalog[name].limits() for name in catalog.models()}
    text = json.dumps(derived, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_LIMITS"):
        LISTING.write_text(text, encoding="utf-8")
    assert json.loads(LISTING.read_text(encoding="utf-8")) == derived, (
        f"see {Path(__file__).name} to rewrite it"
    )
