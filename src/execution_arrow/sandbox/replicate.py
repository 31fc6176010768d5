"""Replicate's predictions API.

Submits by official model, by version (`owner/name` or `owner/name:id`) or by deployment; `Prefer: wait`;
`Cancel-After`; poll, list, cancel; the webhook secret. A failed prediction is an answer of 200 with
`status: failed`. Sources: Replicate's OpenAPI description and its HTTP and lifecycle pages; errors are
RFC 7807-like (`title`, `detail`, `status`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from execution_arrow.sandbox import sizes, temporary
from execution_arrow.sandbox.checks import Problem
from execution_arrow.sandbox.desk import Desk, clip, copies, filled, integer, still, with_prompt
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import FLAG, TEXT, Model, one_of
from execution_arrow.sandbox.webhooks import Notice, message, standard_headers
from execution_arrow.sandbox.wire import Answer, Reply, Request, Wait, reply
from execution_arrow.sandbox.work import Job, Order, Output, State

WEBHOOK_SECRET = "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0wMDAx"
KEPT = 3600.0  # seconds after which outputs, inputs and logs of API predictions are removed
_PAGE = 100
_ENVELOPE = Model(
    properties={
        "input": {"type": "object"},
        "version": TEXT,
        "webhook": {"type": "string", "pattern": "^https?://"},
        "webhook_events_filter": {"type": "array", "items": one_of("start", "output", "logs", "completed")},
        "stream": FLAG,
    },
    required=("input",),
)
_STATUS = {
    State.QUEUED: "starting",
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.MODERATED: "failed",
    State.CANCELED: "canceled",
    State.ABORTED: "aborted",
}
_KINDS = {"missing": "required", "unknown": "additional_property_not_allowed"}
_ERRORS = {
    State.FAILED: "Prediction failed: the model ran out of memory (E1001)",
    State.MODERATED: "NSFW content detected. Try running it again, or try a different prompt.",
}


class Replicate(Desk):
    name = "replicate"

    def handle(self, request: Request, now: float) -> Answer:
        if not (request.bearer("Bearer") or request.bearer("Token")):
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v1", "predictions":
                return self._by_version(request, now)
            case "POST", "v1", "models" | "deployments" as where, owner, name, "predictions":
                return self._submit(request, f"{owner}/{name}", now, deployed=where == "deployments")
            case "GET", "v1", "predictions":
                return self._list(request, now)
            case "GET", "v1", "predictions", job:
                return self._poll(request, job, now)
            case "POST", "v1", "predictions", job, "cancel":
                return self._cancel(request, job, now)
            case "POST", "v1", "files":
                return temporary.replicate_file(request)
            case "GET", "v1", "webhooks", "default", "secret":
                return reply(200, {"key": WEBHOOK_SECRET})
        return _not_found()

    # --- submit -------------------------------------------------------------------------------------------

    def _by_version(self, request: Request, now: float) -> Answer:
        body = request.json()
        version = body.get("version") if isinstance(body, dict) else None
        model = str(version).partition(":")[0]
        if model not in self.models:
            self.engine.note(request.call, on="submit")
            return _problem(422, "Invalid version or not permitted", "The specified version does not exist.")
        return self._submit(request, model, now)

    def _submit(self, request: Request, name: str, now: float, *, deployed: bool = False) -> Answer:
        self.engine.note(request.call, on="submit", model=name)
        model, body = self.models.get(name), request.json()
        if model is None:
            return _not_found()
        if not isinstance(body, dict):
            return _problem(400, "Invalid JSON", "The request body is not a JSON object")
        if found := self.check(_ENVELOPE, body):
            return _invalid(found, "")
        if found := self.check(model, body["input"]):
            return _invalid(found, "input.")
        order = self._order(name, model, body | ({"deployment": name} if deployed else {}), request)
        return self.submit(request, order, now, lambda job, at: self._created(request, job, at))

    def _order(self, name: str, model: Model, body: dict[str, Any], request: Request) -> Order:
        value = filled(model, body["input"])
        count = value.get("num_outputs", value.get("max_images") if value.get("max_images") else 1)
        if model.family == "seedream" and value.get("sequential_image_generation") != "auto":
            count = 1
        pictures = [
            value.get(key)
            for key in ("image_input", "input_images", "reference_images", "image", "last_frame")
        ]
        order = Order(
            provider=self.name, model=name, kind=model.kind, native=body,
            outputs=copies(_output(model, value), count if model.many else 1),
            references=sum(len(item) if isinstance(item, list) else bool(item) for item in pictures),
            webhook=body.get("webhook"), events=tuple(body.get("webhook_events_filter") or ()),
            done_within=_duration(request.headers.get("cancel-after")),
        )  # fmt: skip
        return with_prompt(order, value)

    def _created(self, request: Request, job: Job, now: float) -> Answer:
        wait = _patience(request.headers.get("prefer"))
        if wait is None:
            return reply(201, self.prediction(request, job, now))
        if job.ended <= now + wait:
            return self.at_end(
                job, now, lambda _, at: reply(201, self.prediction(request, self._again(job), at))
            )
        # a wait that runs out answers with `starting`, whatever the job does by then
        return Wait(
            seconds=wait,
            then=lambda at: reply(
                202, {**self.prediction(request, self._again(job), at), "status": "starting"}
            ),
        )

    def _again(self, job: Job) -> Job:
        return self.engine.job(self.name, job.id) or job

    # --- afterwards ---------------------------------------------------------------------------------------

    def _poll(self, request: Request, name: str, now: float) -> Answer:
        job = self.engine.job(self.name, name)
        if job is None:
            self.engine.note(request.call, on="poll")
            return _not_found()
        return self.about(request, "poll", job, now, lambda at: reply(200, self.prediction(request, job, at)))

    def _cancel(self, request: Request, name: str, now: float) -> Answer:
        job = self.engine.job(self.name, name)
        if job is None:
            self.engine.note(request.call, on="cancel")
            return _not_found()

        def act(at: float) -> Answer:
            self.engine.cancel(self.name, name, now=at)
            return reply(200, self.prediction(request, self._again(job), at))

        return self.about(request, "cancel", job, now, act)

    def _list(self, request: Request, now: float) -> Answer:
        self.engine.note(request.call, on="list")
        after, before = (
            _moment(request.parameter("created_after")),
            _moment(request.parameter("created_before")),
        )
        kept = [
            job
            for job in reversed(self.engine.jobs(self.name))
            if (after is None or job.created >= after) and (before is None or job.created < before)
        ]
        start = integer(request.parameter("cursor"), 0)
        more = f"{request.base}/v1/predictions?cursor={start + _PAGE}" if len(kept) > start + _PAGE else None
        results = [self.prediction(request, job, now) for job in kept[start : start + _PAGE]]
        return reply(200, {"previous": None, "next": more, "results": results})

    def prediction(self, request: Request, job: Job, now: float) -> dict[str, Any]:
        """The prediction object: the same in every answer and in webhooks."""
        state = job.state(now)
        url = f"{request.base}/v1/predictions/{job.id}"
        removed = state.ended and now >= job.ended + KEPT
        value: dict[str, Any] = {
            "id": job.id, "model": job.model, "version": "hidden",
            "input": {} if removed else job.order.native.get("input"), "logs": "", "data_removed": removed,
            "output": self._output(job) if state is State.SUCCEEDED and not removed else None,
            "error": _ERRORS.get(state), "status": _STATUS[state], "created_at": _stamp(job.created),
            "source": "api",
            "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{job.id}"},
        }  # fmt: skip
        if job.starts <= now and job.starts < job.ended:
            value["started_at"] = _stamp(job.starts)
        if state.ended:
            value["completed_at"] = _stamp(job.ended)
            value["metrics"] = {
                "predict_time": round(job.ran(now), 6),
                "total_time": round(job.ended - job.created, 6),
            }
        if "deployment" in job.order.native:
            value["deployment"] = job.order.native["deployment"]
        if job.order.done_within is not None:
            value["deadline"] = _stamp(job.created + job.order.done_within)
        return value

    def _output(self, job: Job) -> Any:
        urls = self.files(job)
        many = self.models[job.model].many
        return (urls if many else urls[0]) if urls else ([] if many else None)

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        event = "completed" if job.state(now).ended else "start"
        if job.order.webhook is None or (job.order.events and event not in job.order.events):
            return None
        body = message(self.prediction(request, job, now))
        name = f"msg_{job.id}_{event}"
        return Notice(
            url=job.order.webhook,
            body=body,
            headers=lambda at: standard_headers(WEBHOOK_SECRET, name, body, at),
        )

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        seconds = max(1, round(fault.duration))
        detail = f"Request was throttled. Your rate limit resets in ~{seconds}s."
        answer = reply(
            429, {"title": "Request was throttled", "detail": detail, "status": 429, "retry_after": seconds}
        )
        return Reply(status=429, headers={**answer.headers, "retry-after": str(seconds)}, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        return _problem(500, "Internal server error", "Something went wrong. Please try again later.")

    def no_credit(self, fault: Fault) -> Reply:
        return _problem(402, "Insufficient credit", "You have insufficient credit to run this model.")


def _output(model: Model, value: dict[str, Any]) -> Output:
    ratio = value.get("aspect_ratio")
    if model.kind == "video":
        sized = sizes.seedance if model.family == "seedance" else sizes.frame
        size = sizes.pixels_of(value.get("size")) or sized(
            str(value.get("resolution", "1080p")), ratio or "16:9"
        )
        return clip(size, value.get("duration"), value.get("fps"))
    if "custom" not in (ratio, value.get("size")):
        value = {name: item for name, item in value.items() if name not in ("width", "height")}
        if model.family == "seedream":
            return still(sizes.seedream(str(value.get("size", "2K")), ratio), value.get("output_format"))
    return still(sizes.picture(value), value.get("output_format"))


def _patience(header: str | None) -> float | None:
    """Seconds of `Prefer: wait` or `wait=N` (1 to 60)."""
    match = re.fullmatch(r"\s*wait(?:=(\d{1,6}))?\s*", header or "")
    return None if match is None else float(min(60, max(1, int(match[1] or 60))))


def _duration(header: str | None) -> float | None:
    """Seconds of `Cancel-After: 30s`, `5m`, `1h30m` or `30`; at least 5."""
    match = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?", (header or "").strip())
    if not header or match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(max(5, hours * 3600 + minutes * 60 + seconds))


def _moment(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        return None


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _problem(status: int, title: str, detail: str) -> Reply:
    return reply(status, {"title": title, "detail": detail, "status": status})


def _not_found() -> Reply:
    return _problem(404, "Not found", "The requested resource could not be found.")


def _invalid(found: tuple[Problem, ...], where: str) -> Reply:
    listed = [
        {
            "type": _KINDS.get(item.kind, "invalid"),
            "field": f"{where}{item.field}",
            "description": item.message,
        }
        for item in found
    ]
    detail = "".join(f"- {item['field']}: {item['description']}\n" for item in listed)
    body = {"title": "Input validation failed", "detail": detail, "status": 422, "invalid_fields": listed}
    return reply(422, body)
