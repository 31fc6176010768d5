"""Every command of the command line: what it prints, and what its exit code says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import Ledger, Refused
from ledger_fortress.cli import main
from ledger_fortress.documents import parse_alert, parse_entry, parse_event


@pytest.fixture
def url(tmp_path: Path) -> str:
    """One account with an overdue hold, a low balance, a late charge that was refused, and a member."""
    where = f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(where) as ledger:
        ledger.grant("a", 10, key="in", source="plan", create=True)
        ledger.set_alert("a", "low", 6, key="al")
        ledger.set_member("a", "ann", 5, key="m")
        ledger.reserve("a", 4, key="h1", timeout=1e-6, on_timeout="report")
        ledger.reserve("a", 2, key="h2", timeout=1e-6, member="ann")
        with pytest.raises(Refused):
            ledger.charge("a", "h2")
        ledger.reserve("a", 1, key="h3", member="ann")
        ledger.charge("a", "h3")
    return where


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def run(*arguments: str, code: int = 0) -> list[Any]:
        assert main([*arguments, "--json"]) == code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run  # type: ignore[return-value]


def test_statement_selects_and_shapes(url: str, lines: Any) -> None:
    everything = lines("statement", url, "a", "--all")
    assert [row["version"] for row in everything] == list(range(1, len(everything) + 1))
    assert [row["version"] for row in lines("statement", url, "a", "--limit", "3", "--after", "2")] == [
        3,
        4,
        5,
    ]
    kinds = lines("statement", url, "a", "--kind", "grant", "--kind", "charge")
    assert [row["kind"] for row in kinds] == ["grant", "charge"]
    assert [row["key"] for row in lines("statement", url, "a", "--key", "in")] == ["in"]
    assert {row["hold"] for row in lines("statement", url, "a", "--hold", "h3")} == {"h3"}
    assert lines("statement", url, "a", "--until", "2000-01-01") == []
    assert lines("statement", url, "a", "--since", "2000-01-01T00:00:00+02:00", "--all") == everything
    entries = [json.dumps(row) for row in lines("statement", url, "a", "--as", "entry")]
    events = [json.dumps(row) for row in lines("statement", url, "a", "--as", "event")]
    assert [parse_entry(text).hash.hex() for text in entries] == [parse_event(text).id for text in events]


def test_balance_then(url: str, lines: Any) -> None:
    assert lines("balance", url, "a", "--at", "2")[0]["available"] == "10.000000"
    assert lines("balance", url, "a", "--at", "2000-01-01")[0]["available"] == "0.000000"


def test_reconcile_calls_a_person(url: str, lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines("reconcile", url, code=1)
    assert [(row["trouble"], row["key"]) for row in found] == [("overdue", "h1"), ("unpaid", "h2")]
    assert main(["reconcile", url]) == 1
    assert "charge or release" in capsys.readouterr().out
    with Ledger.open(url) as ledger:
        ledger.charge("a", "h1")
        ledger.charge("a", "h2", on_missing="debt", key="again")
    assert lines("reconcile", url, "a", "--since", "2200-01-01", "--stuck-after", "1") == []
    assert main(["reconcile", url, "nobody"]) == 1


def test_alerts_until_they_are_acknowledged(url: str, lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = [parse_alert(json.dumps(row)) for row in lines("alerts", url)]
    assert [alert.type for alert in told] == [
        "credit.low_balance",
        "credit.late_refused",
        "credit.low_balance",
    ]
    assert main(["alerts", url, "a", "--limit", "1", "--ack"]) == 0
    assert "name low" in capsys.readouterr().out
    assert len(lines("alerts", url, "--ack")) == 2
    assert lines("alerts", url) == []


def test_a_member(url: str, lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = lines("member", url, "a", "ann")
    assert (row["limit"], row["spent"], row["held"], row["until"]) == (
        "5.000000",
        "1.000000",
        "0.000000",
        None,
    )
    assert main(["member", url, "a", "bob"]) == 2
    assert "no limit" in capsys.readouterr().err


def test_out_and_in_again(url: str, lines: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exported, imported into a new ledger, the same digest; a file that exists is never overwritten."""
    lines("sweep", url)
    lines("seal", url)
    path = tmp_path / "out.jsonl"
    assert lines("export", url, "--output", str(path)) == [{"file": str(path), "bytes": path.stat().st_size}]
    assert main(["export", url]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(path.read_text("utf-8").splitlines())
    copy = f"sqlite:///{tmp_path}/copy.db"
    assert main(["import", copy, str(path)]) == 2
    assert not (tmp_path / "copy.db").exists()
    (done,) = lines("import", copy, str(path), "--create")
    assert (done["accounts"], done["fresh"]) == (1, done["entries"])
    (digest,) = lines("digest", copy)
    assert [digest] == lines("digest", url) == [{"digest": done["digest"]}]
    assert lines("verify", copy)[0]["ok"]
    assert main(["export", url, "--output", str(path)]) == 2
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]))
    assert main(["import", f"sqlite:///{tmp_path}/third.db", str(path), "--create"]) == 1
    assert "not whole" in capsys.readouterr().err


