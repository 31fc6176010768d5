"""A world in which ways of choosing can be compared: `run` plays three days of it and counts regret."""

from __future__ import annotations

from .choosers import OfIsland, Static
from .regimes import ALL, REGIMES, SETS, Change, Provider, Regime, Work, regime
from .world import Chooser, Score, run

__all__ = [
    "ALL",
    "REGIMES",
    "SETS",
    "Change",
    "Chooser",
    "OfIsland",
    "Provider",
    "Regime",
    "Score",
    "Static",
    "Work",
    "regime",
    "run",
]
