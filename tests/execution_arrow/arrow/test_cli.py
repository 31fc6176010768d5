"""`execution-arrow` against the sandbox: what is printed where, and exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from execution_arrow.cli import main
from execution_arrow.cli.showing import Progress
from execution_arrow.credentials import SETTINGS, VARIABLES
from execution_arrow.documents import GenerationV1
from execution_arrow.record import view
from execution_arrow.sandbox import Fault, Sandbox
from ledger_fortress import Ledger
from tests.execution_arrow.arrow.conftest import box, listening
from tests.execution_arrow.machine.build import Story, make_run
from tools.packages import ROOT

__all__ = ["box", "listening"]
SCHNELL, PROMPT = "bfl/flux-schnell", "generation_prompt=a lighthouse"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command in a folder with a funded account; exit code, output, error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "rich", None)  # the extra `cli` is for others
    Path("media-data").mkdir()
    with Ledger.open("sqlite:///media-data/ledger.db") as ledger:
        ledger.grant("acct", 1, key="in", create=True)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(list(words))
        except SystemExit as error:
            code = int(error.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def generate(run: Run, box: Sandbox) -> Run:
    def generate(*words: str) -> tuple[int, str, str]:
        return run("generate", SCHNELL, PROMPT, "--account", "acct", "--sandbox", box.url, *words)

    return generate


def available() -> str:
    with Ledger.open("sqlite:///media-data/ledger.db") as ledger:
        return str(ledger.balance("acct"))


def test_a_generation_from_request_to_file(generate: Run, run: Run) -> None:
    """The result on one stream, what happens on the other; the same key is the same generation."""
    code, out, err = generate("--key", "order-1")
    assert code == 0
    assert "succeeded   bfl/flux-schnell  charged 0.003000  replicate:used" in out
    assert Path(out.splitlines()[1].split()[0]).is_file()
    assert "pending" in err.splitlines()[0]
    code, again, err = generate("--key", "order-1", "--json")
    assert (code, err) == (0, "")
    assert GenerationV1.model_validate_json(again).id == out.split()[0]
    assert len(run("list", "--json")[1].splitlines()) == 1


def test_a_request_from_a_file(generate: Run, run: Run, box: Sandbox) -> None:
    """Words after the file have the last word."""
    Path("asked.json").write_text('{"generation_prompt": "from a file", "generation_ratio": "1:1"}')
    where = ("--account", "acct", "--sandbox", box.url, "--json")
    words = ("generation_prompt=2024", "generation_output_number=2")  # a text that looks like a number
    _, out, _ = run("generate", SCHNELL, "@asked.json", *words, *where)
    request = json.loads(out)["request"]
    assert (request["generation_prompt"], request["generation_output_number"]) == ("2024", 2)
    assert "did you mean" in run("generate", "bfl/flux-snell", PROMPT, *where)[2]
    Path("asked.json").write_text("[]")
    code, _, err = run("generate", SCHNELL, "@asked.json", *where)
    assert (code, err) == (2, "execution-arrow: @asked.json: must hold one JSON object\n")
    assert run("generate", SCHNELL, "a lighthouse", *where)[0] == 2


def test_a_price_without_a_generation(generate: Run, run: Run) -> None:
    code, out, _ = generate("--dry-run")
    assert (code, out.split("  ")[:2]) == (0, [SCHNELL, "at most 0.003000"])
    assert json.loads(generate("--dry-run", "--json")[1])["quotes"]["fal"]["price"] == "0.003000"
    assert (run("list")[1], available()) == ("", "1.000000 available, 0.000000 held")


def test_without_any_key_nothing_begins(run: Run) -> None:
    """The variables of all that could do it are named; the rest of the catalogue's is not."""
    code, _, err = run("generate", SCHNELL, PROMPT, "--account", "acct")
    assert code == 1
    for variable in ("REPLICATE_API_TOKEN", "FAL_KEY", "CLOUDFLARE_API_TOKEN"):
        assert variable in err
    assert "ARK_API_KEY" not in err
    assert (run("list")[1], available()) == ("", "1.000000 available, 0.000000 held")


