"""BytePlus: clips as tasks with unsigned callbacks; pictures, as links, inside the answer."""

from __future__ import annotations

from typing import Any, ClassVar

from execution_arrow.providers import byteplus
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Coded, Codes, answer, url, urls


class BytePlus(Coded):
    provider = byteplus.PROVIDER
    path = "/contents/generations/tasks"
    single = True
    callback_field = "callback_url"
    WORDS: ClassVar[dict[str, Any]] = {
        "moderated": "failed",
        "account": "failed",
        "empty": "succeeded",
        "canceled": "cancelled",
    }
    codes: ClassVar[Codes] = {
        "caller": (400, "InvalidParameter"),
        "moderation": (400, "InputTextSensitiveContentDetected"),
        "moderated": (200, "OutputImageSensitiveContentDetected"),
        "account": (403, "AccountOverdueError"),
        "provider": (404, "ModelNotOpen"),
        "busy": (429, "ServerOverloaded"),
    }

    def verb(self, call: Call) -> str:
        return {"POST": "submit", "GET": "poll", "DELETE": "cancel"}[call.method]

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(200, {"id": job.id})

    def error(self, code: str | int) -> Any:
        return {"error": {"code": code, "message": "no"}}

    def status(self, job: Job, word: str) -> Reply:
        body: dict[str, Any] = {"id": job.id, "status": self.WORDS.get(word, word)}
        if word == "succeeded":
            body["content"] = {"video_url": url(job, 0)}
        if word in ("failed", "moderated", "account"):
            body["error"] = {"code": self.codes.get(word, (0, "InternalServiceError"))[1], "message": "no"}
        return answer(200, body)

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return answer(200, {})
        return answer(409, {"error": {"code": "InvalidAction", "message": "running"}})


class Pictures(BytePlus):
    """BytePlus' pictures: the answer is the result, as links."""

    sync = links = True
    single = False
    path = "/images/generations"

    def accepted(self, job: Job, base: str) -> Reply:
        data = [{"url": link} for link in urls(job)]
        return answer(200, {"data": data, "usage": {"generated_images": job.count}})
