"""Runway: tasks, a DELETE that cancels and erases, costs in credits of a cent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from execution_arrow.providers import runway
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Wire, answer, urls

CREDIT = 10_000  # micro-credits


class Runway(Wire):
    """Of moderation it speaks later; a full queue is a refusal for the whole day."""

    provider = runway.PROVIDER
    path = "/v1/text_to_image"
    refuses = ("caller", "account", "provider")
    ends = ("failed", "moderated", "canceled")
    REFUSED: ClassVar[Mapping[str, tuple[int, str]]] = {
        "caller": (400, "Validation of body failed"),
        "account": (400, "You do not have enough credits to run this task."),
        "provider": (429, "Daily limit reached"),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "running": ("RUNNING", ""),
        "succeeded": ("SUCCEEDED", ""),
        "empty": ("SUCCEEDED", ""),
        "canceled": ("CANCELLED", ""),
        "failed": ("FAILED", "INTERNAL.BAD_OUTPUT.CODE01"),
        "moderated": ("FAILED", "SAFETY.OUTPUT"),
    }

    def verb(self, call: Call) -> str:
        return {"POST": "submit", "GET": "poll", "DELETE": "cancel"}[call.method]

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(200, {"id": job.id})

    def refused(self, why: str) -> Reply:
        status, error = self.REFUSED[why]
        return answer(status, {"error": error})

    def status(self, job: Job, word: str) -> Reply:
        said, code = self.WORDS.get(word, (word, ""))
        body: dict[str, Any] = {"id": job.id, "status": said}
        if word == "succeeded":
            body |= {"output": urls(job), "cost": {"credits": job.cost / CREDIT}}
        if code:
            body |= {"failure": "no", "failureCode": code}
        return answer(200, body)

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return Reply(status=204, body=b"")
        return answer(409, {"error": "not now"})
