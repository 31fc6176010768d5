"""The command line over an attempt log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptive_island import Attempt, Island, Outcome
from adaptive_island.cli import main
from adaptive_island.documents import AttemptV1, parse_attempt, parse_ranking
from adaptive_island.testing import FakeClock
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


def test_a_store_is_a_source_and_a_place_to_publish(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/island.db"
    assert main(["health", url]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert main(["migrate", url]) == 0
    assert main(["learn", log, "--write", url]) == 0
    assert MODEL in capsys.readouterr().out
    with Island.open(url, clock=FakeClock(1_750_000_200.0)) as island:
        for line in Path(log).read_text("utf-8").splitlines():
            if line:
                island.record(parse_attempt(line))
        island.refresh()
        assert island.health().rankings == 1
    assert main(["export", url]) == 0
    exported = capsys.readouterr().out
    assert sorted(exported.split()) == sorted(Path(log).read_text("utf-8").split())
    assert main(["explain", url, MODEL, "byteplus", "fal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["provider"] == "fal"


def test_replay_counts_where_it_agrees(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", log, "--order", "fastest", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    was, fastest = answer["policies"]
    assert (was["policy"], fastest["policy"]) == ("as it was", "fastest")
    assert was["attempts"] == 4, "with one provider known there was nothing to choose"
    assert fastest["attempts"] < was["attempts"], "after failures it would have asked the other"
    assert answer["caveats"]
    assert main(["replay", log, "--order", "fastets"]) == 1
    assert main(["replay", log, "--set", "optimism=0.1"]) == 0
    assert main(["replay", log, "--set", "hope=0.1"]) == 1


def test_simulate_is_deterministic_and_beats_the_order_that_never_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulate", "--providers", "3", "--regime", "S7", "--seed", "3", "--json"]
    assert main([*command, "--plot", str(tmp_path / "regret.svg")]) == 0
    first = capsys.readouterr().out
    island, static = json.loads(first)
    assert island["regret_per_1000"] < 0.2 * static["regret_per_1000"]
    assert "<svg" in (tmp_path / "regret.svg").read_text("utf-8")
    assert main(command) == 0
    assert capsys.readouterr().out == first


def test_simulate_takes_a_world_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = tmp_path / "world.json"
    one = {"name": "one", "success": 0.99, "seconds": 5, "dollars": 0.03}
    change = {"provider": "one", "from": 10, "success": 0.05}
    world.write_text(json.dumps({"providers": [one, {**one, "name": "two"}], "changes": [change]}))
    assert main(["simulate", "--world", str(world), "--json"]) == 0
    island, static = json.loads(capsys.readouterr().out)
    assert island["regret_per_1000"] < 0.2 * static["regret_per_1000"]


@pytest.mark.parametrize(
    ("world", "complaint"),
    [
        ("{", "in JSON"),
        ("[]", "in JSON"),
        ('{"providers": [{"name": "a"}]}', r"providers[0]: success is missing"),
        ('{"providers": [{"success": 1}]}', r"providers[0]: a provider has a name"),
        ('{"providers": [{"name": "a", "success": 2}]}', "success cannot be 2"),
        ('{"providers": [{"name": "a", "sucess": 1}]}', "there is no 'sucess'"),
        ('{"providers": []}', "at least two providers"),
    ],
)
def test_worlds_that_make_no_sense(
    world: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "world.json"
    path.write_text(world)
    assert main(["simulate", "--world", str(path)]) == 1
    assert complaint in capsys.readouterr().err


def test_a_picture_of_a_log(log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "pictures" / "ranking.png"
    assert main(["plot", log, MODEL, str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["plot", log, "no/model", str(picture)]) == 1
    assert main(["plot", log, MODEL, str(picture), "--order", "fastets"]) == 1
    assert "choose" in capsys.readouterr().err
