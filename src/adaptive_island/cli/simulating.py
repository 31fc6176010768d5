"""Three virtual days of choosing among providers, and what it cost beside the best choice there was."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from adaptive_island.policy import Policy
from adaptive_island.simulation import ALL, SETS, Chooser, OfIsland, Provider, Regime, Static, regime, run
from adaptive_island.simulation.files import world_of

from .replaying import number
from .showing import show

RATES = {"low": 0.005, "high": 0.05}


def simulate(args: argparse.Namespace) -> int:
    """Play a world with an island, and with the order that never changes beside it."""
    policy = replace(Policy(), **dict(number(text) for text in args.set))
    if args.order not in policy.orders:
        raise ValueError(f"no order {args.order!r}; choose {', '.join(policy.orders)}")
    rate = RATES.get(args.rate) or float(args.rate)
    if not 0 < rate <= 10:
        raise ValueError(f"--rate is low, high, or up to 10 requests a second, not {args.rate}")
    providers, changes = _world(args)
    names = tuple(provider.name for provider in providers)
    choosers: dict[str, Chooser] = {
        "island": OfIsland(names, args.seed, policy=policy, order=args.order),
        "static": Static(names),
    }
    played = {name: run(chooser, changes, providers, rate, args.seed) for name, chooser in choosers.items()}
    rows = [
        {
            "chooser": name,
            "requests": score.requests,
            "regret_per_1000": score.per_thousand,
            "succeeded": score.final,
            "attempts_per_request": score.attempts / max(1, score.requests),
        }
        for name, score in played.items()
    ]
    show(rows, as_json=args.json)
    if args.plot:
        from .pictures import regrets

        regrets(played, names, Path(args.plot))
    return 0


def _world(args: argparse.Namespace) -> tuple[tuple[Provider, ...], Regime]:
    if args.world:
        return world_of(Path(args.world).read_text("utf-8"))
    names = SETS[args.providers]
    return tuple(ALL[name] for name in names), regime(args.regime, names)
