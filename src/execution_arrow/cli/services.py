"""`execution-arrow worker | sandbox | migrate`: what runs beside a service."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from execution_arrow.cli.opening import add_places, opened
from execution_arrow.cli.showing import print_generation
from execution_arrow.ports import Transport
from execution_arrow.record import Generation


def add_commands(add: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add the commands; `add` takes name, function and help."""
    worker = add("worker", _worker, "claim and drive whatever is due until SIGTERM or Ctrl-C")
    worker.set_defaults(fresh=True)
    worker.add_argument("--grace", type=float, default=10.0, metavar="SECONDS", help="for calls under way")
    worker.add_argument("--public-url", metavar="URL", help="where providers call back (`handle_webhook`)")
    worker.add_argument("--transport", choices=_TRANSPORTS, default="httpx", help="how providers are called")
    add_places(worker)
    add("migrate", _migrate, "make or bring up the tables of jobs and ledger in a database")
    command = add("sandbox", _sandbox, "run local stand-ins for the providers until Ctrl-C")
    command.add_argument("--port", type=int, default=8600, help="of the page; 0 takes a free one")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--fault", action="append", default=[], metavar="PROVIDER=KIND[:SHARE]")


def _worker(arguments: argparse.Namespace) -> int:
    def ended(generation: Generation) -> None:
        """With `--json`, each generation once it has ended; else a line per change."""
        if not arguments.json:
            _report(generation)
        elif generation.done and not generation.watching:
            print_generation(generation, as_json=True)

    async def run() -> None:
        stop, transport = _stopped(), _TRANSPORTS[arguments.transport]()
        async with opened(
            arguments, public_url=arguments.public_url, worker=True, watch=ended, transport=transport
        ) as arrow:
            print("working; stop with SIGTERM or Ctrl-C", file=sys.stderr)
            await stop.wait()
            print("stopping: finishing what is under way", file=sys.stderr)
            await arrow.aclose(arguments.grace)

    asyncio.run(run())
    return 0


def _httpx() -> Transport:
    from execution_arrow.transport.httpx import HttpxTransport

    return HttpxTransport()


def _aiohttp() -> Transport:
    from execution_arrow.transport.aiohttp import AiohttpTransport

    return AiohttpTransport()


_TRANSPORTS: dict[str, Callable[[], Transport]] = {"httpx": _httpx, "aiohttp": _aiohttp}


def _report(generation: Generation) -> None:
    attempts = " ".join(f"{a.provider}:{a.outcome}" for a in generation.attempts)
    print(f"{generation.id}  {generation.status:<10}  {attempts}", file=sys.stderr)


def _migrate(arguments: argparse.Namespace) -> int:
    from execution_arrow.wiring import migrate

    migrate(arguments.data)
    print("the tables are up to date", file=sys.stderr)
    return 0


def _sandbox(arguments: argparse.Namespace) -> int:
    from execution_arrow.sandbox import Sandbox, parse_fault

    box = Sandbox(seed=arguments.seed, port=arguments.port, separate=True)
    for text in arguments.fault:
        provider, fault = parse_fault(text)
        box.fault(provider, fault)
    with box:
        if arguments.json:
            print(json.dumps({"url": box.url, "environment": box.environment()}))
        else:
            print(f"calls and bill book: {box.url}", file=sys.stderr)
            print(f"for execution-arrow: --sandbox {box.url}; for other clients:", file=sys.stderr)
            print("\n".join(f"export {name}={value}" for name, value in box.environment().items()))
        sys.stdout.flush()
        asyncio.run(_until_stopped())
    return 0


async def _until_stopped() -> None:
    await _stopped().wait()


def _stopped() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
