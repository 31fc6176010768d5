"""Black Forest Labs: one path per model, one picture per job, asked for at the address of the answer.

`POST /v1/<model>` answers with an id and a `polling_url`, or, where a webhook was named, with the webhook
and no such address. Ends are words of `GET /v1/get_result`, always with status 200. There is no cancel.
Sources: the API's own OpenAPI document; for webhooks, black-forest-labs/skills. Not known, and chosen here:
that moderated jobs are free, and whether it is the input or the result that a job is moderated for (every
other one).
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

from execution_arrow.media import sniff
from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.desk import Desk, filled, integer, still, with_prompt
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.webhooks import Notice, bfl_headers, message
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, Output, State

_CREDIT = 10_000  # micro-credits: BFL's credit is 0.01 USD
_MEGAPIXEL = 1_000_000
#: pictures that cannot be named by address
_INLINE = ("image", "mask", "image_prompt")


class Bfl(Desk):
    name = "bfl"

    def handle(self, request: Request, now: float) -> Answer:
        if not request.headers.get("x-key", "").strip():
            return _detail(403, "Not authenticated - Invalid Authentication")
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "v1", "get_result":
                return self._ask(request, request.parameter("id"), now)
            case "GET", "v1", "credits":
                return reply(200, {"credits": 1000.0})
            case "POST", "v1", name:
                return self._submit(request, name, now)
        return _detail(404, "Not Found")

    # --- submit -------------------------------------------------------------------------------------------

    def _submit(self, request: Request, name: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit", model=name)
        model, body = self.models.get(name), request.json()
        if model is None:
            return _detail(404, "Not Found")
        if isinstance(body, dict):
            body = {field: value for field, value in body.items() if value is not None}
        wrong = [(p.field, p.message) for p in self.check(model, body)]
        wrong = wrong or [(field, text) for field, text in _pictures(model, body)]
        if wrong:
            listed = [
                {"loc": ["body", *field.split(".")], "msg": text, "type": "value_error"}
                for field, text in wrong
            ]
            return reply(422, {"detail": listed})
        order = self._order(name, model, body)
        return self.submit(request, order, now, lambda job, at: reply(200, self._taken(request, job)))

    def _order(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        pictures = [field for field in value if _holds_picture(field)]
        hook = value.get("webhook_url")
        order = Order(
            provider=self.name, model=name, kind=model.kind, native=body, outputs=(_output(model, value),),
            references=len(pictures), webhook=hook if isinstance(hook, str) else None,
        )  # fmt: skip
        return with_prompt(order, value)

    def _taken(self, request: Request, job: Job) -> dict[str, Any]:
        made = job.order.outputs[0]
        value: dict[str, Any] = {
            "id": job.id,
            "cost": self.engine.prices.price(job.order) / _CREDIT,
            "input_mp": 0.0,
            "output_mp": round(made.width * made.height / _MEGAPIXEL, 2),
        }
        if job.order.webhook is not None:
            return {**value, "status": "Pending", "webhook_url": job.order.webhook}
        return {**value, "polling_url": f"{request.base}/v1/get_result?id={job.id}"}

    # --- afterwards ---------------------------------------------------------------------------------------

    def _ask(self, request: Request, name: str | None, now: float) -> Answer:
        job = None if name is None else self.engine.job(self.name, name)
        if name is None:
            return reply(
                422, {"detail": [{"loc": ["query", "id"], "msg": "Field required", "type": "missing"}]}
            )
        if job is None:
            self.engine.note(request.call, on="poll")
            return reply(200, {"id": name, "status": "Task not found", "result": None})
        return self.about(request, "poll", job, now, lambda at: reply(200, self._told(job, at)))

    def _told(self, job: Job, now: float) -> dict[str, Any]:
        status, state = _status(job, now), job.state(now)
        value: dict[str, Any] = {
            "id": job.id, "status": status, "result": None, "progress": None, "details": None, "preview": None
        }  # fmt: skip
        if state is State.SUCCEEDED:
            value["result"] = self._result(job)
        elif state is State.MODERATED:
            value["details"] = {"Moderation Reasons": ["Safety Filter"]}
        elif state is State.RUNNING:
            value["progress"] = round(min(0.99, job.ran(now) / job.run), 2) if job.run else 0.5
        return value

    def _result(self, job: Job) -> dict[str, Any] | None:
        urls, order = self.files(job), job.order
        if not urls:
            return None
        return {
            "sample": urls[0], "prompt": order.prompt, "seed": order.seed, "start_time": job.starts,
            "end_time": job.ended, "duration": round(job.run, 3),
        }  # fmt: skip

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        state = job.state(now)
        if job.order.webhook is None or not state.ended:
            return None
        value: dict[str, Any] = {"id": job.id, "timestamp": datetime.fromtimestamp(now, UTC).isoformat()}
        if state is State.SUCCEEDED:
            value |= {"status": "Ready", "result": self._result(job)}
        elif state is State.MODERATED:
            text = "The prompt violated content policy"
            value |= {"status": "Error", "error": "content_policy_violation", "message": text}
        else:
            value |= {"status": "Error", "error": "generation_failed", "message": "The generation failed"}
        body, secret = message(value), job.order.native.get("webhook_secret")
        signed = bfl_headers(secret, body) if isinstance(secret, str) else {}
        return Notice(url=job.order.webhook, body=body, headers=lambda _: signed)

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        answer = _detail(429, "Rate limit exceeded: too many active tasks")
        headers = {**answer.headers, "retry-after": str(max(1, round(fault.duration)))}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        return _detail(500, "Internal Server Error")

    def no_credit(self, fault: Fault) -> Reply:
        return _detail(402, "Insufficient credits")


def _status(job: Job, now: float) -> str:
    match job.state(now):
        case State.SUCCEEDED:
            return "Ready"
        case State.MODERATED:
            return "Content Moderated" if job.number % 2 else "Request Moderated"
        case State.FAILED:
            return "Error"
        case _:
            return "Pending"


def _output(model: Model, value: dict[str, Any]) -> Output:
    if model.family == "ultra":
        size = sizes.by_area(value["aspect_ratio"], 4 * 1024 * 1024, 32)
    elif "aspect_ratio" in value:
        size = sizes.by_area(value["aspect_ratio"], 1024 * 1024, 16)
    else:  # flux-2: 0, or nothing, is as the service likes
        sides = (integer(value.get(name), 0) or 1024 for name in ("width", "height"))
        size = sizes.capped(*sides)
    return still(size, value.get("output_format"))


def _pictures(model: Model, body: dict[str, Any]) -> list[tuple[str, str]]:
    """Which pictures are none: an address where only bytes are taken, or bytes that are no picture."""
    wrong: list[tuple[str, str]] = []
    for name in filter(_holds_picture, body if model.properties is not None else ()):
        value = str(body[name])
        if value.startswith(("http://", "https://")):
            if name in _INLINE:
                wrong.append((name, "Value error, the image is base64, not an address"))
        elif not _is_picture(value):
            wrong.append((name, "Value error, the image could not be decoded"))
    return wrong


def _holds_picture(name: str) -> bool:
    return name in _INLINE or re.fullmatch(r"input_image(_[2-8])?", name) is not None


def _is_picture(value: str) -> bool:
    head = value.partition("base64,")[2] if value.startswith("data:") else value
    try:
        kind = sniff(base64.b64decode(head[:88], validate=True))
        return kind is not None and kind.media_type.startswith("image/")
    except ValueError:
        return False


def _detail(status: int, text: str) -> Reply:
    return reply(status, {"detail": text})
