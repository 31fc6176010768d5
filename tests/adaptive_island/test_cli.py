"""The command line over an attempt log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptive_island import Attempt, Outcome
from adaptive_island.cli import main
from adaptive_island.documents import AttemptV1, parse_ranking
from tests.adaptive_island.kit import MODEL


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Ten good attempts at fal and four failures at byteplus, newest first."""
    lines = []
    for n in range(14):
        good = n < 10
        attempt = Attempt(
            id=f"a{n}",
            model=MODEL,
            provider="fal" if good else "byteplus",
            outcome=Outcome.USED if good else Outcome.FAILED,
            seconds=4.0,
            at=1_750_000_000.0 + 10 * n,
        )
        lines.append(AttemptV1.of(attempt).model_dump_json())
    path = tmp_path / "attempts.jsonl"
    path.write_text("\n".join(reversed(lines)) + "\n\n", encoding="utf-8")
    return str(path)


def test_explain_replays_the_log_in_its_own_time(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log, MODEL, "byteplus", "fal", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["provider"], second["provider"]) == ("fal", "byteplus")
    assert second["breaker"] == "open", "the four failures were the last thing that happened"


def test_tables_for_people(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", log]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["provider", "region", "status"]
    assert [row.split()[:3] for row in rows] == [["byteplus", "us", "degraded"], ["fal", "us", "healthy"]]


def test_learn_prints_a_ranking(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", log, MODEL]) == 0
    assert parse_ranking(capsys.readouterr().out).providers_ranked == ["fal", "byteplus"]
    assert main(["learn", log, "other/model"]) == 1
    assert "nothing to rank" in capsys.readouterr().err
    assert main(["learn", log, MODEL, "--order", "fastets"]) == 1


def test_check_names_file_line_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": 7}\n', encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert f"{path}:1: $.id" in capsys.readouterr().out
    assert main(["explain", str(path), MODEL, "fal"]) == 1
    assert f"{path}:1: " in capsys.readouterr().err


def test_a_log_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "/nowhere/at/all"]) == 1
    assert "give a UTF-8 file" in capsys.readouterr().err


def test_a_line_ends_at_a_line_feed_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON text may hold other line separators as they are; they do not cut a document in two."""
    attempt = Attempt(
        id="a\u2028b\x85c", model=MODEL, provider="fal", outcome=Outcome.USED, at=1_750_000_000.0
    )
    path = tmp_path / "attempts.jsonl"
    path.write_text(AttemptV1.of(attempt).model_dump_json() + "\r\n", encoding="utf-8", newline="")
    assert main(["check", str(path)]) == 0, capsys.readouterr().out
