"""Cloudflare Workers AI: hosted `@cf/...` models, answered in the call that asks.

`POST /accounts/{account}/ai/run/{model}` with the bare input, as a form for FLUX.2; slashes of the model may
come as `%2F`, as the official client sends them. The answer is an envelope with a base64 picture, or the
picture's bytes. No job id, no poll, no cancel. Sources: the API's error page and the models' JSON
descriptions; the codes of content blocks (8007, formerly 3030) come from public error logs.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.desk import Desk, filled, from_form, integer, still, with_prompt
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.wire import Answer, Reply, Request, reply
from execution_arrow.sandbox.work import Job, Order, State

ROOT = "/client/v4"
_LARGEST = 10_000_000  # bytes of a request
_NUMBERS = ("steps", "width", "height", "seed")


class Cloudflare(Desk):
    name = "cloudflare"

    def handle(self, request: Request, now: float) -> Answer:
        if not (request.bearer("Bearer") or "x-auth-key" in request.headers):
            return _error(401, 10000, "Authentication error")
        parts = request.path.removeprefix(ROOT).strip("/").split("/")
        if not request.path.startswith(f"{ROOT}/"):
            return _error(404, 7000, "No route for that URI")
        match request.method, *parts:
            case "POST", "accounts", _, "ai", "run", *model if model:
                return self._run(request, "/".join(model), now)
        return _error(404, 7000, "No route for that URI")

    def _run(self, request: Request, name: str, now: float) -> Answer:
        self.engine.note(request.call, on="submit", model=name)
        model, form = self.models.get(name), request.form()
        if len(request.body) > _LARGEST:
            return _error(413, 3006, "Request is too large")
        if model is None:
            return _error(400, 5007, f"No such model {name} or task")
        if model.form and form is None:
            return _error(400, 5006, "Error: required properties at '/' are 'multipart'")
        body = request.json() if form is None else from_form(form, numbers=_NUMBERS)
        for problem in self.check(model, body):
            if problem.kind == "missing":
                return _error(400, 3003, f"Request is missing headers or body: {problem.field}")
            return _error(400, 5006, f"Error: '/{problem.field}' {problem.message}")
        order = self._order(name, model, body)
        return self.submit(request, order, now, lambda job, at: self.at_end(job, at, self._made))

    def _order(self, name: str, model: Model, body: dict[str, Any]) -> Order:
        value = filled(model, body)
        size = sizes.capped(
            integer(value.get("width"), 1024) or 1024, integer(value.get("height"), 1024) or 1024
        )
        output = still(size, (model.raw or "image/jpeg").removeprefix("image/"))
        return with_prompt(
            Order(provider=self.name, model=name, kind="image", native=body, outputs=(output,)), value
        )

    def _made(self, job: Job, now: float) -> Reply:
        state, raw = job.state(now), self.models[job.model].raw
        if state is State.MODERATED:
            return _error(400, 8007, "AiError: AiError: Input prompt contains NSFW content.")
        if state is State.FAILED:
            return _error(408, 3007, "Request timeout")
        if raw is not None:
            return Reply(
                status=200,
                headers={"content-type": raw},
                body=b"" if job.empty else lambda: self.render(job, 0),
            )
        if job.empty:
            return reply(200, {"result": {}, "success": True, "errors": [], "messages": []})
        return Reply(
            status=200, headers={"content-type": "application/json"}, body=lambda: self._enveloped(job)
        )

    def _enveloped(self, job: Job) -> bytes:
        picture = base64.b64encode(self.render(job, 0)).decode()
        return json.dumps(
            {"result": {"image": picture}, "success": True, "errors": [], "messages": []}
        ).encode()

    # --- refusals -----------------------------------------------------------------------------------------

    def rate_limited(self, fault: Fault) -> Reply:
        answer = _error(429, 3040, "No more data centers to forward the request to")
        headers = {**answer.headers, "retry-after": str(max(1, round(fault.duration)))}
        return Reply(status=429, headers=headers, body=answer.body)

    def server_error(self, fault: Fault) -> Reply:
        page = b"<html><head><title>500 Internal Server Error</title></head><body>cloudflare</body></html>"
        return Reply(status=500, headers={"content-type": "text/html"}, body=page)

    def no_credit(self, fault: Fault) -> Reply:
        return _error(429, 3036, "You have used up your daily free allocation of 10,000 neurons.")


def _error(status: int, code: int, message: str) -> Reply:
    value = {"result": None, "success": False, "errors": [{"code": code, "message": message}], "messages": []}
    return reply(status, value)
