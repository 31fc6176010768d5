"""The wires of the made-up kinds of `compact`: one small object for everything."""

from __future__ import annotations

from execution_arrow.providers.base import Call, Provider, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Wire, answer, inline, urls


class CompactWire(Wire):
    """How the three say it: one compact object."""

    empty = True

    def __init__(self, provider: Provider) -> None:
        self.provider, self.sync = provider, provider.semantics.poll_every is None

    def verb(self, call: Call) -> str:
        return call.url.rsplit("/", 2)[1]

    def accepted(self, job: Job, base: str) -> Reply:
        if not self.sync:
            return answer(200, {"job": job.id})
        return answer(200, {"made": [] if job.empty else inline(job), "job": job.id})

    def refused(self, why: str) -> Reply:
        return answer(429 if why == "busy" else 400, {"refused": why, "after": 2.0})

    def status(self, job: Job, word: str) -> Reply:
        made = urls(job) if word == "succeeded" else []
        return answer(200, {"status": "succeeded" if word == "empty" else word, "made": made, "job": job.id})

    def canceled(self, job: Job, word: str) -> Reply:
        return answer(200, {"cancel": word})

    def listing(self, jobs: list[Job], token: str) -> Reply:
        return answer(200, {"jobs": [[job.id, job.attempt, job.created] for job in jobs]})

    def told(self, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
        return {"x-sig": "bad" if forged else "good"}, self.status(job, word).body
