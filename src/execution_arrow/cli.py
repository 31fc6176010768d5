"""`execution-arrow`: generations from the command line, a worker, and the provider sandbox.

`--data` names the folder with `ledger.db`, `arrow.db` and `artifacts/`, or the database (`postgresql://…`,
with `--artifacts FOLDER` for the files). Results go to standard output, as
JSON with `--json`; everything else to standard error. Exit codes: 0 it worked, 1 it was refused or failed,
2 the command was not understood, 3 it is not finished yet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from execution_arrow.arrow import AsyncArrow
from execution_arrow.cli_reports import add_reports
from execution_arrow.errors import ArrowError, GenerationFailed, WaitTimeout
from execution_arrow.record import Generation


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except WaitTimeout as error:
        print(error, file=sys.stderr)
        return 3
    except GenerationFailed as error:
        _print(error.generation, arguments.json)
        return 1
    except (ArrowError, OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="execution-arrow", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", default="./media-data", metavar="FOLDER|URL", help="where all is kept")
    shared.add_argument("--artifacts", metavar="FOLDER", help="where files are kept; needed with a URL")
    shared.add_argument("--json", action="store_true", help="print `generation.v1` documents")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[shared])
        command.set_defaults(run=run)
        return command

    command = add("generate", _generate, "run one generation and wait for it")
    command.add_argument("model")
    command.add_argument("request", nargs="+", metavar="FIELD=VALUE", help="generation_* fields; JSON values")
    command.add_argument("--account", required=True)
    command.add_argument("--key", help="idempotency key: the same key never generates twice")
    command.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS")
    add("get", _get, "show one generation").add_argument("id")
    add("cancel", _cancel, "ask for the end of a generation").add_argument("id")
    command = add("wait", _wait, "wait for a generation, driving it when nobody else does")
    command.add_argument("id")
    command.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS")
    command = add("list", _list, "list generations, newest first")
    command.add_argument("--account")
    command.add_argument("--status")
    command.add_argument("--limit", type=int, default=20)
    add("doctor", _doctor, "say what is wrong here, and what to type; exit code 1 when something is")
    add_reports(add)
    worker = add("worker", _worker, "claim and drive whatever is due until SIGTERM or Ctrl-C")
    worker.add_argument("--grace", type=float, default=10.0, metavar="SECONDS", help="for calls under way")
    worker.add_argument("--public-url", metavar="URL", help="where providers call back (`handle_webhook`)")
    add("migrate", _migrate, "make or bring up the tables of jobs and ledger in a database")
    command = add("sandbox", _sandbox, "run local stand-ins for the providers until Ctrl-C")
    command.add_argument("--port", type=int, default=8600)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--fault", action="append", default=[], metavar="PROVIDER=KIND[:SHARE]")
    return parser


def _generate(arguments: argparse.Namespace) -> int:
    request = dict(_field(text) for text in arguments.request)

    async def run(arrow: AsyncArrow) -> Generation:
        return await arrow.generate_and_wait(
            arguments.model,
            request,
            account=arguments.account,
            idempotency_key=arguments.key,
            timeout=arguments.timeout,
        )

    return _show(arguments, run)


def _field(text: str) -> tuple[str, Any]:
    """`generation_duration=5` as a field; a value that is not JSON is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not FIELD=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _get(arguments: argparse.Namespace) -> int:
    return _show(arguments, lambda arrow: arrow.get(arguments.id), attempts=True)


def _doctor(arguments: argparse.Namespace) -> int:
    from execution_arrow.doctor import examine
    from execution_arrow.wiring import default_parts

    where = arguments.data
    folder = Path(arguments.artifacts or where) if "://" in where else Path(where)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: `--data` names the one that the service works on")
    parts = default_parts(where, artifacts=arguments.artifacts)
    try:
        found = examine(
            parts.store,
            folder,
            parts.credentials,
            tuple(parts.providers),
            parts.clock.now(),
            parts.blocking_ledger.reconcile,
        )
    finally:
        parts.store.close()
        parts.blocking_ledger.close()
        parts.island.close()
    for finding in found:
        print(f"{finding.level:<4}  {finding.what}")
        if finding.todo:
            print(f"      {finding.todo}")
    return int(any(finding.level != "ok" for finding in found))


