"""BytePlus ModelArk: pictures in the answer, clips by task.

`POST /images/generations` answers when the pictures are made; `POST /contents/generations/tasks` answers
with an id to poll. `DELETE` of a task cancels a queued one, erases the record of an ended one and refuses a
running one. Every field may be null, because the official client sends all of them. Sources: the official
SDK's types and ModelArk's API and error pages. Unknown to us and chosen here: the code of a refused DELETE
and of a missing task.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.desk import Desk, clip, copies, filled, integer, still, with_prompt
from execution_arrow.sandbox.engine import Canceling
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.webhooks import Notice, message
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, State

ROOT = "/api/v3"
_TASKS = f"{ROOT}/contents/generations/tasks"
_TYPES = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
    429: "TooManyRequests", 500: "InternalServerError",
}  # fmt: skip
_STATUSES = {
    State.QUEUED: "queued", State.RUNNING: "running", State.SUCCEEDED: "succeeded", State.FAILED: "failed",
    State.MODERATED: "failed", State.CANCELED: "cancelled", State.ABORTED: "expired",
}  # fmt: skip
_TASK_ERRORS = {
    State.FAILED: ("InternalServiceError", "The service encountered an unexpected internal error."),
    State.MODERATED: (
        "OutputVideoSensitiveContentDetected",
        "The request failed because the output video may contain sensitive information.",
    ),
}
_IMAGE_FAILED = "The request failed because the image could not be generated."
_SENSITIVE = "The request failed because the input text may contain sensitive information."


class BytePlus(Desk):
    name = "byteplus"

    def handle(self, request: Request, now: float) -> Answer:
        if not request.bearer("Bearer"):
            return _error(
                401, "AuthenticationError", "The API key or AK/SK in the request is missing or invalid."
            )
        if (request.method, request.path) == ("POST", f"{ROOT}/images/generations"):
            return self._submit(request, "image", now)
        if request.path == _TASKS:
            if request.method == "POST":
                return self._submit(request, "video", now)
            if request.method == "GET":
                return self._list(request, now)
        if request.path.startswith(f"{_TASKS}/") and request.method in ("GET", "DELETE"):
            return self._task(request, request.path.removeprefix(f"{_TASKS}/"), now)
        return _error(404, "NotFound", "The requested path does not exist.")

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, kind: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit")
        body = request.json()
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return _error(400, "MissingParameter", "The request is missing the parameter `model`.", "model")
        name = body["model"]
        self.engine.note(request.call, model=name)
        model = self.models.get(name)
        if model is None or model.kind != kind:
            text = f"The model or endpoint {name} does not exist or you do not have access to it."
            return _error(404, "InvalidEndpointOrModel.NotFound", text)
        for problem in self.check(model, body):
            code = "MissingParameter" if problem.kind == "missing" else "InvalidParameter"
            text = f"The parameter `{problem.field}` specified in the request is not valid: {problem.message}"
            return _error(400, code, text, problem.field)
        if kind == "image":
            return self.submit(request, self._pictures(name, model, body), now, self._synchronous)
        return self.submit(
            request,
            self._clip(name, model, body),
            now,
            lambda job, _: reply(200, {"id": job.id}, _traced(job)),
        )

    def _pictures(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        asked = str(value.get("size", "2K"))
        output = still(sizes.pixels_of(asked) or sizes.seedream(asked, "1:1"), value.get("output_format"))
        options = value.get("sequential_image_generation_options")
        group = options.get("max_images") if isinstance(options, dict) else None
        many = group if value.get("sequential_image_generation") == "auto" else 1
        pictures = value.get("image", [])
        order = Order(
            provider=self.name, model=name, kind="image", native=body, outputs=copies(output, many),
            references=len(pictures) if isinstance(pictures, list) else 1,
        )  # fmt: skip
        return with_prompt(order, value)

    def _clip(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        content = [item for item in body.get("content") or [] if isinstance(item, dict)]
        texts = [item.get("text", "") for item in content if item.get("type") == "text"]
        prompt, knobs = _knobs(" ".join(map(str, texts)))
        value = filled(model, {**knobs, **{key: item for key, item in body.items() if item is not None}})
        value.setdefault("resolution", "720p")
        size = sizes.seedance(str(value["resolution"]), value.get("ratio", "16:9"))
        seconds = integer(value.get("duration"), 5)
        output, callback = clip(size, seconds if seconds > 0 else 5), body.get("callback_url")
        order = Order(
            provider=self.name, model=name, kind="video", native={**body, **value}, outputs=(output,),
            references=len(content) - len(texts), webhook=callback if isinstance(callback, str) else None,
            done_within=integer(value.get("execution_expires_after"), 172800), overdue=State.ABORTED,
        )  # fmt: skip
        return with_prompt(order, {"prompt": prompt, "seed": value.get("seed")})

    # --- pictures -----------------------------------------------------------------------------------------

    def _synchronous(self, job: Job, now: float) -> Answer:
        return self.at_end(job, now, self._made)

    def _made(self, job: Job, now: float) -> Reply:
        state = job.state(now)
        if state is State.MODERATED:
            return _error(400, "InputTextSensitiveContentDetected", _SENSITIVE)
        made, order = 0 if state is State.FAILED else len(job.order.outputs), job.order
        tokens = sum(output.width * output.height // 256 for output in order.outputs[:made])
        value: dict[str, Any] = {
            "model": job.model, "created": int(now),
            "usage": {"generated_images": made, "output_tokens": tokens, "total_tokens": tokens},
        }  # fmt: skip
        if state is State.FAILED:
            value["data"] = [{"error": {"code": "InternalServiceError", "message": _IMAGE_FAILED}}]
        elif order.native.get("response_format") == "b64_json" and not job.empty:
            return Reply(status=200, headers=_traced(job) | _JSON, body=lambda: self._inline(job, value))
        else:
            urls = zip(self.files(job), order.outputs, strict=False)
            value["data"] = [{"url": url, "size": f"{made.width}x{made.height}"} for url, made in urls]
        return reply(200, value, _traced(job))

    def _inline(self, job: Job, value: dict[str, Any]) -> bytes:
        pictures = [self.render(job, index) for index in range(len(job.order.outputs))]
        value["data"] = [
            {"b64_json": base64.b64encode(picture).decode(), "size": f"{output.width}x{output.height}"}
            for picture, output in zip(pictures, job.order.outputs, strict=True)
        ]
        return json.dumps(value).encode()

    # --- tasks --------------------------------------------------------------------------------------------

    def _task(self, request: Request, name: str, now: float) -> Answer:
        on = "poll" if request.method == "GET" else "cancel"
        job = self.engine.job(self.name, name)
        if job is None or job.order.kind != "video":
            self.engine.note(request.call, on=on)
            return _error(404, "ResourceNotFound", f"The task {name} does not exist.")
        if on == "poll":
            return self.about(request, on, job, now, lambda at: reply(200, self.task(job, at), _traced(job)))
        return self.about(request, on, job, now, lambda at: self._delete(name, at))

    def _delete(self, name: str, now: float) -> Answer:
        match self.engine.cancel(self.name, name, now=now, queued_only=True):
            case Canceling.RUNNING:
                return _error(409, "InvalidAction.RunningTaskDeletion", "A running task can not be deleted.")
            case Canceling.TOO_LATE:
                self.engine.erase(self.name, name)
        return reply(200, {})

    def _list(self, request: Request, now: float) -> Answer:
        self.engine.note(request.call, on="list")
        tasks = [
            self.task(job, now)
            for job in self.engine.jobs(self.name)
            if job.order.kind == "video" and not job.erased
        ]
        for field in ("status", "model", "service_tier"):
            wanted = request.parameter(f"filter.{field}")
            tasks = [task for task in tasks if wanted in (None, task[field])]
        ids = request.parameters("filter.task_ids")
        tasks = [task for task in reversed(tasks) if not ids or task["id"] in ids]
        size, page = integer(request.parameter("page_size"), 10), integer(request.parameter("page_num"), 1)
        return reply(
            200, {"total": len(tasks), "items": tasks[max(0, page - 1) * size : max(0, page) * size]}
        )

    def task(self, job: Job, now: float) -> dict[str, Any]:
        """The task object: the same in polls, lists and callbacks."""
        state, order, output = job.state(now), job.order, job.order.outputs[0]
        updated = now if not state.ended else job.ended
        value: dict[str, Any] = {
            "id": job.id, "model": job.model, "status": _STATUSES[state], "created_at": int(job.created),
            "updated_at": int(updated), "service_tier": order.native.get("service_tier") or "default",
            "execution_expires_after": order.native.get("execution_expires_after") or 172800,
        }  # fmt: skip
        if state in _TASK_ERRORS:
            code, message = _TASK_ERRORS[state]
            value["error"] = {"code": code, "message": message}
        if state is State.SUCCEEDED:
            urls = self.files(job)
            tokens = int(output.width * output.height * output.fps * output.seconds) // 1024
            value |= {
                "content": {"video_url": urls[0]} if urls else {}, "seed": order.seed,
                "usage": {"completion_tokens": tokens, "total_tokens": tokens}, "framespersecond": output.fps,
                "resolution": order.native["resolution"], "ratio": order.native.get("ratio", "16:9"),
                "duration": int(output.seconds),
            }  # fmt: skip
        return value

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        if job.order.webhook is None:
            return None
        return Notice(url=job.order.webhook, body=message(self.task(job, now)), headers=lambda _: {})

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        text = "The requests per minute (RPM) limit of the endpoint is exceeded."
        answer = _error(429, "RateLimitExceeded.EndpointRPMExceeded", text)
        headers = {**answer.headers, "retry-after": str(max(1, round(fault.duration)))}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        return _error(500, "InternalServiceError", "The service encountered an unexpected internal error.")

    def no_credit(self, fault: Fault) -> Reply:
        return _error(
            403, "AccountOverdueError", "The request failed because your account has an overdue balance."
        )


_JSON = {"content-type": "application/json"}
_KNOB_NAMES = {
    "rs": "resolution", "resolution": "resolution", "rt": "ratio", "ratio": "ratio", "dur": "duration",
    "duration": "duration", "seed": "seed",
}  # fmt: skip


def _knobs(text: str) -> tuple[str, dict[str, Any]]:
    """The text and the knobs that older models take in it: `waves --rt 16:9 --dur 5`."""
    found = {
        _KNOB_NAMES[name]: value
        for name, value in re.findall(r"--(\w+)\s+(\S+)", text)
        if name in _KNOB_NAMES
    }
    return re.sub(r"\s*--\w+\s+\S+", "", text).strip(), found


def _traced(job: Job) -> dict[str, str]:
    return {"x-request-id": f"021{job.number:012d}"}


def _error(status: int, code: str, message: str, param: str = "") -> Reply:
    value = {"code": code, "message": message, "param": param, "type": _TYPES[status]}
    return reply(status, {"error": value}, {"x-request-id": "021000000000000"})
