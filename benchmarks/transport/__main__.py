"""How much faster is the extra `aiohttp` than the default, httpx? Both against a server in its own process.

The same call each time, 64 in flight: a paid one, which has a connection of its own, and a poll over
connections that are kept alive. Then whole generations, with real stores on this machine's disk and the
same server for a provider. Rounds take turns, so that a slow second hits both.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.arrow.world import ACCOUNT, MODEL, POLL_EVERY, PROVIDERS, REQUEST, Side, parts_in
from benchmarks.harness import Report, interleave
from execution_arrow import AsyncArrow
from execution_arrow.providers.base import Call
from execution_arrow.testing import FakeProvider
from execution_arrow.transport.aiohttp import AiohttpTransport
from execution_arrow.transport.httpx import HttpxTransport

KINDS: dict[str, Callable[[], Any]] = {"aiohttp": AiohttpTransport, "httpx": HttpxTransport}
IN_FLIGHT = 64
ROUNDS = 9
CALLS = 512
GENERATIONS = 256
HEADERS = {"accept": "application/json", "authorization": "Bearer key", "x-client-request-id": "att_1"}
BODY = {"input": {"prompt": "a lighthouse in the rain, " * 8, "aspect_ratio": "16:9", "num_outputs": 1}}


@contextmanager
def server() -> Iterator[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.transport.server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        child.stdin.close()


def calls(report: Report, url: str, name: str, call: Call, target: float) -> None:
    sides = {kind: (Side(IN_FLIGHT), make()) for kind, make in KINDS.items()}
    rounds = interleave(
        {kind: side.times(CALLS, lambda t=t: t.send(call)) for kind, (side, t) in sides.items()},
        rounds=ROUNDS,
        operations=CALLS,
    )
    for side, transport in sides.values():
        side.await_(transport.aclose())
    report.faster(f"{name}_64_in_flight", rounds.compare("aiohttp", "httpx"), target)
    for kind in KINDS:
        report.context(f"{name}_per_second_{kind}", 1 / rounds.median(kind), unit="1/s")


def generations(report: Report, url: str, folder: Path) -> None:
    sides: dict[str, tuple[Side, AsyncArrow]] = {}
    for kind, make in KINDS.items():
        providers = {name: FakeProvider(name, poll_every=POLL_EVERY) for name in PROVIDERS}
        parts = parts_in(folder / kind, make(), **providers)
        side, arrow = Side(IN_FLIGHT), AsyncArrow(parts, base_urls=dict.fromkeys(PROVIDERS, url))
        side.await_(arrow.__aenter__())
        side.await_(arrow.ledger.grant(ACCOUNT, "1000000", key="start", create=True))
        sides[kind] = side, arrow
    rounds = interleave(
        {
            kind: side.times(
                GENERATIONS, lambda arrow=arrow: arrow.generate_and_wait(MODEL, REQUEST, account=ACCOUNT)
            )
            for kind, (side, arrow) in sides.items()
        },
        rounds=ROUNDS,
        operations=GENERATIONS,
    )
    for side, arrow in sides.values():
        side.await_(arrow.aclose())
    ratio = rounds.compare("aiohttp", "httpx")
    report.context(
        "generations_64_in_flight", ratio.speedup, unit="x", peer="httpx", lowest_round=round(ratio.lowest, 2)
    )
    for kind in KINDS:
        report.context(f"generations_per_second_{kind}", 1 / rounds.median(kind), unit="1/s")


def main() -> None:
    report = Report("transport")
    with server() as url, tempfile.TemporaryDirectory() as folder:
        paid = Call(method="POST", url=f"{url}/v1/models/a/b/predictions", headers=HEADERS, json=BODY)
        calls(report, url, "paid_calls", paid, 1.2)
        calls(report, url, "polls", Call(method="GET", url=f"{url}/v1/jobs/1", headers=HEADERS), 3.0)
        generations(report, url, Path(folder))
    report.finish()


if __name__ == "__main__":
    main()
