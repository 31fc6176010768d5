"""fal's queue and its synchronous host.

`queue.fal.run`: submit with the bare input, then status, result and cancel under the URLs of the answer,
which name owner and app without the endpoint's sub-path. `COMPLETED` covers failure: only the result then
says 422, 499, 500 or 504. Input is checked when the job is run, not when it is queued. `fal.run` (`FalRun`)
answers the same call with the result. Sources: fal's queue, request-error and model-error pages, and
fal-client.
"""

from __future__ import annotations

import json
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.checks import Problem
from execution_arrow.sandbox.desk import Desk, clip, copies, filled, integer, still, with_prompt
from execution_arrow.sandbox.engine import Canceling
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.webhooks import Notice, fal_headers, fal_keys, message
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, Output, State

_DOCS = "https://docs.fal.ai/errors#"
_KINDS = {"missing": "missing", "choice": "literal_error", "type": "value_error", "value": "value_error"}
#: how a job that did not succeed is told at the result: status, error type, text
_FAILURES = {
    State.FAILED: (500, "runner_server_error", "The runner failed while it processed the request."),
    State.CANCELED: (499, "client_cancelled", "The request was cancelled by the client."),
    State.ABORTED: (504, "request_timeout", "Request timed out before it started."),
}
_STATUSES = {State.QUEUED: "IN_QUEUE", State.RUNNING: "IN_PROGRESS"}


class Fal(Desk):
    """The queue."""

    name = "fal"

    def handle(self, request: Request, now: float) -> Answer:
        if (request.method, request.path) == ("GET", "/.well-known/jwks.json"):
            return reply(200, fal_keys())
        parts = request.path.strip("/").split("/")
        if not request.bearer("Key"):
            app = "/".join(parts[:2])
            text = (
                f"Cannot access application '{app}'. Authentication is required to access this application."
            )
            return reply(401, {"detail": text})
        match request.method, *parts:
            case "GET", _, _, "requests", job, "status":
                return self._about(request, "poll", parts, job, now, self._status)
            case "GET", _, _, "requests", job:
                return self._about(request, "result", parts, job, now, self._result)
            case "PUT", _, _, "requests", job, "cancel":
                return self._about(request, "cancel", parts, job, now, self._cancel)
            case "POST", *_:
                return self._submit(request, "/".join(parts), now)
        return reply(405, {"detail": "Method Not Allowed"})

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, endpoint: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit", model=endpoint)
        model, body = self.models.get(endpoint), request.json()
        if model is None:
            return reply(404, {"detail": f"Application '{endpoint.rpartition('/')[2]}' not found"})
        if not isinstance(body, dict):
            return reply(400, {"detail": "Invalid JSON body", "error_type": "bad_request"})
        return self.submit(request, self._order(request, endpoint, model, body), now, self._taken(request))

    def _taken(self, request: Request) -> Any:
        return lambda job, at: reply(200, self._position(request, job, State.QUEUED))

    def _order(self, request: Request, endpoint: str, model: Model, body: dict[str, Any]) -> Order:
        found = self.check(model, body, closed=False)
        value = filled(model, body)
        count = value.get("num_images", 1)
        pictures = [item for name, item in body.items() if name.endswith(("_url", "_urls"))]
        order = Order(
            provider=self.name, model=endpoint, kind=model.kind, native=body,
            outputs=() if found else copies(_output(model, value), count if model.many else 1),
            references=sum(len(item) if isinstance(item, list) else bool(item) for item in pictures),
            webhook=request.parameter("fal_webhook"),
            start_within=_seconds(request.headers.get("x-fal-request-timeout")),
            problem=_detail(found, body) if found else None,
        )  # fmt: skip
        return with_prompt(order, value)

    # --- afterwards ---------------------------------------------------------------------------------------

    def _about(self, request: Request, on: str, parts: list[str], name: str, now: float, act: Any) -> Answer:
        job = self.engine.job(self.name, name)
        if job is None or job.model.split("/")[:2] != parts[:2]:
            self.engine.note(request.call, on=on)
            return reply(
                404, {"status": "NOT_FOUND"} if on == "cancel" else {"detail": f"Request {name} not found"}
            )
        return self.about(
            request, on, job, now, lambda at: act(request, self.engine.job(self.name, name) or job, at)
        )

    def _position(self, request: Request, job: Job, state: State) -> dict[str, Any]:
        app = "/".join(job.model.split("/")[:2])
        url = f"{request.base}/{app}/requests/{job.id}"
        value: dict[str, Any] = {
            "status": _STATUSES.get(state, "COMPLETED"), "request_id": job.id, "response_url": url,
            "status_url": f"{url}/status", "cancel_url": f"{url}/cancel", "logs": None, "metrics": {},
        }  # fmt: skip
        if state is State.QUEUED:
            value["queue_position"] = 0
        return value

    def _status(self, request: Request, job: Job, now: float) -> Answer:
        state = job.state(now)
        value = self._position(request, job, state)
        if request.parameter("logs") in ("true", "1") and state is not State.QUEUED:
            value["logs"] = []
        if state.ended:
            value["metrics"] = {"inference_time": round(job.ran(now), 6)}
            failed = self.outcome(job, now)
            if failed.status != 200:
                value["error"] = f"Invalid status code: {failed.status}"
                value["error_type"] = failed.headers.get("x-fal-error-type") or _model_error(job, state)
        return reply(200 if state.ended else 202, value, {"x-fal-request-id": job.id})

    def _result(self, request: Request, job: Job, now: float) -> Answer:
        if not job.state(now).ended:
            return reply(400, {"detail": "Request is still in progress"}, {"x-fal-request-id": job.id})
        return self.outcome(job, now)

    def _cancel(self, request: Request, job: Job, now: float) -> Answer:
        match self.engine.cancel(self.name, job.id, now=now):
            case Canceling.DONE | Canceling.IGNORED:
                return reply(202, {"status": "CANCELLATION_REQUESTED"})
            case _:
                return reply(400, {"status": "ALREADY_COMPLETED"})

    def outcome(self, job: Job, now: float) -> Reply:
        """What a job that has ended comes to: the result, or the error with its own status."""
        state, headers = job.state(now), {"x-fal-request-id": job.id}
        if state is State.SUCCEEDED:
            return reply(
                200, self._value(job), {**headers, "x-fal-billable-units": str(len(job.order.outputs))}
            )
        if state is State.INVALID:
            return reply(422, {"detail": job.order.problem}, {**headers, "x-fal-retryable": "false"})
        if state is State.MODERATED:
            return reply(422, {"detail": [_moderated(job)]}, {**headers, "x-fal-retryable": "false"})
        status, kind, text = _FAILURES[state]
        headers |= {"x-fal-error-type": kind}
        if state is State.ABORTED:
            headers |= {"x-fal-request-timeout-type": "user"}
        return reply(status, {"detail": text, "error_type": kind}, headers)

    def _value(self, job: Job) -> dict[str, Any]:
        urls, order = self.files(job), job.order
        made = [
            {
                "url": url,
                "content_type": f"{output.kind}/{output.format}",
                "file_name": url.rpartition("/")[2],
            }
            | ({"width": output.width, "height": output.height} if output.kind == "image" else {})
            for url, output in zip(urls, order.outputs, strict=False)
        ]
        if order.kind == "video":
            return {"video": made[0] if made else None, "seed": order.seed}
        return {
            "images": made, "seed": order.seed, "prompt": order.prompt,
            "has_nsfw_concepts": [False] * len(made), "timings": {"inference": round(job.run, 6)},
        }  # fmt: skip

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        if job.order.webhook is None or not job.state(now).ended:
            return None
        outcome = self.outcome(job, now)
        value = {"request_id": job.id, "gateway_request_id": job.id, "status": "OK"}
        if outcome.status != 200:
            value |= {"status": "ERROR", "error": f"Invalid status code: {outcome.status}"}
        body = message(
            {**value, "payload": json.loads(outcome.body) if isinstance(outcome.body, bytes) else None}
        )
        return Notice(url=job.order.webhook, body=body, headers=lambda at: fal_headers(job.id, body, at))

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        return reply(
            429, {"detail": "Too many requests"}, {"retry-after": str(max(1, round(fault.duration)))}
        )

    def server_error(self, fault: Fault) -> Reply:
        text, kind = "Internal server error", "internal_error"
        return reply(500, {"detail": text, "error_type": kind}, {"x-fal-error-type": kind})

    def no_credit(self, fault: Fault) -> Reply:
        where = "Top up your balance at fal.ai/dashboard/billing."
        return reply(403, {"detail": f"User is locked. Reason: Exhausted balance. {where}"})


