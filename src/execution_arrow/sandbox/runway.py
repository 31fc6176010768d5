"""Runway: `POST /v1/<endpoint>` with the model in the body, then `GET` and `DELETE /v1/tasks/<id>`.

The version header is required. `DELETE` cancels what has not ended, with the credits back only where it had
not begun, and erases what has. Every end says what it cost; moderated ones cost as much as good ones. More
tasks than the account may run at once wait as `THROTTLED`, which is how the fault `queued` shows. Sources:
runwayml 5.24.0 and the pages of docs.dev.runwayml.com on errors, task failures, moderation and inputs. Not
known, and chosen here: that unknown fields are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.desk import Desk, clip, copies, filled, integer, still, with_prompt
from execution_arrow.sandbox.engine import Canceling
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, Output, State

VERSION = "2024-11-06"
_CREDIT = 10_000  # micro-credits: Runway's credit is 0.01 USD
ENDPOINTS = {
    "text_to_image": "image", "image_upscale": "image", "image_to_video": "video", "text_to_video": "video",
    "video_to_video": "video", "character_performance": "video", "video_upscale": "video",
}  # fmt: skip
_STATUSES = {
    State.QUEUED: "PENDING", State.RUNNING: "RUNNING", State.SUCCEEDED: "SUCCEEDED", State.FAILED: "FAILED",
    State.MODERATED: "FAILED", State.CANCELED: "CANCELLED",
}  # fmt: skip
_FAILURES = {
    State.FAILED: ("INTERNAL.BAD_OUTPUT.CODE01", "An unexpected error occurred."),
    State.MODERATED: ("SAFETY.INPUT.TEXT", "The input was flagged by our content moderation system."),
}
_CODES = {
    "missing": "invalid_type",
    "type": "invalid_type",
    "choice": "invalid_enum_value",
    "unknown": "unrecognized_keys",
}
_LONGEST = 2048  # characters of an address; inputs
_DATA_LIMIT = {"image": 5 << 20, "video": 16 << 20}


class Runway(Desk):
    name = "runway"

    def handle(self, request: Request, now: float) -> Answer:
        if not request.bearer("Bearer"):
            return _error(401, "Unauthorized")
        if request.headers.get("x-runway-version") != VERSION:
            return _error(400, f"The header X-Runway-Version must be {VERSION}.")
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v1", endpoint if endpoint in ENDPOINTS:
                return self._submit(request, endpoint, now)
            case "GET", "v1", "tasks", name:
                return self._task(request, "poll", name, now)
            case "DELETE", "v1", "tasks", name:
                return self._task(request, "cancel", name, now)
            case "GET", "v1", "organization":
                return reply(200, {"creditBalance": 10_000, "tier": {"models": {}}, "usage": {"models": {}}})
        return _error(404, "Not found")

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, endpoint: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit")
        body = request.json()
        name = body.get("model") if isinstance(body, dict) else None
        if not isinstance(name, str):
            return _invalid(("model", "invalid_type", "Required"))
        self.engine.note(request.call, model=name)
        model = self._model(endpoint, name)
        if model is None:
            return _invalid(("model", "invalid_enum_value", f"{name} is no model of {endpoint}"))
        issues = [(p.field, _CODES.get(p.kind, "custom"), p.message) for p in self.check(model, body)]
        if issues:
            return _invalid(*issues)
        for field, reason in _unusable(body, "") if model.properties is not None else ():
            return _error(400, f"Invalid asset for `{field}`: {reason}")
        order = self._order(name, model, body)
        return self.submit(request, order, now, lambda job, _: reply(200, self._taken(job)))

    def _model(self, endpoint: str, name: str) -> Model | None:
        added = self.models.get(name)
        known = added if added is not None and added.kind == ENDPOINTS[endpoint] else None
        return self.models.get(f"{endpoint}/{name}", known)

    def _order(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        pictures = [place for place, _ in _addresses(body, "")]
        order = Order(
            provider=self.name, model=name, kind=model.kind, native=body, references=len(pictures),
            outputs=copies(_output(model, value), value.get("outputCount", 1)),
        )  # fmt: skip
        return with_prompt(order, {"prompt": value.get("promptText"), "seed": value.get("seed")})

    def _taken(self, job: Job) -> dict[str, Any]:
        return {"id": job.id, "estimatedCost": self._credits(self.engine.prices.price(job.order))}

    # --- tasks --------------------------------------------------------------------------------------------

    def _task(self, request: Request, on: str, name: str, now: float) -> Answer:
        job = self.engine.job(self.name, name)
        if job is None:
            self.engine.note(request.call, on=on)
            return _error(404, "Task not found")
        if on == "poll":
            return self.about(request, on, job, now, lambda at: reply(200, self._told(job, at)))
        return self.about(request, on, job, now, lambda at: self._delete(name, at))

    def _delete(self, name: str, now: float) -> Answer:
        if self.engine.cancel(self.name, name, now=now) is Canceling.TOO_LATE:
            self.engine.erase(self.name, name)
        return Reply(status=204)

    def _told(self, job: Job, now: float) -> dict[str, Any]:
        state = job.state(now)
        status = "THROTTLED" if state is State.QUEUED and job.fault == "queued" else _STATUSES[state]
        created = datetime.fromtimestamp(job.created, UTC).isoformat(timespec="milliseconds")
        value: dict[str, Any] = {"id": job.id, "status": status, "createdAt": created.replace("+00:00", "Z")}
        if not state.ended:
            value["estimatedCost"] = self._credits(self.engine.prices.price(job.order))
        else:
            bill = self.engine.prices.bill(job, now, None)
            value["cost"] = self._credits(bill.amount if bill else 0)
        if state is State.RUNNING:
            value["progress"] = round(min(0.99, job.ran(now) / job.run), 2) if job.run else 0.5
        if state is State.SUCCEEDED:
            value["output"] = self.files(job)
        if state in _FAILURES:
            value["failureCode"], value["failure"] = _FAILURES[state]
        return value

    def _credits(self, amount: int) -> dict[str, float]:
        return {"credits": amount / _CREDIT}

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        answer = _error(429, "You have exceeded your daily task limit")
        headers = {**answer.headers, "retry-after": str(max(1, round(fault.duration)))}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        return _error(500, "Internal server error")

    def no_credit(self, fault: Fault) -> Reply:
        return _error(400, "You do not have enough credits to run this task.")


def _output(model: Model, value: dict[str, Any]) -> Output:
    """Runway's ratios are pixels, `1280:720`; those of other makers may be shapes, or absent."""
    ratio = sizes.ratio_of(value.get("ratio"))
    large = ratio is not None and min(ratio) >= 200
    if model.kind == "video":
        size = (
            ratio
            if large and ratio
            else sizes.frame(str(value.get("resolution", "720p")), value.get("ratio"))
        )
        return clip(sizes.capped(*size), integer(value.get("duration"), 5))
    size = ratio if large and ratio else sizes.by_area(value.get("ratio"), 1024 * 1024, 16)
    return still(sizes.capped(*size), value.get("outputFormat", "png"))


def _addresses(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every input file of a body, with the field that it stands in."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and (name == "uri" or name.endswith("Uri") or name == "promptImage"):
                yield f"{place}{name}", inner
            else:
                yield from _addresses(inner, f"{place}{name}.")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _addresses(inner, f"{place}{number}.")


def _unusable(body: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for field, url in _addresses(body, place):
        kind = "video" if "video" in field.lower() else "image"
        if url.startswith("data:"):
            if len(url) > _DATA_LIMIT[kind]:
                yield field, "The data URI is too large."
        elif not url.startswith(("https://", "runway://")):
            yield field, "Only HTTPS URLs are allowed."
        elif len(url) > _LONGEST:
            yield field, "The URL is too long."
        elif url.partition("://")[2].partition("/")[0].replace(".", "").replace(":", "").isdecimal():
            yield field, "URLs must be hosted on a domain."


def _invalid(*issues: tuple[str, str, str]) -> Reply:
    listed = [{"code": code, "path": field.split("."), "message": text} for field, code, text in issues]
    docs = "https://docs.dev.runwayml.com/api"
    return reply(400, {"error": "Validation of body failed", "issues": listed, "docUrl": docs})


def _error(status: int, text: str) -> Reply:
    return reply(status, {"error": text})
