"""What the tests of the pains share: short words for a world that is wired as a user's would be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from execution_arrow import AsyncArrow, Generation
from execution_arrow.driver.worker import Limits
from execution_arrow.sandbox import Bill, Received, Sandbox
from execution_arrow.testing import FakeProvider, fake_parts

SEEDREAM = "bytedance/seedream-4.5"
SCHNELL = "bfl/flux-schnell"
CLIP = "bytedance/seedance-1-pro"
QUICK = Limits(lease=0.9, inbox_every=0.05, claim_every=0.05)


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own; one that hangs fails."""

    @wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))  # type: ignore[arg-type]

    return wrapper


def ask(providers: str, **more: Any) -> dict[str, Any]:
    return {"generation_prompt": "a lighthouse at dusk", "generation_provider_order": providers, **more}


async def fund(arrow: AsyncArrow, credits: str = "5") -> None:
    await arrow.ledger.grant("acct", credits, key="start", create=True)


async def followed(arrow: AsyncArrow, generation_id: str) -> Generation:
    """The generation once nothing of it is watched any more."""
    for _ in range(600):
        found = await arrow.get(generation_id)
        if found.done and not found.watching:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("still watched after 30 s")


async def until(true: Callable[[], Any]) -> None:
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen within 12 s")


def of(generation: Generation, calls: Iterable[Received], on: str = "submit") -> list[Received]:
    """The calls that a provider received for a generation."""
    ids = {attempt.id for attempt in generation.attempts}
    return [call for call in calls if call.on == on and call.reference in ids]


def billed(box: Sandbox, generation: Generation) -> dict[str, int]:
    """Micro-credits by attempt, as the providers' own books have them."""
    ids = {attempt.id for attempt in generation.attempts}
    bills: tuple[Bill, ...] = box.bills()
    return {bill.reference: bill.amount for bill in bills if bill.reference in ids}


def outcomes(generation: Generation) -> list[tuple[str, str]]:
    return [(attempt.provider, str(attempt.outcome)) for attempt in generation.attempts]


def faked(folder: Path, *providers: FakeProvider, **more: Any) -> AsyncArrow:
    """An Arrow over fakes; options of `AsyncArrow` and parts are both taken."""
    named = {provider.semantics.name: provider for provider in providers or (FakeProvider(),)}
    own = {name: more.pop(name) for name in ("policy", "worker", "limits", "public_url") if name in more}
    return AsyncArrow(fake_parts(named, folder, **more), **{"limits": QUICK, **own})
