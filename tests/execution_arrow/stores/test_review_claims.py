"""An idle worker asks twice a second; the answer must not cost more with every generation that has ended."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores import sqlite_ops, sqlite_outgoing
from execution_arrow.stores.base import Claim, Done, Release
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing.steps import ManualClock, created_by, loaded


@pytest.mark.parametrize("query", ["_ORPHANS", "_TOLD", "_DUE", "_LATER"])
def test_no_question_of_a_claim_reads_the_whole_history(tmp_path: Path, query: str):
    SqliteStore(tmp_path / "a.db").apply([created_by()])
    with sqlite3.connect(tmp_path / "a.db") as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {getattr(sqlite_ops, query)}", {"now": 1.0, "limit": 1, "owner": "w"}
        ).fetchall()
    connection.close()
    steps = [row[3] for row in plan]
    whole = [step for step in steps if step in ("SCAN generations", "SCAN g", "SCAN facts", "SCAN f")]
    assert steps
    assert not whole, steps


@pytest.mark.parametrize("query", ["POST_WANTED", "POST_ONLY", "ENDPOINT"])
def test_no_event_and_no_report_reads_everybodys_endpoints(tmp_path: Path, query: str):
    SqliteStore(tmp_path / "a.db").apply([created_by()])
    statement = getattr(sqlite_outgoing, query).replace("?", ":id")
    names = ("id", "only", "account", "subject", "no", "type", "at", "settled", "body")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", dict.fromkeys(names, 1)).fetchall()
    connection.close()
    steps = [row[3] for row in plan]
    assert any("SEARCH endpoints" in step for step in steps), steps
    assert not any("SCAN endpoints" in step for step in steps), steps


def test_what_cannot_be_bound_is_a_store_error_and_takes_nobody_along(tmp_path: Path):
    """The writer then repeats the others one by one."""
    store = SqliteStore(tmp_path / "a.db")
    with pytest.raises(StoreUnavailable) as caught:
        store.apply([created_by("gen_1"), created_by("gen_2", account="\ud800")])
    assert caught.value.maybe_applied is False
    (done,) = store.apply([Release(owner="w", rows=[])])
    assert isinstance(done, Done)
    store.apply([created_by("gen_1", spec=json.dumps({"text": "\ud800"}))])
    assert loaded(store).id == "gen_1"
    store.close()


def test_a_claim_costs_no_sync_of_its_own(tmp_path: Path):
    """Row, hold and attempt are the three before the bytes leave; an idle worker's look is none at all."""
    clock = ManualClock()
    store = SqliteStore(tmp_path / "a.db", clock=clock)
    store.apply([created_by()])
    before = store.syncs
    store.apply([Claim(owner="w", seconds=10, limit=9)])
    clock.now += 100
    store.apply([Claim(owner="w", seconds=10, limit=9)])
    assert loaded(store).owner == "w"
    assert store.syncs == before
    store.close()
