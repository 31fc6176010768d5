"""A whole Arrow over one Redis: jobs, ledger and what is learned in one server, files in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from execution_arrow import Arrow, AsyncArrow, Status
from execution_arrow.cli import main
from execution_arrow.errors import StoreNotDurable
from execution_arrow.sandbox import Sandbox
from tests.execution_arrow.arrow.conftest import options
from tests.ledger_fortress.redis.servers import RedisServer

PROMPT = {"generation_prompt": "a lighthouse"}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer("--appendfsync", "always")
    yield server
    server.close()


def test_one_process_makes_and_another_works(box: Sandbox, server: RedisServer, tmp_path: Path):
    """The maker waits and is told of the end by the worker's commit; reports find everything in order."""
    more = {**options(box), "artifacts": tmp_path / "files"}

    async def both() -> None:
        async with (
            AsyncArrow.open(server.url, worker=True, **more),
            AsyncArrow.open(server.url, **more) as maker,
        ):
            await maker.ledger.grant("acct", "1", key="start", create=True)
            started = await maker.generate("bfl/flux-schnell", PROMPT, account="acct", idempotency_key="one")
            again = await maker.generate("bfl/flux-schnell", PROMPT, account="acct", idempotency_key="one")
            assert again.id == started.id
            done = await maker.wait(started.id, timeout=30)
            assert done.status is Status.SUCCEEDED
            assert (await maker.usage()).generations == 1
            assert await maker.reconcile() == ()
            assert await maker.delete(done.id)
            assert (await maker.ledger.verify()).ok

    asyncio.run(both())
    assert main(["migrate", "--data", server.url]) == 0
    assert main(["list", "--data", server.url, "--artifacts", str(tmp_path)]) == 0


def test_jobs_alone_may_be_in_a_redis_and_one_that_forgets_is_refused(
    box: Sandbox, server: RedisServer, tmp_path: Path
):
    with server.client() as client:
        client.config_set("appendfsync", "everysec")
        try:
            with pytest.raises(StoreNotDurable, match="CONFIG SET appendfsync always"):
                Arrow.open(tmp_path, jobs=server.url).start()
            accepted = f"{server.url}?accept_duplicate_submits=1&name=aside"
            with Arrow.open(tmp_path, jobs=accepted, **options(box)) as arrow:
                arrow.ledger.grant("acct", "1", key="start", create=True)
                done = arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)
                assert done.status is Status.SUCCEEDED
            assert not (tmp_path / "arrow.db").exists()
            assert client.exists("{aside}:meta")
        finally:
            client.config_set("appendfsync", "always")