def test_one_key_is_enough_and_an_address_may_be_given(
    run: Run, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLES["replicate"], "r8_made_up")
    assert not any(os.environ.get(name) for name in SETTINGS["cloudflare"].values())
    code, out, _ = run(
        *("generate", SCHNELL, PROMPT, "--account", "acct"),
        *("--base-url", f"replicate={box.base_url('replicate')}"),
    )
    assert code == 1  # results at a loopback address are refused, unless it is a sandbox's
    assert "replicate:failed" in out
    assert "missing_credentials: no API key for 'fal': set the environment variable FAL_KEY" in out
    assert any(call.on == "submit" for call in box.calls("replicate"))
    assert run("generate", SCHNELL, PROMPT, "--account", "acct", "--base-url", "nonsense")[0] == 1


def test_whoever_looks_in_the_wrong_place_is_told(run: Run) -> None:
    """And no empty folder is left there."""
    for words in (["list"], ["get", "gen_1"], ["usage"], ["reconcile"], ["doctor"]):
        code, _, err = run(*words, "--data", "media-dta")
        assert (code, "no folder media-dta" in err) == (1, True)
    assert not Path("media-dta").exists()


def test_what_is_refused_says_all_of_it(run: Run) -> None:
    code, out, err = run("generate", SCHNELL, "generation_pompt=x", "--account", "acct", "--json")
    told = json.loads(err)
    assert (code, out, told["error"], told["http_status"], len(told["issues"])) == (
        1,
        "",
        "RequestRejected",
        400,
        2,
    )
    code, _, err = run("generate", SCHNELL, PROMPT, "--account", "nobody", "--no-wait")
    assert code == 1
    assert "made by its first grant" in err


def test_not_finished_yet(generate: Run, run: Run, box: Sandbox) -> None:
    """Exit code 3 with the line to type; that line ends it."""
    code, _, err = generate("--timeout", "0")
    assert code == 3
    line = next(line for line in err.splitlines() if line.startswith("to go on: execution-arrow "))
    code, out, _ = run(*line.split()[4:], "--sandbox", box.url, "--quiet")
    assert (code, out.split()[1]) == (0, "succeeded")
    assert generate("--no-wait")[1].split()[1] == "pending"


def test_a_failure_shows_every_attempt(generate: Run, box: Sandbox) -> None:
    box.fault("replicate", Fault("moderation"))
    code, out, _ = generate()
    assert code == 1
    assert "replicate  failed  failed" in out
    assert "charged 0.000000" in out


def test_a_reader_that_has_seen_enough_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `execution-arrow list | head -1` does to it."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["doctor"]) == 0


@contextmanager
def beside(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that runs until it is told to stop, and its first line."""
    command = [sys.executable, "-m", "execution_arrow.cli", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            yield program, program.stdout.readline()
        finally:
            program.send_signal(signal.SIGTERM)
    assert program.returncode == 0


def test_a_sandbox_and_a_worker_beside(run: Run) -> None:
    """One terminal plays the providers, one works; on SQLite one process writes at a time."""
    with beside("sandbox", "--port", "0", "--json", "--fault", "replicate=never_finishes") as (_, told):
        place = ("--account", "acct", "--sandbox", json.loads(told)["url"], "--no-wait", "--json")
        slow = json.loads(run("generate", SCHNELL, PROMPT, *place)[1])["id"]
        made = json.loads(run("generate", SCHNELL, PROMPT, "generation_provider_order=fal", *place)[1])["id"]
        with beside("worker", "--json", "--transport", "aiohttp", *place[2:4]) as (_, first):
            assert GenerationV1.model_validate_json(first).id == made
        assert run("cancel", slow, *place[2:4])[0] == 0
        assert run("wait", slow, *place[2:4])[0] == 1
        assert json.loads(run("get", slow, "--json")[1])["status"] == "canceled"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_line_that_is_rewritten() -> None:
    shown = Terminal()
    progress = Progress(shown)
    story = Story(make_run()).held()
    progress.tell(view(story.run, 1, None, lambda key: None))
    progress.tell(view(story.run, 2, None, lambda key: None))
    progress.end()
    assert shown.getvalue().count("\n") == 0
    assert shown.getvalue().count("\r\033[K") == 3
    assert shown.getvalue().endswith("\r\033[K")
