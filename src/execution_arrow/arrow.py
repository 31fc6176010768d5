"""`AsyncArrow`: generations for asyncio services.

`generate` returns when the row and the hold are durable; it never talks to a provider. The work is done by
whoever drives: a worker of this process (`worker=True`), another process, or `wait` itself when nobody
else owns the generation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self, Unpack

from execution_arrow.artifacts.sweeping import shared
from execution_arrow.delivery import WebhookPolicy
from execution_arrow.driver.following import Advanced, Busy
from execution_arrow.driver.worker import Limits
from execution_arrow.errors import GenerationFailed, RequestRejected
from execution_arrow.intake.admission import Estimate, Options, wish_of
from execution_arrow.intake.checks import check_grace, check_page, check_timeout
from execution_arrow.machine.state import Status
from execution_arrow.policy import Policy
from execution_arrow.record import Generation
from execution_arrow.reports.accounting import Usage
from execution_arrow.reports.outlook import Health, Library, health_of, library_of
from execution_arrow.reports.reconciling import Finding
from execution_arrow.running import Running
from execution_arrow.signals import Listener
from execution_arrow.webhooks import WebhookReply


class AsyncArrow(Running):
    """Runs generations. Use it with `async with`: it owns its tasks and ends them in order.

    `Arrow.open` and `AsyncArrow.open` take the same arguments. Every verb raises `execution_arrow.errors`
    only. Cancelling an await stops the waiting, not the work.
    """

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        policy: Policy | None = None,
        region: str = "us",
        base_urls: Mapping[str, str] | None = None,
        public_url: str | None = None,
        worker: bool = False,
        limits: Limits | None = None,
        watch: Callable[[Generation], None] | None = None,
        webhooks: WebhookPolicy | None = None,
        retain: float | None = None,
        on_event: Listener | None = None,
        **parts: Any,
    ) -> Self:
        """Open everything in one folder (`ledger.db`, `arrow.db`, …), or `postgresql://…`, `redis://…`.

        `worker` claims and drives whatever is due, also what a killed process left. `base_urls` replaces a
        provider's address (a sandbox, a regional host). `watch` is called with every changed generation.
        `webhooks` says how events are sent out (`arrow.webhooks` says to whom); workers send them.
        `on_event` is told of every `signals.Signal` (default: logging; `otel.Telemetry` is another).
        `retain` is for how many seconds results are kept (an hour and more; None: for ever); a worker deletes
        older ones.
        `parts` replace single ones: `catalog`, `jobs`, `ledger`, `island`, `tariff`, `credentials`,
        `providers`, `transport`, `egress`; what else there is, `wiring.default_parts` tells.
        """
        from execution_arrow.wiring import default_parts

        return cls(
            default_parts(where, **parts), policy=policy, region=region, base_urls=base_urls,
            public_url=public_url, worker=worker, limits=limits, watch=watch, webhooks=webhooks,
            retain=retain, on_event=on_event,
        )  # fmt: skip

    async def generate(
        self, model: str, request: Mapping[str, Any], *, account: str, **options: Unpack[Options]
    ) -> Generation:
        """Check the request, hold the credits, and write the generation down (`pending`).

        The same `idempotency_key` with the same request returns the first generation; with another one it
        raises `IdempotencyConflict`. Raises `RequestRejected` with all issues, `NoPrice`,
        `InsufficientCredits`, `LedgerRefused`; then nothing was dispatched. After `StoreUnavailable` repeat
        with the same key.
        """
        wish = wish_of(model, request, account, options)
        session = await self._finish(self._admission.begin(wish, self._here(), drive=self._worker_wanted))
        if isinstance(session, str):
            return await self.get(session)
        return self._reader.view(session.run, session.version, wish.key)

    async def generate_and_wait(
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        account: str,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """`generate`, then `wait`. Raises `GenerationFailed` unless it succeeded."""
        check_timeout(timeout)
        wish = wish_of(model, request, account, options)
        session = await self._finish(self._admission.begin(wish, self._here(), drive=True))
        generation_id = session if isinstance(session, str) else session.run.spec.id
        found = await self.wait(generation_id, timeout=timeout)
        if found.status is not Status.SUCCEEDED:
            raise GenerationFailed(found)
        return found

    async def estimate(self, model: str, request: Mapping[str, Any], **options: Unpack[Options]) -> Estimate:
        """What the request would be charged at most, and who would be asked first. Holds nothing."""
        return self._admission.estimate(wish_of(model, request, "", options))

    async def get(self, generation_id: str) -> Generation:
        """The generation as it stands. Raises `UnknownGeneration`."""
        self._here()
        return self._reader.show(await self._reader.row(generation_id))

    async def list(
        self,
        *,
        account: str | None = None,
        status: Status | str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Generation]:
        """Newest first. `before`: the last id of the previous page."""
        self._here()
        wanted = check_page(account, status, before, limit)
        return await self._reader.page(account, wanted, before, limit)

    async def wait(self, generation_id: str, *, timeout: float | None = None) -> Generation:
        """Wait until the status is final, driving the generation when nobody else does.

        Raises `WaitTimeout` after `timeout` seconds; the generation goes on.
        """
        self._here()
        check_timeout(timeout)
        return await self._follower.wait(generation_id, timeout)

    async def cancel(self, generation_id: str) -> Generation:
        """Ask for the end. The credits come back; the provider is told, and its job is watched to the end.

        Raises `CancelTooLate` when results are being stored or the generation has ended otherwise.
        """
        self._here()
        return await self._follower.cancel(generation_id)

    async def advance(self, generation_id: str) -> Advanced | Busy:
        """Do everything that is due now, then hand the generation back.

        Safe to call twice at once, to kill anywhere, and to call for ever after the end: any at-least-once
        runner may own the schedule. Never sleeps on a provider; `next_at` says when to come back.
        """
        self._here()
        return await self._follower.advance(generation_id)

    async def delete(self, generation_id: str, *, files: bool = False) -> bool:
        """Forget what the customer wrote. True when it is done; False when it waits for the end.

        Request, provider payloads, error texts and recorded answers are blanked in the store as soon as the
        generation has ended and nothing of it is watched any more. Ids, amounts, costs and the results'
        hashes stay: the books must add up. With `files` the results are deleted as well, also those that came
        too late and were kept, unless a generation that was not deleted has made the very same bytes, which
        are one file: looking for those reads every row. Deleting twice is harmless.
        """
        self._here()
        done = await self._follower.delete(generation_id)
        if done and files:
            generation = await self.get(generation_id)
            kept = [file for attempt in generation.attempts for file in attempt.kept]
            for file in (*generation.files, *kept):
                if not await shared(self._store, file.key, generation_id):
                    await self._parts.artifacts.remove(file.key)
        return done

    async def link(self, key: str) -> str | None:
        """A new address of a stored file (`file.key`), good for a while; None for files in a folder."""
        return await self._parts.artifacts.link(key)

    async def sweep(self, older_than: float) -> int:
        """Delete the files that were last stored more than `older_than` seconds ago; returns how many.

        With `retain` a worker does it every hour. Records keep what the files were.
        """
        self._here()
        check_timeout(older_than)
        return await self._sweeper.sweep(older_than)

    async def health(self) -> Health:
        """Whether stores, ledger and artifacts answer, and how each provider has been of late."""
        self._here()
        return await health_of(self._parts, self._store)

    async def library(self, *models: str) -> Library:
        """The models that can be asked for, or only these, with their JSON Schemas, and the providers."""
        return await library_of(self._parts, models)

    async def usage(self, *, since: datetime | None = None, until: datetime | None = None) -> Usage:
        """Submissions, outcomes and costs per provider, of the generations created in a window of time.

        The default is the last 30 days. Reads every row of the window.
        """
        self._here()
        return await self._desk.usage(_seconds("since", since), _seconds("until", until))

    async def reconcile(
        self, *, since: datetime | None = None, grace: float = 300.0, repair: bool = False
    ) -> tuple[Finding, ...]:
        """What a person should look at, in our rows and in the ledger's holds, each with what to do next.

        `since` bounds the ledger's history (default 30 days); `grace`: seconds that a worker may be late.
        `repair` settles again, by the same key, what our rows have settled and the ledger holds as open.
        Nothing else is moved. Safe at any time, beside any number of workers.
        """
        self._here()
        check_grace(grace)
        return await self._desk.reconcile(_seconds("since", since), grace, repair)

    async def handle_webhook(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> WebhookReply:
        """Take a provider's callback; answer it with the reply's `status`.

        Providers are given `<public_url>/<provider>/<token>` to call: pass those last two parts, the headers
        and the raw body. Any process may do it, whoever owns the generation. Signed content is verified and
        kept before this returns; unsigned content is never believed, the provider is asked instead. What is
        forged, stale, foreign, repeated or malformed changes nothing, and `reason` says which it was. Never
        raises for what a stranger may send; a store that is away is a 503, so that the provider calls again.
        """
        return await self._inbound.handle(provider, token, headers, body)


def _seconds(name: str, moment: datetime | None) -> float | None:
    """Raises `RequestRejected` for a time without an offset: nobody knows when that is."""
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise RequestRejected([f"{name}: must be a datetime with an offset, not {moment!r}"])
    return moment.timestamp()
