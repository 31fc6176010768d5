"""A full disk: calls are refused by name, what was under way waits, and nothing is lost or paid twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from execution_arrow.sandbox import Sandbox
from tests.execution_arrow.arrow.conftest import PROVIDERS, box, listening

__all__ = ["box", "listening"]
ROOT = Path(__file__).resolve().parents[3]
ORDERS = ("replicate, fal", "fal, cloudflare", "cloudflare, replicate")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize(("what", "after"), [("stores", 0.0), ("stores", 0.3), ("everything", 0.05)])
def test_a_full_disk_loses_nothing_and_pays_nothing_twice(
    box: Sandbox, tmp_path: Path, what: str, after: float
) -> None:
    before = len(box.calls())
    plan = {
        "urls": {name: box.base_url(name) for name in PROVIDERS},
        "environment": box.environment(),
        "orders": ORDERS,
        "what": what,
        "after": after,
    }
    command = [sys.executable, "-m", "tests.execution_arrow.world.full_child", str(tmp_path / "data")]
    done = subprocess.run([*command, json.dumps(plan)], cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-3000:]
    saw: dict[str, Any] = json.loads(done.stdout)
    assert saw["refused"], "the disk was never full"
    for error in saw["refused"]:
        assert "full" in error
        assert "repeat it with the same key" in error or "nothing was changed" in error
    assert saw["listed"] == len(saw["statuses"]) == 12  # one generation per key, whatever was repeated
    assert set(saw["statuses"]) == {"succeeded"}, saw
    submits = Counter(call.reference for call in box.calls()[before:] if call.on == "submit")
    assert max(submits.values()) == 1
    assert set(submits) <= {attempt for attempts in saw["ids"] for attempt in attempts}
    assert (saw["held"], saw["verified"]) == (0, True)
    assert saw["available"] == 5_000_000 - saw["charged"]
