"""`execution-arrow generate | get | list | wait | cancel`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from execution_arrow.arrow import AsyncArrow
from execution_arrow.cli.opening import add_places, opened, require_a_key
from execution_arrow.cli.showing import Progress, print_generation
from execution_arrow.errors import WaitTimeout
from execution_arrow.machine.state import Status
from execution_arrow.record import Generation

EVERY = 0.25  # seconds between two looks at a generation that is waited for


def add_commands(add: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add the commands; `add` takes name, function and help."""
    command = add("generate", _generate, "run one generation and wait for it")
    command.set_defaults(fresh=True)
    command.add_argument("model")
    command.add_argument(
        "request",
        nargs="+",
        metavar="FIELD=VALUE",
        help="generation_* fields, values as JSON; @FILE or - (JSON)",
    )
    command.add_argument("--account", required=True)
    command.add_argument("--key", help="idempotency key: the same key never generates twice")
    command.add_argument("--dry-run", action="store_true", help="show price and order; hold and send nothing")
    command.add_argument("--no-wait", action="store_true", help="leave the work to a worker")
    _add_waiting(command)
    add_places(command)
    command = add("wait", _wait, "wait for a generation, driving it when nobody else does")
    command.add_argument("id")
    _add_waiting(command)
    add_places(command)
    add("get", _get, "show one generation with its attempts").add_argument("id")
    command = add("cancel", _cancel, "ask for the end of a generation")
    command.add_argument("id")
    add_places(command)
    command = add("list", _list, "list generations, newest first")
    command.add_argument("--account")
    command.add_argument("--status", choices=tuple(map(str, Status)))
    command.add_argument("--before", metavar="ID", help="the last id of the page before")
    command.add_argument("--limit", type=int, default=20)


def _add_waiting(command: argparse.ArgumentParser) -> None:
    command.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS")
    command.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _generate(arguments: argparse.Namespace) -> int:
    words = _words(arguments.request)

    async def run() -> Generation | None:
        async with opened(arguments) as arrow:
            request = _request(arrow, arguments.model, words)
            if arguments.dry_run:
                await _estimate(arrow, arguments, request)
                return None
            if not (arguments.no_wait or arguments.sandbox):
                require_a_key((await arrow.estimate(arguments.model, request)).quotes)
            made = await arrow.generate(
                arguments.model, request, account=arguments.account, idempotency_key=arguments.key
            )
            return made if arguments.no_wait else await _followed(arrow, made.id, arguments)

    made = asyncio.run(run())
    return 0 if made is None else _answer(made, arguments)


async def _estimate(arrow: AsyncArrow, arguments: argparse.Namespace, request: dict[str, Any]) -> None:
    found = await arrow.estimate(arguments.model, request)
    quotes = {
        name: {"price": str(one.price), "cost": None if one.cost is None else str(one.cost)}
        for name, one in found.quotes.items()
    }
    if arguments.json:
        print(json.dumps({"model": found.model, "price": str(found.price), "quotes": quotes}))
        return
    print(f"{found.model}  at most {found.price}  ({found.reason})")
    for name, one in quotes.items():
        print(f"    {name}  price {one['price']}  cost {one['cost'] or 'not known'}")


def _words(words: Iterable[str]) -> list[tuple[str, Any]]:
    """Names with their values: text as it was typed, or what `@file.json` or `-` (JSON) holds.

    Exit code 2 for what is none of these.
    """
    told: list[tuple[str, Any]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if word == "-" or word.startswith("@"):
            told += [(key, (value,)) for key, value in _document(word).items()]
        elif equals:
            told.append((name, value))
        else:
            _misunderstood(f"{word!r} is not FIELD=VALUE, @FILE or -")
    return told


def _request(arrow: AsyncArrow, model: str, words: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The later word wins. What was typed is text where the model wants text, else JSON, else text."""
    try:
        fields = arrow.catalog[model].contract.fields
    except LookupError:  # nobody has such a model; whoever is asked next says so
        return {}
    return {
        name: value[0] if isinstance(value, tuple) else _value(value, getattr(fields.get(name), "type", ""))
        for name, value in words
    }


def _document(word: str) -> dict[str, Any]:
    text = sys.stdin.read() if word == "-" else Path(word[1:]).read_text("utf-8")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        _misunderstood(f"{word}: must hold one JSON object")
    return found


def _misunderstood(what: str) -> NoReturn:
    print(f"execution-arrow: {what}", file=sys.stderr)
    raise SystemExit(2)


def _value(text: str, kind: str) -> Any:
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _wait(arguments: argparse.Namespace) -> int:
    async def run() -> Generation:
        async with opened(arguments) as arrow:
            return await _followed(arrow, arguments.id, arguments)

    return _answer(asyncio.run(run()), arguments)


async def _followed(arrow: AsyncArrow, generation_id: str, arguments: argparse.Namespace) -> Generation:
    """Wait for the end and show what happens. Who stops waiting is told how to go on."""
    async with _shown(arrow, generation_id, arguments.quiet or arguments.json):
        try:
            return await arrow.wait(generation_id, timeout=arguments.timeout)
        except (asyncio.CancelledError, WaitTimeout):
            print(f"to go on: execution-arrow wait {generation_id} --data {arguments.data}", file=sys.stderr)
            raise


@contextlib.asynccontextmanager
async def _shown(arrow: AsyncArrow, generation_id: str, quiet: bool) -> AsyncIterator[None]:
    if quiet:
        yield
        return
    progress = Progress()

    async def look() -> None:
        while True:
            progress.tell(await arrow.get(generation_id))
            await asyncio.sleep(EVERY)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        progress.end()


def _answer(generation: Generation, arguments: argparse.Namespace) -> int:
    """Print how it ended. 1 where it failed or was canceled."""
    failed = generation.status in (Status.FAILED, Status.CANCELED)
    print_generation(generation, arguments.json, attempts=failed)
    return int(failed)


def _get(arguments: argparse.Namespace) -> int:
    return _show(arguments, lambda arrow: arrow.get(arguments.id), attempts=True)


def _cancel(arguments: argparse.Namespace) -> int:
    return _show(arguments, lambda arrow: arrow.cancel(arguments.id))


def _show(
    arguments: argparse.Namespace, verb: Callable[[AsyncArrow], Awaitable[Generation]], attempts: bool = False
) -> int:
    async def run() -> Generation:
        async with opened(arguments) as arrow:
            return await verb(arrow)

    print_generation(asyncio.run(run()), arguments.json, attempts=attempts)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    async def run() -> list[Generation]:
        async with opened(arguments) as arrow:
            return await arrow.list(
                account=arguments.account,
                status=arguments.status,
                before=arguments.before,
                limit=arguments.limit,
            )

    for generation in asyncio.run(run()):
        print_generation(generation, arguments.json)
    return 0
