"""Fal: a queue. Submit, ask for the status, then fetch the result, which is where a failure shows.

Sources, as named in the tables: "queue", "errors", "request errors", "parameters" and "FAQ" are pages of
fal.ai/docs, "client" is the official Python client 1.0.3. `COMPLETED` only says that the request left the
queue: success and failure both look like that, and the answer of `response_url` tells them apart, with the
status of the model's own answer. The URLs that a submit returns are used as they are, because they hold
only the owner and the application, not the endpoint's path; but a key is sent nowhere else than to the
host it was given for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from execution_arrow.facts import (
    Accepted,
    CancelAcknowledged,
    Canceled,
    CancelFact,
    CancelRefused,
    Expired,
    Failed,
    Fault,
    LookupFact,
    LookupNone,
    Missing,
    Output,
    Running,
    StatusFact,
    SubmitFact,
    Succeeded,
    UnknownStatus,
)
from execution_arrow.ports import Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers._callbacks import FalCallbacks
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Follow, Job, Reply, Semantics

SEMANTICS = Semantics(
    name="fal",
    base_url="https://queue.fal.run",  # queue
    key_variable="FAL_KEY",  # client
    poll_every=0.5,  # the JavaScript client's interval; the Python one asks every 0.1 s
    webhook="signed",  # queue
    cancel="any",  # queue: a queued request is removed, a running one is asked to stop and may go on
    cancel_free=False,  # queue: a cancel is no proof that nothing is charged
    billed=frozenset({"moderation", "canceled"}),  # FAQ: 5xx never, 422 when the GPU ran
    artifact_life=604_800.0,
    renewed_for=2_592_000.0,
    results_source="FAQ: files at least 7 days, or as the account says; docs: what a job answered, 30 days",
)

# The backup host that the official client falls back to (client, and fal's own queue OpenAPI).
HOSTS = frozenset({"queue.fal.run", "queue.falrun.com"})

STATUSES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")  # queue and client; there is no FAILED

# Error types of fal's own machinery. All of them end the request, and a 5xx is never charged (FAQ), so
# they are definitive also as the answer to a submit. A bare 500 or `internal_error` proves nothing there.
_GATEWAY = (
    "request_timeout",
    "startup_timeout",
    "runner_scheduling_failure",
    "runner_connection_timeout",
    "runner_disconnected",
    "runner_connection_refused",
    "runner_connection_error",
    "runner_incomplete_response",
    "runner_server_error",
)
# Types of a model's 422 that say the input cannot be used (errors).
_INPUT = (
    "missing", "value_error", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
    "multiple_of", "sequence_too_short", "sequence_too_long", "one_of", "feature_not_supported",
    "file_download_error", "file_too_large", "image_load_error", "image_too_small", "image_too_large",
    "face_detection_error", "unsupported_image_format", "unsupported_audio_format",
    "unsupported_video_format",
)  # fmt: skip
_DOWNSTREAM = (
    "generation_timeout", "no_media_generated", "downstream_service_unavailable", "downstream_service_error",
)  # fmt: skip

COMMON_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.CALLER, code="content_policy_violation", moderation=True, source="errors"),
    *(Rule(fault=Fault.CALLER, code=code, source="errors") for code in _INPUT),
    *(Rule(fault=Fault.PROVIDER, code=code, source="errors") for code in _DOWNSTREAM),
    *(Rule(fault=Fault.PROVIDER, code=code, source="request errors") for code in _GATEWAY),
    Rule(
        fault=Fault.ACCOUNT,
        status=(402, 403),
        text=r"exhausted balance|user is locked",
        source="about ten public logs: refused before the queue, not charged",
    ),
)
SUBMIT_RULES: tuple[Rule, ...] = (*COMMON_RULES, *HTTP_RULES)
# At the result every answer that is fal's own is the end of the request, whatever its status.
RESULT_RULES: tuple[Rule, ...] = (
    *COMMON_RULES,
    Rule(fault=Fault.CALLER, status=(400, 413, 422), source="errors"),
    Rule(fault=Fault.PROVIDER, source="request errors; internal_error and downstream ones"),
)
CANCELED_TYPES = frozenset({"client_cancelled", "client_disconnected"})  # request errors: 499

# What a cancel answers (queue). The second value: the request has ended, never ask again.
CANCELS = {
    "OK": None,
    "CANCELLATION_REQUESTED": None,
    "ALREADY_COMPLETED": True,
    "NOT_FOUND": False,
}

# Where models put what they made (types of the official JavaScript client).
_OUTPUT_LISTS = ("images", "videos")
_OUTPUT_FILES = ("image", "video")
_NAMESPACES = ("workflows", "comfy")  # client: these ids have three parts
_STILL = re.compile(r"still in progress", re.IGNORECASE)  # what a result that is asked for too early answers


class Fal:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = FalCallbacks(
        lambda payload, job, reply: _made(Job(id=job, payload=payload), wire.json_object(reply)), HOSTS
    )

    def is_sync(self, payload: Payload) -> bool:
        return False

    def build_submit(self, payload: Payload, context: Context) -> Call:
        headers = {**payload.headers, **_headers(context), "x-fal-no-retry": "1"}  # failover is ours
        if context.deadline is not None and context.deadline > 1:
            # parameters: time until the start, queue included, and more than a second
            headers["x-fal-request-timeout"] = str(float(context.deadline))
        query = f"?fal_webhook={quote(context.callback_url, safe='')}" if context.callback_url else ""
        return Call(
            method=payload.method,
            url=context.base_url + payload.path + query,
            headers=headers,
            json=wire.plain_body(payload),
            timeout=60.0,
        )

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        if not wire.ok(reply):
            code, message = _error(reply, body)
            return wire.refusal(SUBMIT_RULES, reply, code, message)
        job = wire.identifier(body.get("request_id"))
        if job is None:
            return wire.unreadable(reply)
        named = {"poll": "status_url", "result": "response_url", "cancel": "cancel_url"}
        urls = {name: url for name, key in named.items() if (url := wire.web_url(body.get(key))) is not None}
        return Accepted(job=job, urls=urls)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("Fal's answers to a submit hold no results")

    def build_poll(self, job: Job, context: Context) -> Call:
        url = _url(job, context, "poll", "/status")
        return Call(method="GET", url=f"{url}{'&' if '?' in url else '?'}logs=0", headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact | Follow:
        if reply.status == 404:
            return Missing()
        body = wire.json_object(reply)
        status = body.get("status")
        if not wire.ok(reply) or not isinstance(
            status, str
        ):  # 202 while it waits or runs, 200 when it is over
            return wire.poll_failed(reply)
        if wire.foreign(body, "request_id", job.id):
            return wire.poll_failed(reply, "the answer is about another request")
        if status not in STATUSES:
            return UnknownStatus(text=wire.text(status, 60))
        if status != "COMPLETED":
            return Running()
        if body.get("error_type") in CANCELED_TYPES:
            return Canceled()
        return Follow(
            call=Call(method="GET", url=_url(job, context, "result", ""), headers=_headers(context))
        )

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        body = wire.json_object(reply)
        if wire.ok(reply) and isinstance(wire.json_value(reply), dict):
            return Running() if reply.status == 202 else _made(job, body)
        if reply.status == 404:
            return Missing()
        code, message = _error(reply, body)
        if reply.status == 400 and _STILL.search(message):  # one of its servers is behind the other
            return Running()
        if reply.status < 400 or reply.status in (401, 403, 408, 429) or not _is_own(reply, body):
            return wire.poll_failed(reply, message)  # with a 2xx, a result that cannot be read now
        if code in CANCELED_TYPES or reply.status == 499:
            return Canceled()
        if reply.status == 504 and reply.headers.get("x-fal-request-timeout-type") == "user":
            return Expired()  # our own start deadline; it never ran
        retryable = reply.headers.get("x-fal-retryable") == "true"  # errors: then the input is not to blame
        rules = (*COMMON_RULES, RESULT_RULES[-1]) if retryable else RESULT_RULES
        rule = wire.find(rules, reply.status, code, message) or RESULT_RULES[-1]
        return Failed(
            fault=rule.fault, code=code or f"http_{reply.status}", message=message, moderation=rule.moderation
        )

    def build_cancel(self, job: Job, context: Context) -> Call:
        return Call(method="PUT", url=_url(job, context, "cancel", "/cancel"), headers=_headers(context))

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        status = wire.text(wire.json_object(reply).get("status"), 60)
        final = CANCELS.get(status)
        if final is None and wire.ok(reply):
            return CancelAcknowledged()
        return CancelRefused(
            message=f"HTTP {reply.status}: {status or wire.excerpt(reply)}", final=bool(final)
        )

    def build_lookup(self, payload: Payload, context: Context) -> None:
        return None  # the queue has no list of requests

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)


PROVIDER = Fal()


def _headers(context: Context) -> dict[str, str]:
    return wire.headers(context, f"Key {context.secret.reveal()}")


def _url(job: Job, context: Context, name: str, suffix: str) -> str:
    """The URL fal gave for this, or its documented form where it gave none that may see the key."""
    given = job.urls.get(name)
    if given is not None and wire.may_see_key(given, context.base_url, HOSTS.__contains__):
        return given
    parts = job.payload.path.strip("/").split("/")
    app = "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])
    return f"{context.base_url}/{app}/requests/{job.id}{suffix}"


def _error(reply: Reply, body: dict[str, Any]) -> tuple[str, str]:
    """Read both families of error bodies: `{detail, error_type}` and `{detail: [{type, msg}]}` (errors)."""
    detail = body.get("detail")
    first = detail[0] if isinstance(detail, list) and detail and isinstance(detail[0], dict) else {}
    code = wire.text(body.get("error_type"), 60) or wire.text(reply.headers.get("x-fal-error-type"), 60)
    code = code or wire.text(first.get("type"), 60)
    message = wire.text(detail) or wire.text(first.get("msg")) or wire.text(body.get("error"))
    return code, message or wire.excerpt(reply)


def _is_own(reply: Reply, body: dict[str, Any]) -> bool:
    """Whether fal itself speaks and not an ingress before it: the official client asks the same."""
    return "x-fal-request-id" in reply.headers or "x-fal-error-type" in reply.headers or "detail" in body


def _made(job: Job, body: dict[str, Any]) -> StatusFact:
    """Read a result. A picture that the safety checker flagged is black: billed, and nothing to hand out.

    Who switched the checker off gets the flags as information, so they hide nothing then.
    """
    sent = job.payload.body if isinstance(job.payload.body, dict) else {}
    flags = [] if sent.get("enable_safety_checker") is False else wire.members(body.get("has_nsfw_concepts"))
    hidden = {index for index, flag in enumerate(flags) if flag is True}
    outputs = _outputs(body, hidden)
    if hidden and not outputs:
        text = "the safety checker replaced every result"
        return Failed(fault=Fault.CALLER, code="has_nsfw_concepts", message=text, moderation=True)
    return Succeeded(outputs=outputs)


def _outputs(body: dict[str, Any], hidden: set[int]) -> tuple[Output, ...]:
    files: list[Any] = [item for key in _OUTPUT_LISTS for item in wire.members(body.get(key))]
    files += [body[key] for key in _OUTPUT_FILES if body.get(key) is not None]
    found: list[Output] = []
    for place, file in enumerate(files):
        entry = file if isinstance(file, dict) else {"url": file}
        url = wire.output_url(entry.get("url"))
        if url is not None and place not in hidden:
            kind = wire.text(entry.get("content_type"), 100) or None
            found.append(Output(index=len(found), url=url, media_type=kind))
    return tuple(found)
