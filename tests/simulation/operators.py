"""People who look after addresses: they change their secrets, switch them off and on, and replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from execution_arrow.arrow import AsyncArrow
from execution_arrow.delivery.endpoints import Reference, WebhookEndpoint, first_reference
from execution_arrow.errors import RequestRejected, StoreUnavailable, WrongLoop
from execution_arrow.stores.outgoing import KeepEndpoint
from tests.simulation.nodes import Died
from tests.simulation.receivers import Receiver

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

_EVENTS = (
    (),
    (),
    ("generation.completed",),
    ("generation.started", "generation.failed", "generation.canceled"),
)


def open_addresses(simulation: Simulation) -> None:
    """The receivers of this world. Their ids are ours to choose, so that a seed is the same every time."""
    knobs, rng = simulation.knobs, simulation.rng
    now = simulation.world.now
    for number in range(knobs.receivers):
        receiver = Receiver(
            endpoint=f"we_{number}",
            account=rng.choice((None, "acct-0", "acct-1")) if number else None,
            events=rng.choice(_EVENTS) if number and not knobs.punctual else (),
            hanging=number < knobs.hanging,
            healthy=number >= knobs.hanging > 0,
        )
        simulation.receivers.all[receiver.endpoint] = receiver
        endpoint = WebhookEndpoint(
            id=receiver.endpoint, account=receiver.account, url=receiver.url, events=receiver.events,
            secrets=(Reference(name=first_reference()),), created_at=now,
        )  # fmt: skip
        op = KeepEndpoint(endpoint=endpoint.row(), at=now)
        (result,) = simulation.site.disk.store.apply([op])
        simulation.inspector.see(op, result)
    simulation.site.disk.forget_durable()  # it is on the disk


async def operate(simulation: Simulation) -> None:
    """Do one thing at one address, at some moment."""
    rng = simulation.rng
    await asyncio.sleep(rng.random() * (simulation.knobs.arrivals + 20.0))
    receiver = rng.choice(list(simulation.receivers.all.values()))
    what = rng.choice((rotate, rotate, off_and_on, replay, deliver))
    simulation.outcome.happened[what.__name__] += 1
    simulation.tell("operate", f"{what.__name__} {receiver.endpoint}")
    await what(simulation, receiver)


async def rotate(simulation: Simulation, receiver: Receiver) -> None:
    """A new secret, and the old one for a while."""
    keep = simulation.rng.choice((5.0, 40.0, 86_400.0))
    await _ask(simulation, lambda arrow: arrow.webhooks.rotate(receiver.endpoint, keep=keep))


async def off_and_on(simulation: Simulation, receiver: Receiver) -> None:
    await _ask(simulation, lambda arrow: arrow.webhooks.disable(receiver.endpoint))
    await asyncio.sleep(simulation.rng.choice((0.0, 8.0)))
    await enable(simulation, receiver)


async def enable(simulation: Simulation, receiver: Receiver) -> None:
    """And bring what was missed."""
    await _ask(simulation, lambda arrow: arrow.webhooks.enable(receiver.endpoint))
    await replay(simulation, receiver)


async def replay(simulation: Simulation, receiver: Receiver) -> None:
    await _ask(simulation, lambda arrow: arrow.webhooks.replay(receiver.endpoint))


async def deliver(simulation: Simulation, receiver: Receiver) -> None:
    """By hand, beside the workers."""
    await _ask(simulation, lambda arrow: arrow.webhooks.deliver())


async def _ask(simulation: Simulation, verb: Callable[[AsyncArrow], Coroutine[Any, Any, object]]) -> None:
    """Until somebody has answered."""
    for _ in range(60):
        if nodes := simulation.alive():
            try:
                await simulation.rng.choice(nodes).call(verb)
            except RequestRejected:  # disabled meanwhile
                return
            except (Died, StoreUnavailable, WrongLoop):
                pass
            else:
                return
        await asyncio.sleep(1.0)
