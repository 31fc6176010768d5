"""Alibaba Cloud Model Studio (DashScope): some models answer with the result, others with a task to poll.

Sources, as named in the tables: "errors" is help.aliyun.com and alibabacloud.com, Model Studio, error codes;
"tasks" is the page manage-asynchronous-tasks; "SDK" is dashscope 2.0.2; "billing" are the models' own pages.

The header `X-DashScope-Async: enable`, which is the mapping's to set, makes the difference. A task knows
`PENDING`, in which alone it can be canceled, and `UNKNOWN`, which means that there is no such task, said with
status 200. A task for several pictures succeeds when one of them did: what is missing is not billed.

Keys, models and tasks belong to a region: `base_urls` names another host than Singapore's, for instance
`https://dashscope.aliyuncs.com/api/v1` (Beijing), `https://dashscope-us.aliyuncs.com/api/v1` (Virginia) or
`https://{workspace}.{region}.maas.aliyuncs.com/api/v1`.

A mapping's `.upload` puts a file into Model Studio's temporary store: bound to the model and the account, for
48 hours, with keys of Beijing only, and "not for production", says the page get-temporary-file-url (2026-03).

The list of tasks shows no prompt. Matching a lost submit by model and time could hand one customer another
one's clip, so there is no lookup here. Callbacks come through EventBridge for the whole account, unsigned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from execution_arrow.errors import InputGone
from execution_arrow.facts import (
    Accepted,
    Ambiguous,
    CancelAcknowledged,
    Canceled,
    CancelFact,
    CancelRefused,
    Completed,
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
from execution_arrow.inputs.bodies import form
from execution_arrow.media import sniff
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Job, Reply, Semantics, Uploaded
from execution_arrow.values import replace

SEMANTICS = Semantics(
    name="alibabacloud",
    base_url="https://dashscope-intl.aliyuncs.com/api/v1",  # SDK: Singapore
    key_variable="DASHSCOPE_API_KEY",  # SDK
    poll_every=5.0,  # tasks: 20 questions a second for the whole account; the SDK slows down to 5 s, too
    webhook=None,  # tasks: a rule of the account, not of a request
    cancel="queued",  # tasks: only PENDING ones
    cancel_free=True,  # billing: only what was made is charged
    artifact_life=86_400.0,
    renewed_for=86_400.0,
    results_source="tasks: a task and its results are kept for 24 h",
)

# SDK; UNKNOWN is said of tasks that do not exist or are older than a day (tasks).
STATUSES: dict[str, type[StatusFact]] = {
    "PENDING": Running,
    "RUNNING": Running,
    "SUSPENDED": Running,
    "SUCCEEDED": Succeeded,
    "FAILED": Failed,
    "CANCELED": Canceled,
    "UNKNOWN": Missing,
}

_MODERATION = ("DataInspectionFailed", "IPInfringementSuspect", "FaqRuleBlocked")
_BAD_INPUT = ("InvalidParameter", "InvalidURL", "BadRequest", "InvalidSchema")
_NO_MONEY = ("Arrearage", "CommodityNotPurchased", "PrepaidBillOverdue", "PostpaidBillOverdue")
_THIS_MODEL = (
    "Model.AccessDenied",
    "AllocationQuota.FreeTierOnly",
    "ModelNotFound",
    "ModelUnavailable",  # 503: it was not begun
    "Throttling.AllocationQuota",  # tokens of a minute, or one model's free quota: the text alone differs
)

# Codes, whatever the HTTP status: the same in the body of an error and in a failed task.
CODE_RULES: tuple[Rule, ...] = (
    *(Rule(fault=Fault.CALLER, code=code, moderation=True, source="errors") for code in _MODERATION),
    *(Rule(fault=Fault.CALLER, code=code, source="errors") for code in _BAD_INPUT),
    *(Rule(fault=Fault.ACCOUNT, code=code, source="errors") for code in _NO_MONEY),
    Rule(fault=Fault.ACCOUNT, code="InvalidApiKey", source="errors; also a key of another region"),
    Rule(fault=Fault.ACCOUNT, code="WorkSpaceNotFound", source="errors"),
    *(Rule(fault=Fault.PROVIDER, code=code, source="errors") for code in _THIS_MODEL),
    Rule(
        fault=Fault.PROVIDER,
        code="AccessDenied",
        text=r"synchronous|asynchronous",
        source="errors: the model is not called this way",
    ),
    Rule(fault=Fault.ACCOUNT, code="AccessDenied", source="errors"),
    Rule(fault=Fault.HERE, code="Throttling", source="errors: it resumes within a minute"),
    Rule(fault=Fault.HERE, code="ModelServingError", source="errors: 503, throttled for want of capacity"),
)
SUBMIT_RULES: tuple[Rule, ...] = (*CODE_RULES, *HTTP_RULES)
_BROKEN = ("InternalError", "SystemError", "ModelServiceFailed", "RequestTimeOut")
# The answer to a synchronous call is the result itself, and only results are billed: a declared failure there
# means that there is none. For a task the same 500 leaves open whether it was created.
SYNC_RULES: tuple[Rule, ...] = (
    *(Rule(fault=Fault.PROVIDER, code=code, source="errors") for code in _BROKEN),
    *SUBMIT_RULES,
)
FAILURE_RULES: tuple[Rule, ...] = (*CODE_RULES, Rule(fault=Fault.PROVIDER, source="tasks: the task failed"))

# The fields of the form for a file, and what they are called in the certificate (SDK, utils/oss_utils.py).
_CERTIFICATE = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}
_SWITCH = "x-dashscope-async"


class AlibabaCloud:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = None

    def is_sync(self, payload: Payload) -> bool:
        return not any(
            name.lower() == _SWITCH and value == "enable" for name, value in payload.headers.items()
        )

    def build_submit(self, payload: Payload, context: Context) -> Call:
        sync = self.is_sync(payload)
        return Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers={**payload.headers, **_headers(context)},
            json=wire.plain_body(payload),
            timeout=(context.deadline or SEMANTICS.image_deadline) if sync else 60.0,
        )

    def upload(
        self, payload: Payload, context: Context, files: Mapping[str, InputFile]
    ) -> Generator[Call, Reply, Uploaded | Refused | Ambiguous]:
        """A certificate for this model, then a form for each file."""
        query = f"action=getPolicy&model={quote(payload.model, safe='')}"
        url = f"{context.base_url}/uploads?{query}"
        reply = yield Call(method="GET", url=url, headers=_headers(context))
        body = wire.json_object(reply)
        told = wire.member(body, "data").items()
        granted = {name: str(value) for name, value in told if isinstance(value, str | int)}
        host = granted.get("upload_host", "")
        if not wire.ok(reply) or not set(_CERTIFICATE.values()) | {"upload_dir"} <= set(granted):
            return wire.refusal(SUBMIT_RULES, reply, *_error(reply, body))
        if not wire.may_see_key(host, context.base_url, _ours):
            return Ambiguous(
                message=f"files would go to {wire.text(urlsplit(host).hostname)}, not Alibaba Cloud"
            )
        most, places = _bytes(granted.get("max_file_size_mb", "")), {}
        for number, (url, file) in enumerate(files.items(), 1):
            if len(file.data) > most:
                raise InputGone(
                    f"input file {number} is larger than {payload.model} takes", "input_too_large"
                )
            kind = sniff(file.data[:64])
            key = f"{granted['upload_dir']}/{context.attempt}-{number}.{kind.extension if kind else 'bin'}"
            fields = {name: granted[source] for name, source in _CERTIFICATE.items()}
            fields |= {"key": key, "success_action_status": "200", "x-oss-content-type": file.media_type}
            kind_of, content = form(replace(payload, body={**fields, "file": file}))
            reply = yield Call(
                method="POST", url=host, headers={"content-type": kind_of}, content=content, timeout=300.0
            )
            if not wire.ok(reply):
                return wire.unreadable(reply)
            places[url] = f"oss://{key}"
        return Uploaded(places=places, headers={"X-DashScope-OssResourceResolve": "enable"})

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body, sync = wire.json_object(reply), self.is_sync(payload)
        output = wire.member(body, "output")
        if not wire.ok(reply):
            return wire.refusal(SYNC_RULES if sync else SUBMIT_RULES, reply, *_error(reply, body))
        job = wire.identifier(output.get("task_id"))
        if not sync and job is not None:
            return Accepted(job=job)
        outputs = _outputs(output) if sync else ()
        return Completed(outputs=outputs) if outputs else _said_with_200(reply, body)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("Model Studio's answers name results by their address")

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=_url(job, context), headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        return self.read_result(job, reply)

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        if reply.status == 404:
            return Missing()
        output = wire.member(wire.json_object(reply), "output")
        status = output.get("task_status")
        if not wire.ok(reply) or not isinstance(status, str):
            return wire.poll_failed(reply)
        if wire.foreign(output, "task_id", job.id):
            return wire.poll_failed(reply, "the answer is about another task")
        kind = STATUSES.get(status)
        if kind is Succeeded:
            return Succeeded(outputs=_outputs(output))
        if kind is Failed:
            return _failed(output)
        return _PLAIN[kind] if kind in _PLAIN else UnknownStatus(text=wire.text(status, 60))

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        if self.is_sync(job.payload):
            return None
        return Call(method="POST", url=f"{_url(job, context)}/cancel", headers=_headers(context))

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        if wire.ok(reply):
            return CancelAcknowledged()
        code, message = _error(reply, wire.json_object(reply))
        return CancelRefused(message=f"HTTP {reply.status}: {code} {message}")

    def build_lookup(self, payload: Payload, context: Context) -> None:
        return None

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)


PROVIDER = AlibabaCloud()

_PLAIN: dict[object, StatusFact] = {Running: Running(), Canceled: Canceled(), Missing: Missing()}


def _headers(context: Context) -> dict[str, str]:
    return wire.headers(context, f"Bearer {context.secret.reveal()}")


def _bytes(megabytes: str) -> float:
    return float(megabytes) * 1e6 if megabytes.isdecimal() and megabytes.isascii() else math.inf


def _ours(host: str) -> bool:
    return host.endswith(".aliyuncs.com")


def _url(job: Job, context: Context) -> str:
    return f"{context.base_url}/tasks/{job.id}"


def _error(reply: Reply, body: dict[str, Any]) -> tuple[str, str]:
    return wire.text(body.get("code"), 80), wire.text(body.get("message")) or wire.excerpt(reply)


def _said_with_200(reply: Reply, body: dict[str, Any]) -> SubmitFact:
    """An error may come with status 200 and no output; only a code that is listed proves anything then."""
    code, message = _error(reply, body)
    rule = wire.find(CODE_RULES, reply.status, code, message) if code and not body.get("output") else None
    if rule is None:
        return wire.unreadable(reply)
    return Refused(
        fault=rule.fault, code=code, message=message, status=reply.status, moderation=rule.moderation
    )


def _failed(output: dict[str, Any]) -> Failed:
    code, message = wire.text(output.get("code"), 80), wire.text(output.get("message"))
    rule = wire.find(FAILURE_RULES, 200, code, message) or FAILURE_RULES[-1]
    return Failed(fault=rule.fault, code=code or "failed", message=message, moderation=rule.moderation)


def _outputs(output: dict[str, Any]) -> tuple[Output, ...]:
    urls = (wire.output_url(value) for value in _places(output))
    return tuple(Output(index=i, url=url) for i, url in enumerate(filter(None, urls)))


def _places(output: dict[str, Any]) -> Iterator[Any]:
    """Where a result can lie: a clip's own field, a task's list, or the messages of a conversation."""
    yield output.get("video_url")
    for item in wire.members(output.get("results")):
        yield item.get("url") if isinstance(item, dict) else None
    for choice in wire.members(output.get("choices")):
        for part in wire.members(wire.member(choice, "message").get("content")):
            yield part.get("image") if isinstance(part, dict) else None
