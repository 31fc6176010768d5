"""docs/runbook.md, command by command: each is run in the situation that its part is about.

Commands are lines that begin with `$ `; the lines below one must appear in its output, in that order, where
`…` is any text and `$ID` the generation's id. Addresses of providers are the sandbox's, all else is as typed.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Policy, cli
from execution_arrow.sandbox import Fault, Sandbox
from ledger_fortress import cli as ledger_cli
from tests.execution_arrow.arrow.conftest import box, listening, options

__all__ = ["box", "listening"]
RUNBOOK = (Path(__file__).resolve().parents[3] / "docs" / "runbook.md").read_text("utf-8")
SCHNELL, SEEDREAM = "bfl/flux-schnell", "bytedance/seedream-4.5"
FAILS = ("execution-arrow doctor",)  # says by its exit code that something is wrong


def opened(box: Sandbox, **more: Any) -> Arrow:
    arrow = Arrow.open("media-data", **{**options(box), **more})
    arrow.ledger.grant("acct_1", "5", key="hello", create=True)
    return arrow


def ask(providers: str) -> dict[str, str]:
    return {"generation_prompt": "a lighthouse", "generation_provider_order": providers}


def healthy(box: Sandbox) -> str:
    with opened(box) as arrow:
        return arrow.generate_and_wait(SCHNELL, ask("replicate"), account="acct_1").id


def nobody_works(box: Sandbox) -> str:
    with opened(box) as arrow:
        generation_id = arrow.generate(SCHNELL, ask("replicate"), account="acct_1").id
    with sqlite3.connect("media-data/arrow.db") as file:  # the night has passed
        file.execute("UPDATE generations SET next_at = next_at - 4 * 3600")
    file.close()
    return generation_id


def provider_down(box: Sandbox) -> str:
    box.fault("byteplus", "down")
    with opened(box) as arrow:
        return arrow.generate_and_wait(SEEDREAM, ask("byteplus, replicate"), account="acct_1").id


def store_down(box: Sandbox) -> str:
    generation_id = healthy(box)
    Path("media-data/arrow.db").write_bytes(b"not a database any more" * 400)
    return generation_id


def settlement_stuck(box: Sandbox) -> str:
    with opened(box) as arrow:
        started = arrow.generate(SCHNELL, ask("replicate"), account="acct_1")
        arrow.advance(started.id)  # the provider works on it
        arrow.ledger.charge("acct_1", started.id, "0.001")  # by hand, and in the way
        return arrow.wait(started.id, timeout=30).id


def asked_twice(box: Sandbox) -> str:
    box.fault("fal", Fault("lost_reply", times=1))
    with opened(box, policy=Policy(unknown_patience=0.1)) as arrow:
        return arrow.generate_and_wait(SCHNELL, ask("fal, replicate"), account="acct_1").id


PARTS: dict[str, Callable[[Sandbox], str]] = {
    "Runbook": healthy,
    "A job is stuck": nobody_works,
    "A provider is down": provider_down,
    "A store is down": store_down,
    "A settlement is stuck": settlement_stuck,
    "A customer was charged twice": asked_twice,
}


def parts() -> dict[str, str]:
    pieces = re.split(r"^##? (.+)$", RUNBOOK, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that are shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for piece in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = piece.rstrip("\n").split("\n")
            yield command, shown


def test_every_part_is_run() -> None:
    assert list(parts()) == list(PARTS)
    for name, text in parts().items():
        assert list(commands(text)), f"{name} types nothing"
        for word in ("**You see**", "**It means**", "**Type**", "**It is over**"):
            assert name == "Runbook" or word in text, f"{name} does not say: {word}"


@pytest.mark.parametrize("part", PARTS)
def test_what_the_runbook_types_says_what_the_runbook_says(
    part: str, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    generation_id = PARTS[part](box)
    real = AsyncArrow.open.__func__  # type: ignore[attr-defined]
    wired = classmethod(lambda cls, where, **more: real(cls, where, **{**options(box), **more}))
    monkeypatch.setattr(AsyncArrow, "open", wired)
    for command, shown in commands(parts()[part]):
        capsys.readouterr()
        code, said = run(command.replace("$ID", generation_id), capsys)
        wrong = any(line.startswith(("bad", "look")) for line in shown)
        assert code == (1 if wrong else 0), f"{command}: {code}\n{said}"
        check(said, [line.replace("$ID", generation_id) for line in shown], command)


def run(command: str, capsys: Any) -> tuple[int, str]:
    program, *arguments = shlex.split(command)
    mains = {"execution-arrow": cli.main, "ledger-fortress": ledger_cli.main}
    if program not in mains:
        done = subprocess.run([program, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout
    code = mains[program](arguments)
    return code, capsys.readouterr().out


def check(said: str, shown: list[str], command: str) -> None:
    lines = iter(said.splitlines())
    for wanted in shown:
        pattern = r"\s+".join(re.escape(word).replace("…", ".*?") for word in wanted.split())
        assert any(re.fullmatch(rf"\s*{pattern}\s*", line) for line in lines), (
            f"{command} does not say {wanted!r} (any more), or not in this place:\n{said}"
        )
