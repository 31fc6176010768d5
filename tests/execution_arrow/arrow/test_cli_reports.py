"""`execution-arrow usage | reconcile | delete` over a folder with one generation in it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from execution_arrow.cli import main
from execution_arrow.documents import FindingV1, UsageV1
from execution_arrow.sandbox import Sandbox
from ledger_fortress import Ledger
from tests.execution_arrow.arrow.conftest import Opener
from tests.execution_arrow.arrow.test_generations import SCHNELL, fund


@pytest.fixture
def generation(box: Sandbox, open_arrow: Opener) -> str:
    async def make() -> str:
        async with open_arrow() as arrow:
            await fund(arrow)
            request = {"generation_prompt": "counted", "generation_provider_order": "replicate"}
            return (await arrow.generate_and_wait(SCHNELL, request, account="acct", timeout=30)).id

    return asyncio.run(make())


def test_the_reports_of_a_folder(generation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert main(["usage", *data]) == 0
    told = capsys.readouterr().out
    assert "1 generations in 30 days, charged 0.003000" in told
    assert "replicate" in told
    assert main(["usage", *data, "--json"]) == 0
    usage = UsageV1.model_validate_json(capsys.readouterr().out)
    assert [(one.provider, one.used) for one in usage.providers] == [("replicate", 1)]
    assert main(["reconcile", *data]) == 0
    assert "nothing to look at" in capsys.readouterr().out
    with Ledger.open(f"sqlite:///{tmp_path / 'data' / 'ledger.db'}") as ledger:
        ledger.reserve("acct", "0.5", key="somebody-elses", timeout=60, on_timeout="report")
    assert main(["reconcile", *data, "--json"]) == 1
    finding = FindingV1.model_validate_json(capsys.readouterr().out)
    assert (finding.trouble, finding.detail) == ("hold_without_generation", "somebody-elses")
    assert main(["reconcile", *data]) == 1
    assert "another program's hold" in capsys.readouterr().out
    assert main(["delete", *data, generation, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"id": generation, "erased": True}
    assert main(["get", *data, generation, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"] == {}
    assert main(["delete", *data, "gen_none"]) == 1


def test_a_worker_is_told_where_providers_call_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever submits names the address; a worker that knows none leaves the callbacks out."""
    assert main(["worker", "--data", str(tmp_path), "--public-url", "ftp://media.example.com"]) == 1
    assert "public_url: must be an http(s) address" in capsys.readouterr().err
