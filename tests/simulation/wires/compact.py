"""Three made-up providers, for what no shipped one does.

`dock`: a conclusive lookup by our own token, a free cancel. `quay`: a lookup that proves nothing, only
queued jobs can be canceled, and every end is billed. `ferry`: results inside the answer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault
from execution_arrow.ports import Payload
from execution_arrow.providers.base import Call, Callback, Context, Job, Refusal, Reply, Semantics

_ENDS: dict[str, f.StatusFact] = {
    "running": f.Running(),
    "failed": f.Failed(fault=Fault.PROVIDER, code="failed"),
    "moderated": f.Failed(fault=Fault.CALLER, code="moderated", moderation=True),
    "account": f.Failed(fault=Fault.ACCOUNT, code="account"),
    "canceled": f.Canceled(),
    "expired": f.Expired(),
}
_FAULTS = {"caller": Fault.CALLER, "moderation": Fault.CALLER, "account": Fault.ACCOUNT,
           "provider": Fault.PROVIDER, "busy": Fault.HERE}  # fmt: skip


def _body(reply: Reply) -> dict[str, Any]:
    try:
        body = json.loads(reply.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class Signed:
    """Callbacks with a header that says whether they are genuine."""

    def build_keys(self, context: Context) -> None:
        return None

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        return ()

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        if headers.get("x-sig") != "good":
            return Refusal.FORGED
        said = _body(Reply(status=200, body=body))
        job = said.get("job")
        if not isinstance(job, str):
            return Refusal.MALFORMED
        return Callback(job=job, sure=True, told=_status(said))


class Compact:
    """See `execution_arrow.providers.base.Provider`."""

    def __init__(self, name: str, *, sync: bool = False, **semantics: Any) -> None:
        self._sync = sync
        self.callbacks = Signed() if semantics["webhook"] == "signed" else None
        self.semantics = Semantics(
            name=name, base_url=f"https://{name}.example", key_variable="KEY", **semantics
        )

    def is_sync(self, payload: Payload) -> bool:
        return self._sync

    def build_submit(self, payload: Payload, context: Context) -> Call:
        body = {**payload.body, "callback": context.callback_url} if context.callback_url else payload.body
        return _call("POST", context, "submit", "new", body, 30.0)

    def read_submit(self, payload: Payload, reply: Reply) -> f.SubmitFact:
        body = _body(reply)
        if (why := body.get("refused")) in _FAULTS:
            after = body["after"] if why == "busy" else None
            return f.Refused(
                fault=_FAULTS[why], code=why, retry_after=after, moderation=why == "moderation",
                status=reply.status,
            )  # fmt: skip
        made, job = body.get("made"), body.get("job")
        if reply.status != 200 or (not self._sync and not isinstance(job, str)):
            return f.Ambiguous(status=reply.status)
        if not self._sync:
            return f.Accepted(job=str(job))
        if not isinstance(made, list):
            return f.Ambiguous(status=reply.status)
        return f.Completed(outputs=tuple(f.Output(index=i) for i in range(len(made))), job=job)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        return base64.b64decode(_body(reply)["made"][index])

    def build_poll(self, job: Job, context: Context) -> Call:
        return _call("GET", context, "poll", job.id)

    def read_poll(self, job: Job, reply: Reply, context: Context) -> f.StatusFact:
        return self.read_result(job, reply)

    def read_result(self, job: Job, reply: Reply) -> f.StatusFact:
        body = _body(reply)
        if reply.status == 404:
            return f.Missing()
        if (
            reply.status != 200
            or body.get("job", job.id) != job.id
            or not isinstance(body.get("status"), str)
        ):
            return f.PollFailed(message=f"HTTP {reply.status}")
        return _status(body)

    def build_cancel(self, job: Job, context: Context) -> Call:
        return _call("POST", context, "cancel", job.id)

    def read_cancel(self, job: Job, reply: Reply) -> f.CancelFact:
        word = _body(reply).get("cancel")
        if word in ("done", "ignored"):
            return f.CancelAcknowledged()
        return f.CancelRefused(message=str(word), final=word == "too_late")

    def build_lookup(self, payload: Payload, context: Context) -> Call:
        return _call("GET", context, "list", context.attempt)

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> f.LookupFact:
        jobs = _body(reply).get("jobs")
        if reply.status != 200 or not isinstance(jobs, list):
            return f.PollFailed(message=f"HTTP {reply.status}")
        found = [job for job, _, _ in jobs if not bound(job)]  # the list is of our token's jobs alone
        if len(found) == 1:
            return f.LookupFound(job=found[0])
        return f.LookupNone(conclusive=self.semantics.lookup == "conclusive" and not found)


def _status(body: Mapping[str, Any]) -> f.StatusFact:
    status = body["status"]
    if status == "succeeded":
        links = body.get("made", [])
        return f.Succeeded(outputs=tuple(f.Output(index=i, url=link) for i, link in enumerate(links)))
    return _ENDS.get(status) or f.UnknownStatus(text=status)


def _call(
    method: str, context: Context, verb: str, what: str, body: Any = None, timeout: float = 10.0
) -> Call:
    return Call(
        method=method,
        url=f"{context.base_url}/{verb}/{what}",
        headers={"x-client-request-id": context.attempt, "authorization": context.secret.reveal()},
        json=body,
        timeout=timeout,
    )


_ALL = frozenset({"failed", "moderation", "canceled", "expired"})
DOCK = Compact(
    "dock", poll_every=1.0, webhook="signed", cancel="any", cancel_free=True, lookup="conclusive",
    renewed_for=3600.0,
)  # fmt: skip
QUAY = Compact("quay", poll_every=2.0, webhook=None, cancel=None, lookup="suggestive", billed=_ALL)
FERRY = Compact("ferry", sync=True, poll_every=None, webhook=None, cancel=None)
