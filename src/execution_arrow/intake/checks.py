"""What callers hand to the verbs, looked at before anything is done with it.

Each function raises by name and says what would have been right. A wrong argument that is passed over in
silence is worse than an exception: a misspelt `idempotency_key` would pay for the same order twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from execution_arrow.credentials import VARIABLES
from execution_arrow.errors import RequestRejected, UnknownGeneration
from execution_arrow.machine.state import Status
from execution_arrow.policy import Policy

ACCOUNT_LENGTH = 200  # what the ledger takes
KEY_LENGTH = 255
_NAME_LENGTH = 100
_PAGE = 1000
SHORTEST_RETAIN = 3600.0  # seconds


def is_name(value: object, most: int) -> bool:
    """Half a surrogate pair is text to Python and to nobody else; it is not printable either."""
    return isinstance(value, str) and 0 < len(value) <= most and value.isprintable()


def name_issues(**values: tuple[object, int]) -> list[str]:
    """What is wrong with names; each is given with the length it may have. None is nothing to look at."""
    return [
        f"{name}: must be text of 1 to {most} printable characters, not {_short(value)}"
        for name, (value, most) in values.items()
        if value is not None and not is_name(value, most)
    ]


def check_account(account: object, key: object) -> None:
    """The two names that money hangs on. Raises `RequestRejected`."""
    if account is None:
        raise RequestRejected(["account: must be text, not None"])
    _reject(name_issues(account=(account, ACCOUNT_LENGTH), idempotency_key=(key, KEY_LENGTH)))


def check_options(options: Mapping[str, Any], known: frozenset[str]) -> None:
    """What may accompany a request. Raises `RequestRejected` for what nobody knows, too."""
    issues = [_unknown(name, known) for name in options if name not in known]
    issues += name_issues(
        region=(options.get("region"), _NAME_LENGTH), sticky=(options.get("sticky"), _NAME_LENGTH)
    )
    issues += _policy_issues(options.get("policy"))
    _reject(issues)


def check_id(generation_id: object) -> None:
    """Raises `UnknownGeneration` for what cannot be the id of a generation."""
    if not is_id(generation_id):
        raise UnknownGeneration(_short(generation_id))


def is_id(value: object) -> bool:
    return is_name(value, _NAME_LENGTH)


def check_timeout(timeout: object) -> None:
    """Raises `RequestRejected` unless it is a number of seconds from 0, or None."""
    if timeout is not None and not _is_seconds(timeout):
        _reject(
            [f"timeout: must be seconds from 0, or None to wait for the end, not {_short(timeout)}"],
        )


def check_grace(grace: object) -> None:
    """Raises `RequestRejected` unless it is a number of seconds from 0."""
    if not _is_seconds(grace):
        _reject([f"grace: must be seconds from 0, not {_short(grace)}"])


def check_page(account: object, status: object, before: object, limit: object) -> str | None:
    """The status as the store keeps it. Raises `RequestRejected`."""
    issues = name_issues(account=(account, ACCOUNT_LENGTH), before=(before, _NAME_LENGTH))
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _PAGE:
        issues.append(f"limit: must be a whole number from 1 to {_PAGE}, not {_short(limit)}")
    if status is not None and status not in tuple(Status):
        names = ", ".join(Status)
        issues.append(f"status: must be one of {names}, not {_short(status)}")
    _reject(issues)
    return None if status is None else str(status)


def check_opening(
    providers: Iterable[str],
    policy: object,
    region: object,
    base_urls: object,
    public_url: object,
    retain: object = None,
) -> None:
    """What an Arrow is opened with. Raises `ValueError` with everything that is wrong.

    A misspelt provider in `base_urls` would send to the real one, with real bills.
    """
    known = frozenset((*providers, *VARIABLES))
    issues = _policy_issues(policy) + name_issues(region=(region, _NAME_LENGTH))
    urls = base_urls if isinstance(base_urls, Mapping) else {}
    if retain is not None and not (
        isinstance(retain, int | float) and _is_seconds(retain) and retain >= SHORTEST_RETAIN
    ):
        issues.append(
            f"retain: must be None or at least {SHORTEST_RETAIN:g} seconds, not {_short(retain)}: results of "
            "one generation may come that far apart, and have to be there when it ends"
        )
    if base_urls is not None and not isinstance(base_urls, Mapping):
        issues.append(f"base_urls: must be an address per provider, not {_short(base_urls)}")
    issues += [f"base_urls: {_unknown(str(name), known)}" for name in urls if name not in known]
    addresses = {f"base_urls[{name!r}]": url for name, url in urls.items()}
    if public_url is not None:
        addresses["public_url"] = public_url
    issues += [
        f"{name}: must be an http(s) address, not {_short(url)}"
        for name, url in addresses.items()
        if not _is_web(url)
    ]
    if issues:
        raise ValueError("this Arrow cannot be opened:\n" + "\n".join(f"  - {issue}" for issue in issues))


def _reject(issues: list[str]) -> None:
    if issues:
        raise RequestRejected(issues)


def _policy_issues(policy: object) -> list[str]:
    if policy is None or isinstance(policy, Policy):
        return []
    return [f"policy: must be a Policy, not {_short(policy)}"]


def _unknown(name: str, known: frozenset[str]) -> str:
    near = get_close_matches(name, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(known))}"
    return f"{name[:80]!r} is not known{meant}"


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < 1e9 and math.isfinite(value)


def _is_web(url: object) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a stranger's object; its name will do
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
