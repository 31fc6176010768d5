"""Callbacks from providers: an HTTP request that anybody may have sent becomes a fact, or a named refusal.

Any process may take them; none needs to own the generation. The address holds the generation's id and the
attempt's token, which only its provider has been told; the signature is checked where the provider signs.
What was believed is in the inbox before the provider hears 200; whoever owns the generation folds it.
What cannot be believed is a reason to ask the provider, or changes nothing at all.

Who calls back per account (`Events`) names a job, and the store knows whose it is. Such a call may come too
early: the answer to the submit is under way, or lost and to be looked for. It is not taken then, and the
provider calls again; nothing else could be done with it, as only the submit's own answer or a lookup may say
which attempt a job belongs to. One that is nobody's for longer is of somebody else in the same account.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cachetools import LRUCache

from execution_arrow import facts as f
from execution_arrow.driver.driver import Driver
from execution_arrow.driver.inbox import readable
from execution_arrow.driver.perform import Performer
from execution_arrow.driver.session import Heard, to_inbox
from execution_arrow.errors import StoreUnavailable
from execution_arrow.intake.checks import is_id
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Attempt, Run, State
from execution_arrow.ports import Clock
from execution_arrow.providers.base import Call, Callback, Callbacks, Event, Events, Refusal
from execution_arrow.signing import Signature, check_standard
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Append, Done

logger = logging.getLogger("execution_arrow")

LARGEST = 8 * 1024 * 1024  # bytes; a result in the body is a list of addresses
LARGEST_EVENT = 64 * 1024  # bytes; thin, and read before anybody has vouched for it
KEYS_LIVE = 24 * 3600.0  # seconds; fal asks for a day at most
EARLY_FOR = 3600.0  # seconds for which a provider is asked to call again about a job that is nobody's
KEYS_PAUSE = 60.0  # seconds between two questions for keys, whatever arrives meanwhile

# Nothing new can be told of these: the results were announced.
_TOLD = (State.COLLECTING, State.STORED, State.LOST)


class WebhookReason(StrEnum):
    """What became of a callback. The first five end in 2xx: the provider need not call again."""

    ACCEPTED = "accepted"  # believed, and in the inbox
    ASKED = "asked"  # not signed, or not to be checked now: the provider is asked instead
    REPEATED = "repeated"  # heard before
    IGNORED = "ignored"  # signed, and about nothing that an Arrow does
    ENDED = "ended"  # about an attempt that has told its end
    MALFORMED = "malformed"  # names no job
    FORGED = "forged"  # signed by somebody else
    STALE = "stale"  # signed more than five minutes ago or ahead: compare your clock
    FOREIGN = "foreign"  # names another job than this attempt's
    UNKNOWN_PROVIDER = "unknown_provider"
    NO_CALLBACKS = "no_callbacks"  # this provider never calls back, or nobody has told what signs its calls
    UNKNOWN_TOKEN = "unknown_token"  # no attempt at this provider has it
    UNKNOWN_JOB = "unknown_job"  # signed, and about a job that is nobody's here
    EARLY = "early"  # the same, and so young that it may become somebody's: the provider should call again
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"  # the store did not answer: the provider should call again


_STATUS = {
    WebhookReason.ACCEPTED: 200, WebhookReason.REPEATED: 200, WebhookReason.ENDED: 200,
    WebhookReason.ASKED: 202, WebhookReason.MALFORMED: 400, WebhookReason.FORGED: 401,
    WebhookReason.STALE: 401, WebhookReason.FOREIGN: 409, WebhookReason.UNKNOWN_PROVIDER: 404,
    WebhookReason.NO_CALLBACKS: 404, WebhookReason.UNKNOWN_TOKEN: 404, WebhookReason.TOO_LARGE: 413,
    WebhookReason.UNAVAILABLE: 503, WebhookReason.IGNORED: 200, WebhookReason.UNKNOWN_JOB: 404,
    WebhookReason.EARLY: 503,
}  # fmt: skip
# Worth a line in the log: somebody had the right token. Anybody can guess at addresses.
_ODD = (WebhookReason.MALFORMED, WebhookReason.FORGED, WebhookReason.STALE, WebhookReason.FOREIGN)


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """What to answer the provider, and why. The reason is for logs; a provider reads the status alone."""

    status: int
    reason: WebhookReason


_UNSIGNED = {
    Signature.MISSING: WebhookReason.FORGED, Signature.FORGED: WebhookReason.FORGED,
    Signature.STALE: WebhookReason.STALE, Signature.UNVERIFIABLE: WebhookReason.NO_CALLBACKS,
}  # fmt: skip


def _nobodys(event: Event | Refusal | None, now: float) -> WebhookReason:
    """What a signed call is that is about no attempt."""
    if event is None:
        return WebhookReason.IGNORED
    if isinstance(event, Refusal):
        return WebhookReason(event.value)
    return WebhookReason.EARLY if now - event.at < EARLY_FOR else WebhookReason.UNKNOWN_JOB


def reply(reason: WebhookReason) -> WebhookReply:
    return WebhookReply(_STATUS[reason], reason)


class Inbound:
    """See `AsyncArrow.handle_webhook`."""

    def __init__(
        self, store: Access, performer: Performer, clock: Clock, driver: Callable[[], Driver]
    ) -> None:
        self._store, self._performer, self._clock, self._driver = store, performer, clock, driver
        self._keys = Keys(performer, clock)
        self._unsigned: set[str] = set()  # providers without a secret for the calls of a whole account

    async def handle(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> WebhookReply:
        driver = self._driver()
        try:
            reason, generation_id = await self._take(provider, token, headers, body)
            if reason in (WebhookReason.ACCEPTED, WebhookReason.ASKED) and generation_id in driver.sessions:
                await self._deliver(driver, generation_id)
        except (
            StoreUnavailable,
            ValueError,
        ) as error:  # or a row of a newer version
            logger.warning("webhook_unavailable provider=%s error=%s", provider, error)
            return reply(WebhookReason.UNAVAILABLE)
        if reason in _ODD and generation_id:
            logger.warning("webhook_refused provider=%s reason=%s", provider, reason)
        return reply(reason)

    async def _take(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[WebhookReason, str]:
        """What to answer, and the generation that it is about."""
        if len(body) > LARGEST:
            return WebhookReason.TOO_LARGE, ""
        known = self._performer.providers.get(provider)
        if known is None:
            return WebhookReason.UNKNOWN_PROVIDER, ""
        callbacks = known.callbacks
        if callbacks is None:
            return WebhookReason.NO_CALLBACKS, ""
        lower = {name.lower(): value for name, value in headers.items()}
        if isinstance(callbacks, Events):
            return await self._event(provider, callbacks, lower, body)
        generation_id, _, secret = token.rpartition(".")
        found = await self._find(provider, generation_id, secret)
        if found is None:
            return WebhookReason.UNKNOWN_TOKEN, ""
        run, attempt = found
        heard = await self._read(callbacks, run, attempt, lower, body)
        if isinstance(heard, Refusal):
            return WebhookReason(heard.value), generation_id
        return await self._append(run, attempt, heard, body), generation_id

    async def _event(
        self, provider: str, events: Events, headers: Mapping[str, str], body: bytes
    ) -> tuple[WebhookReason, str]:
        """A call that names its job. It counts for the attempts whose own account's secret has signed it."""
        if len(body) > LARGEST_EVENT:
            return WebhookReason.TOO_LARGE, ""
        event = events.read(body)
        found = await self._of_job(provider, event.job) if isinstance(event, Event) else []
        now, reasons = self._clock.now(), [(WebhookReason.NO_CALLBACKS, "")]
        for run, attempt in found:
            seen = check_standard(headers, body, self._secrets(provider, run.spec.account), now)
            if seen is Signature.VALID:
                heard = Callback(job=attempt.job or "", sure=True)
                return await self._append(run, attempt, heard, body), run.spec.id
            reasons.append((_UNSIGNED[seen], run.spec.id))
        if not found:
            seen = check_standard(headers, body, self._secrets(provider, ""), now)
            reasons.append((_UNSIGNED.get(seen) or _nobodys(event, now), ""))
        return reasons[-1]

    async def _of_job(self, provider: str, job: str) -> list[tuple[Run, Attempt]]:
        rows = await self._store.load_many(await self._store.of_job(provider, job))
        runs = [load_run(load_spec(row.spec), row.state) for row in rows]
        return [(run, a) for run in runs for a in run.attempts if (a.provider, a.job) == (provider, job)]

    def _secrets(self, provider: str, account: str) -> list[str]:
        """What calls of this account are signed with; none where nobody has told it."""
        name, credentials = f"{provider}/webhooks", self._performer.credentials
        try:
            return [credentials.get(name, credentials.reference(name, account)).reveal()]
        except Exception as error:  # noqa: BLE001 - credentials of a team's own may not know of such a thing
            if provider not in self._unsigned:  # once: anybody can make us look for it
                self._unsigned.add(provider)
                logger.warning("webhook_secret provider=%s account=%s: %s", provider, account, error)
            return []

    async def _find(self, provider: str, generation_id: str, secret: str) -> tuple[Run, Attempt] | None:
        if not secret or not is_id(generation_id):  # not every text is one that a store can look for
            return None
        row = await self._store.load(generation_id)
        if row is None:
            return None
        run = load_run(load_spec(row.spec), row.state)
        given = secret.encode("utf-8", "replace")
        for attempt in run.attempts:
            if hmac.compare_digest(attempt.token.encode(), given) and attempt.provider == provider:
                return run, attempt
        return None

    async def _read(
        self, callbacks: Callbacks, run: Run, attempt: Attempt, headers: Mapping[str, str], body: bytes
    ) -> Callback | Refusal:
        """Read it; when no key fits, the provider may have changed its keys: ask for them, and once more."""
        payload, now = run.route(attempt).payload, self._clock.now()
        keys = await self._keys.get(callbacks, run, attempt)
        heard = callbacks.read(payload, headers, body, keys, now)
        if heard is Refusal.FORGED and (fresh := await self._keys.renew(callbacks, run, attempt)) != keys:
            return callbacks.read(payload, headers, body, fresh, now)
        return heard

    async def _append(self, run: Run, attempt: Attempt, heard: Callback, body: bytes) -> WebhookReason:
        foreign = attempt.job is not None and attempt.job != heard.job
        if foreign and not heard.sure:
            return WebhookReason.FOREIGN
        if not foreign and (attempt.state in _TOLD or (attempt.final and not heard.sure)):
            return WebhookReason.ENDED
        # What is signed is one fact however often it is told; unsigned, every new body is a reason to look.
        mark = "" if heard.sure else hashlib.blake2b(body, digest_size=12).hexdigest()
        fact = f.CalledBack(job=heard.job, sure=heard.sure, told=heard.told, mark=mark)
        item = to_inbox(run.spec.id, Heard(attempt=attempt.id, fact=fact), self._clock.now())
        done = await self._store.apply(Append(fact=item))
        if foreign:  # signed, with our token, about another job: recorded and alerted (row 6)
            return WebhookReason.FOREIGN
        if isinstance(done, Done) and not done.new:
            return WebhookReason.REPEATED
        return WebhookReason.ACCEPTED if heard.sure else WebhookReason.ASKED

    async def _deliver(self, driver: Driver, generation_id: str) -> None:
        """Ours: fold it now instead of at the next look into the inbox."""
        row = await self._store.load(generation_id)
        for heard in readable(row.inbox) if row is not None else ():
            driver.hear(generation_id, heard)


