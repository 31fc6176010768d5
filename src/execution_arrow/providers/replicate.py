"""Replicate: a job per prediction, polled or called back, results as URLs that live one hour.

Sources, as named in the tables: "OpenAPI" is the API's own OpenAPI 1.0.0-a1, "lifecycle", "rate limits" and
"error codes" are pages of replicate.com/docs, "client" is the official Python client 1.0.7. Replicate knows
no idempotency key, so a lost answer to a submit can only be looked for in the list of predictions, which
proves presence and never absence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Mapping
from datetime import datetime
from typing import Any

from execution_arrow.facts import (
    Accepted,
    Ambiguous,
    CancelAcknowledged,
    Canceled,
    CancelFact,
    CancelRefused,
    Expired,
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
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers._callbacks import ReplicateCallbacks
from execution_arrow.providers._uploads import each_by_form
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Job, Reply, Semantics, Uploaded

SEMANTICS = Semantics(
    name="replicate",
    base_url="https://api.replicate.com",  # OpenAPI
    key_variable="REPLICATE_API_TOKEN",  # client
    poll_every=0.5,  # client's own interval; 3000 calls a minute are allowed (rate limits)
    webhook="signed",  # OpenAPI
    cancel="any",  # OpenAPI
    cancel_free=False,  # lifecycle: a canceled prediction is charged for the time it ran
    lookup="suggestive",  # OpenAPI: predictions.list
    billed=frozenset({"canceled"}),  # lifecycle; an aborted one is free
    artifact_life=3600.0,
    renewed_for=3600.0,
    results_source="OpenAPI: output and files of API predictions are removed after one hour",
)

# OpenAPI and lifecycle. `aborted`: a deadline passed before the start. The stable client does not know it.
STATUSES: dict[str, type[StatusFact]] = {
    "starting": Running,
    "processing": Running,
    "succeeded": Succeeded,
    "failed": Failed,
    "canceled": Canceled,
    "aborted": Expired,
}

SUBMIT_RULES: tuple[Rule, ...] = (
    Rule(
        fault=Fault.ACCOUNT,
        status=(422,),
        text=r"invalid version|not permitted",
        source="seen in replicate/getting-started-nextjs issue 125",
    ),
    Rule(
        fault=Fault.ACCOUNT,
        status=(402,),
        source="replicate/replicate-javascript issue 234: insufficient credit",
    ),
    Rule(fault=Fault.HERE, status=(429,), source="rate limits"),
    *HTTP_RULES,
)

# A failed prediction has no machine-readable reason, only a text (lifecycle); these are what models write.
FAILURE_RULES: tuple[Rule, ...] = (
    Rule(
        fault=Fault.CALLER,
        moderation=True,
        text=r"\bnsfw\b|flagged as sensitive|sensitive (content|information)|\bE005\b"
        r"|content (policy|moderation)|moderation|safety (filter|checker|system)",
        source="texts of public models; no code is documented",
    ),
    Rule(
        fault=Fault.PROVIDER,
        text=r"\bE(1000|1001|6716)\b",
        source="error codes: unknown, out of memory, start",
    ),
    Rule(
        fault=Fault.PROVIDER,
        text=r"\bE4875\b",
        source="error codes: empty webhook URL, ours and not the caller's",
    ),
    Rule(fault=Fault.PROVIDER, source="lifecycle: the model failed"),
)

_PLAIN: dict[object, StatusFact] = {Running: Running(), Canceled: Canceled(), Expired: Expired()}
_CODE = re.compile(r"\bE\d{3,4}\b")
_THROTTLED = re.compile(
    r"(?:resets in ~?|available in )(\d{1,6})\s?s", re.IGNORECASE
)  # rate limits, both wordings
# How far the provider's clock may lie before ours, in seconds, when a lost submit is looked for. A wide
# window would take an older job with the same input into view.
_SKEW = 5.0


class Replicate:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = ReplicateCallbacks(lambda payload, job, reply: _status(Job(id=job, payload=payload), reply))

    def is_sync(self, payload: Payload) -> bool:
        return False

    def build_submit(self, payload: Payload, context: Context) -> Call:
        body = wire.plain_body(payload)
        if context.callback_url:
            body |= {"webhook": context.callback_url, "webhook_events_filter": ["completed"]}
        headers = {**payload.headers, **_headers(context)}
        if context.deadline is not None:
            headers["cancel-after"] = f"{max(5, math.ceil(context.deadline))}s"  # OpenAPI: at least 5 s
        return Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers=headers,
            json=body,
            timeout=60.0,
        )

    def upload(
        self, payload: Payload, context: Context, files: Mapping[str, InputFile]
    ) -> Generator[Call, Reply, Uploaded | Refused | Ambiguous]:
        """Replicate's own files, which live for a day (SDK `files.create`); its models can read them."""
        to = Call(method="POST", url=f"{context.base_url}/v1/files", headers=_headers(context))
        return each_by_form(payload, files, to, "content", _place, _refused)

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        if not wire.ok(reply):
            return _refused(reply, body)
        job = wire.identifier(body.get("id"))
        if job is None or not isinstance(body.get("status"), str):
            return wire.unreadable(reply)
        return Accepted(job=job)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("Replicate's answers to a submit hold no results")

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=_url(job, context), headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        return _status(job, reply)

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        return _status(job, reply)

    def build_cancel(self, job: Job, context: Context) -> Call:
        return Call(method="POST", url=_url(job, context) + "/cancel", headers=_headers(context))

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        if not wire.ok(reply):
            return CancelRefused(message=f"HTTP {reply.status}: {wire.excerpt(reply)}")
        status = wire.json_object(reply).get("status")
        if status in _ENDED:  # cancelling a finished one leaves its status unchanged
            return CancelRefused(message=f"already {status}", final=True)
        return CancelAcknowledged()

    def build_lookup(self, payload: Payload, context: Context) -> Call:
        # The first page holds the newest 100, which is what a submit of the last minute is among.
        return Call(method="GET", url=f"{context.base_url}/v1/predictions", headers=_headers(context))

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        body = wire.json_object(reply)
        if not wire.ok(reply) or not isinstance(body.get("results"), list):
            return wire.poll_failed(reply)
        found = {
            job
            for item in body["results"]
            if isinstance(item, dict)
            and (job := wire.identifier(item.get("id"))) is not None
            and _is_of(payload, item, sent_at)
            and not bound(job)
        }
        if len(found) != 1:  # two that could be it are none: a wrong match hands out somebody else's picture
            return LookupNone(conclusive=False)
        return LookupFound(job=found.pop())


