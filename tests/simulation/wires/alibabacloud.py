"""Alibaba Cloud Model Studio: tasks that can be canceled while they are queued, and answers with links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from execution_arrow.providers import alibabacloud
from execution_arrow.providers.base import Call, Reply
from tests.simulation.jobs import Job
from tests.simulation.wires.base import Coded, Codes, answer, urls


class AlibabaCloud(Coded):
    """Tasks. One that is not there is a status, with 200."""

    provider = alibabacloud.PROVIDER
    path = "/services/aigc/text2image/image-synthesis"
    headers: ClassVar[Mapping[str, str]] = {"X-DashScope-Async": "enable"}
    ends = ("failed", "moderated", "account", "canceled")
    codes: ClassVar[Codes] = {
        "caller": (400, "InvalidParameter"),
        "moderation": (400, "DataInspectionFailed"),
        "account": (400, "Arrearage"),
        "provider": (404, "ModelNotFound"),
        "busy": (429, "Throttling"),
    }
    WORDS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "running": ("RUNNING", ""),
        "succeeded": ("SUCCEEDED", ""),
        "empty": ("SUCCEEDED", ""),
        "canceled": ("CANCELED", ""),
        "failed": ("FAILED", "InternalError"),
        "moderated": ("FAILED", "DataInspectionFailed"),
        "account": ("FAILED", "Arrearage"),
    }

    def error(self, code: str | int) -> Any:
        return {"code": code, "message": "no", "request_id": "r"}

    def verb(self, call: Call) -> str:
        if call.method == "GET":
            return "poll"
        return "cancel" if call.url.endswith("/cancel") else "submit"

    def job_id(self, call: Call) -> str:
        return call.url.split("/tasks/")[1].partition("/")[0]

    def accepted(self, job: Job, base: str) -> Reply:
        return answer(200, {"output": {"task_id": job.id, "task_status": "PENDING"}, "request_id": "r"})

    def status(self, job: Job, word: str) -> Reply:
        said, code = self.WORDS.get(word, (word, ""))
        output: dict[str, Any] = {"task_id": job.id, "task_status": said}
        if word == "succeeded":
            output["results"] = [{"url": link} for link in urls(job)]
        if code:
            output |= {"code": code, "message": "no"}
        return answer(200, {"output": output})

    def gone(self, job: str) -> Reply:
        return answer(200, {"output": {"task_id": job, "task_status": "UNKNOWN"}})

    def canceled(self, job: Job, word: str) -> Reply:
        if word in ("done", "ignored"):
            return answer(200, {"request_id": "r"})
        return answer(400, {"code": "UnsupportedOperation", "message": "not pending"})


class DashScope(AlibabaCloud):
    """The answer is the result, as links."""

    sync = links = True
    path = "/services/aigc/multimodal-generation/generation"
    headers: ClassVar[Mapping[str, str]] = {}

    def verb(self, call: Call) -> str:
        return "submit"

    def accepted(self, job: Job, base: str) -> Reply:
        content = [{"image": link} for link in urls(job)]
        return answer(200, {"output": {"choices": [{"message": {"content": content}}]}})
