"""How each kind of provider says things: plain functions from what happened to the bytes of an answer.

The four shipped provider modules run over the words of their own wires. Three made-up kinds stand beside
them for what no shipped one does (a conclusive lookup, ends that are billed, a lookup by token); theirs are
one compact JSON object. What is said, true or false, is decided in `world`; here it is only put into words.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from execution_arrow.providers import byteplus, cloudflare, fal, replicate
from execution_arrow.providers.base import Call, Provider, Reply
from tests.simulation.compact import DOCK, FERRY, QUAY
from tests.simulation.jobs import Job, picture

REFUSALS = ("caller", "moderation", "account", "provider", "busy")


def answer(status: int, body: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=json.dumps(body).encode())


def url(job: Job, index: int) -> str:
    return f"https://files.example/{job.provider}/{job.id}/{index}.png"


def urls(job: Job) -> list[str]:
    return [url(job, index) for index in range(job.count)]


class Wire:
    """One kind. `sync`: the answer to a submit holds the results."""

    provider: Provider
    sync = False
    path = "/v1/submit"

    def verb(self, call: Call) -> str:
        raise NotImplementedError

    def job_id(self, call: Call) -> str:
        return call.url.partition("?")[0].rstrip("/").split("/")[-1]

    def accepted(self, job: Job, base: str) -> Reply:
        raise NotImplementedError

    def refused(self, why: str) -> Reply:
        raise NotImplementedError

    def status(self, job: Job, word: str) -> Reply:
        """`word`: running, one of `jobs.ENDS`, `empty` (a success without outputs) or any odd text."""
        raise NotImplementedError

    def result(self, job: Job, word: str) -> Reply:
        return self.status(job, word)

    def canceled(self, job: Job, word: str) -> Reply:
        """`word`: done, ignored, refused or too_late."""
        raise NotImplementedError

    def listing(self, jobs: list[Job], token: str) -> Reply:
        raise NotImplementedError


class Compact(Wire):
    """`dock`, `quay` and `ferry`: see `compact`."""

    def __init__(self, provider: Provider, *, sync: bool = False) -> None:
        self.provider, self.sync = provider, sync

    def verb(self, call: Call) -> str:
        return call.url.rsplit("/", 2)[1]

    def accepted(self, job: Job, base: str) -> Reply:
        if not self.sync:
            return answer(200, {"job": job.id})
        inline = [base64.b64encode(picture(job.id, i)).decode() for i in range(job.count)]
        return answer(200, {"made": inline, "job": job.id})

    def refused(self, why: str) -> Reply:
        return answer(429 if why == "busy" else 400, {"refused": why, "after": 2.0})

    def status(self, job: Job, word: str) -> Reply:
        made = urls(job) if word == "succeeded" else []
        return answer(200, {"status": "succeeded" if word == "empty" else word, "made": made, "job": job.id})

    def canceled(self, job: Job, word: str) -> Reply:
        return answer(200, {"cancel": word})

    def listing(self, jobs: list[Job], token: str) -> Reply:
        return answer(200, {"jobs": [[job.id, job.attempt, job.created] for job in jobs]})


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


class Fal(Wire):
    provider = fal.PROVIDER
    path = "/lab/m"
    REFUSED: ClassVar[dict[str, Any]] = {
        "caller": (422, [{"type": "missing", "msg": "field required"}]),
        "moderation": (422, [{"type": "content_policy_violation", "msg": "no"}]),
        "account": (403, "User is locked. Reason: Exhausted balance."),
        "busy": (429, "slow down"),
    }

    def verb(self, call: Call) -> str:
        if call.method != "GET":
            return "submit" if call.method == "POST" else "cancel"
        if call.url.endswith("jwks.json"):
            return "keys"
        return "poll" if "/status" in call.url else "result"

    def job_id(self, call: Call) -> str:
        return call.url.partition("?")[0].split("/requests/")[1].split("/")[0]

    def accepted(self, job: Job, base: str) -> Reply:
        at = f"{base}/lab/m/requests/{job.id}"
        return answer(
            200,
            {
                "request_id": job.id, "status": "IN_QUEUE", "response_url": at,
                "status_url": f"{at}/status", "cancel_url": f"{at}/cancel",
            },
        )  # fmt: skip

    def refused(self, why: str) -> Reply:
        if why == "provider":
            return answer(503, {"detail": "no runner", "error_type": "runner_scheduling_failure"})
        status, detail = self.REFUSED[why]
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(status, {"detail": detail}, **after)

    def status(self, job: Job, word: str) -> Reply:
        if word in ("running", "odd"):
            said = {"running": "IN_PROGRESS", "odd": "PONDERING"}[word]
            return answer(202, {"status": said, "request_id": job.id})
        body = {"status": "COMPLETED", "request_id": job.id}
        if word == "canceled":
            body["error_type"] = "client_cancelled"
        return answer(200, body)

    def result(self, job: Job, word: str) -> Reply:
        if word in ("running", "odd"):
            return answer(400, {"detail": "Request is still in progress"})
        if word in ("succeeded", "empty"):
            files = [{"url": link, "content_type": "image/png"} for link in urls(job)]
            return answer(200, {"images": files if word == "succeeded" else []})
        if word == "moderated":
            return answer(422, {"detail": self.REFUSED["moderation"][1]})
        if word == "expired":
            kind = {"x_fal_request_timeout_type": "user"}
            return answer(504, {"detail": "timed out", "error_type": "request_timeout"}, **kind)
        kind = "client_cancelled" if word == "canceled" else "runner_server_error"
        return answer(499 if word == "canceled" else 500, {"detail": "over", "error_type": kind})

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return answer(202, {"status": "CANCELLATION_REQUESTED"})
        return answer(400, {"status": "ALREADY_COMPLETED" if word == "too_late" else "NO"})


class BytePlus(Wire):
    provider = byteplus.PROVIDER
    path = "/contents/generations/tasks"
    WORDS: ClassVar[dict[str, Any]] = {
        "moderated": "failed",
        "account": "failed",
        "empty": "succeeded",
        "canceled": "cancelled",
    }
    CODES: ClassVar[dict[str, Any]] = {
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

    def refused(self, why: str) -> Reply:
        status, code = self.CODES[why]
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(status, {"error": {"code": code, "message": "no"}}, **after)

    def status(self, job: Job, word: str) -> Reply:
        body: dict[str, Any] = {"id": job.id, "status": self.WORDS.get(word, word)}
        if word == "succeeded":
            body["content"] = {"video_url": url(job, 0)}
        if word in ("failed", "moderated", "account"):
            body["error"] = {"code": self.CODES.get(word, (0, "InternalServiceError"))[1], "message": "no"}
        return answer(200, body)

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return answer(200, {})
        return answer(409, {"error": {"code": "InvalidAction", "message": "running"}})


class Pictures(BytePlus):
    """BytePlus' pictures: the answer is the result, as links."""

    sync = True
    path = "/images/generations"

    def accepted(self, job: Job, base: str) -> Reply:
        data = [{"url": link} for link in urls(job)]
        return answer(200, {"data": data, "usage": {"generated_images": job.count}})


