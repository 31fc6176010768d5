"""OpenAI: pictures in the answer, clips as jobs whose content lies behind the key.

`POST /images/generations` and `/images/edits` (as JSON or as a form) answer when the pictures are made, as
base64. `POST /videos` answers with a job; `GET /videos/{id}/content` is the clip, `DELETE` forgets one that
has ended, there is no cancel. Sources: the official SDK's types, the OpenAPI file and the guide on errors.
Unknown to us and chosen here: the words for content that is not there, how long a clip is kept, and that the
header with the next question's pause tells when the job will change.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.checks import Problem
from execution_arrow.sandbox.desk import (
    Desk,
    clip,
    copies,
    filled,
    from_form,
    integer,
    media_format,
    still,
    with_prompt,
)
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.models.openai import EDITS
from execution_arrow.sandbox.webhooks import Notice, project_event, project_secret
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, State

ROOT = "/v1"
KEPT = 86_400.0  # seconds that a clip can be fetched
_LARGEST = 3840
_STATUSES = {
    State.QUEUED: "queued", State.RUNNING: "in_progress", State.SUCCEEDED: "completed",
    State.FAILED: "failed", State.MODERATED: "failed",
}  # fmt: skip
_JOB_ERRORS = {
    State.FAILED: ("video_generation_failed", "The video could not be generated."),
    State.MODERATED: ("moderation_blocked", "The video was blocked by our moderation system."),
}
_WRONG = {"missing": "missing_required_parameter", "unknown": "unknown_parameter"}


class OpenAI(Desk):
    name = "openai"
    _told_at: str | None = None  # the project's endpoint
    _endpoints = 0  # so many were made

    def handle(self, request: Request, now: float) -> Answer:
        if not request.bearer("Bearer"):
            return _error(401, "invalid_api_key", "You did not provide an API key.")
        parts = request.path.removeprefix(f"{ROOT}/").split("/") if request.path.startswith(ROOT) else []
        match request.method, *parts:
            case "POST", "images", ("generations" | "edits") as verb:
                return self._submit(request, verb, now)
            case "POST", "webhook_endpoints":
                return self._endpoint(request, now)
            case "POST", "videos":
                return self._submit(request, "videos", now)
            case "GET", "videos":
                return self._list(request, now)
            case (("GET" | "DELETE"), "videos", name):
                return self._video(request, name, now)
            case "GET", "videos", name, "content":
                return self._content(request, name, now)
        return _error(404, None, f"Invalid URL ({request.method} {request.path})")

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, verb: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit")
        form = request.form()
        body = request.json() if form is None else from_form(form, numbers=_NUMBERS, flags=("stream",))
        if not isinstance(body, dict):
            return _error(400, None, "We could not parse the body of your request.")
        name = body.get("model") or ("sora-2" if verb == "videos" else "gpt-image-2")
        self.engine.note(request.call, model=str(name))
        model = self.models.get(str(name))
        if model is None or model.kind != ("video" if verb == "videos" else "image"):
            return _error(404, "model_not_found", f"The model `{name}` does not exist.", "model")
        if verb == "edits":
            model = EDITS.get(str(name), model)
        for problem in (*self.check(model, body), *_more(model, body, verb)):
            code = _WRONG.get(problem.kind, "invalid_value")
            return _error(400, code, f"Invalid value: {problem.message}", problem.field)
        if verb == "videos":
            order = self._clip(str(name), model, body)
            return self.submit(request, order, now, lambda job, at: reply(200, self._job(job, at)))
        return self.submit(request, self._pictures(str(name), model, body), now, self._synchronous)

    def _pictures(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        size = sizes.pixels_of(value.get("size")) or (1024, 1024)
        output = still(size, media_format(value.get("output_format"), "png"))
        given = value.get("images") or value.get("image[]") or ([1] if value.get("image") else [])
        order = Order(
            provider=self.name, model=name, kind="image", native=body, outputs=copies(output, value.get("n")),
            references=len(given) if isinstance(given, list) else 1,
        )  # fmt: skip
        return with_prompt(order, value)

    def _clip(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        size = sizes.pixels_of(value.get("size")) or (720, 1280)
        pictures = [part for part in body if part.startswith("input_reference")]
        order = Order(
            provider=self.name, model=name, kind="video", native=value, references=len(pictures),
            outputs=(clip(size, integer(value.get("seconds"), 4)),), webhook=self._told_at,
        )  # fmt: skip
        return with_prompt(order, value)

    # --- pictures -----------------------------------------------------------------------------------------

    def _synchronous(self, job: Job, now: float) -> Answer:
        return self.at_end(job, now, self._made)

    def _made(self, job: Job, now: float) -> Reply:
        state = job.state(now)
        if state is State.MODERATED:
            text = "Your request was rejected by the safety system. safety_violations=[violence]."
            return _error(400, "moderation_blocked", text, kind="image_generation_user_error")
        if state is State.FAILED:
            text = "Image generation failed."
            return _error(500, "image_generation_failed", text, kind="image_generation_server_error")
        return Reply(status=200, headers=_JSON | _traced(job), body=lambda: self._inline(job, now))

    def _inline(self, job: Job, now: float) -> bytes:
        first = job.order.outputs[0]
        pictures = [] if job.empty else [self.render(job, index) for index in range(len(job.order.outputs))]
        tokens = sum(output.width * output.height // 1024 for output in job.order.outputs)
        words = max(1, len(job.order.prompt) // 4)
        value = {
            "created": int(now), "background": "opaque", "output_format": first.format, "quality": "medium",
            "size": f"{first.width}x{first.height}",
            "data": [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures],
            "usage": {
                "input_tokens": words, "output_tokens": tokens, "total_tokens": words + tokens,
                "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
            },
        }  # fmt: skip
        return json.dumps(value).encode()

    # --- clips --------------------------------------------------------------------------------------------

    def _video(self, request: Request, name: str, now: float) -> Answer:
        on = "poll" if request.method == "GET" else "other"
        job = self._find(name)
        if job is None:
            self.engine.note(request.call, on=on)
            return _error(404, None, f"Video with id '{name}' not found.", "video_id")
        if on == "poll":
            return self.about(
                request, on, job, now, lambda at: reply(200, self._job(job, at), _next(job, at))
            )
        if not job.state(now).ended:
            return _error(400, None, "Only completed or failed videos can be deleted.", "video_id")
        self.engine.erase(self.name, name)
        return reply(200, {"id": name, "object": "video.deleted", "deleted": True})

    def _content(self, request: Request, name: str, now: float) -> Answer:
        job, variant = self._find(name), request.parameter("variant") or "video"
        if job is None:
            self.engine.note(request.call, on="result")
            return _error(404, None, f"Video with id '{name}' not found.", "video_id")

        def content(at: float) -> Answer:
            if job.state(at) is not State.SUCCEEDED or job.empty:
                return _error(404, None, "The content of this video is not available.", "video_id")
            if variant != "video" or at >= job.ended + KEPT:
                return _error(404, None, f"There is no {variant} of this video any more.", "variant")
            return Reply(status=200, headers={"content-type": "video/mp4"}, body=lambda: self.render(job, 0))

        return self.about(request, "result", job, now, content)

    def _list(self, request: Request, now: float) -> Answer:
        self.engine.note(request.call, on="list")
        jobs = [job for job in self.engine.jobs(self.name) if job.order.kind == "video" and not job.erased]
        if request.parameter("order") != "asc":
            jobs.reverse()
        names = [job.id for job in jobs]
        after = request.parameter("after")
        first = names.index(after) + 1 if after in names else 0
        size = min(max(integer(request.parameter("limit"), 20), 1), 100)
        page = jobs[first : first + size]
        value = {
            "object": "list", "data": [self._job(job, now) for job in page],
            "first_id": page[0].id if page else None, "last_id": page[-1].id if page else None,
            "has_more": first + size < len(jobs),
        }  # fmt: skip
        return reply(200, value)

    def _find(self, name: str) -> Job | None:
        job = self.engine.job(self.name, name)
        return job if job is not None and job.order.kind == "video" else None

    def _job(self, job: Job, now: float) -> dict[str, Any]:
        state, output = job.state(now), job.order.outputs[0]
        done = state is State.SUCCEEDED
        share = 1.0 if state.ended else job.ran(now) / job.run if job.run else 0.0
        code, text = _JOB_ERRORS.get(state, ("", ""))
        return {
            "id": job.id, "object": "video", "model": job.model, "status": _STATUSES[state],
            "progress": min(100, int(100 * share)) if done or not state.ended else 0,
            "created_at": int(job.created), "completed_at": int(job.ended) if done else None,
            "expires_at": int(job.ended + KEPT) if done else None, "prompt": job.order.prompt,
            "size": f"{output.width}x{output.height}", "seconds": str(job.order.native.get("seconds", "4")),
            "remixed_from_video_id": None, "error": {"code": code, "message": text} if code else None,
        }  # fmt: skip

    # --- webhooks -----------------------------------------------------------------------------------------

    def _endpoint(self, request: Request, now: float) -> Answer:
        """From now on the ends of clips are told there, and nowhere else. The secret is shown this once."""
        body = request.json()
        if not isinstance(body, dict) or not str(body.get("url")).startswith(("http://", "https://")):
            return _error(400, "invalid_value", "Invalid value: 'url'", "url")
        self._told_at, self._endpoints = str(body["url"]), self._endpoints + 1
        value = {
            "id": f"we_{self._endpoints}", "object": "webhook_endpoint", "created_at": int(now),
            "event_types": body.get("event_types"), "name": body.get("name"), "url": self._told_at,
            "signing_secret": project_secret(self._endpoints),
        }  # fmt: skip
        return reply(200, value)

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        """Thin: the end of a clip, and its id."""
        state = job.state(now)
        if not state.ended or job.order.webhook is None:
            return None
        kind = "video.completed" if state is State.SUCCEEDED else "video.failed"
        return project_event(job, kind, project_secret(self._endpoints), now)

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        answer = _error(429, "rate_limit_exceeded", "Rate limit reached.", kind="requests")
        wait = max(1, round(fault.duration))
        headers = {**answer.headers, "retry-after": str(wait), "x-ratelimit-remaining-requests": "0"}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        text = "The server had an error while processing your request."
        return _error(500, None, text, kind="server_error")

    def no_credit(self, fault: Fault) -> Reply:
        text = "You exceeded your current quota, please check your plan and billing details."
        return _error(429, "insufficient_quota", text, kind="insufficient_quota")


_JSON = {"content-type": "application/json"}
_NUMBERS = ("n", "output_compression", "partial_images")


def _more(model: Model, body: dict[str, Any], verb: str) -> tuple[Problem, ...]:
    """What a table of fields cannot say."""
    if model.properties is None:
        return ()
    if body.get("stream"):
        return (Problem(field="stream", kind="value", message="the sandbox does not stream"),)
    pictures = [name for name in ("images", "image", "image[]") if name in body]
    if verb == "edits" and len(pictures) != 1:
        return (Problem(field="image", kind="missing", message="an edit needs its pictures, once"),)
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        return (Problem(field="background", kind="value", message="jpeg has no transparency"),)
    size = sizes.pixels_of(body.get("size")) if verb != "videos" else None
    if size is not None and not _takes(size):
        text = f"'{body['size']}': sides are multiples of 16, up to {_LARGEST}, at most 3:1"
        return (Problem(field="size", kind="value", message=text),)
    return ()


def _takes(size: sizes.Size) -> bool:
    return max(size) <= _LARGEST and max(size) <= 3 * min(size) and not (size[0] % 16 or size[1] % 16)


def _next(job: Job, now: float) -> dict[str, str]:
    """The pause before the next question: until the job changes, between 20 ms and a second."""
    change = job.starts if now < job.starts else job.ended
    wait = change - now if math.isfinite(change) else 1.0
    return {"openai-poll-after-ms": str(min(1000, max(20, round(wait * 1000))))}


def _traced(job: Job) -> dict[str, str]:
    return {"x-request-id": f"req_{job.number:024x}"}


def _error(
    status: int, code: str | None, message: str, param: str | None = None, kind: str = "invalid_request_error"
) -> Reply:
    value = {"message": message, "type": kind, "param": param, "code": code}
    return reply(status, {"error": value}, {"x-request-id": "req_sandbox"})