def test_seals_and_sweeps(url: str, lines: Any) -> None:
    assert lines("sweep", url) == [{"written": 0}]
    (first,), (second,) = lines("seal", url), lines("seal", url)
    assert (first["number"], second["number"], first["accounts"]) == (1, 2, 1)
    assert first["hash"] != second["hash"]


def test_times_that_are_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["statement", url, "a", "--since", "yesterday"])
    assert left.value.code == 2
    assert "2026-11-01T12:00:00Z" in capsys.readouterr().err


def on_a_terminal(*arguments: str, hide: str = "") -> str:
    """What a person sees: both outputs are a terminal."""
    code = f"import sys; {hide}; from ledger_fortress.cli import main; sys.exit(main())"
    ours, theirs = pty.openpty()
    environment = {"PYTHONPATH": ":".join(sys.path), "TERM": "xterm", "COLUMNS": "120"}
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65_536):
            seen += part
    except OSError:  # the other side of the terminal is closed
        pass
    os.close(ours)
    assert child.wait(60) == 0, seen.decode()
    return seen.decode()


@pytest.mark.parametrize("hide", ["pass", "sys.modules['rich'] = None"])
def test_a_terminal_with_and_without_rich(url: str, hide: str) -> None:
    """The same rows; a key that looks like markup is shown as it is."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1, key="[red]x[/red]")
    seen = on_a_terminal("statement", url, "a", hide=hide)
    assert "[red]x[/red]" in seen
    assert ("\x1b[1m" in seen) == (hide == "pass")


def test_progress_is_for_people(tmp_path: Path) -> None:
    """On a terminal a long import counts; in a pipe nothing but the result is printed."""
    where = f"sqlite:///{tmp_path}/big.db"
    with Ledger.open(where) as ledger:
        ledger.grant("a", 10, key="in", create=True)
    seen = on_a_terminal("verify", where, hide="import ledger_fortress.progress as p; p.STEP = 1")
    assert "verifying: 1 rows" in seen
    assert "verifying: 2 rows" in seen
    piped = subprocess.run(
        [sys.executable, "-m", "ledger_fortress.cli", "verify", where],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (piped.returncode, piped.stderr) == (0, "")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """`ledger-fortress export ... | head` ends quietly."""
    where = f"sqlite:///{tmp_path}/big.db"
    with Ledger.open(where) as ledger:
        for number in range(400):
            ledger.grant("a", 1, key=f"in{number}", create=True)
    command = f"{sys.executable} -m ledger_fortress.cli export {where} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]},
    )
    assert json.loads(done.stdout)["row"] == "head"
    assert done.stderr == ""
