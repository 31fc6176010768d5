"""BytePlus ModelArk: pictures in the answer itself, clips as tasks that are polled.

Sources, as named in the tables: "errors" is docs.byteplus.com ModelArk 1299023 (and volcengine.com
82379/1099476, the same platform), "video API" is ModelArk 1520757, "SDK" is byteplus-python-sdk-v2 3.0.63.

Two things are unlike elsewhere. One `DELETE` cancels a queued task, refuses a running one and erases the
record of a finished one, so the driver asks for the status right before it (`cancel_erases`). And a 429 may
be a busy minute or an empty purse: the code decides, never the HTTP status.

The list of tasks shows no prompt. Matching a lost submit by model and time could hand one customer another
one's clip, so there is no lookup here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execution_arrow.facts import (
    Accepted,
    Ambiguous,
    CancelAcknowledged,
    Canceled,
    CancelFact,
    CancelRefused,
    Completed,
    Expired,
    Failed,
    Fault,
    LookupFact,
    LookupNone,
    Missing,
    Output,
    Refused,
    Running,
    StatusFact,
    SubmitFact,
    Succeeded,
    UnknownStatus,
)
from execution_arrow.ports import Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers._callbacks import Unsigned
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Job, Reply, Semantics

SEMANTICS = Semantics(
    name="byteplus",
    base_url="https://ark.ap-southeast.bytepluses.com/api/v3",  # ModelArk 1330310; keys are regional
    key_variable="ARK_API_KEY",  # SDK
    poll_every=5.0,  # nothing official; public clients use 3 to 20 s
    webhook="unsigned",  # SDK: callback_url; no signature is documented
    cancel="queued",  # SDK
    cancel_free=True,  # video API: only successful tasks are billed
    cancel_erases=True,  # SDK: the same DELETE removes the record of a finished task
    artifact_life=86_400.0,
    renewed_for=86_400.0,
    results_source="video API: addresses are cleared after 24 h, tasks kept for 7 days",
    regions={"eu-west": "https://ark.eu-west.bytepluses.com/api/v3"},  # ModelArk 1330310; some models only
)

# SDK, and `expired` from the schemas of Comfy-Org/ComfyUI_frontend: not done within execution_expires_after.
STATUSES: dict[str, type[StatusFact]] = {
    "queued": Running,
    "running": Running,
    "succeeded": Succeeded,
    "failed": Failed,
    "cancelled": Canceled,
    "expired": Expired,
}

_INPUTS = ("Text", "Image", "Video", "Audio")
_MODERATION = (
    "SensitiveContentDetected",
    *(f"Input{kind}SensitiveContentDetected" for kind in _INPUTS),
    *(f"Input{kind}RiskDetection" for kind in ("Text", "Image")),
    *(f"Output{kind}SensitiveContentDetected" for kind in _INPUTS),
)
_BUSY = (
    "RateLimitExceeded",
    "ModelAccountRpmRateLimitExceeded",
    "ModelAccountTpmRateLimitExceeded",
    "ModelAccountIpmRateLimitExceeded",
    "APIAccountRpmRateLimitExceeded",
    "AccountRateLimitExceeded",
    "RequestBurstTooFast",
    "ServerOverloaded",
    "InflightBatchsizeExceeded",
    "ModelLoadingError",
)
_CONFIGURATION = ("InvalidEndpoint", "InvalidEndpointOrModel", "ModelNotOpen", "UnsupportedModel")

# Codes, whatever the HTTP status: the same in the body of an error and in a failed task.
CODE_RULES: tuple[Rule, ...] = (
    *(Rule(fault=Fault.CALLER, code=code, moderation=True, source="errors") for code in _MODERATION),
    Rule(fault=Fault.CALLER, code="MissingParameter", source="errors"),
    Rule(fault=Fault.CALLER, code="InvalidParameter", source="errors"),
    Rule(fault=Fault.CALLER, code="InvalidImageURL", source="errors, unverified"),
    Rule(fault=Fault.ACCOUNT, code="AuthenticationError", source="errors"),
    Rule(fault=Fault.ACCOUNT, code="AccountOverdueError", source="errors"),
    Rule(fault=Fault.ACCOUNT, code="AccessDenied", source="errors"),
    Rule(fault=Fault.ACCOUNT, code="OperationDenied", source="errors, unverified"),
    # A model that is not switched on concerns that model, not the whole account.
    *(Rule(fault=Fault.PROVIDER, code=code, source="errors") for code in _CONFIGURATION),
    *(Rule(fault=Fault.HERE, code=code, source="errors") for code in _BUSY),
    Rule(fault=Fault.ACCOUNT, code="SetLimitExceeded", source="errors: the cap set in the console"),
    Rule(fault=Fault.HERE, code="QuotaExceeded", text=r"queue", source="errors: too many queued tasks"),
    Rule(fault=Fault.ACCOUNT, code="QuotaExceeded", source="errors: the free quota is used up"),
)
SUBMIT_RULES: tuple[Rule, ...] = (*CODE_RULES, *HTTP_RULES)
# The answer to a picture request is the result itself: a declared failure there means there is no picture,
# and pictures are billed per picture made. For a task the same 500 leaves open whether it was created.
IMAGE_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.PROVIDER, code="InternalServiceError", source="errors"),
    *SUBMIT_RULES,
)
FAILURE_RULES: tuple[Rule, ...] = (*CODE_RULES, Rule(fault=Fault.PROVIDER, source="errors"))

_SHORTEST, _LONGEST = 3600, 259_200  # SDK: limits of execution_expires_after, in seconds


class BytePlus:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = Unsigned("id")  # SDK: callback_url; the task, at each change of its status

    def is_sync(self, payload: Payload) -> bool:
        return payload.path.rstrip("/").endswith("/images/generations")

    def build_submit(self, payload: Payload, context: Context) -> Call:
        body = wire.plain_body(payload)
        sync = self.is_sync(payload)
        if not sync:
            if context.callback_url:
                body["callback_url"] = context.callback_url
            if context.deadline is not None:
                body.setdefault(
                    "execution_expires_after", min(max(int(context.deadline), _SHORTEST), _LONGEST)
                )
        return Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers={**payload.headers, **_headers(context)},
            json=body,
            timeout=(context.deadline or SEMANTICS.image_deadline) if sync else 60.0,
        )

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        sync = self.is_sync(payload)
        if not wire.ok(reply):
            return _refused(IMAGE_RULES if sync else SUBMIT_RULES, reply, wire.member(body, "error"))
        if sync:
            return _pictures(reply, body)
        job = wire.identifier(body.get("id"))
        return Accepted(job=job) if job is not None else wire.unreadable(reply)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        usable = _usable(wire.json_object(reply))
        if not 0 <= index < len(usable):
            raise ValueError(f"the answer has {len(usable)} picture(s), there is no number {index}")
        return wire.inline(_inside(usable[index]))

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=_url(job, context), headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        return self.read_result(job, reply)

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        if reply.status == 404:
            return Missing()
        body = wire.json_object(reply)
        status = body.get("status")
        if not wire.ok(reply) or not isinstance(status, str):
            return wire.poll_failed(reply)
        if wire.foreign(body, "id", job.id):
            return wire.poll_failed(reply, "the answer is about another task")
        kind = STATUSES.get(status)
        if kind is Succeeded:
            url = wire.output_url(wire.member(body, "content").get("video_url"))
            return Succeeded(outputs=() if url is None else (Output(index=0, url=url),))
        if kind is Failed:
            return _failed(wire.member(body, "error"))
        return _PLAIN[kind] if kind in _PLAIN else UnknownStatus(text=wire.text(status, 60))

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        if self.is_sync(job.payload):
            return None
        return Call(method="DELETE", url=_url(job, context), headers=_headers(context), json={})

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        if wire.ok(reply):
            return CancelAcknowledged(erases=True)
        code, message = _error(reply, wire.member(wire.json_object(reply), "error"))
        return CancelRefused(message=f"HTTP {reply.status}: {code} {message}")

    def build_lookup(self, payload: Payload, context: Context) -> None:
        return None

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)


PROVIDER = BytePlus()

_PLAIN: dict[object, StatusFact] = {Running: Running(), Canceled: Canceled(), Expired: Expired()}


def _headers(context: Context) -> dict[str, str]:
    return wire.headers(context, f"Bearer {context.secret.reveal()}")


def _url(job: Job, context: Context) -> str:
    return f"{context.base_url}/contents/generations/tasks/{job.id}"


def _error(reply: Reply, error: dict[str, Any]) -> tuple[str, str]:
    return wire.text(error.get("code"), 80), wire.text(error.get("message")) or wire.excerpt(reply)


def _refused(rules: tuple[Rule, ...], reply: Reply, error: dict[str, Any]) -> Refused | Ambiguous:
    code, message = _error(reply, error)
    return wire.refusal(rules, reply, code, message)


def _failed(error: dict[str, Any]) -> Failed:
    code, message = wire.text(error.get("code"), 80), wire.text(error.get("message"))
    rule = wire.find(FAILURE_RULES, 200, code, message) or FAILURE_RULES[-1]
    return Failed(fault=rule.fault, code=code or "failed", message=message, moderation=rule.moderation)


def _pictures(reply: Reply, body: dict[str, Any]) -> SubmitFact:
    """Read a picture answer: some items of `data` may be errors, the usable ones are the result."""
    usable = _usable(body)
    if usable:
        urls = [wire.web_url(item.get("url")) for item in usable]
        return Completed(outputs=tuple(Output(index=i, url=url) for i, url in enumerate(urls)))
    errors = [wire.member(item, "error") for item in wire.members(body.get("data"))]
    made = wire.member(body, "usage").get("generated_images")
    error = next((e for e in [*errors, wire.member(body, "error")] if e.get("code")), None)
    # Nothing said, or something made that we cannot read: perhaps billed.
    if error is None or made not in (None, 0) or not all(e.get("code") for e in errors):
        return wire.unreadable(reply)
    code, message = _error(reply, error)
    rule = wire.find(FAILURE_RULES, reply.status, code, message) or FAILURE_RULES[-1]
    return Refused(
        fault=rule.fault, code=code, message=message, status=reply.status, moderation=rule.moderation
    )


def _usable(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of `data` that hold a picture, in order. An output's index is its place here."""
    items = [item for item in wire.members(body.get("data")) if isinstance(item, dict)]
    return [item for item in items if wire.web_url(item.get("url")) or _inside(item)]


def _inside(item: dict[str, Any]) -> str | None:
    """The base64 picture of an item (`response_format: b64_json`), where it has one."""
    for value in (item.get("b64_json"), item.get("url")):
        if isinstance(value, str) and wire.is_inline(value):
            return value
    return None
