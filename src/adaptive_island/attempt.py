"""What happened to one submission to one provider.

An attempt is named by its `id`, and only its *verdict* teaches: `used` and `discarded` say that the
provider delivered, `failed` that it did not. `pending` and `unknown` are states of waiting (they are
shown, and weigh as long as they last), `canceled` is censored: the user's change of mind says nothing
about the provider, unless the report blames the provider for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 7 * 86_400.0  # seconds; a longer call is a mistake of units
MOST = 2**53 - 1  # micro-credits; the bound that money has everywhere in this library
NAME_LENGTH = 512


class Outcome(StrEnum):
    """How an attempt stands."""

    USED = "used"
    FAILED = "failed"
    CANCELED = "canceled"
    DISCARDED = "discarded"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who is to blame when it did not succeed; `none` with `failed` is read as the provider."""

    PROVIDER = "provider"
    CALLER = "caller"
    ACCOUNT = "account"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One report about one attempt; the same `id` may be reported again, its first verdict stands.

    `seconds` is the time from submission to this outcome (0 where it was not measured), `cost` what the
    provider bills in micro-credits, `retry_after` what the provider asked for in seconds, `at` the moment
    of the outcome in unix seconds (0 means now), `account` the reference of the credentials that were
    used.
    """

    id: str
    model: str
    provider: str
    outcome: Outcome
    region: str = "us"
    account: str = ""
    work: str = ""
    fault: Fault = Fault.NONE
    seconds: float = 0.0
    cost: int | None = None
    retry_after: float | None = None
    at: float = 0.0


def misnamed(id: str, model: str, provider: str, region: str, account: str, work: str) -> str | None:
    """Which of these names cannot be one, or None. `*` stands for all models or accounts and names none."""
    for name in (id, model, provider, region, account, work):
        if type(name) is not str or len(name) > NAME_LENGTH:
            return f"a name is {type(name).__name__}, not a text of at most {NAME_LENGTH} characters"
    if not (id and model and provider) or model == "*" or account == "*":
        return "id, model and provider must not be empty, and '*' is neither a model nor an account"
    if not _can_be_kept(f"{id}{model}{provider}{region}{account}{work}"):
        return "a name has a NUL or half a surrogate pair in it, which no store can keep"
    return None


def _can_be_kept(text: str) -> bool:
    """A single report that a store cannot take would be in the way of all that come after it."""
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def flaw(attempt: object) -> str | None:
    """Why this report cannot be counted, or None. Never raises, whatever it is given."""
    if not isinstance(attempt, Attempt):
        return f"not an Attempt but {type(attempt).__name__}"
    a = attempt
    wrong = misnamed(a.id, a.model, a.provider, a.region, a.account, a.work)
    if wrong is not None:
        return wrong
    if not isinstance(attempt.outcome, Outcome):
        return "outcome is not an Outcome"
    if not isinstance(attempt.fault, Fault):
        return "fault is not a Fault"
    if not is_time(attempt.seconds) or attempt.seconds > LONGEST:
        return "seconds is not a finite number from 0 to 7 days"
    if not is_time(attempt.at):
        return "at is not a finite number of unix seconds"
    if attempt.cost is not None and not is_money(attempt.cost):
        return "cost is not an integer number of micro-credits"
    if attempt.retry_after is not None and not is_time(attempt.retry_after):
        return "retry_after is not a finite number of seconds"
    return None


def is_time(value: object) -> bool:
    """A finite, non-negative number of seconds."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value >= 0
        and math.isfinite(value)
    )


def is_money(value: object) -> bool:
    """An integer amount from 0 to 2^53 - 1."""
    return (type(value) is int or (isinstance(value, int) and type(value) is not bool)) and 0 <= value <= MOST
