"""Regret of an island's orders, and of its peers', over ten regimes.

Run: python -m benchmarks.routing [--rate low|high|REQUESTS_PER_SECOND] [--providers 3 5 8] [--seed N ...]
     [--regime S1 ...] [--chooser island static ...] [--chart FILE.svg|FILE.png]

Without arguments: low traffic (432 requests a day), three seeds, about a minute. `--rate low high --seed
0 1 2 3 4 5 6 7 8 9` is the full table. Prints the table as JSON lines: regret per 1,000 requests by
regime, mean and worst, and the share of requests that succeeded. Exits non-zero where the island misses a
target.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from adaptive_island.simulation import ALL, REGIMES, SETS, Chooser, OfIsland, Score, regime, run
from benchmarks.harness import Report
from benchmarks.peers.island_choosers import Gold, GoldHourly, LatencyCooldown, MeanProbes, Static, Thompson
from benchmarks.routing.chart import draw

RATES = {"low": 0.005, "high": 0.05}
SEEDS = {"low": 3, "high": 3}
TARGETS = {"low": 4.0, "high": 1.5}
WORST = 10.0


CHOOSERS: dict[str, Callable[[str, int], Chooser]] = {
    "island": lambda names, seed: OfIsland(tuple(names), seed),
    "static": Static,
    "gold daily": Gold,
    "gold hourly": GoldHourly,
    "latency and cooldown": LatencyCooldown,
    "thompson": Thompson,
    "mean and probes": MeanProbes,
}


def table(chooser: str, names: str, rate: float, seeds: list[int], regimes: list[str]) -> dict[str, Score]:
    """The scores of one chooser by regime."""
    result = {}
    providers = [ALL[name] for name in names]
    for name in regimes:
        total = Score()
        for seed in seeds:
            total.add(run(CHOOSERS[chooser](names, seed), regime(name, names), providers, rate, seed))
        result[name] = total
    return result


def judge(report: Report, args: argparse.Namespace, count: int, rate: str) -> dict[str, dict[str, float]]:
    """Print the lines of all choosers for one number of providers and one rate; returns the regrets."""
    per_second = RATES.get(rate) or float(rate)
    seeds = args.seed or list(range(SEEDS.get(rate, 3)))
    finals: dict[str, dict[str, float]] = {}
    drawn: dict[str, dict[str, float]] = {}
    for chooser in args.chooser:
        scores = table(chooser, SETS[count], per_second, seeds, args.regime)
        regrets = {regime: round(score.per_thousand, 2) for regime, score in scores.items()}
        drawn[chooser] = regrets
        mean, worst = statistics.fmean(regrets.values()), max(regrets.values())
        finals[chooser] = {regime: score.final for regime, score in scores.items()}
        name = f"{chooser}: regret per 1,000 requests, {count} providers, {rate} traffic"
        if chooser == "island" and rate in TARGETS:
            report.at_most(name, mean, TARGETS[rate], peer=None, unit="regret", regimes=regrets)
            report.at_most(f"{name}, worst regime", worst, WORST, peer=None, unit="regret")
        else:
            report.context(name, mean, unit="regret", worst=worst, regimes=regrets)
    if {"island", "static"} <= finals.keys():
        gap = max(finals["static"][r] - finals["island"][r] for r in args.regime)
        name = f"island: final success below the static order, {count} providers, {rate} traffic"
        report.at_most(name, gap, 0.001, peer="static", unit="share")
    return drawn


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", nargs="+", default=["low"])
    parser.add_argument("--providers", nargs="+", type=int, choices=list(SETS), default=list(SETS))
    parser.add_argument("--seed", nargs="+", type=int)
    parser.add_argument("--regime", nargs="+", choices=list(REGIMES), default=list(REGIMES))
    parser.add_argument("--chooser", nargs="+", choices=list(CHOOSERS), default=list(CHOOSERS))
    parser.add_argument("--chart", type=Path, default=Path("bench-output/routing.svg"), metavar="FILE")
    args = parser.parse_args()
    report = Report("routing")
    tables = {}
    for rate in args.rate:
        for count in args.providers:
            tables[f"{count} providers, {rate} traffic"] = judge(report, args, count, rate)
    draw(tables, args.chart)
    print(f"chart: {args.chart}", file=sys.stderr)
    report.finish()


if __name__ == "__main__":
    main()
