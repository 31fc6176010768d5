"""The same steps as a DBOS workflow (the `dbos` package from PyPI) on SQLite. Frozen.

Hold, submit, poll, store the result, settle: each is a step whose outcome DBOS records before the next
begins, so that a workflow which is found after a crash goes on behind its last recorded step. Ledger,
transport and artifact store are of the same kinds as ours gets; only the orchestration differs. What DBOS
does not do (normalise, rank, freeze a price, fail over, count what a lost answer may have cost) is not asked
of it.

DBOS sets no journal mode and no `synchronous`, which leaves SQLite's own defaults: a rollback journal and
FULL. Here it gets WAL and FULL, as ours has; WAL is the faster of the two for it. `pragmas()` says what is
in force.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSConfig, SetWorkflowID

from execution_arrow.ports import ArtifactStore, LedgerPort, Transport
from execution_arrow.providers.base import Call

PRICE = 40_000
ADDRESS = "https://fake.example"


class Workflows:
    """`run` takes one generation from request to settled result. One instance per process."""

    def __init__(
        self, folder: Path, transport: Transport, artifacts: ArtifactStore, ledger: LedgerPort, account: str
    ) -> None:
        self._file = folder / "dbos.db"
        sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _like_ours)
        config = DBOSConfig(
            name="peer", system_database_url=f"sqlite:///{self._file}", log_level="ERROR", enable_otlp=False
        )
        DBOS(config=config)
        self._generation = self._workflow(transport, artifacts, ledger, account)
        DBOS.launch()

    @staticmethod
    def _workflow(
        transport: Transport, artifacts: ArtifactStore, ledger: LedgerPort, account: str
    ) -> Callable[[str, dict[str, Any]], Awaitable[str]]:
        @DBOS.step()
        async def hold(job: str) -> None:
            await ledger.hold(account, job, PRICE, 900.0)

        @DBOS.step()
        async def submit(job: str, request: dict[str, Any]) -> str:
            reply = await transport.send(
                Call(method="POST", url=f"{ADDRESS}/submit", json={"attempt": job, "input": request})
            )
            return str(json.loads(reply.body)["attempt"])

        @DBOS.step()
        async def poll(job: str) -> str:
            await transport.send(Call(method="GET", url=f"{ADDRESS}/jobs/{job}"))
            return f"{ADDRESS}/{job}.png"

        @DBOS.step()
        async def store(url: str) -> str:
            return (await artifacts.copy(url, index=0, kind="image")).key

        @DBOS.step()
        async def settle(job: str) -> None:
            await ledger.settle(account, job, "charge", PRICE)

        @DBOS.workflow()
        async def generation(job: str, request: dict[str, Any]) -> str:
            await hold(job)
            key = await store(await poll(await submit(job, request)))
            await settle(job)
            return key

        return generation

    async def run(self, request: dict[str, Any]) -> str:
        job = uuid.uuid4().hex
        with SetWorkflowID(job):
            return await self._generation(job, request)

    def pragmas(self) -> dict[str, Any]:
        """Journal mode and `synchronous` (2 = FULL) of a connection that is opened as DBOS's own are."""
        engine = sqlalchemy.create_engine(f"sqlite:///{self._file}")
        with engine.connect() as connection:
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous")
            }
        engine.dispose()
        return found

    def recorded(self) -> tuple[int, int]:
        """(workflows that ended well, steps that were recorded) so far, read from DBOS's own tables."""
        with sqlite3.connect(self._file) as connection:
            (ended,) = connection.execute(
                "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
            ).fetchone()
            (steps,) = connection.execute("SELECT count(*) FROM operation_outputs").fetchone()
        return ended, steps

    def close(self) -> None:
        DBOS.destroy()
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", _like_ours)


def _like_ours(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
