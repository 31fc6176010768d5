"""The outside: providers that answer in their own words, truthfully or not, at the transport port."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import write_spool
from tests.simulation.faults import ENDINGS, Dice
from tests.simulation.hooks import Hooks
from tests.simulation.jobs import Books, Job, Post
from tests.simulation.loop import CURRENT, START, WORLD, VirtualLoop
from tests.simulation.wires import WIRES, Wire
from tests.simulation.wires.base import GONE, REFUSALS

HTML = Reply(status=200, headers={"content-type": "text/html"}, body=b"<html><body>welcome</body></html>")
JUNK = Reply(status=200, body=b'{"data": [null, {"id": 7}], "made": 3, "job": [], "status": {}}')
ERROR = Reply(status=500, body=b'{"oops": true}')
_QUEUED = 0.3  # of a job's run: who cancels queued jobs alone can do it for so long


class World:
    """Providers, their books, and time."""

    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        dice: Dice,
        kinds: Mapping[str, str],
        tell: Callable[[str, str], None],
        travel: float,
        run: tuple[float, float],
    ) -> None:
        self.loop, self.rng, self.dice, self.kinds, self.tell = loop, rng, dice, kinds, tell
        self._travel, self._run = travel, run
        self.books = Books({name: WIRES[kind].provider.semantics.billed for name, kind in kinds.items()})
        self.hosts = {f"https://{name}.example": name for name in kinds}
        self.on_post: Callable[[str, str], None] = lambda attempt, provider: None
        self.hooks = Hooks(self)
        self.pending = 0  # what is still on its way to somebody
        self._number = 0

    @property
    def now(self) -> float:
        return START + self.loop.time()

    def provider_of(self, url: str) -> str:
        """Whose file lies there: at the provider itself, or where all others keep theirs."""
        at = url.index("/", 8)
        return self.hosts.get(url[:at]) or url[at + 1 :].partition("/")[0]

    # --- the transport port ---

    async def send(self, call: Call, spool: Path | None) -> Reply:
        base = call.url[: call.url.index("/", 8)]
        name = self.hosts[base]
        kind = self.kinds[name]
        wire = WIRES[kind]
        self.books.calls += 1
        verb = wire.verb(call)
        if verb == "submit":
            return await self._submit(name, kind, wire, call, base, spool)
        await self._pause(0.01, 2 * self._travel)
        if verb == "keys":
            return wire.keys()
        job = self.books.jobs.get((name, wire.job_id(call)))
        if verb == "list":
            return await self._list(name, kind, wire, call)
        if job is None or (job.erased and verb != "cancel"):
            return GONE if verb == "cancel" else wire.gone(wire.job_id(call))
        return await (self._poll if verb in ("poll", "result") else self._cancel)(wire, job, call, verb)

    async def _pause(self, least: float, most: float) -> None:
        await asyncio.sleep(least + (most - least) * self.rng.random())

    async def _reach(self, arrive: Callable[[], object], most: float = math.inf) -> Any:
        """Let a request arrive. Mostly the bytes are on their way and nobody holds them any more; sometimes
        they are still in the sender, and stop and die with it."""
        delay = 0.01 + (min(self._travel, most) - 0.01) * self.rng.random()
        if self.rng.random() < 0.2:
            await asyncio.sleep(delay)
            return arrive()
        answer = self.loop.create_future()
        self._later(delay, lambda: answer.set_result(arrive()))
        return await asyncio.shield(answer)

    # --- submit ---

    async def _submit(
        self, name: str, kind: str, wire: Wire, call: Call, base: str, spool: Path | None
    ) -> Reply:
        attempt = call.headers["x-client-request-id"]
        fault = self.dice.strike(kind, "submit")
        if fault == "not_sent":
            self.happened(kind, fault, attempt)
            await self._pause(0.0, 0.5)
            raise NotSentError("connection refused")
        self.on_post(attempt, name)
        post = self.books.post(attempt, name, self.now)
        self.tell("post", f"{attempt} {name}")
        if fault in ("lost_request", "late_request"):
            self.happened(kind, fault, attempt)
            if fault == "late_request":
                delay = call.timeout * self.rng.choice((0.1, 1.5, 4.0))
                self._later(delay, lambda: self._arrive(post, kind, wire, call))
            await asyncio.sleep(call.timeout)
            raise MaybeSentError("no answer in time")
        taken = await self._reach(lambda: self._receive(post, kind, wire, call, fault))
        if isinstance(taken, Reply):
            return taken
        return await self._answer(kind, wire, taken, call, base, fault, spool)

    def _receive(self, post: Post, kind: str, wire: Wire, call: Call, fault: str) -> Job | Reply:
        post.arrived = self.now
        if fault in REFUSALS or fault == "error_500":
            self.happened(kind, fault, post.attempt)
            return ERROR if fault == "error_500" else wire.refused(fault)
        return self._arrive(post, kind, wire, call)

    async def _answer(
        self, kind: str, wire: Wire, job: Job, call: Call, base: str, fault: str, spool: Path | None
    ) -> Reply:
        if wire.sync:
            await asyncio.sleep(min(job.ends - self.now, call.timeout))
            if job.ends > self.now:
                self.happened(kind, "slow_job", job.id)
                raise MaybeSentError("no answer in time")
        if fault:
            self.happened(kind, fault, job.attempt)
        if fault == "lost_reply":
            await asyncio.sleep(self.rng.choice((0.0, 1.0)) * call.timeout)
            raise MaybeSentError("reset after the first byte")
        if fault == "slow_reply":
            await self._pause(1.0, 20.0)
        if fault in ("error_500_taken", "html", "junk"):
            return {"error_500_taken": ERROR, "html": HTML, "junk": JUNK}[fault]
        reply = wire.accepted(self._named(kind, job), base)
        if spool is not None:
            self._keep(kind, reply, spool)
        return reply

    def _named(self, kind: str, job: Job) -> Job:
        """The job that the answer names: this one, or by mistake an older one."""
        if self.dice.strike(kind, "taken") == "reused_id":
            others = [other for other in self.books.of_provider(job.provider) if other is not job]
            if others:
                self.happened(kind, "reused_id", job.attempt)
                other = others[self.rng.randrange(len(others))]
                job.lies.add("reused_id")
                other.lies.add("reused_id")
                return other
        return job

    def _keep(self, kind: str, reply: Reply, spool: Path) -> None:
        fault = self.dice.strike(kind, "spool")
        if fault == "spool_full":
            self.happened(kind, fault, spool.name)
            raise MaybeSentError("the answer came and could not be kept: no space left on device")
        if fault == "spool_torn":
            self.happened(kind, fault, spool.name)
            spool.parent.mkdir(parents=True, exist_ok=True)
            spool.write_bytes(b'spool.v1\n0000\n{"status": 200')
            raise MaybeSentError("the answer was cut short")
        write_spool(spool, reply)

    def _arrive(self, post: Post, kind: str, wire: Wire, call: Call) -> Job:
        """The provider takes a job. Its whole life is drawn here."""
        body: Mapping[str, Any] = call.json
        fault = self.dice.strike(kind, "life")
        self._number += 1
        now = self.now
        run = self.rng.uniform(*self._run)
        job = Job(
            id=f"{post.provider}-{self._number}", provider=post.provider, kind=kind, attempt=post.attempt,
            created=now, ends=now + run, end="succeeded", count=body["n"], cost=body["cost"], body=body,
        )  # fmt: skip
        if fault and fault != "slow_job":
            self.happened(kind, fault, job.id)
        match fault:
            case "job_fails" | "job_account" | "job_moderated" | "job_expires" | "foreign_cancel":
                job.end = ENDINGS[fault]
            case "never_ends":
                job.ends = math.inf
            case "deaf":
                job.deaf, job.ends = True, now + 60.0
            case "slow_job":
                job.ends = now + call.timeout * 2
            case "empty":
                job.empty = math.inf
            case "empty_first":
                job.empty = self.rng.uniform(2.0, 30.0)
        post.arrived, post.job = now, job.id
        self.tell("job", f"{job.id} for {job.attempt}: {job.end} after {job.ends - now:.1f} s")
        self.books.take(job)
        self.hooks.plan(kind, job, call)
        return job

    # --- everything after it ---

    async def _poll(self, wire: Wire, job: Job, call: Call, verb: str) -> Reply:
        fault = self.dice.strike(job.kind, "poll")
        say = wire.result if verb == "result" else wire.status
        state = job.state(self.now)
        if fault in (
            "poll_lost",
            "poll_500",
            "poll_html",
            "flap_404",
            "gone",
            "odd_status",
            "foreign_answer",
        ):
            self.happened(job.kind, fault, job.id)
        match fault:
            case "poll_lost":
                await asyncio.sleep(call.timeout)
                raise MaybeSentError("no answer in time")
            case "poll_500":
                return ERROR
            case "poll_html":
                return HTML
            case "flap_404":
                return wire.gone(job.id)
            case "gone":
                job.erased = True
                job.lies.add("gone")
                return wire.gone(job.id)
            case "odd_status":
                return say(job, "odd")
            case "foreign_answer":
                if verb == "result":  # fal's results name no request: nobody can tell
                    job.lies.add("foreign_result")
                return say(self._other(job), self._other(job).state(self.now))
            case "regress" if state != "running":
                self.happened(job.kind, fault, job.id)
                return say(job, "running")
            case "false_success" if state != "succeeded":
                self.happened(job.kind, fault, job.id)
                job.lies.add("false_success")
                return say(job, "succeeded")
            case "false_failure" if state in ("running", "succeeded"):
                self.happened(job.kind, fault, job.id)
                job.lies.add("false_failure")
                return say(job, self.rng.choice(wire.ends))
        if state == "succeeded" and self.now < job.ends + job.empty:
            return say(job, "empty")
        return say(job, state)

    def _other(self, job: Job) -> Job:
        others = self.books.of_provider(job.provider)
        return others[0] if others[0] is not job or len(others) == 1 else others[1]

    async def _cancel(self, wire: Wire, job: Job, call: Call, verb: str) -> Reply:
        fault = self.dice.strike(job.kind, "cancel")
        state = job.state(self.now)
        if fault:
            self.happened(job.kind, fault, job.id)
        if fault == "cancel_refused":
            return wire.canceled(job, "refused")
        if fault == "cancel_500":
            return ERROR
        if fault == "cancel_ignored":
            return wire.canceled(job, "ignored")
        if job.erased:
            return GONE
        word = "done"
        if state != "running":
            word = "too_late"
            if wire.provider.semantics.cancel_erases:
                job.erased, word = True, "done"
        elif job.deaf:
            word = "ignored"
        elif wire.provider.semantics.cancel == "queued" and self.now > job.queued(_QUEUED):
            word = "refused"
        else:
            job.canceled = self.now
        self.tell("cancel", f"{job.id} {word}")
        if fault == "cancel_lost":
            await asyncio.sleep(call.timeout)
            raise MaybeSentError("no answer in time")
        return wire.canceled(job, word)

    async def _list(self, name: str, kind: str, wire: Wire, call: Call) -> Reply:
        fault = self.dice.strike(kind, "lookup")
        attempt = call.headers["x-client-request-id"]
        jobs = (
            self.books.of_provider(name) if wire.whole_list else list(self.books.by_attempt.get(attempt, ()))
        )
        if fault in ("list_lost", "list_late", "list_html"):
            self.happened(kind, fault, attempt)
        match fault:
            case "list_lost":
                await asyncio.sleep(call.timeout)
                raise MaybeSentError("no answer in time")
            case "list_html":
                return HTML
            case "list_late":
                if wire.provider.semantics.lookup == "conclusive":
                    return ERROR  # a conclusive list is never late: then it would not be one
                return wire.listing([], attempt)
            case "list_two" if jobs:
                self.happened(kind, fault, attempt)
                twin = Job(**{n: getattr(jobs[-1], n) for n in Job.__slots__} | {"id": jobs[-1].id + "x"})
                return wire.listing([*jobs, twin], attempt)
        return wire.listing(jobs, attempt)

    # --- helpers ---

    def happened(self, kind: str, fault: str, what: str) -> None:
        self.dice.happened(kind, fault)
        self.tell("fault", f"{fault} {what}")

    def _later(self, delay: float, what: Callable[[], object]) -> None:
        """The world's own time goes on when the process that sent something is stopped or dead."""
        self.pending += 1

        def happen() -> None:
            self.pending -= 1
            what()

        self.loop.call_later(delay, happen, context=WORLD.context)


def acting() -> str:
    """The name of the process that is running."""
    return CURRENT.get(WORLD).name
