"""`execution-arrow webhooks …`: who is told of events, what became of that, and sending it again."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from execution_arrow.cli.opening import opened
from execution_arrow.delivery import WebhookEndpoint, Webhooks
from execution_arrow.delivery.policy import delivery_id
from execution_arrow.stores.outgoing import Delivery


def add_commands(add: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add `webhooks` with its verbs."""
    command = add("webhooks", _run, "who is told of events; `dead` lists what could not be delivered")
    command.set_defaults(fresh=True)
    command.add_argument(
        "verb", choices=sorted(_VERBS), help="; ".join(f"{v}: {t}" for v, (_, t) in _VERBS.items())
    )
    command.add_argument("what", nargs="?", metavar="URL|ENDPOINT", help="add: a URL; else an endpoint's id")
    command.add_argument("--account", help="add: only events of this account; list: only its endpoints")
    command.add_argument("--event", action="append", default=[], metavar="TYPE", help="add: only these types")
    command.add_argument("--secret", metavar="REFERENCE", help="add, rotate: such as env:NAME")
    command.add_argument("--generation", metavar="ID", help="log, dead, replay: only events of this one")
    command.add_argument("--no", type=int, help="replay: only this event of the generation")
    command.add_argument(
        "--keep", type=float, default=86_400.0, metavar="SECONDS", help="rotate: the old secret"
    )
    command.add_argument("--limit", type=int, default=50, help="log, dead: how many (50)")


def _run(arguments: argparse.Namespace) -> int:
    verb, _ = _VERBS[arguments.verb]
    if arguments.what is None and arguments.verb not in _WITHOUT:
        raise ValueError(f"webhooks {arguments.verb} needs an endpoint (`execution-arrow webhooks list`)")

    async def run() -> list[Any]:
        async with opened(arguments) as arrow:
            return await verb(arrow.webhooks, arguments)

    for item in asyncio.run(run()):
        print(_as_json(item) if arguments.json else _as_text(item))
    return 0


async def _add(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    made = await webhooks.add(a.what or "", account=a.account, events=a.event, secret=a.secret)
    return [made, await _shown(webhooks, made.id)]


async def _rotate(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    changed = await webhooks.rotate(a.what, keep=a.keep, secret=a.secret)
    return [changed, await _shown(webhooks, changed.id)]


async def _secret(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [await _shown(webhooks, a.what)]


async def _shown(webhooks: Webhooks, name: str) -> str:
    return (await webhooks.secret(name)).reveal()


async def _list(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return list(await webhooks.list(account=a.account))


async def _log(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return list(await webhooks.deliveries(endpoint=a.what, generation=a.generation, limit=a.limit))


async def _dead(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return list(
        await webhooks.deliveries(endpoint=a.what, state="dead", generation=a.generation, limit=a.limit)
    )


async def _replay(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [{"replayed": await webhooks.replay(a.what, generation=a.generation, no=a.no)}]


async def _test(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [{"sent": await webhooks.test(a.what)}]


async def _deliver(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [{"tried": await webhooks.deliver()}]


async def _disable(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [await webhooks.disable(a.what)]


async def _enable(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    return [await webhooks.enable(a.what)]


async def _remove(webhooks: Webhooks, a: argparse.Namespace) -> list[Any]:
    await webhooks.remove(a.what)
    return [{"removed": a.what}]


_Verb = Callable[[Webhooks, argparse.Namespace], Awaitable[list[Any]]]
_VERBS: dict[str, tuple[_Verb, str]] = {
    "list": (_list, "endpoints"),
    "add": (_add, "a URL; its secret is the last line"),
    "secret": (_secret, "show the newest"),
    "rotate": (_rotate, "to a new secret"),
    "disable": (_disable, "send nothing more"),
    "enable": (_enable, "send again"),
    "remove": (_remove, "with its deliveries"),
    "log": (_log, "deliveries, newest first"),
    "dead": (_dead, "what could not be delivered, kept for 72 hours"),
    "replay": (_replay, "send what is dead again"),
    "test": (_test, "send a webhook.test"),
    "deliver": (_deliver, "do what is due now, without a worker"),
}
_WITHOUT = frozenset({"list", "log", "dead", "deliver"})


def _as_json(item: Any) -> str:
    if isinstance(item, Delivery):
        return json.dumps({"id": delivery_id(item), **asdict(item)})
    return json.dumps(asdict(item) if isinstance(item, WebhookEndpoint) else item)


def _as_text(item: Any) -> str:
    if isinstance(item, WebhookEndpoint):
        whose, wants = item.account or "every account", ", ".join(item.events) or "every event"
        state = f"disabled: {item.disabled}" if item.disabled else f"{item.failures} failures in a row"
        return f"{item.id}  {item.url}  {whose}  {wants}  {state}"
    if isinstance(item, Delivery):
        at = datetime.fromtimestamp(item.at, UTC).isoformat(timespec="seconds")
        said = f"answered {item.answer}" if item.answer else item.error
        return (
            f"{item.state:<9}  {at}  {item.type}  {item.subject}/{item.no}  {item.endpoint}  {said}".rstrip()
        )
    if isinstance(item, dict):
        return "  ".join(f"{name}: {value}" for name, value in item.items())
    return str(item)
