"""Official clients in a process of their own: they are slow to import, and one import serves all tests.

A child module has a subclass of `Scenarios`; its public methods run in their order against one sandbox, and
what they return goes to the tests as JSON. A run of the tests starts each child once, whoever asks first.
"""

from __future__ import annotations

import fcntl
import importlib.util
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from execution_arrow.sandbox import Fault, Sandbox, Timing

ROOT = Path(__file__).parents[2]


class Scenarios:
    """What the scenarios of every client need."""

    provider: ClassVar[str]

    def __init__(self, box: Sandbox) -> None:
        self.box = box

    def _statuses(self, work: Callable[[], Any]) -> list[int | None]:
        """The answers to all calls that `work` made; None where there was none."""
        before = len(self.box.calls(self.provider))
        work()
        return [call.status for call in self.box.calls(self.provider)[before:]]

    def _strike(self, kind: str, **options: Any) -> None:
        self.box.fault(self.provider, Fault(kind, times=1, **options))

    def _paid_twice(self, work: Callable[[], Any]) -> list[int]:
        """The bills of all jobs that one call made whose answer was lost."""
        self._strike("lost_reply")
        before = len(self.box.jobs(self.provider))
        work()
        new = {job.id for job in self.box.jobs(self.provider)[before:]}
        return self._until(
            lambda: [bill.amount for bill in self.box.bills(self.provider) if bill.job in new],
            lambda bills: len(bills) == len(new),
        )

    def _until(self, look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
        """Look until it is so; a job takes a tenth of a second."""
        end = time.monotonic() + 20
        while not enough(seen := look()) and time.monotonic() < end:
            time.sleep(0.02)
        return seen


def size(data: bytes) -> list[int]:
    """The pixels of a picture."""
    from PIL import Image

    return list(Image.open(io.BytesIO(data)).size)


def main(kind: type[Scenarios]) -> None:
    with Sandbox(seed=3, timing=Timing(queue=0.02, image=0.05, video=0.1)) as box:
        os.environ.update(box.environment())
        run = kind(box)
        names = [name for name in vars(kind) if not name.startswith("_") and callable(getattr(run, name))]
        print(json.dumps({name: getattr(run, name)() for name in names}))


def seen(child: str, client: str, factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the child's scenarios returned; the first one to ask, in whichever worker, runs them."""
    if importlib.util.find_spec(client) is None:
        pytest.skip(f"{client} is not installed")
    base = factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    result = folder / f"{child}.json"
    with (folder / f"{child}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            result.write_text(_run(child))
    return dict(json.loads(result.read_text()))


def _run(child: str) -> str:
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", f"tests.clients.{child}"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
