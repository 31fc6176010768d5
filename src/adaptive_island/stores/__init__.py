"""Stores behind an island: the two Protocols and the memory of one process."""

from __future__ import annotations

from .base import Bucket, Counters, RankingCache, ranking_key
from .memory import MemoryCounters, MemoryRankings

__all__ = ["Bucket", "Counters", "MemoryCounters", "MemoryRankings", "RankingCache", "ranking_key"]
