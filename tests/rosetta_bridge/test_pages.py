"""The pages about mapping: the guide's commands run as they stand, the table of models is current."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.contracts.test_docs import blocks, write_files
from tools import models_page
from tools.packages import ROOT

GUIDE = ROOT / "docs" / "bridge" / "add-a-model.md"


def test_the_steps_of_the_guide(tmp_path: Path) -> None:
    """Each command of "add a model" answers yes, in a folder that holds what the page says it holds."""
    write_files(GUIDE, tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    told = {}
    for _line, body in blocks(GUIDE, "console"):
        for command in body.removeprefix("$ ").rstrip().split("\n$ "):
            program, *arguments = shlex.split(command)
            assert program == "rosetta-bridge"
            done = subprocess.run(
                [sys.executable, "-m", "rosetta_bridge.cli", *arguments],
                cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}: {done.stderr}"
            told[arguments[0]] = done.stdout
    assert set(told) == {"check", "explain", "render", "estimate"}
    assert "replicate: not eligible: generation_output_number" in told["explain"]
    assert "landscape_16_9" in told["render"]
    assert "0.030000" in told["estimate"]


def test_the_table_of_models_is_current() -> None:
    """After a change of the catalogue: `python -m tools.models_page`."""
    assert models_page.PAGE.read_text("utf-8") == models_page.render()


def test_the_counts_that_are_promised() -> None:
    text = models_page.PAGE.read_text("utf-8")
    lines = [row for line in text.splitlines() if len(row := line.replace("**", "").split(" | ")) == 7][1:]
    providers: dict[str, set[str]] = {}
    proved = set()
    for model, _, provider, _, proof, *_ in lines:
        providers.setdefault(model, set()).add(provider)
        if "proved" in proof:
            proved.add(model)
    assert len(providers) >= 100
    assert len({model.split("/")[0] for model in providers}) >= 16
    assert len(set.union(*providers.values())) == 8
    assert len(proved) >= 83
    assert sum(len(found) > 1 for found in providers.values()) >= 60