class Cloudflare(Wire):
    """The answer is the result: the bytes of one picture, or several in an envelope."""

    provider = cloudflare.PROVIDER
    sync = True
    path = "/ai/run/@cf/lab/m"
    CODES: ClassVar[dict[str, Any]] = {
        "caller": (400, 5004),
        "moderation": (400, 8007),
        "account": (403, 3023),
        "provider": (404, 5007),
        "busy": (429, 3040),
    }

    def verb(self, call: Call) -> str:
        return "submit"

    def accepted(self, job: Job, base: str) -> Reply:
        if job.count == 1:
            return Reply(status=200, headers={"content-type": "image/png"}, body=picture(job.id, 0))
        made = [base64.b64encode(picture(job.id, i)).decode() for i in range(job.count)]
        return answer(200, {"success": True, "result": {"images": made}})

    def refused(self, why: str) -> Reply:
        status, code = self.CODES[why]
        after = {"retry_after": "2"} if why == "busy" else {}
        return answer(status, {"success": False, "errors": [{"code": code, "message": "no"}]}, **after)


WIRES: dict[str, Wire] = {
    "dock": Compact(DOCK),
    "quay": Compact(QUAY),
    "ferry": Compact(FERRY, sync=True),
    "replicate": Replicate(),
    "fal": Fal(),
    "byteplus": BytePlus(),
    "pictures": Pictures(),
    "cloudflare": Cloudflare(),
}
