"""The simulated disk: what a copy holds, and what a process that goes dark leaves behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from execution_arrow.stores.base import Append, Claim, Create, Inboxed, JobStore
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from tests.simulation.copies import restore, snapshot
from tests.simulation.storage import Disk, Weather


def create(name: str) -> Create:
    return Create(
        id=name, account="a", model="m", status="pending", spec="{}", state="{}", created_at=0.0, next_at=0.0
    )


def names(store: JobStore) -> list[str]:
    return [row.id for row in store.page(None, None, None, 100)]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_copy_that_was_taken_before_the_first_write_is_an_empty_store(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "arrow.db")
    before = snapshot(store)
    store.apply([create("g-1")])
    assert names(store) == ["g-1"]  # the connection that read this is the one that reads the restored file
    restore(store, before)
    assert names(store) == []
    store.apply([create("g-2")])
    assert names(store) == ["g-2"]
    store.close()


def test_a_dark_machine_keeps_what_was_asked_to_be_durable_and_what_was_written_before_it() -> None:
    now = 100.0
    disk = Disk(MemoryStore(lambda: now), Weather(random.Random(1)), keep_durable=True)
    fact = Inboxed(generation="g-1", attempt="", dedup="d", body={"kind": "UserCancel"}, at=0.0)
    disk.apply([create("g-1"), create("g-2")])
    disk.apply([Claim(owner="w", seconds=9.0, ids=("g-2",))])  # loose, and carried by the next durable write
    disk.apply([Append(fact=fact)])
    disk.apply([Claim(owner="w", seconds=9.0, ids=("g-1",))])  # loose, and nothing comes after it
    disk.power_loss()
    rows = {row.id: row for row in disk.store.page(None, None, None, 10)}
    assert (rows["g-2"].owner, rows["g-1"].owner) == ("w", None)
    assert [inboxed.dedup for inboxed in rows["g-1"].inbox] == ["d"]
    disk.apply([Claim(owner="w", seconds=9.0, ids=("g-1",))])
    disk.power_loss()  # the copy was not changed by what came after it
    loaded = disk.store.load("g-1")
    assert loaded is not None
    assert loaded.owner is None
