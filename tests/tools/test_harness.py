"""The benchmarks' ratios, and their verdicts."""

import io
import json

import pytest

from benchmarks.harness import Report, Rounds, interleave


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_candidates_take_turns_in_a_rotating_order() -> None:
    """No candidate always runs first, and each runs once per round, after a warm-up."""
    seen: list[str] = []
    interleave({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, rounds=3)
    assert "".join(seen) == "ab" + "ab" + "ba" + "ab"


def test_seconds_are_per_operation() -> None:
    """A candidate that does ten operations per call is charged a tenth of the call for each."""
    ticks = iter(range(0, 100, 5))
    rounds = interleave({"a": lambda: None}, rounds=2, operations=10, timer=lambda: next(ticks))
    assert rounds.seconds == {"a": (0.5, 0.5)}


def test_comparison_is_of_medians_and_names_the_worst_round() -> None:
    """One lucky round moves neither figure; one unlucky round shows."""
    comparison = Rounds({"ours": (1.0, 1.0, 2.0), "peer": (4.0, 40.0, 3.0)}).compare("ours", "peer")
    assert (comparison.speedup, comparison.lowest) == (4.0, 1.5)


@pytest.mark.parametrize(("value", "holds"), [(15.0, True), (14.9, False), (float("nan"), False)])
def test_missed_target_is_an_exit_code(value: float, holds: bool) -> None:
    """A figure that is not a number does not hold either."""
    out = io.StringIO()
    report = Report("ledger", out=out)
    report.at_least("pairs", value, 15, peer="usual design", unit="x")
    report.context("fsyncs", 900.0, unit="1/s")
    with pytest.raises(SystemExit) as exit_info:
        report.finish()
    assert exit_info.value.code == (0 if holds else 1)
    assert [line["holds"] for line in lines(out)] == [holds, None]


def test_an_empty_run_proves_nothing() -> None:
    """A benchmark whose peers are all missing must not pass."""
    with pytest.raises(SystemExit, match="1"):
        Report("ledger").finish()
    with pytest.raises(ValueError, match="at least one"):
        interleave({})
