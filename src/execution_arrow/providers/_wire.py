"""What the provider modules share: reading what a stranger sent, and turning its words into faults.

Two habits keep a worker alive and a bill honest. Nothing of an answer is used before it has been looked at
(an id is an id, a URL is a URL, a text is short and can be stored), so junk reads as "cannot be read", never
as an exception and never as a success. And an error is classified by a table of `Rule`s, first match first:
what no rule names is not "refused", because only a declared refusal proves that nothing was accepted.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.facts import Ambiguous, Fault, PollFailed, Refused
from execution_arrow.inputs.bodies import form
from execution_arrow.media import sniff
from execution_arrow.ports import Payload
from execution_arrow.providers.base import Call, Context, Reply
from execution_arrow.values import replace

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_WEB = re.compile(r"https?://[!-~]{3,8000}")
_DATA = re.compile(r"data:[!-+\--~]{0,200},")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_DATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
# An error text may quote the key it complains about; the shapes are those of the providers' own keys.
_KEYS = re.compile(
    r"\b(r8_\w{4,}|sk-[\w-]{4,}|(?:key|bfl)_\w{8,}|(?:Bearer|Key|Token)\s+[\w:.-]{8,}"
    r"|[0-9a-f-]{36}:[0-9a-f]{16,})"
)
# A signed link is a key for whoever reads it.
_SIGNED = re.compile(r"(https?://)(?:[^\s/@\"']+@)?([^\s?\"'<>]+)\?[^\s\"'<>]+")
# BytePlus' keys look like any id and Cloudflare's like any word: what stands beside the word "key" is one.
_NAMED_KEY = re.compile(
    r"(\b(?:key|token|secret|credential)s?\b[^\w]{0,4}(?:(?:is|was|provided|given)[^\w]{1,4}){0,2})"
    r"(?=[\w:.-]*\d)[\w:.-]{16,}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of an error table. Every condition that is given must hold; `source` says who says so.

    `code` matches itself and what lies below it (`RateLimitExceeded` also matches
    `RateLimitExceeded.EndpointRPMExceeded`). `text` is a regular expression, searched without case.
    """

    fault: Fault
    source: str
    status: tuple[int, ...] = ()
    code: str = ""
    text: str = ""
    moderation: bool = False

    def matches(self, status: int, code: str, message: str) -> bool:
        if self.status and status not in self.status:
            return False
        if self.code and code != self.code and not code.startswith(self.code + "."):
            return False
        return not self.text or re.search(self.text, message, re.IGNORECASE) is not None


_RFC = "RFC 9110 section 15: the status says that the request was not performed"
# Used after a provider's own rows. Statuses that leave it open whether the request was performed are
# missing on purpose (302, 303, 408, 409, 499, every 5xx; 406, which frameworks say after the work is done).
HTTP_RULES: tuple[Rule, ...] = (
    Rule(fault=Fault.ACCOUNT, status=(301, 307, 308), source=f"{_RFC}; the base URL needs a correction"),
    Rule(fault=Fault.CALLER, status=(400, 413, 422), source=_RFC),
    Rule(fault=Fault.ACCOUNT, status=(401, 402, 403, 407), source=_RFC),
    Rule(fault=Fault.PROVIDER, status=(404, 405, 410, 411, 414, 415, 421, 426, 428, 431, 451), source=_RFC),
    Rule(fault=Fault.HERE, status=(429,), source="RFC 6585 section 4"),
)


def find(rules: Iterable[Rule], status: int, code: str, message: str) -> Rule | None:
    """Return the first row that matches, or None: nobody declared what this means."""
    return next((rule for rule in rules if rule.matches(status, code, message)), None)


def refusal(rules: Iterable[Rule], reply: Reply, code: str, message: str) -> Refused | Ambiguous:
    """Read an error answer to a submit: `Refused` where a row declares it, otherwise `Ambiguous`."""
    rule = find(rules, reply.status, code, message)
    if rule is None:
        return unreadable(reply, message)
    return Refused(
        fault=rule.fault,
        code=code or f"http_{reply.status}",
        message=message,
        status=reply.status,
        retry_after=retry_after(reply.headers),
        moderation=rule.moderation,
    )


def unreadable(reply: Reply, message: str = "") -> Ambiguous:
    """Say that an answer to a submit proves nothing."""
    return Ambiguous(message=message or f"unexpected answer: {excerpt(reply)}", status=reply.status)


def poll_failed(reply: Reply, message: str = "") -> PollFailed:
    """Say that an answer to a poll is not worth believing."""
    detail = message or excerpt(reply)
    return PollFailed(message=f"HTTP {reply.status}: {detail}", retry_after=retry_after(reply.headers))


def ok(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def json_value(reply: Reply) -> Any:
    """Return the body as JSON, or None where it is none (junk, HTML, absurdly deep or long)."""
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):  # also UnicodeDecodeError, and integers of more than 4300 digits
        return None


def json_object(reply: Reply) -> dict[str, Any]:
    """Return the body as a JSON object; an empty one where it is anything else."""
    value = json_value(reply)
    return value if isinstance(value, dict) else {}


