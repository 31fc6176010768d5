"""What is learned of the providers outlives a process and is shared with others, in the same place as the
jobs; where that place is away, generations go on without it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptive_island import Attempt, Island, Outcome
from execution_arrow import Arrow, Status
from execution_arrow.cli import main
from execution_arrow.errors import ArrowError
from execution_arrow.sandbox import Sandbox
from execution_arrow.wiring import migrate
from tests.execution_arrow.arrow.conftest import options
from tests.services import postgres_server

MODEL, REQUEST = "bytedance/seedream-4.5", {"generation_prompt": "a lighthouse"}


@pytest.fixture(params=["folder", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    if request.param == "folder":
        yield str(tmp_path / "data"), tmp_path / "data"
        return
    with postgres_server().schema() as url:
        yield url, tmp_path / "files"


def until(found: Any) -> None:
    for _ in range(500):
        if found():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def known(island: Island, provider: str) -> float:
    """How many attempts the island knows of, by its own lights."""
    island.rank(MODEL, (provider,))  # news are asked for from the first question on
    return sum(one.attempts for one in island.health().providers if one.provider == provider)


def test_what_one_process_learned_the_next_one_knows(place: tuple[str, Path]):
    """A hundred failures of one provider: whoever opens the same place ranks it last."""
    where, files = place
    with Arrow.open(where, artifacts=files, migrate=True) as arrow:
        for number in range(100):
            arrow.island.record(
                Attempt(id=f"a{number}", model=MODEL, provider="byteplus", outcome=Outcome.FAILED)
            )
    with Arrow.open(where, artifacts=files) as later:
        until(lambda: known(later.island, "byteplus") > 50)
        assert later.estimate(MODEL, REQUEST).quotes.keys() == {"byteplus", "replicate", "fal"}
        assert list(later.estimate(MODEL, REQUEST).quotes)[-1] == "byteplus"


def test_a_generation_teaches(tmp_path: Path, box: Sandbox):
    with Arrow.open(tmp_path, **options(box)) as arrow:
        arrow.ledger.grant("acct", "1", key="start", create=True)
        done = arrow.generate_and_wait(MODEL, REQUEST, account="acct", timeout=60)
        provider = done.attempts[0].provider
    with Arrow.open(tmp_path) as later:
        until(lambda: known(later.island, provider) > 0.5)


def test_a_store_of_the_island_that_is_away_is_told_once_and_is_in_nobodys_way(
    tmp_path: Path, box: Sandbox, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, logger="adaptive_island")
    with Arrow.open(tmp_path, island="redis://127.0.0.1:1/0", **options(box)) as arrow:
        arrow.ledger.grant("acct", "1", key="start", create=True)
        for _ in range(3):
            done = arrow.generate_and_wait(MODEL, REQUEST, account="acct", timeout=60)
            assert done.status is Status.SUCCEEDED
        until(lambda: arrow.island.health().last_error)
    assert len(caplog.records) == 1


def test_a_database_without_the_islands_tables_works_and_migrate_makes_them(
    tmp_path: Path, box: Sandbox, caplog: pytest.LogCaptureFixture
):
    """It was made by a version before: jobs and ledger are all that is needed."""
    caplog.set_level(logging.WARNING, logger="adaptive_island")
    with postgres_server().schema() as url:
        migrate(url)
        with postgres_server().connect(url, autocommit=True) as connection:
            connection.execute("DROP TABLE island CASCADE")
        more = {"artifacts": tmp_path, **options(box)}
        with Arrow.open(url, **more) as arrow:
            arrow.ledger.grant("acct", "1", key="start", create=True)
            done = arrow.generate_and_wait(MODEL, REQUEST, account="acct", timeout=60)
            assert done.status is Status.SUCCEEDED
            until(lambda: "migrate" in arrow.island.health().last_error)
        with postgres_server().connect(url, autocommit=True) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
                "AND tablename LIKE 'island%'"
            ).fetchall()
            for (name,) in names:
                connection.execute(f"DROP TABLE {name} CASCADE".encode())
        assert main(["migrate", "--data", url]) == 0
        with Arrow.open(url, **more) as arrow:
            arrow.island.rank(MODEL, ("fal",))
            until(lambda: arrow.island.health().store_age is not None)


def test_a_url_that_names_no_store_is_refused_at_once(tmp_path: Path):
    with pytest.raises(ValueError, match="no store for 'mongodb://x'"):
        Arrow.open(tmp_path, island="mongodb://x").start()
    with pytest.raises(ArrowError):
        migrate("postgresql://nobody@127.0.0.1:1/nothing")
