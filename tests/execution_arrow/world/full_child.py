"""A process whose disk fills up in mid-run, and has room again later.

"Full" is a limit on the size of files (RLIMIT_FSIZE): every write that would make a file longer fails, for
the ledger, the job store, replies and results alike. Prints one JSON document of what it saw.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from pathlib import Path
from typing import Any

from execution_arrow import AsyncArrow, Policy
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.driver.worker import Limits
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import StoreUnavailable

ORDERS = 12


def full(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


async def main(folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("execution_arrow").addHandler(handler)
    arrow = AsyncArrow.open(
        folder,
        base_urls=plan["urls"],
        credentials=EnvironmentCredentials(plan["environment"]),
        egress=EgressPolicy(allow_loopback=True),
        policy=Policy(unknown_patience=0.2, write_off_after=3.0),
        limits=Limits(lease=1.5, inbox_every=0.05, claim_every=0.05),
        worker=True,
    )
    refused: list[str] = []
    async with arrow:
        await arrow.ledger.grant("acct", "5", key="start", create=True)

        async def order(number: int) -> str:
            wish = {"generation_prompt": f"{number}", "generation_provider_order": plan["orders"][number % 3]}
            key = f"order-{number}"
            return (await arrow.generate("bfl/flux-schnell", wish, account="acct", idempotency_key=key)).id

        started = [await order(number) for number in range(4)]  # some are under way when the disk is full
        await asyncio.sleep(plan["after"])
        full(max(file.stat().st_size for file in folder.glob("*.db*")) if plan["what"] == "stores" else 4096)
        for number in range(4, ORDERS):
            try:
                await order(number)
            except StoreUnavailable as error:
                refused.append(str(error))
        await asyncio.sleep(1.0)
        full(resource.RLIM_INFINITY)
        started = [await order(number) for number in range(ORDERS)]  # the same keys
        ends = [await arrow.wait(generation_id, timeout=60) for generation_id in started]
        for _ in range(400):
            ends = [await arrow.get(generation_id) for generation_id in started]
            if not any(end.watching for end in ends):
                break
            await asyncio.sleep(0.05)
        return {
            "refused": refused,
            "log": said,
            "statuses": [str(end.status) for end in ends],
            "ids": [[attempt.id for attempt in end.attempts] for end in ends],
            "watching": [end.watching for end in ends],
            "errors": [end.error for end in ends],
            "outcomes": [[f"{a.provider}:{a.outcome}" for a in end.attempts] for end in ends],
            "charged": sum(int(end.charged * 1_000_000) for end in ends),
            "held": (await arrow.ledger.balance("acct")).held.micros,
            "available": (await arrow.ledger.balance("acct")).available.micros,
            "verified": (await arrow.ledger.verify()).ok,
            "listed": len(await arrow.list(limit=100)),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))))
