"""The scripts of examples/ are run as they are, in an empty folder; services and batches are used."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from execution_arrow.cli import main
from execution_arrow.sandbox import Sandbox, Timing
from ledger_fortress import Ledger
from tools.packages import ROOT

EXAMPLES = ROOT / "examples"
FILES = [
    path for path in sorted(EXAMPLES.glob("*.*")) if path.suffix in (".py", ".sh") and path.stat().st_size
]
USED = {"cli_batch.sh", "django_celery.py", "fastapi_service.py"}  # by the tests below
ALONE = {"mapping_official_clients.py"}  # its clients read the environment once, when they are imported
SCRIPTS = [path for path in FILES if path.name not in USED]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_runs(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asserts what it promises."""
    if script.name in ALONE:
        done = python([str(script)], tmp_path)
        assert done.returncode == 0, done.stderr
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # what it sets is its own
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_it_is_short(file: Path) -> None:
    lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) < 60


def python(words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def listening() -> Iterator[Sandbox]:
    with Sandbox(timing=Timing(queue=0.01, image=0.05)) as box:
        yield box


@pytest.fixture
def funded(tmp_path: Path, listening: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an account, and a sandbox for whoever reads SANDBOX."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SANDBOX", listening.url)
    (tmp_path / "media-data").mkdir()
    with Ledger.open("sqlite:///media-data/ledger.db") as ledger:
        ledger.grant("acct_1", "1", key="in", create=True)
    return tmp_path


def test_the_fastapi_service(funded: Path) -> None:
    from fastapi.testclient import TestClient

    from examples.fastapi_service import app

    mine, url = {"X-Account": "acct_1", "Idempotency-Key": "order-1"}, "/generations/bfl/flux-schnell"
    with TestClient(app) as client:
        made = client.post(url, headers=mine, json={"generation_prompt": "a lighthouse"})
        assert (made.status_code, made.json()["status"]) == (202, "pending")
        again = client.post(url, headers=mine, json={"generation_prompt": "a lighthouse"})
        assert again.json()["id"] == made.json()["id"]
        other = client.post(url, headers=mine, json={"generation_prompt": "a pier"})
        assert (other.status_code, other.json()["code"]) == (409, "BSE2015")
        wrong = client.post(url, headers={"X-Account": "acct_1"}, json={"generation_ratio": "17:9"})
        assert (wrong.status_code, len(wrong.json()["issues"])) == (400, 2)
        for _ in range(1000):
            shown = client.get(f"/generations/{made.json()['id']}", headers=mine).json()
            if shown["status"] not in ("pending", "processing"):
                break
            time.sleep(0.05)
        assert (shown["status"], len(shown["files"])) == ("succeeded", 1)
        foreign = client.get(f"/generations/{made.json()['id']}", headers={"X-Account": "acct_2"})
        assert foreign.status_code == 404
        assert client.post("/hooks/fal/guessed", content=b"{}").status_code == 404


def test_django_and_celery(funded: Path) -> None:
    """In a process of its own, because settings are a process's."""
    done = python(
        [
            "-c",
            textwrap.dedent("""
            import json
            from celery.contrib.testing.worker import start_worker
            from django.test import Client
            from examples import django_celery as example

            ask = {"model": "bfl/flux-schnell", "request": {"generation_prompt": "a lighthouse"}}
            with start_worker(example.app, perform_ping_check=False, pool="solo"):
                client = Client(headers={"Idempotency-Key": "order-1"})
                made = client.post("/generations", ask, content_type="application/json")
                again = client.post("/generations", ask, content_type="application/json")
                assert made.status_code == 202 and made.json()["id"] == again.json()["id"]
                ask["request"] = {}
                wrong = client.post("/generations", ask, content_type="application/json")
                assert (wrong.status_code, wrong.json()["code"]) == (409, "BSE2015")
                found = example.arrow().wait(made.json()["id"], timeout=60)
            example.arrow().close()
            print(json.dumps([found.status, str(found.charged)]))
            """),
        ],
        funded,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["succeeded", "0.003000"]


def test_a_batch_is_made_once(funded: Path, listening: Sandbox) -> None:
    """A line that was made before is not made again; one that is refused does not stop the others."""
    Path("prompts.txt").write_text(' \na "quoted" lighthouse\n')
    asked = ("bfl/flux-schnell", 'generation_prompt=a "quoted" lighthouse', "--account", "acct_1")
    assert main(["generate", *asked, "--key", "prompts.txt-2", "--sandbox", listening.url]) == 0
    programs = funded / "bin"
    programs.mkdir()
    program = f'#!/bin/sh\nexec "{sys.executable}" -m execution_arrow.cli "$@"\n'
    (programs / "execution-arrow").write_text(program)
    (programs / "execution-arrow").chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    before = len(listening.calls())
    command = [str(shutil.which("sh")), str(EXAMPLES / "cli_batch.sh"), "prompts.txt", "acct_1"]
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "1 of 2 lines failed")
    (made,) = map(json.loads, Path("results.jsonl").read_text("utf-8").splitlines())
    assert (made["status"], made["idempotency_key"]) == ("succeeded", "prompts.txt-2")
    assert len(listening.calls()) == before
