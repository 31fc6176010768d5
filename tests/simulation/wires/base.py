"""What a kind of provider says, and what can go wrong there: plain functions from what happened to bytes.

What is said, true or false, is decided in `world`; a wire only puts it into words. Which faults make sense
at a kind follows from what its wire declares here and from the provider's own semantics, so a further kind
is one module beside this one and a line in `wires.WIRES`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from execution_arrow.providers.base import Call, Provider, Reply
from tests.simulation.jobs import Job, picture

REFUSALS = ("caller", "moderation", "account", "provider", "busy")
ENDS = ("failed", "moderated", "account", "canceled", "expired")  # of a job, beside success
Codes = Mapping[str, tuple[int, str | int]]  # for each refusal
FILES = "https://files.example"


def answer(status: int, body: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=json.dumps(body).encode())


GONE = Reply(status=404, body=b'{"detail": "not found"}')


def url(job: Job, index: int) -> str:
    return f"{FILES}/{job.provider}/{job.id}/{index}.{job.edition}.png"


def urls(job: Job) -> list[str]:
    return [url(job, index) for index in range(job.count)]


def inline(job: Job) -> list[str]:
    return [base64.b64encode(picture(job.id, index)).decode() for index in range(job.count)]


class Wire:
    """One kind.

    `sync`: the answer to a submit holds the results; `links`: as addresses. `single`: one result, whatever
    was asked. `empty`: a success can be without results. `whole_list`: a lookup shows everybody's jobs.
    """

    provider: Provider
    sync = False
    path = "/v1/submit"
    headers: ClassVar[Mapping[str, str]] = {}
    refuses: tuple[str, ...] = REFUSALS
    ends: tuple[str, ...] = ENDS
    single = False
    whole_list = False
    callback_field = "callback"

    @property
    def links(self) -> bool:
        return not self.sync

    @property
    def empty(self) -> bool:
        return not self.sync

    @property
    def calls_back(self) -> bool:
        return not self.sync and self.provider.semantics.webhook is not None

    @property
    def cancels(self) -> bool:
        return not self.sync and self.provider.semantics.cancel is not None

    @property
    def lists(self) -> bool:
        return not self.sync and self.provider.semantics.lookup is not None

    # --- what is asked ---

    def body(self, prompt: str, count: int, cost: int) -> dict[str, Any]:
        """What it costs is part of the input: a list that shows the same input shows the same bill."""
        return {"input": {"prompt": prompt, "cost": cost}, "n": count, "cost": cost}

    def verb(self, call: Call) -> str:
        """submit, poll, result, cancel, list or keys."""
        raise NotImplementedError

    def job_id(self, call: Call) -> str:
        return call.url.partition("?")[0].rstrip("/").split("/")[-1]

    def callback_of(self, call: Call) -> str | None:
        """The address that a submit asked to be called."""
        found = call.json.get(self.callback_field)
        return found if isinstance(found, str) else None

    def file_of(self, address: str, headers: Mapping[str, str]) -> tuple[str, int] | None:
        """The job and the number of the result at an address; None where nothing is given away."""
        _, _, _, _, job, name = address.split("/")
        return job, int(name.partition(".")[0])

    # --- what is answered ---

    def accepted(self, job: Job, base: str) -> Reply:
        raise NotImplementedError

    def refused(self, why: str) -> Reply:
        raise NotImplementedError

    def status(self, job: Job, word: str) -> Reply:
        """`word`: running, succeeded, one of `ends`, `empty` or `odd`, a text of no table."""
        raise NotImplementedError

    def result(self, job: Job, word: str) -> Reply:
        return self.status(job, word)

    def gone(self, job: str) -> Reply:
        return GONE

    def canceled(self, job: Job, word: str) -> Reply:
        """`word`: done, ignored, refused or too_late."""
        raise NotImplementedError

    def listing(self, jobs: list[Job], token: str) -> Reply:
        raise NotImplementedError

    # --- what is told without being asked ---

    def told(self, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
        """Headers and body of one callback about a job."""
        return {}, self.status(job, word).body

    def keys(self) -> Reply:
        """What the provider answers when it is asked for the keys of its callbacks."""
        raise NotImplementedError


class Coded(Wire):
    """A kind whose refusals are a status and a code."""

    codes: ClassVar[Codes]

    def error(self, code: str | int) -> Any:
        """The body of a refusal."""
        raise NotImplementedError

    def refused(self, why: str) -> Reply:
        status, code = self.codes[why]
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(status, self.error(code), **after)
