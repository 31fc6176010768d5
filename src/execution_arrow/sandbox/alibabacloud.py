"""Alibaba Cloud Model Studio (DashScope): one header decides between the result and a task.

`POST /services/aigc/...` with `{model, input, parameters}`; with `X-DashScope-Async: enable` the answer is a
task to poll, without it the result. Tasks that do not exist are `UNKNOWN`, said with 200; only a `PENDING`
one can be canceled. Sources: the official SDK, the pages on asynchronous tasks and on error codes. Unknown
to us and chosen here: the refusal of a cancel of a task that does not exist, the rows of the list, and
`Retry-After`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.desk import Desk, clip, copies, integer, still, with_prompt
from execution_arrow.sandbox.engine import Canceling
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.models.alibabacloud import ALSO, TASKS
from execution_arrow.sandbox.temporary import BUCKET, TemporaryFiles
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, Output, State

ROOT = "/api/v1"
KEPT = 86_400.0  # seconds that a task is known after its end
_AIGC = f"{ROOT}/services/aigc/"
_STATUSES = {
    State.QUEUED: "PENDING", State.RUNNING: "RUNNING", State.SUCCEEDED: "SUCCEEDED", State.FAILED: "FAILED",
    State.MODERATED: "FAILED", State.CANCELED: "CANCELED",
}  # fmt: skip
_ERRORS = {
    State.FAILED: ("InternalError.Algo", "An internal error has occured during algorithm execution."),
    State.MODERATED: ("DataInspectionFailed", "Input or output data may contain inappropriate content."),
}
_NO_CANCEL = "Failed to cancel the task, please confirm if the task is in PENDING status."


class AlibabaCloud(Desk):
    name = "alibabacloud"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._temporary = TemporaryFiles()

    def handle(self, request: Request, now: float) -> Answer:
        if (request.method, request.path) == ("POST", BUCKET):
            return self._temporary.put(request)
        if not request.bearer("Bearer"):
            return _error(401, "InvalidApiKey", "Invalid API-key provided.")
        if request.method == "POST" and request.path.startswith(_AIGC):
            return self._submit(request, request.path.removeprefix(_AIGC), now)
        parts = request.path.removeprefix(f"{ROOT}/").split("/") if request.path.startswith(ROOT) else []
        match request.method, *parts:
            case "GET", "uploads":
                told = self._temporary.certificate(request)
                return told or _error(400, "InvalidParameter", "action and model are needed.")
            case "GET", "tasks":
                return self._list(request, now)
            case "GET", "tasks", name:
                return self._poll(request, name, now)
            case "POST", "tasks", name, "cancel":
                return self._cancel(request, name, now)
        return _error(404, "NotFound", f"There is no {request.path}.")

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, path: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit")
        body = request.json()
        name = body.get("model") if isinstance(body, dict) else None
        if not isinstance(name, str):
            return _error(400, "InvalidParameter", 'Required parameter "model" missing from request.')
        self.engine.note(request.call, model=name)
        model, asked = self.models.get(name), request.headers.get("x-dashscope-async") == "enable"
        if model is None or (model.family and path not in (model.family, ALSO.get(name))):
            return _error(404, "ModelNotFound", f"Model can not be found: {name} at {path}.")
        if asked != (path in TASKS):
            way = "asynchronous" if asked else "synchronous"
            return _error(403, "AccessDenied", f"current user api does not support {way} calls.")
        for problem in self.check(model, body):
            return _error(400, "InvalidParameter", f"{problem.field}: {problem.message}")
        if wrong := self._temporary.problem(request, name, body):
            return _error(400, "InvalidParameter", wrong)
        order = self._order(name, model, {**body, "task": asked})
        if asked:
            return self.submit(request, order, now, lambda job, _: _accepted(job))
        return self.submit(request, order, now, lambda job, at: self.at_end(job, at, self._made))

    def _order(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        given = _object(body.get("input"))
        knobs = {**model.defaults, **_object(body.get("parameters"))}
        parts = [part for message in _list(given.get("messages")) for part in _list(message.get("content"))]
        texts = [str(part["text"]) for part in parts if "text" in part]
        prompt = given.get("prompt") or " ".join(texts)
        if model.kind == "video":
            outputs: tuple[Output, ...] = (clip(_frame(knobs), knobs.get("duration")),)
        else:
            size = sizes.pixels_of(knobs.get("size")) or (1280, 1280)
            outputs = copies(still(size, "png"), knobs.get("n"))
        order = Order(
            provider=self.name, model=name, kind=model.kind, native=body, outputs=outputs,
            references=len(parts) - len(texts) + len(_list(given.get("media"))),
        )  # fmt: skip
        return with_prompt(order, {"prompt": prompt, "seed": knobs.get("seed")})

    def _made(self, job: Job, now: float) -> Reply:
        state = job.state(now)
        if state in _ERRORS:
            return _error(500 if state is State.FAILED else 400, *_ERRORS[state])
        return reply(200, {**_traced(job), "output": self._choices(job), "usage": _usage(job)})

    def _choices(self, job: Job) -> dict[str, Any]:
        content = [{"image": url} for url in self.files(job)]
        message = {"role": "assistant", "content": content}
        return {"choices": [{"finish_reason": "stop", "message": message}]}

    # --- tasks --------------------------------------------------------------------------------------------

    def _poll(self, request: Request, name: str, now: float) -> Answer:
        job = self._find(name, now)
        if job is None:
            self.engine.note(request.call, on="poll")
            output = {"task_id": name, "task_status": "UNKNOWN"}
            return reply(200, {"request_id": "00000000-0000-9000-8000-000000000000", "output": output})
        return self.about(request, "poll", job, now, lambda at: reply(200, self._task(job, at)))

    def _cancel(self, request: Request, name: str, now: float) -> Answer:
        job = self._find(name, now)
        if job is None:
            self.engine.note(request.call, on="cancel")
            return _error(400, "UnsupportedOperation", _NO_CANCEL)

        def ask(at: float) -> Reply:
            outcome = self.engine.cancel(self.name, name, now=at, queued_only=True)
            if outcome in (Canceling.DONE, Canceling.IGNORED):
                return reply(200, _traced(job))
            return _error(400, "UnsupportedOperation", _NO_CANCEL)

        return self.about(request, "cancel", job, now, ask)

    def _list(self, request: Request, now: float) -> Answer:
        self.engine.note(request.call, on="list")
        jobs = [job for job in reversed(self.engine.jobs(self.name)) if _is_task(job)]
        rows = [
            {
                "task_id": job.id, "model_name": job.model, "status": _STATUSES[job.state(now)],
                "gmt_create": int(job.created * 1000), "start_time": int(job.created * 1000),
                "region": "ap-southeast-1", **_traced(job),
            }
            for job in jobs
        ]  # fmt: skip
        for field in ("status", "model_name"):
            wanted = request.parameter(field)
            rows = [row for row in rows if wanted in (None, row[field])]
        size = min(max(integer(request.parameter("page_size"), 10), 1), 100)
        page = max(integer(request.parameter("page_no"), 1), 1)
        value = {
            "request_id": "00000000-0000-9000-8000-000000000000", "total": len(rows), "page_no": page,
            "page_size": size, "total_page": -(-len(rows) // size), "data": rows[(page - 1) * size :][:size],
        }  # fmt: skip
        return reply(200, value)

    def _find(self, name: str, now: float) -> Job | None:
        job = self.engine.job(self.name, name)
        return job if job is not None and _is_task(job) and now < job.ended + KEPT else None

    def _task(self, job: Job, now: float) -> dict[str, Any]:
        state = job.state(now)
        output: dict[str, Any] = {
            "task_id": job.id, "task_status": _STATUSES[state], "submit_time": _moment(job.created),
            "scheduled_time": _moment(job.starts) if now >= job.starts else None,
            "end_time": _moment(job.ended) if state.ended else None,
        }  # fmt: skip
        if state in _ERRORS:
            output["code"], output["message"] = _ERRORS[state]
        if state is not State.SUCCEEDED:
            return {**_traced(job), "output": output}
        urls = self.files(job)
        if job.order.kind == "video":
            output |= {"orig_prompt": job.order.prompt, "video_url": urls[0] if urls else ""}
        elif "messages" in job.order.native["input"]:
            output |= self._choices(job)
        else:
            counts = {"TOTAL": len(urls), "SUCCEEDED": len(urls), "FAILED": 0}
            results = [{"orig_prompt": job.order.prompt, "url": url} for url in urls]
            output |= {"results": results, "task_metrics": counts}
        return {**_traced(job), "output": output, "usage": _usage(job)}

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        answer = _error(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")
        headers = {**answer.headers, "retry-after": str(max(1, round(fault.duration)))}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        return _error(500, "InternalError", "An internal error has occured, please try again later.")

    def no_credit(self, fault: Fault) -> Reply:
        return _error(400, "Arrearage", "Access denied, please make sure your account is in good standing.")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _frame(knobs: dict[str, Any]) -> sizes.Size:
    """`1280*720`, or `720P` in a ratio."""
    found = sizes.pixels_of(knobs.get("size"))
    return found or sizes.frame(str(knobs.get("resolution", "720P")), knobs.get("ratio", "16:9"))


def _is_task(job: Job) -> bool:
    return bool(job.order.native.get("task"))


def _accepted(job: Job) -> Reply:
    return reply(200, {**_traced(job), "output": {"task_id": job.id, "task_status": "PENDING"}})


def _usage(job: Job) -> dict[str, Any]:
    first, many = job.order.outputs[0], 0 if job.empty else len(job.order.outputs)
    if job.order.kind == "image":
        return {"image_count": many, "width": first.width, "height": first.height}
    seconds = int(first.seconds)
    return {
        "video_count": many, "duration": seconds, "output_video_duration": seconds, "input_video_duration": 0,
        "size": f"{first.width}*{first.height}", "SR": min(first.width, first.height),
    }  # fmt: skip


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _traced(job: Job) -> dict[str, str]:
    return {"request_id": f"00000000-0000-9000-8000-{job.number:012x}"}


def _error(status: int, code: str, message: str) -> Reply:
    value = {"request_id": "00000000-0000-9000-8000-000000000000", "code": code, "message": message}
    return reply(status, value)
