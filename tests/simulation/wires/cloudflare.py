"""Cloudflare Workers AI: the bytes of one picture, or several in an envelope."""

from __future__ import annotations

from typing import Any, ClassVar

from execution_arrow.providers import cloudflare
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job, picture
from tests.simulation.wires.base import Coded, Codes, answer, inline


class Cloudflare(Coded):
    """The answer is the result: the bytes of one picture, or several in an envelope."""

    provider = cloudflare.PROVIDER
    sync = True
    path = "/ai/run/@cf/lab/m"
    codes: ClassVar[Codes] = {
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
        return answer(200, {"success": True, "result": {"images": inline(job)}})

    def error(self, code: str | int) -> Any:
        return {"success": False, "errors": [{"code": code, "message": "no"}]}
