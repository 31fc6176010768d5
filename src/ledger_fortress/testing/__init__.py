"""For people who write a ledger store, or tests of their own against a ledger.

`LedgerStoreContract` is a pytest suite that every store must pass. `run_scenario` runs a history that a
person can read: one operation per line, its expected outcome last. `FakeClock` is a clock that stands still.
"""

from __future__ import annotations

from .contract import LedgerStoreContract
from .scenario import FakeClock, ScenarioFailed, run_scenario

__all__ = ["FakeClock", "LedgerStoreContract", "ScenarioFailed", "run_scenario"]
