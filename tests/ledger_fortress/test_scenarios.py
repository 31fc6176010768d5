"""The readable histories, over both stores; and the runner, on histories that are wrong."""

from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.testing import FakeClock, ScenarioFailed, run_scenario

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path, kind: str, tmp_path: Path) -> None:
    clock = FakeClock()
    url = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(url, clock=clock) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reserve a 1 key=h -> applied", "bad:2: reserve a 1 key=h\n  expected applied\n  got insufficient"),
        ("balance a -> 1 available, 0 held, 0 debt", "got 0.5 available"),
        ("balance a", "say the expected outcome"),
    ],
)
def test_the_runner_fails_a_wrong_line(line: str, message: str) -> None:
    """A runner that agrees with everything would agree with a broken ledger."""
    clock = FakeClock()
    with Ledger.open("memory:", clock=clock) as ledger, pytest.raises(ScenarioFailed) as failed:
        run_scenario(f"grant a 0.5 key=g create=yes -> applied\n{line}", ledger, clock, "bad")
    assert message in str(failed.value)
