"""Cloudflare Workers AI: one long request whose answer is the result.

Sources, as named in the tables: "errors" is Workers AI's page platform/errors, "models" are the model files
of cloudflare/cloudflare-docs, "REST API" is AI Gateway's page usage/rest-api, "SDK" is cloudflare 5.9.0.

Two kinds of models share the account's path. Hosted ones (`@cf/...`) take bare inputs and answer with base64
in the usual envelope or with the bytes of a picture and no envelope at all. Proxied ones (`POST .../ai/run`
with `{model, input}`) answer with URLs, and with one `result` inside another. There is no job, no poll, no
cancel and no lookup: what is lost on the way stays lost, and the machine says "unknown".
"""

from __future__ import annotations

from typing import Any

from execution_arrow.facts import (
    Completed,
    Fault,
    Output,
    SubmitFact,
)
from execution_arrow.media import sniff
from execution_arrow.ports import Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Call, Context, Reply, Semantics
from execution_arrow.providers.synchronous import Synchronous

SEMANTICS = Semantics(
    name="cloudflare",
    base_url="https://api.cloudflare.com/client/v4",  # SDK
    key_variable="CLOUDFLARE_API_TOKEN",  # SDK
    poll_every=None,
    webhook=None,
    cancel=None,
    settings=("account_id",),
    results_source="docs: results come inside the answer; some models answer with an address, and no job",
)

# Branch on the code of the first error, not on the HTTP status (errors).
CODE_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.PROVIDER, code="5007", source="errors: no such model"),
    Rule(fault=Fault.PROVIDER, code="3042", source="errors: invalid model id"),
    Rule(fault=Fault.CALLER, code="5004", source="errors: invalid base64"),
    Rule(fault=Fault.CALLER, code="3003", source="errors: incomplete request"),
    Rule(fault=Fault.CALLER, code="3039", source="errors: fine-tune files"),
    Rule(fault=Fault.CALLER, code="3006", source="errors: request too large"),
    Rule(fault=Fault.ACCOUNT, code="10000", source="API: authentication error"),
    Rule(fault=Fault.ACCOUNT, code="3023", source="errors: account blocked"),
    # The account may not use this model; it may use others.
    Rule(fault=Fault.PROVIDER, code="5018", source="errors: not allowed for a private model"),
    Rule(fault=Fault.PROVIDER, code="3041", source="errors: not allowed for a private model"),
    Rule(fault=Fault.PROVIDER, code="5016", source="errors: the model's agreement"),
    Rule(fault=Fault.PROVIDER, code="5019", source="errors: deprecated client"),
    Rule(fault=Fault.PROVIDER, code="5005", source="errors: LoRA unsupported"),
    # The answer is the result, and these say that there is none and will be none.
    Rule(fault=Fault.PROVIDER, code="3007", source="errors: timeout"),
    Rule(fault=Fault.PROVIDER, code="3008", source="errors: aborted"),
    Rule(fault=Fault.ACCOUNT, code="3036", source="errors: the day's free neurons are used"),
    Rule(fault=Fault.HERE, code="3040", source="errors: out of capacity"),
    # Content blocks are not in the documented table.
    Rule(fault=Fault.CALLER, code="8007", moderation=True, source="public logs of flux-1-schnell"),
    Rule(
        fault=Fault.CALLER,
        code="3030",
        text=r"\bnsfw\b",
        moderation=True,
        source="public logs of flux-1-schnell, until 8007 took its place",
    ),
    Rule(
        fault=Fault.CALLER,
        status=(400, 403, 422),
        text=r"\bnsfw\b|content policy|moderation|flagged",
        moderation=True,
        source="texts of public models",
    ),
    Rule(fault=Fault.ACCOUNT, status=(429,), text=r"spend limit", source="AI Gateway: spend limits"),
)
SUBMIT_RULES: tuple[Rule, ...] = (*CODE_RULES, *HTTP_RULES)

# Where a result lies inside `result` (models): one base64 picture, or URLs.
_KEYS = ("image", "images", "video", "videos")


class Cloudflare(Synchronous):
    """See `providers.base.Provider`."""

    semantics = SEMANTICS

    def build_submit(self, payload: Payload, context: Context) -> Call:
        headers = {**payload.headers, **wire.headers(context, f"Bearer {context.secret.reveal()}")}
        if payload.path.rstrip("/") == "/ai/run":
            headers["cf-aig-max-attempts"] = "1"  # REST API: the gateway must not repeat a paid call
        call = Call(
            method=payload.method,
            url=f"{context.base_url}/accounts/{context.settings['account_id']}{payload.path}",
            headers=headers,
            timeout=context.deadline or SEMANTICS.image_deadline,
        )
        return wire.with_body(call, payload)  # models: FLUX.2 takes a form

    def read_submit(self, payload: Payload, reply: Reply) -> SubmitFact:
        if wire.ok(reply) and (kind := sniff(reply.body[:64])) is not None:
            return Completed(outputs=(Output(index=0, media_type=kind.media_type),))
        body = wire.json_object(reply)
        if wire.ok(reply) and body.get("success") is not False:
            outputs = tuple(_output(i, item) for i, item in enumerate(_items(body)))
            return Completed(outputs=outputs) if outputs else wire.unreadable(reply)
        code, message = _error(reply, body)
        return wire.refusal(SUBMIT_RULES, reply, code, message)

    def inline_output(self, reply: Reply, index: int) -> bytes:
        if sniff(reply.body[:64]) is not None:
            return super().inline_output(reply, index)
        items = _items(wire.json_object(reply))
        if not 0 <= index < len(items):
            raise ValueError(f"the answer has {len(items)} result(s), there is no number {index}")
        return wire.inline(items[index])


PROVIDER = Cloudflare()


def _error(reply: Reply, body: dict[str, Any]) -> tuple[str, str]:
    errors = [item for item in wire.members(body.get("errors")) if isinstance(item, dict)]
    first = errors[0] if errors else {}
    number = first.get("code")
    code = str(number) if isinstance(number, int) and 0 <= number < 10**9 else wire.text(number, 60)
    return code, wire.text(first.get("message")) or wire.excerpt(reply)


def _items(body: dict[str, Any]) -> list[str]:
    """The results of an answer, each a URL or base64; unwrapped twice, as the nesting is not documented."""
    inner = wire.member(body, "result")
    if isinstance(inner.get("result"), dict):
        if inner.get("state", "Completed") != "Completed":  # no other state is documented
            return []
        inner = inner["result"]
    candidates: list[Any] = []
    for key in _KEYS:
        value = inner.get(key)
        candidates += value if isinstance(value, list) else [value]
    return [
        item for item in candidates if isinstance(item, str) and (wire.web_url(item) or wire.is_inline(item))
    ]


def _output(index: int, item: str) -> Output:
    return Output(index=index, url=wire.web_url(item))
