"""BabySea's error codes: what each means, its HTTP status, and whether the same request may be sent again.

The one home of all three. `source` says how sure a row is: `documented` rows are of the public table
(docs.babysea.ai/setup/errors and /sdk/errors); `older` ones of its first numbering, in which the later rows
could not be seen; `ours` fill what the public table has no code for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Source = Literal["documented", "older", "ours"]


@dataclass(frozen=True, slots=True)
class Code:
    """One row. `type` is the name that machines read beside the number."""

    code: str
    type: str
    http: int
    retryable: bool
    meaning: str
    source: Source = "documented"


_ROWS: Final = (
    Code("BSE1001", "authentication_required", 401, False, "no API key was sent"),
    Code("BSE1002", "authentication_failed", 401, False, "the key, or the signature, is not valid"),
    Code("BSE1003", "insufficient_permissions", 403, False, "not allowed with this key or account"),
    Code("BSE1004", "insufficient_credits", 402, False, "the balance cannot cover the request"),
    Code("BSE1005", "rate_limit_exceeded", 429, True, "the account's limit of requests"),
    Code("BSE1006", "auth_rate_limited", 429, True, "too many attempts to authenticate from one address"),
    Code("BSE1007", "ip_not_allowed", 403, False, "the address is not on the key's list"),
    Code("BSE1008", "account_not_found", 404, False, "the account behind the key is missing"),
    Code("BSE1009", "concurrency_limit_exceeded", 429, True, "the plan's limit of generations at once"),
    Code("BSE2001", "invalid_input", 400, False, "the request cannot run as it stands"),
    Code("BSE2002", "file_too_large", 422, False, "an input has larger dimensions than allowed"),
    Code("BSE2003", "file_too_small", 422, False, "an input has smaller dimensions than allowed"),
    Code("BSE2004", "unsupported_file_format", 422, False, "an input is not JPEG, PNG or WebP"),
    Code("BSE2005", "file_load_error", 422, False, "an input could not be loaded or processed"),
    Code("BSE2006", "content_policy_violation", 422, False, "refused because of its content"),
    Code("BSE2007", "file_size_exceeded", 422, False, "an input has more bytes than allowed"),
    Code("BSE2008", "parameter_out_of_range", 422, False, "a value is outside its range"),
    Code("BSE2009", "file_download_error", 422, False, "an input's address could not be fetched"),
    Code("BSE2010", "payload_too_large", 413, False, "the request is larger than 100 KB", "older"),
    Code("BSE2015", "idempotency_conflict", 409, False, "the same key came with another request"),
    Code("BSE2016", "idempotency_in_progress", 409, True, "the first request with this key still runs"),
    Code("BSE3001", "provider_error", 502, True, "a provider failed", "older"),
    Code("BSE3002", "provider_timeout", 504, True, "nobody finished in time", "older"),
    Code("BSE3003", "all_providers_failed", 502, False, "no provider could do it", "older"),
    Code("BSE3004", "provider_key_missing", 503, False, "there is no key for the provider", "ours"),
    Code("BSE3005", "provider_credits_exhausted", 502, False, "the provider refused our account", "ours"),
    Code("BSE3006", "provider_rate_limited", 503, True, "the provider asked us to come back later", "ours"),
    Code("BSE3007", "provider_unknown", 502, False, "nobody knows whether the provider did it", "ours"),
    Code("BSE4001", "generation_not_found", 404, False, "there is none with this id", "older"),
    Code("BSE4002", "lifecycle_conflict", 409, False, "it has ended, or is past that point", "ours"),
    Code("BSE5000", "internal_error", 500, False, "something of ours is wrong", "ours"),
    Code("BSE5001", "store_unavailable", 503, True, "a store did not answer", "ours"),
)
CODES: Final = {row.code: row for row in _ROWS}