def _cancel(arguments: argparse.Namespace) -> int:
    return _show(arguments, lambda arrow: arrow.cancel(arguments.id))


def _wait(arguments: argparse.Namespace) -> int:
    return _show(arguments, lambda arrow: arrow.wait(arguments.id, timeout=arguments.timeout))


def _list(arguments: argparse.Namespace) -> int:
    async def run() -> list[Generation]:
        async with AsyncArrow.open(arguments.data, artifacts=arguments.artifacts) as arrow:
            return await arrow.list(account=arguments.account, status=arguments.status, limit=arguments.limit)

    for generation in asyncio.run(run()):
        _print(generation, arguments.json)
    return 0


def _show(arguments: argparse.Namespace, verb: Any, attempts: bool = False) -> int:
    async def run() -> Generation:
        async with AsyncArrow.open(arguments.data, artifacts=arguments.artifacts) as arrow:
            found: Generation = await verb(arrow)
            return found

    generation = asyncio.run(run())
    _print(generation, arguments.json)
    if attempts and not arguments.json:
        _print_attempts(generation)
    return 0


def _print_attempts(generation: Generation) -> None:
    for attempt in generation.attempts:
        lasted = (attempt.ended_at or time.time()) - attempt.started_at
        cost = f"cost {attempt.cost}" if attempt.cost is not None else "cost not known yet"
        if attempt.possible_waste:
            cost = f"may be billed {attempt.cost or ''}".rstrip()
        why = ": ".join(word for word in (attempt.code, attempt.message) if word)
        print(
            f"    {attempt.provider}  {attempt.state}  {attempt.outcome}  job {attempt.job or '-'}  "
            f"{lasted:.1f} s  {cost}  {why}".rstrip()
        )
    if generation.stuck:
        print(f"    stuck: the ledger refused the settlement: {generation.stuck}")


def _print(generation: Generation, as_json: bool) -> None:
    if as_json:
        from execution_arrow.documents import GenerationV1

        print(GenerationV1.of(generation).model_dump_json())
        return
    attempts = " ".join(f"{a.provider}:{a.outcome}" for a in generation.attempts) or "no attempt yet"
    print(
        f"{generation.id}  {generation.status:<10}  {generation.model}  "
        f"charged {generation.charged}  {attempts}"
    )
    for file in generation.files:
        size = f"{file.width}x{file.height}" if file.width else ""
        print(f"    {file.path or file.key}  {file.media_type} {size} {file.size} bytes")
    if generation.error:
        print(f"    {generation.error_code} {generation.error}")


def _worker(arguments: argparse.Namespace) -> int:
    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with AsyncArrow.open(
            arguments.data,
            artifacts=arguments.artifacts,
            public_url=arguments.public_url,
            worker=True,
            watch=_report,
        ) as arrow:
            print("working; stop with SIGTERM or Ctrl-C", file=sys.stderr)
            await stop.wait()
            print("stopping: finishing what is under way", file=sys.stderr)
            await arrow.aclose(arguments.grace)

    asyncio.run(run())
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    from execution_arrow.wiring import migrate

    migrate(arguments.data)
    print("the tables are up to date", file=sys.stderr)
    return 0


def _report(generation: Generation) -> None:
    attempts = " ".join(f"{a.provider}:{a.outcome}" for a in generation.attempts)
    print(f"{generation.id}  {generation.status:<10}  {attempts}", file=sys.stderr)


def _sandbox(arguments: argparse.Namespace) -> int:
    from execution_arrow.sandbox import Sandbox, parse_fault

    box = Sandbox(seed=arguments.seed, port=arguments.port, separate=True)
    for text in arguments.fault:
        provider, fault = parse_fault(text)
        box.fault(provider, fault)
    with box:
        print(f"calls and bill book: {box.url}", file=sys.stderr)
        for name, value in box.environment().items():
            print(f"export {name}={value}")
        sys.stdout.flush()
        asyncio.run(_until_interrupted())
    return 0


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
