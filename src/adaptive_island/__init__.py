"""Which provider, in which order, right now: learned from every attempt, answered from memory, never in
the way."""

from __future__ import annotations

from .attempt import Attempt, Fault, Outcome
from .decide import Explanation
from .errors import IslandError
from .health import Health
from .island import Island
from .order import Order
from .policy import BreakerRules, Policy, Weights
from .ticket import Ticket

__all__ = [
    "Attempt",
    "BreakerRules",
    "Explanation",
    "Fault",
    "Health",
    "Island",
    "IslandError",
    "Order",
    "Outcome",
    "Policy",
    "Ticket",
    "Weights",
]
