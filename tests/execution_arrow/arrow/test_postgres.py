"""A whole Arrow over one PostgreSQL: jobs and ledger in one database, files in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

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
