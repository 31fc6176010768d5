"""Black Forest Labs: tasks of one picture, an address to poll, callbacks under a secret of the submit."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from execution_arrow.providers import bfl
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Wire, answer, url

CREDIT = 10_000  # micro-credits


class Bfl(Wire):
    """No cancel and no list; a task that is not there is a status."""

    provider = bfl.PROVIDER
    path = "/v1/flux-2-pro"
    refuses = ("caller", "account", "provider", "busy")
    ends = ("failed", "moderated")
    single = True
    callback_field = "webhook_url"
    REFUSED: ClassVar[Mapping[str, int]] = {"caller": 422, "account": 402, "provider": 404, "busy": 429}
    WORDS: ClassVar[Mapping[str, str]] = {
        "running": "Pending",
        "succeeded": "Ready",
        "empty": "Ready",
        "failed": "Error",
        "moderated": "Content Moderated",
    }

    def verb(self, call: Call) -> str:
        return "submit" if call.method == "POST" else "poll"

    def job_id(self, call: Call) -> str:
        return call.url.rpartition("=")[2]

    def accepted(self, job: Job, base: str) -> Reply:
        poll = f"{base}/v1/get_result?id={job.id}"
        return answer(200, {"id": job.id, "polling_url": poll, "cost": job.cost / CREDIT})

    def refused(self, why: str) -> Reply:
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(self.REFUSED[why], {"detail": "no"}, **after)

    def status(self, job: Job, word: str) -> Reply:
        body: dict[str, Any] = {"id": job.id, "status": self.WORDS.get(word, word), "result": None}
        if word == "succeeded":
            body["result"] = {"sample": url(job, 0)}
        return answer(200, body)

    def gone(self, job: str) -> Reply:
        return answer(200, {"id": job, "status": "Task not found"})

    def told(self, job: Job, word: str, now: float, *, forged: bool = False) -> tuple[dict[str, str], bytes]:
        body = self.status(job, word).body
        secret = "somebody else's" if forged else job.body["webhook_secret"]
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"x-bfl-signature": f"sha256={digest}"}, body
