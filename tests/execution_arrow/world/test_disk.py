"""A full disk: calls are refused by name, what was under way waits, and nothing is lost or paid twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.errors import ArtifactRetry, NotSentError
from execution_arrow.facts import Stored
from execution_arrow.providers.base import Call
from execution_arrow.sandbox import Sandbox
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeLedger, FakeProvider, FakeTransport, fake_parts
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.arrow.conftest import PROVIDERS, box, listening
from tests.execution_arrow.pains.kit import run
from tests.execution_arrow.world.hand import SHORT, HandClock, live

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


@run
async def test_no_room_for_results_ends_in_words_and_not_in_bills(tmp_path: Path) -> None:
    """The folder of results is gone for good: one provider was paid, and the next one is not."""
    clock, transport, ledger = HandClock(), FakeTransport(), FakeLedger()
    named = {name: FakeProvider(name) for name in ("one", "two", "three")}
    keep = NoRoom(tmp_path / "artifacts")
    ports = {"clock": clock, "transport": transport, "holds": ledger, "artifacts": keep}
    made = fake_parts(named, tmp_path, store=MemoryStore(clock.now), **ports)
    async with AsyncArrow(made, policy=SHORT) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        done = await live(arrow, clock, started.id)
    assert done.status is Status.FAILED
    assert "could not be kept" in done.error
    assert "No space left" in done.error
    assert len(transport.submits()) == 1
    assert ledger.settled == {done.id: ("release", 0)}


class NoRoom(FolderArtifacts):
    """A folder on a disk that is full."""

    async def copy(self, url: str, *, index: int, kind: str, headers: Any = None) -> Stored:
        shutil.rmtree(self.folder / "partial", ignore_errors=True)
        (self.folder / "partial").symlink_to("/dev/full/nowhere")
        try:
            return await self.put(b"x" * 100, index=index, kind=kind)
        except ArtifactRetry as error:
            raise ArtifactRetry("No space left on device", ours=error.ours) from error
        finally:
            (self.folder / "partial").unlink()


@run
async def test_what_could_not_be_kept_is_not_bought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synchronous answer is the result: without room for it the call does not leave, which is certain."""
    transport = HttpxTransport()
    call = Call(method="POST", url="http://127.0.0.1:9/run")
    full = type("usage", (), {"free": 1000})
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: full)
        with pytest.raises(NotSentError, match="no room for the answer"):
            await transport.send(call, spool=tmp_path / "spool" / "a.reply")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotSentError, match="could not be kept"):
        await transport.send(call, spool=tmp_path / "file" / "a.reply")
    with pytest.raises(NotSentError, match="Connect"):  # with room it is tried
        await transport.send(call, spool=tmp_path / "spool" / "a.reply")
    await transport.aclose()