class FalRun(Fal):
    """The synchronous host: the same jobs, one call. `engine.jobs("fal")` holds both."""

    def handle(self, request: Request, now: float) -> Answer:
        if request.method != "POST":
            return reply(405, {"detail": "Method Not Allowed"})
        return super().handle(request, now)

    def _taken(self, request: Request) -> Any:
        return lambda job, at: self.at_end(job, at, self.outcome)


def _output(model: Model, value: dict[str, Any]) -> Output:
    if model.kind == "video":
        sized = sizes.seedance if model.family == "seedance" else sizes.frame
        size = sized(str(value.get("resolution", "720p")), value.get("aspect_ratio", "16:9"))
        return clip(size, value.get("duration"))
    asked = value.get("image_size", None if "aspect_ratio" in value else "landscape_4_3")
    if isinstance(asked, dict):
        size = sizes.capped(integer(asked.get("width"), 512), integer(asked.get("height"), 512))
    else:
        size = sizes.PRESETS.get(str(asked)) or sizes.picture(value)
    return still(size, value.get("output_format"))


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _detail(found: tuple[Problem, ...], body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "loc": ["body", *problem.field.split(".")], "msg": problem.message, "type": _KINDS[problem.kind],
            "url": _DOCS + _KINDS[problem.kind], "input": body,
        }
        for problem in found
    ]  # fmt: skip


def _moderated(job: Job) -> dict[str, Any]:
    text = "The content could not be processed because it contained material flagged by a content checker."
    kind = "content_policy_violation"
    return {
        "loc": ["body", "prompt"],
        "msg": text,
        "type": kind,
        "url": _DOCS + kind,
        "input": job.order.native,
    }


def _model_error(job: Job, state: State) -> str:
    return "content_policy_violation" if state is State.MODERATED else str(job.order.problem[0]["type"])
