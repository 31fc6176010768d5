"""The recipes of docs/recipes.md that need more than one process or another server.

The page's own blocks are what runs. DBOS and Celery run with the page itself (tests/contracts/test_docs.py).
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Replayer

from execution_arrow import AsyncArrow, Status
from execution_arrow.sandbox import Fault, Sandbox
from tests.execution_arrow.arrow.conftest import box, listening, open_arrow, options
from tests.execution_arrow.pains.kit import SCHNELL, ask, fund, of, run, until
from tests.services import postgres_server

__all__ = ["box", "listening", "open_arrow"]
ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "recipes.md").read_text("utf-8")


def recipe(heading: str, folder: Path) -> ModuleType:
    """The first Python block under a heading, as a module."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    block = re.search(r"^```python\n(.*?)^```$", section, re.M | re.S)
    assert block is not None
    file = folder / f"recipe_{heading.lower()}.py"
    file.write_text(block[1])
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@run
async def test_procrastinate(box: Sandbox, open_arrow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with postgres_server().schema() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        module: Any = recipe("Procrastinate", tmp_path)
        async with open_arrow() as arrow, module.app.open_async():
            module.arrow = arrow
            await module.app.schema_manager.apply_schema_async()
            await fund(arrow)
            box.fault("replicate", Fault("slow", seconds=1, times=1))
            started = await arrow.generate(SCHNELL, ask("replicate"), account="acct")
            await module.procrastinate_drive.defer_async(generation_id=started.id)
            worker = module.app.run_worker_async(
                install_signal_handlers=False, fetch_job_polling_interval=0.05, delete_jobs="successful"
            )
            working = asyncio.create_task(worker)
            for _ in range(400):
                if (done := await arrow.get(started.id)).done:
                    break
                await asyncio.sleep(0.05)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        assert done.status is Status.SUCCEEDED
        assert len(of(done, box.calls())) == 1


@run
async def test_temporal_activity(box: Sandbox, open_arrow: Any, tmp_path: Path):
    """The activity, in the environment that Temporal ships for testing activities."""
    module: Any = recipe("Temporal", tmp_path)
    async with open_arrow() as arrow:
        module.arrow = arrow
        await fund(arrow)
        started = await arrow.generate(SCHNELL, ask("replicate"), account="acct")
        while (pause := await ActivityEnvironment().run(module.temporal_visit, started.id)) is not None:
            await asyncio.sleep(pause)
        assert (await arrow.get(started.id)).status is Status.SUCCEEDED


class History:
    """What a Temporal server would have written down of one run, event by event."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._visits = self._sleeps = 0
        self._queue = {"name": "media", "kind": "TASK_QUEUE_KIND_NORMAL"}
        self.add("WORKFLOW_EXECUTION_STARTED", workflowType={"name": "TemporalDrive"}, taskQueue=self._queue,
                 input=payload("gen_1"), originalExecutionRunId="r", firstExecutionRunId="r", attempt=1,
                 workflowTaskTimeout="10s")  # fmt: skip

    def add(self, kind: str, **attributes: Any) -> str:
        camel = "".join(word.title() for word in kind.split("_"))
        number = str(len(self.events) + 1)
        time = f"2026-01-01T00:00:{len(self.events):02}Z"
        name = camel[0].lower() + camel[1:] + "EventAttributes"
        self.events.append(
            {"eventId": number, "eventTime": time, "eventType": f"EVENT_TYPE_{kind}", name: attributes}
        )
        return number

    def task(self) -> str:
        """The workflow's code runs until it waits."""
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", taskQueue=self._queue, attempt=1)
        started = self.add("WORKFLOW_TASK_STARTED", scheduledEventId=scheduled)
        return self.add("WORKFLOW_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=started)

    def visit(self, answer: float | None) -> None:
        done = self.task()
        self._visits += 1
        scheduled = self.add(
            "ACTIVITY_TASK_SCHEDULED",
            activityId=str(self._visits),
            activityType={"name": "temporal_visit"},
            taskQueue=self._queue,
            input=payload("gen_1"),
            workflowTaskCompletedEventId=done,
        )
        started = self.add("ACTIVITY_TASK_STARTED", scheduledEventId=scheduled, attempt=1)
        self.add("ACTIVITY_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=started,
                 result=payload(answer))  # fmt: skip

    def sleep(self, seconds: float) -> None:
        done = self.task()
        self._sleeps += 1
        name = str(self._sleeps)
        timer = self.add("TIMER_STARTED", timerId=name, startToFireTimeout=f"{seconds}s",
                         workflowTaskCompletedEventId=done)  # fmt: skip
        self.add("TIMER_FIRED", timerId=name, startedEventId=timer)

    def end(self) -> WorkflowHistory:
        done = self.task()
        self.add("WORKFLOW_EXECUTION_COMPLETED", workflowTaskCompletedEventId=done)
        return WorkflowHistory.from_json("w", {"events": self.events})


def payload(value: Any) -> dict[str, Any]:
    data, form = (b"", b"binary/null") if value is None else (json.dumps(value).encode(), b"json/plain")
    return {"payloads": [{"metadata": {"encoding": _b64(form)}, "data": _b64(data)}]}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@run
async def test_temporal_workflow(tmp_path: Path):
    """Temporal's core replays the workflow: visit, sleep, visit, end is what it asks for."""
    module: Any = recipe("Temporal", tmp_path)
    sys.path.insert(0, str(tmp_path))  # the workflow's sandbox imports it by name
    try:
        right, wrong = History(), History()
        right.visit(0.5)
        right.sleep(0.5)
        right.visit(None)
        wrong.visit(0.5)
        wrong.visit(None)
        replayer = Replayer(workflows=[module.TemporalDrive])
        good = await replayer.replay_workflow(right.end(), raise_on_replay_failure=False)
        bad = await replayer.replay_workflow(wrong.end(), raise_on_replay_failure=False)
    finally:
        sys.path.remove(str(tmp_path))
    assert good.replay_failure is None
    assert bad.replay_failure is not None


def test_dbos_recovers_what_a_killed_process_began(box: Sandbox, tmp_path: Path):
    """SIGKILL while the provider works; the next process's DBOS goes on, and nothing is sent twice."""
    box.fault("replicate", Fault("slow", seconds=1.5, times=1))
    before = len(box.calls())
    plan = {"urls": {"replicate": box.base_url("replicate")}, "environment": box.environment()}
    command = [
        sys.executable,
        "-m",
        "tests.execution_arrow.recipes.dbos_child",
        str(tmp_path),
        json.dumps(plan),
    ]
    first = subprocess.Popen([*command, "begin"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    asyncio.run(until(lambda: first.poll() is not None or any(c.on == "poll" for c in box.calls()[before:])))
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = subprocess.run([*command, "recover"], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60)
    assert second.stdout.split() == ["succeeded"]

    async def look() -> None:
        async with AsyncArrow.open(tmp_path / "data", **options(box)) as arrow:
            (done,) = await arrow.list()
            assert len(of(done, box.calls())) == 1

    asyncio.run(look())
