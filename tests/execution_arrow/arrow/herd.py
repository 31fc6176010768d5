"""A preforking server of workers: everything is imported once, then each worker is a fork of it.

Run with a JSON document on standard input; every further line is a command, answered with one line.
`{"fork": {}}` starts a worker; `{"fork": {"at": "commit", "number": 7}}` one that ends itself by SIGKILL at
its seventh transaction: before COMMIT leaves (`commit`: all is written or ready, nothing is committed), or
when it was answered and nobody has heard of it yet (`answer`). The answer to a command is
`{"pid": ..., "ended": [[pid, status], ...]}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from execution_arrow import AsyncArrow
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.driver.worker import Limits
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores import postgres, redis
from execution_arrow.stores.base import Beat, Claim, Op
from execution_arrow.transport import httpx as _transport  # noqa: F401 - imported before the forks
from execution_arrow.wiring import default_parts  # noqa: F401


async def work(plan: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncArrow.open(
        plan["where"],
        artifacts=plan["artifacts"],
        base_urls=plan["base_urls"],
        credentials=EnvironmentCredentials(plan["environment"]),
        egress=EgressPolicy(allow_loopback=True),
        limits=Limits(lease=1.5, claim_every=0.5),
        worker=True,
    ):
        parent = os.getppid()
        while not stop.is_set() and os.getppid() == parent:  # nobody is left behind
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)


def end_at(where: str, number: int) -> None:
    """End this process at its `number`-th transaction that writes something of a generation."""
    count = Count(where, number)
    end_in_postgres(count)
    end_in_redis(count)


class Count:
    """Which transaction it is, and whether this is the moment."""

    def __init__(self, where: str, number: int) -> None:
        self._where, self._number = where, number
        self._seen, self._busy = 0, False

    def begin(self, ops: Sequence[Op]) -> None:
        self._busy = any(not isinstance(op, Claim | Beat) for op in ops)
        self._seen += self._busy

    def end(self, where: str) -> None:
        if self._busy and self._seen == self._number and where == self._where:
            os.kill(os.getpid(), signal.SIGKILL)


def end_in_postgres(count: Count) -> None:
    real_run, real_apply = postgres.run, postgres.PostgresStore._apply

    def run(connection: Any, name: str, values: Any = None) -> Any:
        if name == "commit":
            count.end("commit")
        return real_run(connection, name, values)

    def apply(store: postgres.PostgresStore, connection: Any, ops: Sequence[Op]) -> Any:
        count.begin(ops)
        results = real_apply(store, connection, ops)
        count.end("answer")
        return results

    postgres.run = run
    postgres.PostgresStore._apply = apply  # type: ignore[method-assign]


def end_in_redis(count: Count) -> None:
    """In the middle of a transaction its lock is held and nothing is written."""
    real_save, real_apply = redis.RedisStore._save, redis.RedisStore.apply

    def save(store: redis.RedisStore, *more: Any) -> None:
        count.end("commit")
        real_save(store, *more)

    def apply(store: redis.RedisStore, ops: Sequence[Op]) -> Any:
        count.begin(ops)
        results = real_apply(store, ops)
        count.end("answer")
        return results

    redis.RedisStore._save = save  # type: ignore[method-assign]
    redis.RedisStore.apply = apply  # type: ignore[method-assign]


def fork(plan: dict[str, Any], order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.close(0)
        if order:
            end_at(order["at"], order["number"])
        asyncio.run(work(plan))
        code = 0
    except StoreUnavailable:  # the server was away when it started
        code = os.EX_TEMPFAIL
    finally:
        os._exit(code)


def ended() -> list[tuple[int, int]]:
    found = []
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            found.append((child[0], os.waitstatus_to_exitcode(child[1])))
    return found


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        order = json.loads(line)
        pid = fork(plan, order["fork"]) if "fork" in order else 0
        print(json.dumps({"pid": pid, "ended": ended()}), flush=True)


if __name__ == "__main__":
    main()
