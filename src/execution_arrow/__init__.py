"""Run a generation from request to settled result, over many inference providers.

    with Arrow.open("./media-data") as arrow:
        arrow.ledger.grant("acct_1", "5", key="hello", create=True)
        done = arrow.generate_and_wait("bytedance/seedream-4.5", {"generation_prompt": "a lighthouse"},
                                       account="acct_1", idempotency_key="order-118", timeout=120)
        print(done.provider_used, done.charged, [file.path for file in done.files])

Errors are in `execution_arrow.errors`, providers in `.providers`, local provider servers in `.sandbox`.
"""

from __future__ import annotations

from execution_arrow.arrow import AsyncArrow
from execution_arrow.blocking import Arrow
from execution_arrow.driver.following import Advanced, Busy
from execution_arrow.errors import (
    GenerationFailed,
    InsufficientCredits,
    RequestRejected,
    WaitTimeout,
)
from execution_arrow.machine.state import Outcome, Status
from execution_arrow.policy import Policy
from execution_arrow.record import Generation

__all__ = [
    "Advanced",
    "Arrow",
    "AsyncArrow",
    "Busy",
    "Generation",
    "GenerationFailed",
    "InsufficientCredits",
    "Outcome",
    "Policy",
    "RequestRejected",
    "Status",
    "WaitTimeout",
]
