"""Performing effects: the thin, async side of the machine.

Every method makes one effect happen and returns what was heard as facts. Whatever goes wrong outside
becomes a fact too; the only thing that leaves a method as an exception is cancellation. The rule of the
paid call is kept here in one place: a submit is sent once, and what happened to it is told honestly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from execution_arrow import effects as fx
from execution_arrow import facts as f
from execution_arrow.artifacts import collecting
from execution_arrow.errors import (
    ArrowError,
    InputGone,
    InputRetry,
    MaybeSentError,
    MissingCredentials,
    NotSentError,
    StoreUnavailable,
)
from execution_arrow.facts import Fact, Fault
from execution_arrow.inputs.bodies import filled
from execution_arrow.inputs.holding import holding
from execution_arrow.inputs.uploading import NotUploaded, uploaded
from execution_arrow.machine.state import Attempt, Run
from execution_arrow.ports import ArtifactStore, Credentials, Inputs, LedgerPort, Transport
from execution_arrow.providers.base import Call, Context, Follow, Job, Provider, Reply
from execution_arrow.spool import read_spool

logger = logging.getLogger("execution_arrow")

_GRACE = 60.0  # seconds beyond a call's own timeout, for connecting and writing
_LONGEST = 3600.0  # seconds after which an effect counts as one without an answer: deadlines wait for answers
_ASKING = (fx.Poll, fx.Confirm, fx.Lookup, fx.Cancel)  # made of calls alone, each of which has its own bound
_ENDS = (f.Succeeded, f.Failed, f.Canceled, f.Expired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """Everything an effect may need. `base_urls` overrides a provider's own address (sandbox, region)."""

    providers: Mapping[str, Provider]
    transport: Transport
    ledger: LedgerPort
    artifacts: ArtifactStore
    inputs: Inputs
    credentials: Credentials
    spool: Path  # the folder of spooled replies
    base_urls: Mapping[str, str]
    public_url: str | None = None

    async def perform(self, run: Run, effect: fx.Effect, wanted: Callable[[], bool]) -> list[Fact]:
        """Perform one effect of `run` and return the facts it brought.

        `wanted` is asked when a submit's call is complete: fetching its files may have taken a while.
        """
        try:
            if isinstance(effect, _ASKING):
                return await _METHODS[type(effect)](self, run, effect)
            async with asyncio.timeout(_LONGEST):
                if isinstance(effect, fx.Submit):
                    return [await self.submit(run, effect, wanted)]
                return await _METHODS[type(effect)](self, run, effect)
        except Exception as error:
            # A port broke its word. The worker lives on; the effect counts as one without an answer.
            logger.exception("effect_failed generation=%s effect=%r", run.spec.id, effect)
            return [_without_answer(effect, _say(error))]

    # --- the ledger ---

    async def open_hold(self, run: Run, _: fx.OpenHold) -> list[Fact]:
        spec = run.spec
        try:
            return [await self.ledger.hold(spec.account, spec.id, spec.hold, spec.longest_life)]
        except StoreUnavailable as error:
            return [f.EffectFailed(effect="hold", message=str(error))]

    async def settle(self, run: Run, effect: fx.Settle) -> list[Fact]:
        if not run.spec.hold:
            return [f.Settled()]  # free by the tariff: the ledger was never asked for anything
        try:
            return [await self.ledger.settle(run.spec.account, run.spec.id, effect.verb, effect.amount)]
        except StoreUnavailable as error:
            return [f.EffectFailed(effect="settle", message=str(error))]

    # --- providers ---

    async def submit(self, run: Run, effect: fx.Submit, wanted: Callable[[], bool]) -> Fact:
        """The one paid call. The files that are in it are in memory until it has been made."""
        async with holding() as held:
            return await self._submit(run, _attempt(run, effect.attempt), wanted, held)

    async def _submit(
        self, run: Run, attempt: Attempt, wanted: Callable[[], bool], held: contextlib.AsyncExitStack
    ) -> Fact:
        call = await self._call(run, attempt, held) if wanted() else None
        if isinstance(call, f.NotSent | f.Refused):
            return call
        if call is None or not wanted():
            return f.NotSent(message="called off before it could leave", ours=True)
        spool = self.spool_path(attempt.id) if run.route(attempt).terms.sync else None
        try:
            reply = await self.send(call, spool)
        except NotSentError as error:
            return f.NotSent(message=_say(error))
        except MaybeSentError as error:
            return f.Ambiguous(message=_say(error))
        return self.read_submit(run, attempt, reply)

    async def _call(
        self, run: Run, attempt: Attempt, held: contextlib.AsyncExitStack
    ) -> Call | f.NotSent | f.Refused:
        """The paid call, complete; or why there is none. Nothing has left for the provider."""
        try:
            provider, context = self.providers[attempt.provider], self.context(run, attempt)
            payload = run.route(attempt).payload
            if not payload.fetches:
                return provider.build_submit(payload, context)
            files = await held.enter_async_context(self.inputs.fetch(payload.fetches))
            kept = await uploaded(provider, payload, context, files, self.send)
            asked = replace(payload, headers={**payload.headers, **kept.headers})
            # Sixty megabytes as text, or as a form with its hash, are a second of work: not on the loop.
            return await asyncio.to_thread(
                lambda: provider.build_submit(filled(asked, files, kept.places), context)
            )
        except NotUploaded as error:
            return error.fact
        except (NotSentError, MaybeSentError) as error:  # of an upload, which costs nothing
            return f.NotSent(message=_say(error))
        except MissingCredentials as error:
            return f.Refused(fault=Fault.ACCOUNT, code="missing_credentials", message=str(error))
        except InputGone as error:
            return f.Refused(fault=Fault.CALLER, code=error.reason, message=_say(error))
        except InputRetry as error:
            return f.NotSent(message=_say(error), ours=True)
        except Exception as error:  # noqa: BLE001 - another provider may be able to
            return f.Refused(fault=Fault.PROVIDER, code="not_buildable", message=_say(error))

    def spool_path(self, attempt_id: str) -> Path:
        return self.spool / f"{attempt_id}.reply"

    def forget_reply(self, run: Run, attempt: Attempt) -> None:
        """Remove the spooled reply of an attempt that has ended. One that stays behind does no harm."""
        if run.route(attempt).terms.sync:
            with contextlib.suppress(OSError):
                self.spool_path(attempt.id).unlink(missing_ok=True)

    async def recover(self, run: Run, effect: fx.Recover) -> list[Fact]:
        """What became of a submit whose owner is gone: its spooled answer, or doubt."""
        attempt = _attempt(run, effect.attempt)
        reply = read_spool(self.spool_path(attempt.id))
        return [f.OwnerLost() if reply is None else self.read_submit(run, attempt, reply)]

    def read_submit(self, run: Run, attempt: Attempt, reply: Reply) -> Fact:
        """What a submit's reply says, also for a reply found in the spool after a crash."""
        try:
            return self.providers[attempt.provider].read_submit(run.route(attempt).payload, reply)
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read proves nothing
            return f.Ambiguous(message=_say(error), status=reply.status)

    async def poll(self, run: Run, effect: fx.Poll) -> list[Fact]:
        return [await self._status(run, _attempt(run, effect.attempt))]

    async def _status(self, run: Run, attempt: Attempt) -> f.StatusFact:
        """What the provider says of the attempt's job."""
        try:
            provider, job = self.providers[attempt.provider], _job(run, attempt)
            context = self.context(run, attempt)
            fact = provider.read_poll(job, await self.send(provider.build_poll(job, context)), context)
            if isinstance(fact, Follow):
                fact = provider.read_result(job, await self.send(fact.call))
        except Exception as error:  # noqa: BLE001 - a poll that fails is repeated, whatever it was
            return f.PollFailed(message=_say(error))
        return fact

    async def cancel(self, run: Run, effect: fx.Cancel) -> list[Fact]:
        attempt = _attempt(run, effect.attempt)
        provider, job = self.providers[attempt.provider], _job(run, attempt)
        if run.route(attempt).terms.cancel_erases:
            # The same DELETE would erase a finished job and its result: look first. The gap stays small.
            seen = await self.poll(run, fx.Poll(attempt.id))
            if isinstance(seen[0], _ENDS):
                return seen
        try:
            call = provider.build_cancel(job, self.context(run, attempt))
            if call is None:
                return [f.CancelRefused(message="this job cannot be canceled", final=True)]
            return [provider.read_cancel(job, await self.send(call))]
        except Exception as error:  # noqa: BLE001 - a lost answer; polling decides
            return [f.CancelRefused(message=_say(error))]

    async def confirm(self, run: Run, effect: fx.Confirm) -> list[Fact]:
        """Ask for the job that an unsigned callback named; only the provider's own answer binds it."""
        attempt = _attempt(run, effect.attempt)
        if attempt.hint is None:  # bound or forgotten while this waited for its turn
            return [f.Unconfirmed(gone=False)]
        asked = replace(attempt, job=attempt.hint)
        fact = await self._status(run, asked)
        if isinstance(fact, f.Missing | f.PollFailed):
            return [f.Unconfirmed(gone=isinstance(fact, f.Missing), message=getattr(fact, "message", ""))]
        return [f.CalledBack(job=attempt.hint, sure=True, told=fact)]

    async def lookup(self, run: Run, effect: fx.Lookup) -> list[Fact]:
        attempt = _attempt(run, effect.attempt)
        provider, payload = self.providers[attempt.provider], run.route(attempt).payload
        bound = {a.job for a in run.attempts if a.job is not None}
        try:
            call = provider.build_lookup(payload, self.context(run, attempt))
            if call is None:
                return [f.LookupNone(conclusive=False)]
            reply = await self.send(call)
            found = provider.read_lookup(payload, reply, sent_at=attempt.sent_at, bound=bound.__contains__)
        except Exception:  # noqa: BLE001 - nothing was learned
            return [f.LookupNone(conclusive=False)]
        return [f.LookupNone(conclusive=False) if isinstance(found, f.PollFailed) else found]

    async def send(self, call: Call, spool: Path | None = None) -> Reply:
        """Send one call. A transport keeps its own time; this bound is for one that does not."""
        try:
            async with asyncio.timeout(call.timeout + _GRACE):
                return await self.transport.send(call, spool=spool)
        except TimeoutError as error:
            raise MaybeSentError("the transport did not come back in time") from error

    def context(self, run: Run, attempt: Attempt) -> Context:
        """Where and with which key this attempt's provider is asked. Raises `MissingCredentials`."""
        provider, terms = self.providers[attempt.provider], run.route(attempt).terms
        callback = None
        if self.public_url and provider.semantics.webhook is not None:
            callback = callback_url(self.public_url, attempt.provider, run.spec.id, attempt.token)
        return Context(
            base_url=self.base_urls.get(attempt.provider, provider.semantics.base_url).rstrip("/"),
            secret=self.credentials.get(attempt.provider, attempt.credentials),
            attempt=attempt.id,
            callback_url=callback,
            deadline=terms.deadline,
            settings=self.credentials.settings(attempt.provider, attempt.credentials),
        )