PROVIDER = Replicate()

_ENDED = ("succeeded", "failed", "aborted")


def _headers(context: Context) -> dict[str, str]:
    return wire.headers(context, f"Bearer {context.secret.reveal()}")


def _place(body: dict[str, Any]) -> str | None:
    return wire.web_url(wire.member(body, "urls").get("get"))


def _url(job: Job, context: Context) -> str:
    return f"{context.base_url}/v1/predictions/{job.id}"


def _refused(reply: Reply, body: dict[str, Any]) -> SubmitFact:
    said = (wire.text(body.get("title"), 100), wire.text(body.get("detail")))
    message = wire.text(": ".join(part for part in said if part))  # which of the two tells the reason varies
    fact = wire.refusal(SUBMIT_RULES, reply, f"http_{reply.status}", message)
    if isinstance(fact, Refused) and fact.status == 429 and fact.retry_after is None:
        wait = wire.seconds(body.get("retry_after")) or _throttled(message)
        return Refused(fault=fact.fault, code=fact.code, message=message, status=429, retry_after=wait)
    return fact


def _throttled(message: str) -> float | None:
    found = _THROTTLED.search(message)
    return float(found[1]) if found else None


def _status(job: Job, reply: Reply) -> StatusFact:
    if reply.status == 404:
        return Missing()
    body = wire.json_object(reply)
    status = body.get("status")
    if not wire.ok(reply) or not isinstance(status, str):
        return wire.poll_failed(reply)
    if wire.foreign(body, "id", job.id):
        return wire.poll_failed(reply, "the answer is about another prediction")
    kind = STATUSES.get(status)
    if kind is Succeeded:
        return _succeeded(body)
    if kind is Failed:
        return _failed(wire.text(body.get("error")))
    return _PLAIN[kind] if kind in _PLAIN else UnknownStatus(text=wire.text(status, 60))


def _succeeded(body: dict[str, Any]) -> StatusFact:
    output = body.get("output")
    if output is None and body.get("data_removed") is True:
        return Failed(
            fault=Fault.PROVIDER, code="data_removed", message="the results were removed before we had them"
        )
    candidates = output if isinstance(output, list) else [output]  # OpenAPI: a list or one string, per model
    urls = [url for item in candidates if (url := wire.output_url(item)) is not None]
    return Succeeded(outputs=tuple(Output(index=i, url=url) for i, url in enumerate(urls)))


def _failed(message: str) -> Failed:
    rule = wire.find(FAILURE_RULES, 200, "", message) or FAILURE_RULES[-1]
    code = _CODE.search(message)
    return Failed(
        fault=rule.fault, code=code[0] if code else "failed", message=message, moderation=rule.moderation
    )


def _is_of(payload: Payload, item: dict[str, Any], sent_at: float) -> bool:
    """Whether a listed prediction can be this submit: same model, same input, not older, made by the API.

    A prediction without its input (it was removed, or the list leaves it out) is never a match: model and
    time alone would also fit another customer's picture.
    """
    body = payload.body if isinstance(payload.body, dict) else {}
    wanted, _, version = (str(body.get("version") or "") or payload.model).partition(":")
    if item.get("model") != wanted and item.get("version") != wanted:
        return False
    if version and item.get("version") != version:
        return False
    created = _instant(item.get("created_at"))
    return (
        created is not None
        and created >= sent_at - _SKEW
        and item.get("source") != "web"
        and bool(item.get("input"))
        and item.get("input") == body.get("input")
    )


def _instant(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
        return moment.timestamp() if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
