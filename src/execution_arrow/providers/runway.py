"""Runway: a task per request, polled every five seconds, with the credits it took in every end.

Sources, as named in the tables: "SDK" is runwayml 5.24.0, "OpenAPI" is tryAGI/Runway at 042b2ca; "errors",
"task failures", "moderation" and "inputs" are pages of docs.dev.runwayml.com.

One `DELETE` cancels a task that has not ended and erases one that has, together with its results, so the
driver asks for the status right before it (`cancel_erases`). A canceled task is given back its credits only
where it had not begun. Moderated ones cost as much as good ones; what was really charged is in `cost`, and
it is used. There is no 402: an empty purse is a 400 that only its text tells from a bad request. More tasks
than the account may run at once wait as `THROTTLED`, so a 429 means that the day's tasks are used up.

There are no callbacks, no list of tasks and no key for idempotency.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execution_arrow.facts import (
    Accepted,
    CancelAcknowledged,
    Canceled,
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
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import NOT_SAID, Call, Context, Job, Reply, Semantics

SEMANTICS = Semantics(
    name="runway",
    base_url="https://api.dev.runwayml.com",  # SDK; the host without `dev` is another product's
    key_variable="RUNWAYML_API_SECRET",  # SDK
    poll_every=5.0,  # SDK: not more often
    webhook=None,  # OpenAPI and SDK have none
    cancel="any",  # SDK
    cancel_free=False,  # SDK: refunded only before it begins
    cancel_erases=True,  # SDK: the same DELETE removes a finished task and its results
    billed=frozenset({"moderation", "canceled"}),  # moderation; SDK; where `cost` does not say
    artifact_life=86_400.0,
    renewed_for=NOT_SAID,
    results_source="SDK: 24 to 48 h, and asking for the task brings new ones; for how long is not said",
)

STATUSES: dict[str, type[StatusFact]] = {  # SDK: complete
    "PENDING": Running,
    "THROTTLED": Running,
    "RUNNING": Running,
    "SUCCEEDED": Succeeded,
    "FAILED": Failed,
    "CANCELLED": Canceled,
}

SUBMIT_RULES: tuple[Rule, ...] = (
    Rule(
        fault=Fault.ACCOUNT,
        status=(400,),
        text=r"not have enough credits",
        source="seen in three public logs: there is no 402",
    ),
    # The day's tasks are counted per model, and are free again in hours: another provider's turn.
    Rule(fault=Fault.PROVIDER, status=(429,), source="errors: the day's tasks of this model"),
    *HTTP_RULES,
)
FAILURE_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.CALLER, code="SAFETY", moderation=True, source="task failures"),
    Rule(fault=Fault.CALLER, code="INPUT_PREPROCESSING.SAFETY", moderation=True, source="task failures"),
    Rule(fault=Fault.CALLER, code="ASSET.INVALID", source="task failures: size, shape or length of an input"),
    Rule(fault=Fault.PROVIDER, code="INTERNAL", source="task failures; BAD_OUTPUT is about quality"),
    Rule(fault=Fault.PROVIDER, code="INPUT_PREPROCESSING.INTERNAL", source="task failures"),
    Rule(fault=Fault.PROVIDER, code="THIRD_PARTY.UNAVAILABLE", source="task failures"),
    Rule(fault=Fault.PROVIDER, source="task failures: the list of codes is open, and one may be missing"),
)

VERSION = "2024-11-06"  # SDK: the only one
_VERSION = "x-runway-version"
_CREDIT = 10_000  # micro-credits: Runway's credit is 0.01 USD (OpenAPI)


class Runway:
    """See `providers.base.Provider`."""

    semantics = SEMANTICS
    callbacks = None

    def is_sync(self, payload: Payload) -> bool:
        return False

    def build_submit(self, payload: Payload, context: Context) -> Call:
        return Call(
            method=payload.method,
            url=context.base_url + payload.path,
            headers=_headers(payload, context),
            json=wire.plain_body(payload),
            timeout=60.0,
        )

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        body = wire.json_object(reply)
        if not wire.ok(reply):
            return wire.refusal(SUBMIT_RULES, reply, f"http_{reply.status}", _error(reply, body))
        job = wire.identifier(body.get("id"))
        return Accepted(job=job) if job is not None else wire.unreadable(reply)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("Runway's answers to a submit hold no results")

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=_url(job, context), headers=_headers(job.payload, context))

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
        kind, cost = STATUSES.get(status), wire.micros(wire.member(body, "cost").get("credits"), _CREDIT)
        if kind is Running:
            return Running()
        if kind is Succeeded:
            urls = filter(None, map(wire.output_url, wire.members(body.get("output"))))
            return Succeeded(outputs=tuple(Output(index=i, url=url) for i, url in enumerate(urls)), cost=cost)
        if kind is Failed:
            return _failed(body, cost)
        return Canceled(cost=cost) if kind is Canceled else UnknownStatus(text=wire.text(status, 60))

    def build_cancel(self, job: Job, context: Context) -> Call:
        return Call(method="DELETE", url=_url(job, context), headers=_headers(job.payload, context))

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        if wire.ok(reply):
            return CancelAcknowledged(erases=True)
        return CancelRefused(message=f"HTTP {reply.status}: {_error(reply, wire.json_object(reply))}")

    def build_lookup(self, payload: Payload, context: Context) -> None:
        return None

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)


PROVIDER = Runway()


def _headers(payload: Payload, context: Context) -> dict[str, str]:
    """The version is the mapping's, where it names one; the protocol's own for the calls that follow."""
    given = {name.lower(): value for name, value in payload.headers.items()}
    return {_VERSION: VERSION, **given, **wire.headers(context, f"Bearer {context.secret.reveal()}")}


def _url(job: Job, context: Context) -> str:
    return f"{context.base_url}/v1/tasks/{job.id}"


def _failed(body: dict[str, Any], cost: int | None) -> Failed:
    code, message = wire.text(body.get("failureCode"), 80), wire.text(body.get("failure"))
    rule = wire.find(FAILURE_RULES, 200, code, message) or FAILURE_RULES[-1]
    return Failed(
        fault=rule.fault, code=code or "failed", message=message, moderation=rule.moderation, cost=cost
    )


def _error(reply: Reply, body: dict[str, Any]) -> str:
    """`{error, issues: [{path, message}]}`: the first issue names the field (OpenAPI)."""
    issue = next((item for item in wire.members(body.get("issues")) if isinstance(item, dict)), {})
    place = wire.dotted(issue.get("path"))
    said = [wire.text(body.get("error")), f"{place}: {wire.text(issue.get('message'))}" if place else ""]
    return wire.text("; ".join(filter(None, said))) or wire.excerpt(reply)
