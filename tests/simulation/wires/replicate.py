"""Replicate: predictions, Standard Webhooks, a list of everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from execution_arrow.providers import replicate
from execution_arrow.providers.base import Call, Reply
from execution_arrow.signing import sign_standard
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Wire, answer, urls

SECRET = "whsec_c2ltdWxhdGVkIHNlY3JldCBvZiAyNCBieXRlcw=="
FORGED = "whsec_Zm9yZ2VkIGZvcmdlZCBmb3JnZWQgZm9yZ2Vk"


class Replicate(Wire):
    provider = replicate.PROVIDER
    path = "/v1/models/lab/m/predictions"
    WORDS: ClassVar[dict[str, Any]] = {
        "running": "processing",
        "moderated": "failed",
        "account": "failed",
        "empty": "succeeded",
        "expired": "aborted",
    }
    refuses = ("caller", "account", "provider", "busy")  # of moderation it speaks later
    whole_list = True
    callback_field = "webhook"
    REFUSED: ClassVar[dict[str, Any]] = {"caller": 422, "account": 402, "provider": 404, "busy": 429}

    def verb(self, call: Call) -> str:
        if call.method == "POST":
            return "cancel" if call.url.endswith("/cancel") else "submit"
        if call.url.endswith("/webhooks/default/secret"):
            return "keys"
        return "list" if call.url.endswith("/v1/predictions") else "poll"

    def job_id(self, call: Call) -> str:
        return super().job_id(call) if call.method == "GET" else call.url.split("/")[-2]

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(201, {"id": job.id, "status": "starting"})

    def refused(self, why: str) -> Reply:
        if why == "busy":
            return answer(429, {"detail": "Request was throttled.", "retry_after": 2})
        return answer(self.REFUSED[why], {"title": why, "detail": "no"})

    def status(self, job: Job, word: str) -> Reply:
        error = {"moderated": "NSFW content detected (E005)", "failed": "CUDA error"}.get(word)
        output = urls(job) if word == "succeeded" else None
        said = self.WORDS.get(word, word)
        return answer(200, {"id": job.id, "status": said, "output": output, "error": error})

    def canceled(self, job: Job, word: str) -> Reply:
        if word == "refused":
            return answer(500, {"detail": "try again"})
        said = {"done": "canceled", "ignored": "processing", "too_late": "succeeded"}[word]
        return answer(200, {"id": job.id, "status": said})

    def listing(self, jobs: list[Job], token: str) -> Reply:
        return answer(
            200,
            {
                "results": [
                    {
                        "id": job.id, "model": "lab/m", "source": "api", "input": job.body["input"],
                        "created_at": datetime.fromtimestamp(job.created, UTC).isoformat(),
                    }
                    for job in jobs[::-1][:100]
                ]
            },
        )  # fmt: skip

    def told(self, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
        secret, body = FORGED if forged else SECRET, self.status(job, word).body
        return sign_standard([secret], f"msg-{job.id}-{word}", int(now), body), body

    def keys(self) -> Reply:
        return answer(200, {"key": SECRET})