class Keys:
    """What signatures are checked with, per provider and account; kept when it cannot be asked for anew."""

    def __init__(self, performer: Performer, clock: Clock) -> None:
        self._performer, self._clock = performer, clock
        self._known: LRUCache[tuple[str, str], tuple[float, tuple[str, ...]]] = LRUCache(maxsize=1024)
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by provider

    async def get(self, callbacks: Callbacks, run: Run, attempt: Attempt) -> Sequence[str]:
        """The keys; none where there are none, or where the provider does not tell them now."""
        return await self._ask(callbacks, run, attempt, KEYS_LIVE)

    async def renew(self, callbacks: Callbacks, run: Run, attempt: Attempt) -> Sequence[str]:
        """The keys as they are now; at most one question a minute, or a forger could make us ask for ever."""
        return await self._ask(callbacks, run, attempt, KEYS_PAUSE)

    async def _ask(self, callbacks: Callbacks, run: Run, attempt: Attempt, age: float) -> tuple[str, ...]:
        name = (attempt.provider, attempt.credentials)
        async with self._asking[attempt.provider]:
            now = self._clock.monotonic()
            asked_at, keys = self._known.get(name, (float("-inf"), ()))
            # Without any, ask again soon: until then every callback is answered by asking the provider.
            if now - asked_at < (age if keys else KEYS_PAUSE):
                return keys
            keys = await self._fetch(callbacks, run, attempt) or keys
            self._known[name] = (now, keys)
            return keys

    async def _fetch(self, callbacks: Callbacks, run: Run, attempt: Attempt) -> tuple[str, ...]:
        try:
            asked = callbacks.build_keys(self._performer.context(run, attempt))
            if isinstance(asked, Call):
                return callbacks.read_keys(await self._performer.send(asked))
            return asked or ()
        except Exception as error:  # noqa: BLE001 - a credential or an answer is missing; polls go on
            logger.warning("webhook_keys provider=%s error=%s", attempt.provider, type(error).__name__)
            return ()