def _without_answer(effect: fx.Effect, message: str) -> Fact:
    match effect:
        case fx.Submit() | fx.Recover():
            return f.Ambiguous(message=message)
        case fx.Poll():
            return f.PollFailed(message=message)
        case fx.Confirm():
            return f.Unconfirmed(gone=False, message=message)
        case fx.Lookup():
            return f.LookupNone(conclusive=False)
        case fx.Cancel():
            return f.CancelRefused(message=message)
        case fx.Copy():
            return f.ArtifactFailed(index=effect.index, message=message)
        case _:
            return f.EffectFailed(effect=type(effect).__name__, message=message)


_METHODS: dict[type[Any], Callable[[Performer, Run, Any], Awaitable[list[Fact]]]] = {
    fx.OpenHold: Performer.open_hold,
    fx.Settle: Performer.settle,
    fx.Recover: Performer.recover,
    fx.Poll: Performer.poll,
    fx.Confirm: Performer.confirm,
    fx.Cancel: Performer.cancel,
    fx.Lookup: Performer.lookup,
    fx.Copy: collecting.copy,
}


def callback_url(public_url: str, provider: str, generation_id: str, token: str) -> str:
    """Where the provider calls back: `handle_webhook` takes the last two parts of this address."""
    return f"{public_url.rstrip('/')}/{provider}/{generation_id}.{token}"


def _attempt(run: Run, attempt_id: str) -> Attempt:
    attempt = run.attempt(attempt_id)
    assert attempt is not None
    return attempt


def _job(run: Run, attempt: Attempt) -> Job:
    assert attempt.job is not None
    return Job(id=attempt.job, urls=attempt.urls, payload=run.route(attempt).payload)


def _say(error: BaseException) -> str:
    """A short text for the record; bodies and headers are never in it."""
    text = str(error) if isinstance(error, ArrowError) else f"{type(error).__name__}: {error}"
    return text[:300]
