"""Pictures, where they say more than a table. They need matplotlib (the `analytics` extra)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adaptive_island.attempt import Attempt
from adaptive_island.engine import DELIVERED
from adaptive_island.errors import MissingExtra
from adaptive_island.simulation import Score

from .logs import Past, attempts

STEPS = 200  # moments at which a ranking is looked at


def regrets(played: Mapping[str, Score], names: Sequence[str], path: Path) -> None:
    """What each way of choosing has cost so far, and whom the island asked first, hour by hour."""
    pyplot = _pyplot()
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True)
    for name, score in played.items():
        total, hours, sums = 0.0, [], []
        for at, regret, _first in score.trace:
            total += regret
            hours.append(at / 3_600.0)
            sums.append(total)
        above.plot(hours, sums, label=name)
    above.set_ylabel("regret so far")
    above.legend(frameon=False)
    shares = _first_by_hour(played["island"], names)
    below.stackplot(range(len(next(iter(shares.values())))), *shares.values(), labels=list(shares))
    below.set_ylabel("asked first by the island")
    below.set_xlabel("hours")
    below.margins(0)
    below.legend(frameon=False, ncols=8, loc="upper center", bbox_to_anchor=(0.5, 1.16))
    _save(figure, path)


def _first_by_hour(score: Score, names: Sequence[str]) -> dict[str, list[float]]:
    hours = int(score.trace[-1][0] // 3_600.0) + 1 if score.trace else 1
    counts = {name: [0.0] * hours for name in names}
    for at, _regret, first in score.trace:
        if first in counts:
            counts[first][int(at // 3_600.0)] += 1.0
    totals = [sum(row[hour] for row in counts.values()) or 1.0 for hour in range(hours)]
    return {name: [n / totals[hour] for hour, n in enumerate(row)] for name, row in counts.items()}


def plot(args: argparse.Namespace) -> int:
    """The ranking of a model over the time of a log, and how long successes took."""
    found = attempts(args.source)
    history = [attempt for attempt in found if (attempt.model, attempt.region) == (args.model, args.region)]
    if not history:
        raise ValueError(f"{args.source} has no attempt at {args.model} in {args.region}; nothing to draw")
    times, scores = _ranking_over_time(history, args.order)
    pyplot = _pyplot()
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 6))
    for provider, line in scores.items():
        above.plot(times, line, label=provider)
    above.set_title(f"{args.model}, {args.order}: expected net value of a success", loc="left", fontsize=10)
    above.legend(frameon=False)
    above.tick_params(axis="x", labelrotation=20)
    _seconds(below, history, tuple(scores))
    _save(figure, Path(args.file))
    print(args.file)
    return 0


def _seconds(panel: Any, history: Sequence[Attempt], providers: Sequence[str]) -> None:
    """A bar from the 5th to the 95th of a hundred successes, and a mark at the median, for each provider."""
    shown: list[str] = []
    for provider in providers:
        good = (a.seconds for a in history if a.provider == provider and a.outcome in DELIVERED)
        if values := sorted(good):
            low, middle, high = (values[int(share * (len(values) - 1))] for share in (0.05, 0.5, 0.95))
            place = len(shown)
            panel.plot([low, high], [place, place], color="0.7", linewidth=7, solid_capstyle="butt")
            panel.plot([middle], [place], marker="|", color="black", markersize=14)
            shown.append(provider)
    panel.set_yticks(range(len(shown)), shown)
    panel.set_ylim(-0.6, len(shown) - 0.4)
    panel.set_xlim(left=0)
    panel.set_xlabel("seconds of a success: 5 of 100, half, 95 of 100")


def _ranking_over_time(history: Sequence[Attempt], order: str) -> tuple[list[Any], dict[str, list[Any]]]:
    past = Past()
    if order not in past.island.policy.orders:
        raise ValueError(f"no order {order!r}; choose {', '.join(past.island.policy.orders)}")
    providers = tuple(dict.fromkeys(attempt.provider for attempt in history))
    model, region = history[0].model, history[0].region
    start, end = history[0].at, history[-1].at
    times: list[Any] = []
    lines: dict[str, list[Any]] = {provider: [] for provider in providers}
    place = 0
    for step in range(1, STEPS + 1):
        until = end if step == STEPS else start + (end - start) * step / STEPS
        while place < len(history) and history[place].at <= until:
            past.live((history[place],))
            place += 1
        past.now = max(past.now, until)
        times.append(datetime.fromtimestamp(until, UTC))
        for line in past.island.explain(model, providers, order=order, region=region):
            lines[line.provider].append(line.mean)
    return times, lines


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("pictures", "analytics", error) from error
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "adaptive-island"
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    _pyplot().close(figure)
