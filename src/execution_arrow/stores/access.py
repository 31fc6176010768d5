"""How a loop reaches a job store: one awaitable seam over the blocking protocol.

Everything above the stores (admission, driver, lease, worker, reader) speaks to an `Access` and to nothing
else. `Threaded` is the product: writes are grouped by a thread, reads run in the loop's executor, so that
nothing blocks the loop. `Inline` does both on the spot, for simulations that allow no threads and for stores
that answer from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Hear, Inboxed, JobStore, Op, Result, Row
from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint
from execution_arrow.stores.writer import Writer


class Access(Protocol):
    """The store as coroutines. Everything may raise `StoreUnavailable`; see `JobStore` for what they do.

    Cancelling a wait abandons the answer, never the operation.
    """

    async def apply(self, op: Op) -> Result:
        """Perform one operation; returns when its transaction has committed."""
        ...

    async def load(self, generation_id: str) -> Row | None: ...

    async def load_many(self, generation_ids: Sequence[str]) -> list[Row]: ...

    async def by_key(self, account: str, key: str) -> tuple[str, str] | None: ...

    async def of_job(self, provider: str, job: str) -> list[str]: ...

    async def holders(self, text: str) -> list[str]: ...

    async def page(
        self, account: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Row]: ...

    async def unfinished(self, after: str | None, limit: int) -> list[Row]: ...

    async def events(self, generation_id: str) -> list[Event]: ...

    async def inbox(self, owner: str) -> list[Inboxed]: ...

    async def endpoints(self) -> list[Endpoint]: ...

    async def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]: ...

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Call `hear` on this loop about changes, until what is returned is called."""
        ...

    async def aclose(self) -> None:
        """Perform what was offered, then close the store."""
        ...

    def close(self) -> None:
        """The same for a caller without a loop."""
        ...


class Threaded:
    """Writes through the grouping writer's thread, reads in the loop's executor."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._writer = Writer(store)

    async def apply(self, op: Op) -> Result:
        return await self._writer.apply(op)

    async def load(self, generation_id: str) -> Row | None:
        return await asyncio.to_thread(self._store.load, generation_id)

    async def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        return await asyncio.to_thread(self._store.load_many, generation_ids)

    async def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        return await asyncio.to_thread(self._store.by_key, account, key)

    async def of_job(self, provider: str, job: str) -> list[str]:
        return await asyncio.to_thread(self._store.of_job, provider, job)

    async def holders(self, text: str) -> list[str]:
        return await asyncio.to_thread(self._store.holders, text)

    async def page(
        self, account: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Row]:
        return await asyncio.to_thread(self._store.page, account, status, before, limit)

    async def unfinished(self, after: str | None, limit: int) -> list[Row]:
        return await asyncio.to_thread(self._store.unfinished, after, limit)

    async def events(self, generation_id: str) -> list[Event]:
        return await asyncio.to_thread(self._store.events, generation_id)

    async def inbox(self, owner: str) -> list[Inboxed]:
        return await asyncio.to_thread(self._store.inbox, owner)

    async def endpoints(self) -> list[Endpoint]:
        return await asyncio.to_thread(self._store.endpoints)

    async def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        return await asyncio.to_thread(self._store.deliveries, endpoint, state, subject, limit)

    def watch(self, hear: Hear) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        return self._store.watch(lambda hints: loop.call_soon_threadsafe(hear, hints))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._writer.close)

    def close(self) -> None:
        self._writer.close()


class Inline:
    """Everything at once, in the caller's thread, each operation a transaction of its own.

    A simulation that wants to share or to break transactions puts its own `Group` around the store.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    async def apply(self, op: Op) -> Result:
        (result,) = self._store.apply((op,))
        return result

    async def load(self, generation_id: str) -> Row | None:
        return self._store.load(generation_id)

    async def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        return self._store.load_many(generation_ids)

    async def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        return self._store.by_key(account, key)

    async def of_job(self, provider: str, job: str) -> list[str]:
        return self._store.of_job(provider, job)

    async def holders(self, text: str) -> list[str]:
        return self._store.holders(text)

    async def page(
        self, account: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Row]:
        return self._store.page(account, status, before, limit)

    async def unfinished(self, after: str | None, limit: int) -> list[Row]:
        return self._store.unfinished(after, limit)

    async def events(self, generation_id: str) -> list[Event]:
        return self._store.events(generation_id)

    async def inbox(self, owner: str) -> list[Inboxed]:
        return self._store.inbox(owner)

    async def endpoints(self) -> list[Endpoint]:
        return self._store.endpoints()

    async def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        return self._store.deliveries(endpoint, state, subject, limit)

    def watch(self, hear: Hear) -> Callable[[], None]:
        return self._store.watch(hear)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()
