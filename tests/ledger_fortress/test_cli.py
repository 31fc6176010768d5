"""The command line: readable, scriptable, and with exit codes that mean something."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import Ledger
from ledger_fortress.cli import main


@pytest.fixture
def url(tmp_path: Path) -> str:
    where = f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(where) as ledger:
        ledger.grant("a", 10, key="in", source="plan", expires=datetime(2200, 1, 1, tzinfo=UTC), create=True)
        ledger.reserve("a", 4, key="h1", timeout=1e-6, on_timeout="report")
        ledger.reserve("a", 1, key="h2")
        ledger.open_account("b", key="o")
    return where


def lines(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[Any]:
    assert main([*arguments, "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_lines(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, "accounts", url) == [
        {"account": "a", "available": "5.000000", "held": "5.000000", "debt": "0.000000"},
        {"account": "b", "available": "0.000000", "held": "0.000000", "debt": "0.000000"},
    ]
    total, plan = lines(capsys, "balance", url, "a")
    assert total == {"source": "all", "available": "5.000000", "held": "5.000000", "debt": "0.000000"}
    assert (plan["source"], plan["expires"]) == ("plan", "2200-01-01T00:00:00+00:00")
    page = lines(capsys, "statement", url, "a", "--after", "1", "--limit", "2")
    assert [(row["version"], row["kind"], row["amount"]) for row in page] == [
        (2, "grant", "10.000000"),
        (3, "reserve", "4.000000"),
    ]
    assert [row["key"] for row in lines(capsys, "open-holds", url)] == ["h1", "h2"]
    assert [row["key"] for row in lines(capsys, "open-holds", url, "a", "--overdue")] == ["h1"]
    proof = {"ok": True, "entries": 5, "accounts": 2, "checked": ["chain", "sums", "seals"]}
    assert lines(capsys, "verify", url) == [proof]
    assert lines(capsys, "verify", url, "b") == [proof | {"entries": 1, "accounts": 1}]
    assert lines(capsys, "migrate", url) == [{"schema": "current", "url": url}]


def test_plain_columns(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open-holds", url]) == 0
    head, first, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["account", "key", "amount", "deadline", "overdue", "on_timeout"]
    assert first.split()[:3] == ["a", "h1", "4.000000"]
    assert first.split()[-2:] == ["yes", "report"]
    assert main(["balance", url, "a"]) == 0
    assert "plan" in capsys.readouterr().out


def test_a_problem_is_exit_code_one(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    raw.execute("UPDATE ledger_account SET available = 6000000 WHERE account = 'a'")
    raw.close()
    proof, problem = lines(capsys, "verify", url, code=1)
    assert not proof["ok"]
    assert "stored available is 6000000" in problem["problem"]


def test_refusals_and_mistakes(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code, words, *arguments in (
        (1, "unknown_account", "balance", url, "nobody"),
        (2, "does not exist", "verify", f"sqlite:///{tmp_path}/typo.db"),
        (2, "cannot be reached", "verify", "postgresql://127.0.0.1:1/x"),
        (2, "names no ledger", "verify", "credits.db"),
        (2, "limit is from 1", "statement", url, "a", "--limit", "0"),
    ):
        assert main([str(argument) for argument in arguments]) == code
        assert str(words) in capsys.readouterr().err
    assert not (tmp_path / "typo.db").exists()
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2


def test_it_runs_as_a_module_and_without_rich(url: str) -> None:
    code = "import sys; sys.modules['rich'] = None; from ledger_fortress.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", url],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split() == ["ok", "entries", "accounts", "checked"]
    assert row.split() == ["yes", "5", "2", "chain,", "sums,", "seals"]
