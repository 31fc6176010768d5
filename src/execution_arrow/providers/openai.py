"""OpenAI: pictures in the answer itself, as base64; clips as jobs that are polled.

Sources, as named in the tables: "SDK" is openai 3.52.0 and its types, "OpenAPI" is openai/openai-openapi of
August 2026, "errors" is the guide on error codes (developers.openai.com), "logs" are several independent
public logs.

Pictures cannot be looked for, polled or canceled: what was inside a lost answer stays lost. Edits go as JSON
with addresses, or as a form where a mapping asks for files. Clips lie behind the key: their content is
fetched from the same host with the headers of a poll. The list of clips shows the prompt, so one whose submit
answer was lost can be looked for. There is no cancel: `DELETE` is for finished clips only.

The Videos API was announced to close on 2026-09-24 (SDK); no call was made to see whether it has. OpenAI
calls back per project and not per request, so no call carries an attempt's token: it is found by its clip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.facts import (
    Accepted,
    CancelFact,
    CancelRefused,
    Completed,
    Failed,
    Fault,
    LookupFact,
    LookupFound,
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
from execution_arrow.providers._callbacks import openai_event
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Events, Job, Reply, Semantics
from execution_arrow.values import replace

SEMANTICS = Semantics(
    name="openai",
    base_url="https://api.openai.com/v1",  # SDK; us., eu. and others stand before it for data residency
    key_variable="OPENAI_API_KEY",  # SDK
    poll_every=1.0,  # SDK: its own interval where the answer names none
    webhook=None,  # SDK: an endpoint of the project, for clips alone; a request cannot name one
    cancel=None,  # OpenAPI: no such call
    lookup="suggestive",  # OpenAPI: the list of clips
    results_source="OpenAPI: a clip lies at one address until its `expires_at`",
)

# SDK: the four statuses of a clip.
STATUSES: dict[str, type[StatusFact]] = {
    "queued": Running,
    "in_progress": Running,
    "completed": Succeeded,
    "failed": Failed,
}

_NO_MONEY = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "project_spend_limit_exceeded",
    "billing_hard_limit_reached",
)
_BAD_INPUT = ("invalid_image_file", "invalid_input_fidelity_model", "image_generation_user_error")

# Codes, whatever the HTTP status: an empty purse is a 429 like a busy minute (errors).
CODE_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.CALLER, code="moderation_blocked", moderation=True, source="logs"),
    Rule(fault=Fault.CALLER, code="content_policy_violation", moderation=True, source="logs"),
    Rule(
        fault=Fault.CALLER,
        code="image_generation_user_error",
        text=r"safety system|moderation|content policy",
        moderation=True,
        source="logs",
    ),
    *(Rule(fault=Fault.CALLER, code=code, source="logs") for code in _BAD_INPUT),
    *(Rule(fault=Fault.ACCOUNT, code=code, source="errors") for code in _NO_MONEY),
    Rule(fault=Fault.ACCOUNT, code="invalid_api_key", source="errors"),
    Rule(fault=Fault.ACCOUNT, code="unsupported_country_region_territory", source="errors"),
    Rule(fault=Fault.PROVIDER, code="model_not_found", source="errors"),
    # The answer would have been the result; what is billed is the usage that an answer reports (OpenAPI).
    Rule(fault=Fault.PROVIDER, code="image_generation_failed", source="logs"),
    Rule(fault=Fault.HERE, code="rate_limit_exceeded", source="errors"),
    Rule(fault=Fault.HERE, code="slow_down", source="errors: traffic rose too fast"),
    Rule(fault=Fault.HERE, code="server_is_overloaded", source="errors: a 503 before any work"),
)
SUBMIT_RULES: tuple[Rule, ...] = (*CODE_RULES, *HTTP_RULES)
FAILURE_RULES: tuple[Rule, ...] = (*CODE_RULES, Rule(fault=Fault.PROVIDER, source="OpenAPI: the job failed"))

_SKEW = 5.0  # seconds that the provider's clock may lie before ours when a lost submit is looked for


class OpenAI:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = Events(read=openai_event)

    def is_sync(self, payload: Payload) -> bool:
        return payload.path.rstrip("/").startswith("/images/")

    def build_submit(self, payload: Payload, context: Context) -> Call:
        sync = self.is_sync(payload)
        call = Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers={**payload.headers, **_headers(context)},
            timeout=(context.deadline or SEMANTICS.image_deadline) if sync else 60.0,
        )
        return wire.with_body(call, _whole(payload))

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        if not wire.ok(reply):
            return _refused(reply, wire.member(body, "error"))
        if self.is_sync(payload):
            urls = [wire.web_url(item.get("url")) for item in _pictures(body)]
            outputs = tuple(Output(index=i, url=url) for i, url in enumerate(urls))
            return Completed(outputs=outputs) if outputs else wire.unreadable(reply)
        job = wire.identifier(body.get("id"))
        return Accepted(job=job) if job is not None else wire.unreadable(reply)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        pictures = _pictures(wire.json_object(reply))
        if not 0 <= index < len(pictures):
            raise ValueError(f"the answer has {len(pictures)} picture(s), there is no number {index}")
        return wire.inline(pictures[index].get("b64_json"))

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=_url(job, context), headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        if reply.status == 404:
            return Missing()
        body = wire.json_object(reply)
        status = body.get("status")
        if not wire.ok(reply) or not isinstance(status, str):
            return wire.poll_failed(reply)
        if wire.foreign(body, "id", job.id):
            return wire.poll_failed(reply, "the answer is about another clip")
        kind = STATUSES.get(status)
        if kind is Succeeded:
            return Succeeded(outputs=(Output(index=0, url=f"{_url(job, context)}/content", keyed=True),))
        if kind is Failed:
            return _failed(wire.member(body, "error"))
        return Running() if kind is Running else UnknownStatus(text=wire.text(status, 60))

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        return wire.poll_failed(reply, "OpenAI tells everything in the poll")

    def build_cancel(self, job: Job, context: Context) -> None:
        return None

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        return CancelRefused(message="OpenAI has no cancel")

    def build_lookup(self, payload: Payload, context: Context) -> Call | None:
        if self.is_sync(payload):
            return None
        url = f"{context.base_url}/videos?limit=100&order=desc"
        return Call(method="GET", url=url, headers=_headers(context))

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        listed = wire.json_object(reply).get("data")
        if not wire.ok(reply) or not isinstance(listed, list):
            return wire.poll_failed(reply)
        found = {
            job
            for item in listed
            if isinstance(item, dict)
            and (job := wire.identifier(item.get("id"))) is not None
            and _is_of(payload, item, sent_at)
            and not bound(job)
        }
        # Two that could be it are none: a wrong match hands out somebody else's clip.
        return LookupFound(job=found.pop()) if len(found) == 1 else LookupNone(conclusive=False)


PROVIDER = OpenAI()


def _headers(context: Context) -> dict[str, str]:
    return wire.headers(context, f"Bearer {context.secret.reveal()}")


def _url(job: Job, context: Context) -> str:
    return f"{context.base_url}/videos/{job.id}"


def _whole(payload: Payload) -> Payload:
    """The payload, unless it asks for an answer in pieces, which would be paid for and not be understood."""
    if isinstance(payload.body, Mapping) and payload.body.get("stream"):
        raise PayloadUnsupported(payload.provider, "a request for a streamed answer")
    return payload


def _refused(reply: Reply, error: dict[str, Any]) -> SubmitFact:
    code, message = _error(error)
    fact = wire.refusal(SUBMIT_RULES, reply, code, message or wire.excerpt(reply))
    milliseconds = wire.retry_after({"retry-after": reply.headers.get("retry-after-ms", "")})
    if isinstance(fact, Refused) and milliseconds is not None:  # SDK: the finer of the two headers
        return replace(fact, retry_after=milliseconds / 1000)
    return fact


def _failed(error: dict[str, Any]) -> Failed:
    code, message = _error(error)
    rule = wire.find(FAILURE_RULES, 200, code, message) or FAILURE_RULES[-1]
    return Failed(fault=rule.fault, code=code or "failed", message=message, moderation=rule.moderation)


def _error(error: dict[str, Any]) -> tuple[str, str]:
    """The code, or the type where there is none, and the text."""
    code = wire.text(error.get("code"), 80) or wire.text(error.get("type"), 80)
    return code, wire.text(error.get("message"))


def _pictures(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of `data` that hold a picture, in order. An output's index is its place here."""
    items = [item for item in wire.members(body.get("data")) if isinstance(item, dict)]
    return [item for item in items if wire.is_inline(item.get("b64_json")) or wire.web_url(item.get("url"))]


def _is_of(payload: Payload, item: dict[str, Any], sent_at: float) -> bool:
    """Whether a listed clip can be this submit. The list hides a first picture, so one with it never is."""
    body = payload.body if isinstance(payload.body, Mapping) else {}
    model, wanted = item.get("model"), str(body.get("model") or "sora-2")  # SDK: the default
    created = item.get("created_at")
    return (
        isinstance(created, int)
        and created >= sent_at - _SKEW
        and isinstance(model, str)
        and (model == wanted or model.startswith(f"{wanted}-20"))  # a dated snapshot of the same model
        and not any(name.startswith("input_reference") for name in body)
        and isinstance(body.get("prompt"), str)
        and item.get("prompt") == body.get("prompt")
        and all(item.get(name) == body[name] for name in ("size", "seconds") if name in body)
    )
