"""The usual orchestrator: every step of a generation is a transaction of its own. Frozen.

The same durable steps as ours (row, hold, attempt, job, result, file, charge, end), on SQLite with the same
settings (WAL, synchronous=FULL), with the balance and its journal in a second file. One writing thread per
file, as SQLite wants it; the generations run as asyncio tasks.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from execution_arrow.ports import ArtifactStore, Transport
from execution_arrow.providers.base import Call

PRICE = 40_000


class Orchestrator:
    """`run` takes one generation from request to charged result."""

    def __init__(self, folder: Path, transport: Transport, artifacts: ArtifactStore) -> None:
        self._transport, self._artifacts = transport, artifacts
        self._jobs = _File(folder / "jobs.db")
        self._money = _File(folder / "money.db")
        self._jobs.start("CREATE TABLE job (id TEXT PRIMARY KEY, status TEXT, body TEXT)")
        self._money.start(
            "CREATE TABLE account (id TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0))",
            "CREATE TABLE journal (job TEXT, kind TEXT, amount INTEGER, PRIMARY KEY (job, kind))",
            "INSERT INTO account VALUES ('a', 1000000000)",
        )

    async def run(self, request: dict[str, Any]) -> None:
        job = uuid.uuid4().hex
        body: dict[str, Any] = {"request": request}
        await self._jobs.do(("INSERT INTO job VALUES (?, 'new', ?)", (job, json.dumps(body))))
        await self._money.do(
            ("UPDATE account SET balance = balance - ? WHERE id = 'a'", (PRICE,)),
            ("INSERT INTO journal VALUES (?, 'reserve', ?)", (job, PRICE)),
        )
        await self._step(job, "sending", body)
        reply = await self._transport.send(Call(method="POST", url="https://x", json={"attempt": job}))
        body["provider_job"] = json.loads(reply.body)["attempt"]
        await self._step(job, "running", body)
        await self._transport.send(Call(method="GET", url="https://x"))
        await self._step(job, "succeeded", body)
        file = await self._artifacts.copy("https://x/0.png", index=0, kind="image")
        body["file"] = file.key
        await self._step(job, "stored", body)
        await self._money.do(("INSERT INTO journal VALUES (?, 'charge', ?)", (job, PRICE)))
        await self._step(job, "done", body)

    async def _step(self, job: str, status: str, body: dict[str, Any]) -> None:
        await self._jobs.do(
            ("UPDATE job SET status = ?, body = ? WHERE id = ?", (status, json.dumps(body), job))
        )

    def close(self) -> None:
        self._jobs.close()
        self._money.close()


class _File:
    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = self._thread.submit(self._open, path).result()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def start(self, *statements: str) -> None:
        for statement in statements:
            self._thread.submit(self._connection.execute, statement).result()

    async def do(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, statements)

    def _transaction(self, statements: tuple[tuple[str, tuple[Any, ...]], ...]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, values in statements:
            self._connection.execute(statement, values)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()
