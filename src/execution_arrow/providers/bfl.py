"""Black Forest Labs: a job per picture, asked for at the address that the submit names.

Sources, as named in the tables: "OpenAPI" is the API's own (api.bfl.ai/openapi.json, as kept in
tryAGI/BlackForestLabs at dfc296a), "errors" and "integration" are pages of docs.bfl.ai, "skill" is
black-forest-labs/skills at d0793c8, "client" is blackforest 0.1.3.

The global and regional hosts are fronts of several clusters, so a job is asked for at its own `polling_url`
and nowhere else, with a key that is sent to BFL's hosts alone. Where callbacks are asked for, the submit
names no such address, and another cluster may not know the job: "Task not found" proves something only
where the address was given. What a picture costs is told at the submit, and by no end. A result's link dies
ten minutes after it was made. There is no cancel, no list of jobs, and no word on whether moderated requests
are billed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execution_arrow.facts import (
    Accepted,
    CancelFact,
    CancelRefused,
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
from execution_arrow.providers._callbacks import BflCallbacks, bfl_secret
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import NOT_SAID, Call, Context, Job, Reply, Semantics

SEMANTICS = Semantics(
    name="bfl",
    base_url="https://api.bfl.ai",  # integration: fails over between clusters
    key_variable="BFL_API_KEY",  # skill; the client reads none
    poll_every=0.5,  # skill: half a second, doubling; the client asks every second
    webhook="signed",  # OpenAPI: webhook_url and webhook_secret; the signature is the skill's word alone
    cancel=None,  # OpenAPI has no path for it
    artifact_life=600.0,
    renewed_for=NOT_SAID,
    results_source="integration: an address is good for 10 min; how long a job can be asked is not said",
    regions={"eu": "https://api.eu.bfl.ai", "us": "https://api.us.bfl.ai"},  # integration
)

_CREDIT = 10_000  # micro-credits: BFL's credit is 0.01 USD (OpenAPI)

STATUSES: dict[str, type[StatusFact]] = {  # OpenAPI: StatusResponse, complete
    "Pending": Running,
    "Ready": Succeeded,
    "Request Moderated": Failed,
    "Content Moderated": Failed,
    "Error": Failed,
    "Task not found": Missing,
}

SUBMIT_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.ACCOUNT, status=(402,), source="errors: the account has no credits"),
    Rule(fault=Fault.HERE, status=(429,), source="errors: too many active tasks, 24 for most models"),
    *HTTP_RULES,
)
# The code is the job's status; an `Error` of a callback also has a word and a text.
FAILURE_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.CALLER, code="Request Moderated", moderation=True, source="OpenAPI: the input"),
    Rule(fault=Fault.CALLER, code="Content Moderated", moderation=True, source="OpenAPI: the result"),
    Rule(
        fault=Fault.CALLER,
        code="Error",
        text=r"content.policy|moderat",
        moderation=True,
        source="skill: a callback's error `content_policy_violation`",
    ),
    Rule(fault=Fault.PROVIDER, source="OpenAPI: Error"),
)


class Bfl:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = BflCallbacks(lambda payload, job, reply: _status(Job(id=job, payload=payload), reply))

    def is_sync(self, payload: Payload) -> bool:
        return False

    def build_submit(self, payload: Payload, context: Context) -> Call:
        body = wire.plain_body(payload)
        if context.callback_url:
            body |= {"webhook_url": context.callback_url, "webhook_secret": bfl_secret(context.secret)}
        return Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers={**payload.headers, **_headers(context)},
            json=body,
            timeout=60.0,
        )

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        if not wire.ok(reply):
            return wire.refusal(SUBMIT_RULES, reply, f"http_{reply.status}", _error(reply, body))
        job = wire.identifier(body.get("id"))
        if job is None:
            return wire.unreadable(reply)
        poll, cost = wire.web_url(body.get("polling_url")), wire.micros(body.get("cost"), _CREDIT)
        return Accepted(job=job, urls={} if poll is None else {"poll": poll}, cost=cost)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("BFL's answers to a submit hold no results")

    def build_poll(self, job: Job, context: Context) -> Call:
        url, base = job.urls.get("poll"), context.base_url
        if url is None or not wire.may_see_key(url, base, _is_bfl):
            url = f"{base}/v1/get_result?id={job.id}"
        return Call(method="GET", url=url, headers=_headers(context))

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        return _status(job, reply)

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        return _status(job, reply)

    def build_cancel(self, job: Job, context: Context) -> None:
        return None

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        return CancelRefused(message="BFL has no cancel", final=True)

    def build_lookup(self, payload: Payload, context: Context) -> None:
        return None

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)


PROVIDER = Bfl()


def _headers(context: Context) -> dict[str, str]:
    return {
        "accept": "application/json",
        "x-key": context.secret.reveal(),
        "x-client-request-id": context.attempt,
    }


def _is_bfl(host: str) -> bool:
    return host == "bfl.ai" or host.endswith(".bfl.ai")  # integration: regions, clusters, gateway


def _status(job: Job, reply: Reply) -> StatusFact:
    body = wire.json_object(reply)
    status = body.get("status")
    if reply.status == 404 or status == "Task not found":
        if "poll" in job.urls:
            return Missing()
        return wire.poll_failed(reply, "no such task at this host, which the submit did not name")
    if not wire.ok(reply) or not isinstance(status, str):
        return wire.poll_failed(reply)
    if wire.foreign(body, "id", job.id):
        return wire.poll_failed(reply, "the answer is about another task")
    kind = STATUSES.get(status)
    if kind is Running:
        return Running()
    if kind is Succeeded:
        url = wire.output_url(wire.member(body, "result").get("sample"))
        return Succeeded(outputs=() if url is None else (Output(index=0, url=url),))
    return _failed(status, body) if kind is Failed else UnknownStatus(text=wire.text(status, 60))


def _failed(status: str, body: dict[str, Any]) -> Failed:
    reasons = wire.members(wire.member(body, "details").get("Moderation Reasons"))
    said = [body.get("error"), body.get("message"), *reasons]
    message = wire.text("; ".join(item for item in said if isinstance(item, str)))
    rule = wire.find(FAILURE_RULES, 200, status, message) or FAILURE_RULES[-1]
    return Failed(fault=rule.fault, code=status, message=message or status, moderation=rule.moderation)


def _error(reply: Reply, body: dict[str, Any]) -> str:
    """Three shapes: `detail`, a text or a list of `{loc, msg}` (FastAPI); `error` and `message` (skill)."""
    detail = body.get("detail")
    first = detail[0] if isinstance(detail, list) and detail and isinstance(detail[0], dict) else {}
    listed = (
        wire.text(f"{wire.dotted(first.get('loc'))}: {text}") if (text := wire.text(first.get("msg"))) else ""
    )
    said = [wire.text(detail), listed, wire.text(body.get("message")), wire.text(body.get("error"))]
    return next(filter(None, said), wire.excerpt(reply))
