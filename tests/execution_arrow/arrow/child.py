"""A process that generates and works until everything has ended, if nobody kills it first.

Run with the folder and a JSON document of what to do on standard input. It says `ready` when it starts to
generate and `done` when every generation has ended and nothing is watched any more. SIGTERM ends it in order.
With `dies` in the document it ends itself by SIGKILL after that many writes, before their commit.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from execution_arrow import AsyncArrow, Policy
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.driver.worker import Limits
from execution_arrow.egress import EgressPolicy
from execution_arrow.stores import sqlite_ops
from execution_arrow.stores.base import Append, Commit, Create, Op, Result
from execution_arrow.testing.hurry import hurried


def end_at(number: int) -> None:
    """End this process inside a transaction: something is written, and nothing is committed."""
    left, real = number, sqlite_ops.Batch.perform

    def deadly(batch: sqlite_ops.Batch, op: Op) -> Result:
        nonlocal left
        result = real(batch, op)
        left -= isinstance(op, Create | Commit | Append)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    sqlite_ops.Batch.perform = deadly  # type: ignore[method-assign]


async def work(folder: str, plan: dict) -> None:
    if plan.get("dies"):
        end_at(plan["dies"])
    arrow = AsyncArrow.open(
        folder,
        base_urls=plan["base_urls"],
        credentials=EnvironmentCredentials(plan["environment"]),
        egress=EgressPolicy(allow_loopback=True),
        policy=Policy(unknown_patience=0.3, write_off_after=2.0, attempt_deadline=10.0, cancel_patience=1.0),
        limits=Limits(lease=0.9, inbox_every=0.1, claim_every=0.1),
        providers=hurried(),
        worker=True,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with arrow:
        await arrow.ledger.grant("acct", plan["credits"], key="start", create=True)
        print("ready", flush=True)
        for number, (model, request) in enumerate(plan["generations"]):
            await arrow.generate(model, request, account="acct", idempotency_key=f"order-{number}")
        while any(not g.done or g.watching for g in await arrow.list(limit=200)):
            if stop.is_set():
                return
            await asyncio.sleep(0.05)
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], json.load(sys.stdin)))
