"""OpenAI: pictures inside the answer; clips as jobs that lie behind the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from execution_arrow.providers import openai
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Coded, Codes, answer, inline


class OpenAI(Coded):
    """Pictures."""

    provider = openai.PROVIDER
    sync = True
    path = "/images/generations"
    codes: ClassVar[Codes] = {
        "caller": (400, "invalid_image_file"),
        "moderation": (400, "moderation_blocked"),
        "account": (429, "insufficient_quota"),
        "provider": (404, "model_not_found"),
        "busy": (429, "rate_limit_exceeded"),
    }

    def error(self, code: str | int) -> Any:
        return {"error": {"code": code, "message": "no"}}

    def verb(self, call: Call) -> str:
        return "submit"

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(200, {"data": [{"b64_json": picture} for picture in inline(job)]})


class Clips(OpenAI):
    """No cancel, no callbacks; the list shows the prompts of all clips."""

    sync = False
    path = "/videos"
    ends = ("failed", "moderated", "account")
    single = whole_list = True
    empty = False
    WORDS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "running": ("in_progress", ""),
        "succeeded": ("completed", ""),
        "failed": ("failed", "video_generation_failed"),
        "moderated": ("failed", "moderation_blocked"),
        "account": ("failed", "insufficient_quota"),
    }

    def body(self, prompt: str, count: int, cost: int) -> dict[str, Any]:
        """The list shows the prompt alone."""
        return {**super().body(prompt, count, cost), "model": "sora-2", "prompt": f"{prompt}, {cost}"}

    def verb(self, call: Call) -> str:
        if call.method == "POST":
            return "submit"
        return "list" if "?" in call.url else "poll"

    def file_of(self, address: str, headers: Mapping[str, str]) -> tuple[str, int] | None:
        return (address.split("/")[-2], 0) if "authorization" in headers else None

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(200, {"id": job.id, "object": "video", "status": "queued"})

    def status(self, job: Job, word: str) -> Reply:
        said, code = self.WORDS.get(word, (word, ""))
        error = {"code": code, "message": "no"} if code else None
        return answer(200, {"id": job.id, "status": said, "error": error})

    def listing(self, jobs: list[Job], token: str) -> Reply:
        items = [
            {"id": job.id, "model": "sora-2", "prompt": job.body["prompt"], "created_at": int(job.created)}
            for job in jobs[::-1][:100]
        ]
        return answer(200, {"data": items})
