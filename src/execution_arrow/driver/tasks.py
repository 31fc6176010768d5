"""Work that outlives the caller who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def to_the_end(group: asyncio.TaskGroup, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, which goes on in the group when this await is cancelled. Its error is the caller's."""

    async def kept() -> tuple[T | None, Exception | None]:
        try:
            return await work, None
        except Exception as error:  # noqa: BLE001 - a task group would end everybody else with it
            return None, error

    result, error = await asyncio.shield(group.create_task(kept()))
    if error is not None:
        raise error
    return cast(T, result)
