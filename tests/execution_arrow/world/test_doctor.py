"""`execution-arrow doctor`: each thing that is wrong is named, with what to type."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import cli
from execution_arrow import facts as f
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.codec import dump_spec, dump_state
from execution_arrow.machine.state import Run
from execution_arrow.reports.doctor import LOW_DISK, NO_DISK, Finding, examine
from execution_arrow.stores.base import Row
from tests.execution_arrow.machine.build import T0, Story, make_run, outputs, stored
from tests.execution_arrow.world.hand import KEYS


class Shelf:
    """A job store that is only read."""

    def __init__(self, *runs: Run, **row: Any) -> None:
        given = {"owner": "w", "owner_until": 9e9, "next_at": T0, "created_at": T0, **row}
        self.rows = [
            Row(id=run.spec.id, account="acct", key=None, spec=dump_spec(run.spec), state=dump_state(run),
                version=1, epoch=1, **given)
            for run in runs
        ]  # fmt: skip

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        return [] if after else self.rows


def look(
    tmp_path: Path,
    shelf: Any,
    *,
    after: float = 0.0,
    keys: Any = KEYS,
    books: Callable[[], Sequence[object]] = list,
) -> list[Finding]:
    return examine(shelf, tmp_path, EnvironmentCredentials(keys), ("fal", "replicate"), T0 + after, books)


def worst(found: list[Finding]) -> str:
    assert all(finding.todo for finding in found if finding.level != "ok")
    return f"{found[0].level} {found[0].what}"


def settling() -> Run:
    story = Story(make_run()).held()
    job = story.live("job")
    story.tell(f.Succeeded(outputs=outputs()), job)
    story.tell(stored(), job)
    return story.run


def test_nothing_is_wrong(tmp_path: Path):
    found = look(tmp_path, Shelf(make_run()))
    assert {finding.level for finding in found} == {"ok"}
    assert "1 generations under way, all of them attended" in {finding.what for finding in found}


def test_nobody_works(tmp_path: Path):
    for alone in ({"owner": None}, {"owner_until": T0}):  # never claimed, or by somebody who died
        said = worst(look(tmp_path, Shelf(make_run(), **alone), after=7200.0))
        assert said == "bad 1 generations are due for up to 2 hours, and nobody works on them"


def test_late_generations_and_a_ledger_that_is_away(tmp_path: Path):
    running = Story(make_run()).held().run
    assert "should have ended" in worst(look(tmp_path, Shelf(running), after=1000.0))
    assert "wait for the ledger" in worst(look(tmp_path, Shelf(settling()), after=61.0))


def test_doubt_is_told_and_asks_for_nothing(tmp_path: Path):
    story = Story(make_run()).held()
    story.tell(f.Ambiguous(), story.plan("sync"))
    found = look(tmp_path, Shelf(story.run))
    assert {finding.level for finding in found} == {"ok"}
    assert any("nobody knows" in finding.what for finding in found)


def test_a_refused_settlement_is_named(tmp_path: Path):
    """However many generations are younger: it is found among what is unfinished."""
    story = Story(make_run())
    story.run = settling()
    story.tell(f.SettleRefused(reason="key_conflict"))
    assert worst(look(tmp_path, Shelf(story.run))) == "bad 1 settlements were refused by the ledger: gen_1"


def test_rows_of_a_newer_version(tmp_path: Path):
    shelf = Shelf(make_run())
    shelf.rows = [replace(shelf.rows[0], state='{"v":99}')]
    assert worst(look(tmp_path, shelf)) == "bad unreadable rows: gen_1"


def test_stores_that_do_not_answer(tmp_path: Path):
    def gone(*_: object) -> Any:
        raise StoreUnavailable("disk I/O error", maybe_applied=False)

    shelf = Shelf()
    shelf.unfinished = gone  # type: ignore[method-assign]
    assert "the job store does not answer: disk I/O error" in worst(look(tmp_path, shelf))
    assert "the ledger does not answer" in worst(look(tmp_path, Shelf(), books=gone))
    assert "1 things for a person" in worst(look(tmp_path, Shelf(), books=lambda: ["overdue hold"]))


@pytest.mark.parametrize(("free", "level"), [(NO_DISK - 1, "bad"), (LOW_DISK - 1, "look"), (LOW_DISK, "ok")])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str):
    usage = type("usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert look(tmp_path, Shelf())[0].level == level


def test_keys(tmp_path: Path):
    assert worst(look(tmp_path, Shelf(), keys={})) == "look no provider has a key here"
    some = look(tmp_path, Shelf(), keys={"FAL_KEY": "k"})
    assert any(finding.what == "passed over for want of a key: REPLICATE_API_TOKEN" for finding in some)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, capsys: Any):
    assert cli.main(["doctor", "--data", str(tmp_path / "typo")]) == 1
    assert "--data" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()
