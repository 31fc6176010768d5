"""Threads, loops, forks and signals: who may use an Arrow, and what an end leaves behind."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, GenerationFailed, Status
from execution_arrow.errors import WrongLoop
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.testing import FakeProvider, fake_parts
from tests.execution_arrow.arrow.conftest import PROVIDERS, options

ROOT = Path(__file__).resolve().parents[3]
PROMPT = {"generation_prompt": "a lighthouse"}


def fake_arrow(folder: Path, **more: Any) -> Arrow:
    """A blocking Arrow over fakes; the store is made with it, so it lives as long as the process."""
    parts = fake_parts({"fake": FakeProvider()}, folder)
    return Arrow(lambda: AsyncArrow(parts, **more))


def test_the_blocking_face_runs_the_same_generation(box: Sandbox, tmp_path: Path):
    with Arrow.open(tmp_path / "data", **options(box)) as arrow:
        arrow.ledger.grant("acct", "1", key="start", create=True)
        assert arrow.estimate("bfl/flux-schnell", PROMPT).price > 0
        done = arrow.generate_and_wait("bfl/flux-schnell", PROMPT, account="acct", timeout=30)
        assert done.status is Status.SUCCEEDED
        assert arrow.get(done.id) == done
        assert [generation.id for generation in arrow.list(account="acct")] == [done.id]
        box.fault("cloudflare", Fault("moderation", times=1))
        with pytest.raises(GenerationFailed):
            arrow.generate_and_wait(
                "bfl/flux-schnell", {**PROMPT, "generation_provider_order": "cloudflare"}, account="acct"
            )
        assert arrow.ledger.audit().ok


def test_many_threads_share_one_arrow(tmp_path: Path):
    with fake_arrow(tmp_path) as arrow, ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: arrow.generate_and_wait("m", PROMPT, account="a", timeout=20), range(24))
        )
    assert len({generation.id for generation in found}) == 24
    assert {generation.status for generation in found} == {Status.SUCCEEDED}


def test_nothing_starts_before_the_first_verb(tmp_path: Path):
    before = threading.active_count()
    arrow = fake_arrow(tmp_path)
    assert threading.active_count() == before
    arrow.generate("m", PROMPT, account="a")
    assert threading.active_count() > before
    arrow.close()
    arrow.close()


def test_a_blocking_verb_on_a_loop_is_refused_with_advice(tmp_path: Path):
    async def wrong(arrow: Arrow) -> None:
        arrow.list()

    with fake_arrow(tmp_path) as arrow, pytest.raises(WrongLoop, match="AsyncArrow"):
        asyncio.run(wrong(arrow))


def test_three_loops_one_after_the_other(tmp_path: Path):
    """Nothing of ours stays bound to the loop of the first caller: a loop per test, or per command, works."""
    store = fake_parts({}, tmp_path).store

    async def one() -> str:
        parts = fake_parts({"fake": FakeProvider()}, tmp_path, store=store)
        async with AsyncArrow(parts) as arrow:
            return (await arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)).id

    assert len({asyncio.run(one()) for _ in range(3)}) == 3


def test_a_verb_outside_async_with_is_refused_with_the_line_to_write(tmp_path: Path):
    async def early() -> None:
        await AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path)).generate("m", PROMPT, account="a")

    with pytest.raises(WrongLoop, match="async with"):
        asyncio.run(early())


def _child_of_a_fork(arrow: AsyncArrow, results: multiprocessing.Queue) -> None:
    async def use() -> None:
        await arrow.list()

    try:
        asyncio.run(use())
        results.put("used")
    except WrongLoop as error:
        results.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_an_arrow_in_a_forked_child_is_refused_with_the_line_to_write(tmp_path: Path):
    async def parent() -> str:
        async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path)) as arrow:
            await arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)
            context = multiprocessing.get_context("fork")
            results = context.Queue()
            child = context.Process(target=_child_of_a_fork, args=(arrow, results))
            child.start()
            answer = await asyncio.to_thread(results.get, True, 30)
            child.join()
            return str(answer)

    assert "AsyncArrow.open" in asyncio.run(parent())


def test_sigterm_with_work_in_flight_finishes_calls_and_hands_back(box: Sandbox, tmp_path: Path):
    """The command-line worker: after SIGTERM no call is cut, and another worker can go on at once."""
    folder = tmp_path / "data"
    box.fault("replicate", Fault("slow", seconds=30))
    before = len(box.calls())
    more = options(box)
    with Arrow.open(folder, **more) as arrow:
        arrow.ledger.grant("acct", "5", key="start", create=True)
        for number in range(50):
            request = {"generation_prompt": f"n{number}", "generation_provider_order": "replicate"}
            arrow.generate("bfl/flux-schnell", request, account="acct")
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.execution_arrow.arrow.child", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    plan = {"base_urls": {name: box.base_url(name) for name in PROVIDERS}, "environment": box.environment(),
            "credits": "5", "generations": []}  # fmt: skip
    child.stdin.write(json.dumps(plan))
    child.stdin.close()
    assert child.stdout.readline().strip() == "ready"
    for _ in range(600):
        if sum(call.on == "submit" for call in box.calls()[before:]) >= 50:
            break
        threading.Event().wait(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=30) == 0
    box.heal()
    with Arrow.open(folder, **more) as arrow:
        generations = arrow.list(limit=60)
        assert len(generations) == 50
        for generation in generations:
            assert [attempt.outcome.value for attempt in generation.attempts] == ["pending"]
            assert generation.attempts[0].job is not None
            arrow.cancel(generation.id)
        for generation in generations:
            assert arrow.wait(generation.id, timeout=60).status.value == "canceled"
        assert arrow.ledger.balance("acct").held.micros == 0
