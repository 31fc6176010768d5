"""Rows that older versions wrote are read, told to go on, and written anew.

`rows.v<n>.jsonl` holds rows as the version that shipped schema n wrote them, with what they meant. They are
never written again: a new schema adds a file.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from execution_arrow.machine import due, next_at
from execution_arrow.machine.codec import SCHEMA, UPCASTERS, dump_spec, dump_state, load_run, load_spec
from execution_arrow.machine.state import Run, Terms
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, T0, make_run

STORED = [
    pytest.param(json.loads(line), id=f"{path.name}: {json.loads(line)['name']}")
    for path in sorted(Path(__file__).parent.glob("rows.v*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", STORED)
def test_an_old_row_means_what_it_meant(row: dict[str, Any]) -> None:
    run = load_run(load_spec(row["spec"]), row["state"])
    owed = run.settlement
    assert (run.phase, run.status, run.winner) == (row["phase"], row["status"], row["winner"])
    assert [attempt.state for attempt in run.attempts] == row["attempts"]
    assert (owed and [owed.verb, owed.amount, owed.done, owed.stuck]) == row["settlement"]
    at = next_at(run, EPOCH)
    assert at is None or due(run, at, EPOCH)
    spec, state = dump_spec(run.spec), dump_state(run)
    assert json.loads(spec)["v"] == json.loads(state)["v"] == SCHEMA
    assert load_run(load_spec(spec), state) == run


def test_every_schema_has_rows_or_is_the_present_one_and_a_way_up() -> None:
    kept = {json.loads(param.values[0]["state"])["v"] for param in STORED}
    assert kept == set(UPCASTERS) == set(range(1, SCHEMA))


def test_a_row_of_a_newer_version_is_left_alone_by_name() -> None:
    newer = json.dumps({**json.loads(dump_state(make_run())), "v": SCHEMA + 1})
    with pytest.raises(ValueError, match="newer version"):
        load_run(make_run().spec, newer)


def test_defaults_are_part_of_the_schema() -> None:
    """A row leaves out what is at its default. A default that changes would change rows that lie there."""
    assert dataclasses.asdict(Policy()) == {
        "on_unknown": "failover", "unknown_patience": None, "max_unknown_per_generation": 1,
        "on_overdue": "failover", "attempt_deadline": None, "generation_deadline": None, "hedge_after": None,
        "retry_here_within": 5.0, "retries_here": 2, "cancel_patience": 15.0, "empty_patience": 60.0,
        "collect_deadline": 900.0, "write_off_after": 259_200.0, "charge_on_cancel": False,
        "charge_on_moderation": False, "keep_discarded": False,
    }  # fmt: skip
    assert dataclasses.asdict(Terms()) == {
        "sync": False, "deadline": 300.0, "poll_every": 1.0, "patience": 0.0, "lookup": False,
        "webhook": False, "cancel": False, "cancel_erases": False, "cancel_free": False,
        "billed": frozenset(), "renewed_for": 0.0,
    }  # fmt: skip
    fresh = dataclasses.asdict(Run(spec=make_run().spec))
    assert {name for name, value in fresh.items() if value} == {"spec", "phase"}


def test_the_rows_of_a_story_are_small() -> None:
    """A few hundred bytes of state: what is written with every change."""
    assert len(dump_state(dataclasses.replace(make_run(), started_at=T0))) < 100