def member(value: Any, name: str) -> dict[str, Any]:
    """Return `value[name]` where both are objects, otherwise an empty one."""
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def members(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any, limit: int = 500) -> str:
    """Return a short text that any store can keep: no control characters, no lone surrogates, no keys."""
    if not isinstance(value, str):
        return ""
    clean = _CONTROL.sub(" ", value[: limit * 2]).encode("utf-8", "replace").decode()
    clean = _SIGNED.sub(r"\1\2?***", clean)
    return _NAMED_KEY.sub(r"\1***", _KEYS.sub("***", clean)).strip()[:limit]


def dotted(place: Any) -> str:
    """Return where in a request something is wrong, `body.width` for `["body", "width"]`."""
    return text(".".join(str(part) for part in members(place)[:6] if isinstance(part, str | int)))


def excerpt(reply: Reply) -> str:
    """Return the beginning of a body, for people."""
    return text(reply.body[:300].decode("utf-8", "replace"), 120) or "empty body"


def identifier(value: Any) -> str | None:
    """Return a job id that can stand in a path, or None."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def web_url(value: Any) -> str | None:
    """Return an `http(s)` URL without blanks and control characters, or None."""
    return value if isinstance(value, str) and _WEB.fullmatch(value) else None


def output_url(value: Any) -> str | None:
    """Return where a result lies: an `http(s)` URL or a data URL."""
    if isinstance(value, str) and _DATA.match(value) and value.isascii() and value.isprintable():
        return value
    return web_url(value)


def is_inline(value: Any) -> bool:
    """Whether a text is base64 (or a data URL of it) that begins like a picture or clip."""
    try:
        return (
            isinstance(value, str)
            and sniff(base64.b64decode(_encoded(value)[:88], validate=True)) is not None
        )
    except ValueError:
        return False


def inline(value: Any) -> bytes:
    """Decode base64, or a data URL of it. Raises `ValueError` when it is neither."""
    if not isinstance(value, str) or web_url(value):
        raise ValueError("this output is not inside the answer")
    try:
        return base64.b64decode(_encoded(value), validate=True)
    except ValueError as error:
        raise ValueError(f"the picture inside the answer is not base64: {error}") from error


def _encoded(value: str) -> str:
    return value.partition("base64,")[2] if value.startswith("data:") else value


def foreign(body: Mapping[str, Any], name: str, job: str) -> bool:
    """Say whether an answer names another job than the one that was asked about."""
    return body.get(name) not in (None, job)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds. A date counts from the answer's own `Date`; without that it is None."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    until, since = _date(value), _date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return max(0.0, until - since)


def seconds(value: Any) -> float | None:
    """Return a number of seconds that is one: finite, not negative, not a truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 and math.isfinite(value) else None


def micros(value: Any, unit: int) -> int | None:
    """Return an amount of the provider's own unit in micro-credits, rounded up; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return math.ceil(round(value * unit, 3)) if 0 <= value < 1e9 and math.isfinite(value) else None


def may_see_key(url: str, base_url: str, family: Callable[[str], bool]) -> bool:
    """Whether a URL that a provider returned may be asked with the key: it is at the address that the key was
    given for, or both are hosts of the provider's own family, over https on the usual port."""
    try:
        given, base = urlsplit(url), urlsplit(base_url)
        if given.username is not None or given.hostname is None or base.hostname is None:
            return False
        if (given.scheme, given.hostname, given.port) == (base.scheme, base.hostname, base.port):
            return True
        ours = family(given.hostname) and family(base.hostname)
        return ours and given.scheme == base.scheme == "https" and given.port is None
    except ValueError:
        return False


def _date(value: str) -> float | None:
    """Read the one form of date that servers send today (RFC 9110 section 5.6.7, IMF-fixdate)."""
    found = _DATE.fullmatch(value.strip())
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def with_body(call: Call, payload: Payload) -> Call:
    """Return the call with what it sends: JSON, or a form where the mapping says so."""
    if payload.encoding != "multipart":
        return replace(call, json=plain_body(payload))
    kind, content = form(payload)
    return replace(call, headers={**call.headers, "content-type": kind}, content=content)


def plain_body(payload: Payload) -> dict[str, Any]:
    """Return a copy of a JSON body.

    Raises `PayloadUnsupported` for a form, and for files that nobody has put in their places: a marker that
    is sent as it stands is a paid mistake.
    """
    if payload.encoding != "json":
        raise PayloadUnsupported(payload.provider, f"{payload.encoding} bodies")
    if payload.fetches:
        raise PayloadUnsupported(payload.provider, "input files that must be fetched first")
    if not isinstance(payload.body, Mapping):
        raise PayloadUnsupported(
            payload.provider, f"a body that is {type(payload.body).__name__}, not an object"
        )
    return dict(payload.body)


def headers(context: Context, authorization: str, **more: str) -> dict[str, str]:
    """Return the headers that every call of a provider carries. Names in `more` use `_` for `-`."""
    return {
        "accept": "application/json",
        "authorization": authorization,
        "x-client-request-id": context.attempt,
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
