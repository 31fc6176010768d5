"""A whole Arrow over one PostgreSQL: jobs and ledger in one database, files in a folder."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Status
from execution_arrow.cli import main
from execution_arrow.errors import SchemaOutdated
from execution_arrow.sandbox import Sandbox
from tests.execution_arrow.arrow.conftest import options
from tests.services import postgres_server

PROMPT = {"generation_prompt": "a lighthouse"}


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server().schema() as url:
        yield url


def test_nothing_is_made_unless_asked_and_the_command_is_named(url: str, tmp_path: Path):
    with pytest.raises(SchemaOutdated, match="migrate"):
        Arrow.open(url, artifacts=tmp_path).start()
    assert main(["migrate", "--data", url]) == 0
    assert main(["migrate", "--data", url]) == 0
    assert main(["list", "--data", url, "--artifacts", str(tmp_path)]) == 0


def test_files_need_a_folder(url: str):
    with pytest.raises(ValueError, match="artifacts="):
        AsyncArrow.open(url)


def test_one_process_makes_and_another_works(box: Sandbox, url: str, tmp_path: Path):
    """The maker waits and is told of the end by the worker's commit."""
    more = {**options(box), "artifacts": tmp_path / "files"}

    async def both() -> None:
        async with (
            AsyncArrow.open(url, migrate=True, worker=True, **more),
            AsyncArrow.open(url, **more) as maker,
        ):
            await maker.ledger.grant("acct", "1", key="start", create=True)
            started = await maker.generate("bfl/flux-schnell", PROMPT, account="acct", idempotency_key="one")
            again = await maker.generate("bfl/flux-schnell", PROMPT, account="acct", idempotency_key="one")
            assert again.id == started.id
            done = await maker.wait(started.id, timeout=30)
            assert done.status is Status.SUCCEEDED
            assert done.files[0].path is not None
            assert (await maker.ledger.verify()).ok

    asyncio.run(both())


def _list_in_a_child(url: str, folder: str, results: Any) -> None:
    with Arrow.open(url, artifacts=folder) as arrow:
        results.put(len(arrow.list()))


def test_a_spawned_process_opens_its_own(url: str, tmp_path: Path):
    with Arrow.open(url, artifacts=tmp_path, migrate=True) as arrow:
        assert arrow.list() == []
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        child = context.Process(target=_list_in_a_child, args=(url, str(tmp_path), results))
        child.start()
        assert results.get(timeout=60) == 0
        child.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_gets_connections_of_its_own_and_the_parent_keeps_its(
    box: Sandbox, url: str, tmp_path: Path
):
    """Also while the parent listens, and with what the parent had open when it forked."""
    more = {**options(box), "artifacts": tmp_path / "files"}
    with Arrow.open(url, migrate=True, **more) as arrow:
        arrow.ledger.grant("acct", "1", key="start", create=True)
        done = arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)
        pid = os.fork()
        if pid == 0:
            try:
                same = arrow.get(done.id) == done
                arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)
                os._exit(0 if same else 2)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(arrow.list()) == 2
        arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)


def test_three_loops_one_after_the_other_over_one_database(box: Sandbox, url: str, tmp_path: Path):
    more = {**options(box), "artifacts": tmp_path / "files", "migrate": True}

    async def one(number: int) -> str:
        async with AsyncArrow.open(url, **more) as arrow:
            if not number:
                await arrow.ledger.grant("acct", "1", key="start", create=True)
            done = await arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)
            return done.id

    assert len({asyncio.run(one(number)) for number in range(3)}) == 3
