"""Fakes for every port, so that a test needs no network, no database and no other package.

They keep what they were asked and do what they are told. The defaults are a world where all works at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from execution_arrow import facts as f
from execution_arrow.errors import StoreUnavailable
from execution_arrow.naming import SystemClock, SystemNames
from execution_arrow.ports import Held, Payload, Prepared, Quote, Ranked, Remark, Secret, Verdict
from execution_arrow.providers.base import Call, Callbacks, Context, Follow, Job, Provider, Reply, Semantics
from execution_arrow.stores.base import JobStore
from execution_arrow.stores.memory import MemoryStore

ONE_FILE = f.Succeeded(outputs=(f.Output(index=0, url="https://fake.example/0.png"),))


class FakeProvider:
    """Plays a script: one fact per submit and per poll, then accepts and succeeds for ever."""

    def __init__(
        self,
        name: str = "fake",
        *,
        submits: Iterable[f.SubmitFact] = (),
        polls: Iterable[f.StatusFact] = (),
        lookups: Iterable[f.LookupFact] = (),
        sync: bool = False,
        callbacks: Callbacks | None = None,
        **semantics: Any,
    ) -> None:
        self.callbacks = callbacks
        self.semantics = replace(
            Semantics(
                name=name,
                base_url=f"https://{name}.example",
                key_variable="FAKE_KEY",
                poll_every=0.01,
                webhook=None,
                cancel="any",
            ),
            **semantics,
        )
        self._submits, self._polls, self._lookups = iter(submits), iter(polls), iter(lookups)
        self._sync = sync

    def is_sync(self, payload: Payload) -> bool:
        return self._sync

    def build_submit(self, payload: Payload, context: Context) -> Call:
        return Call(method="POST", url=f"{context.base_url}/submit", json={"attempt": context.attempt})

    def read_submit(self, payload: Payload, reply: Reply) -> f.SubmitFact:
        played = next(self._submits, None)
        return played or f.Accepted(job="job-" + json.loads(reply.body)["attempt"])

    def inline_output(self, reply: Reply, index: int) -> bytes:
        return reply.body

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=f"{context.base_url}/jobs/{job.id}")

    def read_poll(self, job: Job, reply: Reply, context: Context) -> f.StatusFact | Follow:
        return next(self._polls, ONE_FILE)

    def read_result(self, job: Job, reply: Reply) -> f.StatusFact:
        return ONE_FILE

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        return Call(method="POST", url=f"{context.base_url}/jobs/{job.id}/cancel")

    def read_cancel(self, job: Job, reply: Reply) -> f.CancelFact:
        return f.CancelAcknowledged()

    def build_lookup(self, payload: Payload, context: Context) -> Call | None:
        return Call(method="GET", url=f"{context.base_url}/jobs")

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> f.LookupFact:
        return next(self._lookups, f.LookupNone(conclusive=False))


@dataclass
class FakeTransport:
    """Answers 200 with what was sent. `fail` may return an exception to raise for a call."""

    fail: Callable[[Call], BaseException | None] = lambda call: None
    calls: list[Call] = field(default_factory=list)

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        self.calls.append(call)
        error = self.fail(call)
        if error is not None:
            raise error
        return Reply(status=200, body=json.dumps(call.json or {}).encode())

    async def aclose(self) -> None:
        pass

    def submits(self) -> list[str]:
        """The attempt ids whose paid call left."""
        return [call.json["attempt"] for call in self.calls if call.method == "POST" and call.json]


class FakeArtifacts:
    """Remembers bytes by their hash; `fail` may return an exception to raise for a URL."""

    def __init__(self, fail: Callable[[str], BaseException | None] = lambda url: None) -> None:
        self.fail = fail
        self.files: dict[str, bytes] = {}

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> f.Stored:
        error = self.fail(url)
        if error is not None:
            raise error
        return await self.put(url.encode(), index=index, kind=kind)

    async def put(self, data: bytes, *, index: int, kind: str) -> f.Stored:
        digest = hashlib.sha256(data).hexdigest()
        key = f"sha256/{digest[:2]}/{digest}.png"
        self.files[key] = data
        return f.Stored(index=index, key=key, sha256=digest, size=len(data), media_type="image/png")

    def path(self, key: str) -> Path | None:
        return None

    async def link(self, key: str) -> str | None:
        return None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        yield self.files[key]

    async def remove(self, key: str) -> bool:
        return self.files.pop(key, None) is not None

    async def check(self) -> None:
        pass

    async def sweep(self, before: float) -> int:
        return 0

    aclose = check


class FakeLedger:
    """Holds and settlements by key. Checks the promises: one hold, one resolution, never more than held.

    `broken` is how many of the next calls have no answer; `applied_anyway` says whether they count.
    """

    def __init__(self, available: int = 10_000_000) -> None:
        self.available = available
        self.holds: dict[str, int] = {}
        self.settled: dict[str, tuple[str, int]] = {}
        self.broken = 0
        self.applied_anyway = False

    async def hold(
        self, account: str, key: str, amount: int, timeout: float
    ) -> f.HoldOpened | f.HoldRefused | f.HoldClosed:
        silent = self._silent()
        if key not in self.holds:
            if amount > self.available:
                return f.HoldRefused(reason="insufficient", needed=amount, available=self.available)
            self.available -= amount
            self.holds[key] = amount
        if silent:
            raise StoreUnavailable("the ledger did not answer", maybe_applied=True)
        return f.HoldClosed() if key in self.settled else f.HoldOpened()

    async def held(self) -> list[Held]:
        return [
            Held(account="acct", key=key, amount=amount, since=0.0)
            for key, amount in self.holds.items()
            if key not in self.settled
        ]

    async def remarks(self, since: float) -> list[Remark]:
        return []

    async def settle(self, account: str, key: str, verb: str, amount: int) -> f.Settled | f.SettleRefused:
        silent = self._silent()
        first = self.settled.setdefault(key, (verb, amount))
        assert first == (verb, amount), f"{key} was settled as {first} and now as {(verb, amount)}"
        assert amount <= self.holds[key]
        if silent:
            raise StoreUnavailable("the ledger did not answer", maybe_applied=True)
        return f.Settled()

    def _silent(self) -> bool:
        if self.broken <= 0:
            return False
        self.broken -= 1
        if not self.applied_anyway:
            raise StoreUnavailable("the ledger is away", maybe_applied=False)
        return True


def _payload(provider: str) -> Payload:
    return Payload(
        provider=provider, route="main", method="POST", path="/", model="m", encoding="json", body={}
    )


class FakeNormalizer:
    """Every provider can do everything, at one price."""

    def __init__(self, providers: Sequence[str], *, price: int = 40_000, asked: int = 1) -> None:
        self._providers, self._price, self._asked = providers, price, asked

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        return Prepared(
            model=model,
            kind="image",
            values=request,
            order="fastest",
            work="",
            asked=self._asked,
            quotes=tuple(
                Quote(payload=_payload(name), cost=self._price, price=self._price) for name in self._providers
            ),
            catalog_digest="fake",
        )


class FakeRouter:
    """Keeps the caller's order and admits everybody; remembers the verdicts."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.closed: set[str] = set()  # providers whose breaker is open

    def rank(self, model: str, allowed: Sequence[str], **_: Any) -> Ranked:
        return Ranked(providers=tuple(allowed), source="caller", reason="a fake ranks nothing")

    def admit(self, model: str, provider: str, **_: Any) -> bool:
        return provider not in self.closed

    def record(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


class FakeCredentials:
    """One key for everybody."""

    def reference(self, provider: str, account: str) -> str:
        return f"fake:{provider}"

    def get(self, provider: str, reference: str) -> Secret:
        return Secret("fake")

    def settings(self, provider: str, reference: str) -> Mapping[str, str]:
        return {}


def fake_parts(
    providers: Mapping[str, Provider], folder: Path, *, store: JobStore | None = None, **more: Any
) -> Any:
    """`wiring.Parts` made of fakes; name a port to replace it. The spool lies in `folder`."""
    from execution_arrow.wiring import Parts

    nothing: Any = _Nothing()
    ports: dict[str, Any] = {
        "normalizer": FakeNormalizer(tuple(providers)),
        "router": FakeRouter(),
        "holds": FakeLedger(),
        "store": store or MemoryStore(),
        "artifacts": FakeArtifacts(),
        "transport": FakeTransport(),
        "credentials": FakeCredentials(),
        "providers": providers,
        "spool": folder / "spool",
        "clock": SystemClock(),
        "names": SystemNames(),
        "ledger": nothing,
        "blocking_ledger": nothing,
        "island": nothing,
        "catalog": nothing,
    }
    return Parts(**{**ports, **more})


class _Nothing:  # stands where a lower package would be: there is nothing in it but an end
    async def aclose(self) -> None:
        pass

    def close(self) -> None:
        pass
