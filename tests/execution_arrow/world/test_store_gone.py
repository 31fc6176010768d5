"""Stores that go away: a refusal that says what to do, nothing lost, and on it goes when they are back."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, Status
from execution_arrow.errors import StoreUnavailable
from execution_arrow.sandbox import Fault, Sandbox
from tests.execution_arrow.arrow.conftest import Opener, box, listening, open_arrow, options
from tests.execution_arrow.pains.kit import QUICK, SCHNELL, ask, followed, fund, of, run
from tests.services import PostgresServer, postgres_server

__all__ = ["box", "listening", "open_arrow"]


@pytest.mark.parametrize("name", ["arrow.db", "ledger.db"])
@run
async def test_a_file_that_is_removed_is_not_written_on(
    box: Sandbox, open_arrow: Opener, tmp_path: Path, name: str
):
    """Writing to a file that has lost its name looks well and is gone with the process."""
    folder, away = tmp_path / "data", tmp_path / "away"
    away.mkdir()
    box.fault("replicate", Fault("slow", seconds=1.0, times=1))
    async with open_arrow(worker=True, limits=QUICK) as arrow:
        await fund(arrow)
        started = await arrow.generate(SCHNELL, ask("replicate"), account="acct")
        await asyncio.sleep(0.3)
        for file in folder.glob(f"{name}*"):
            shutil.move(file, away)
        with pytest.raises(StoreUnavailable, match="removed or replaced") as caught:
            await arrow.generate(SCHNELL, ask("replicate"), account="acct", idempotency_key="k")
        assert name in str(caught.value)
        await asyncio.sleep(1.5)  # the provider is done, and nobody can write it down
        assert not (folder / name).exists(), "an empty file was made in its place"
        for file in away.iterdir():
            shutil.move(file, folder)
        done = await followed(arrow, started.id)
        again = await arrow.generate_and_wait(
            SCHNELL, ask("replicate"), account="acct", idempotency_key="k", timeout=30
        )
        assert (done.status, again.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
        assert len(of(done, box.calls())) == len(of(again, box.calls())) == 1
        assert (await arrow.ledger.verify()).ok
        assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000 - 6_000


@pytest.mark.parametrize("name", ["arrow.db", "ledger.db"])
@run
async def test_another_file_in_its_place_is_not_written_to(
    box: Sandbox, open_arrow: Opener, tmp_path: Path, name: str
):
    """Somebody has put a copy back while the service ran: old money must not meet new work."""
    folder = tmp_path / "data"
    async with open_arrow() as arrow:
        await fund(arrow)
        await arrow.generate(SCHNELL, ask("replicate"), account="acct")
        shutil.copy(folder / name, tmp_path / "copy")
        os.replace(tmp_path / "copy", folder / name)
        with pytest.raises(StoreUnavailable, match="restart"):
            await arrow.generate(SCHNELL, ask("replicate"), account="acct")


READ_ONLY = """
import os, sys
from execution_arrow import Arrow
from execution_arrow.errors import StoreUnavailable
with Arrow.open(sys.argv[1] + "-warm") as arrow:  # whatever is imported later may be root's to read
    arrow.ledger.grant("acct", "5", key="k", create=True)
    arrow.generate("bfl/flux-schnell", {"generation_prompt": "x"}, account="acct")
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    arrow = Arrow.open(sys.argv[1])
    arrow.generate("bfl/flux-schnell", {"generation_prompt": "x"}, account="acct")
except StoreUnavailable as error:
    print(error)
"""


def test_a_folder_without_permission_is_named(box: Sandbox, tmp_path: Path):
    folder = tmp_path / "data"
    with Arrow.open(folder, **options(box)) as arrow:
        arrow.ledger.grant("acct", "5", key="k", create=True)
        arrow.generate(SCHNELL, ask("replicate"), account="acct")
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.owner() == folder.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o111)  # pytest keeps its folders to itself
    try:
        command = [sys.executable, "-c", READ_ONLY, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
    assert str(folder) in done.stdout, done.stderr
    assert "nothing was changed" in done.stdout or "repeat it with the same key" in done.stdout


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    postgres_server()  # skips where there is none
    server = PostgresServer()
    yield server
    server.close()


@run
async def test_a_ledger_server_that_is_stopped(box: Sandbox, open_arrow: Opener, own_server: Any):
    """New work is refused by name; what is under way waits with its verdict, and is charged once."""
    box.fault("replicate", Fault("slow", seconds=1.0, times=1))
    with own_server.schema() as url:
        from ledger_fortress import Ledger

        Ledger.open(url, migrate=True).close()
        async with open_arrow(worker=True, limits=QUICK, ledger=url) as arrow:
            await fund(arrow)
            started = await arrow.generate(SCHNELL, ask("replicate"), account="acct")
            await asyncio.to_thread(own_server.stop)
            with pytest.raises(StoreUnavailable, match="ledger"):
                await arrow.generate(SCHNELL, ask("replicate"), account="acct", idempotency_key="k")
            for _ in range(200):
                if (now := await arrow.get(started.id)).decided_at is not None:
                    break
                await asyncio.sleep(0.05)
            assert not now.done  # decided, and not told as paid before it is
            await asyncio.to_thread(own_server.start)
            done = await followed(arrow, started.id)
            assert (done.status, str(done.charged)) == (Status.SUCCEEDED, "0.003000")
            again = await arrow.generate_and_wait(
                SCHNELL, ask("replicate"), account="acct", idempotency_key="k", timeout=40
            )
            assert again.status is Status.SUCCEEDED
            assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000 - 6_000
            assert (await arrow.ledger.verify()).ok
