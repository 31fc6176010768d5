"""Addresses that events are sent to, and what their messages are signed with.

No secret is kept. An endpoint holds references: `env:NAME` is read from the credentials when it is needed;
`derived:NAME:3` is made from the key in `NAME`, the endpoint's id and the number, so that one key in the
environment gives every endpoint secrets of its own, any number of them, which can be shown again. While a
secret is changed there are two references, the newest first, the older with the time of its end.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from execution_arrow.errors import ArrowError, RequestRejected
from execution_arrow.intake.checks import is_name
from execution_arrow.ports import Credentials, Secret
from execution_arrow.stores.outgoing import Endpoint
from execution_arrow.values import replace

KEY = "EXECUTION_ARROW_WEBHOOK_KEY"
PURPOSE = "webhooks"  # what the credentials are asked for, in place of a provider
SHORTEST_KEY = 32  # characters

GENERATIONS = ("generation.started", "generation.completed", "generation.failed", "generation.canceled")
EVENTS = (*GENERATIONS, "credits.low_balance", "webhook.test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a secret comes from, and until when it signs (None: it is the newest)."""

    name: str
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """An address, as people see it. `account` None: of every account; no `events`: all of them.

    `disabled` is empty, or why: `by hand`, `failing`, `gone`. `failures` in a row began at `failing_since`.
    """

    id: str
    account: str | None
    url: str
    events: tuple[str, ...]
    secrets: tuple[Reference, ...]
    created_at: float
    disabled: str = ""
    version: int = 0
    failures: int = 0
    failing_since: float | None = None

    def row(self) -> Endpoint:
        """What the store keeps."""
        secrets = [[reference.name, reference.until] for reference in self.secrets]
        document = {"url": self.url, "secrets": secrets, "created_at": self.created_at, "why": self.disabled}
        return Endpoint(
            id=self.id, account=self.account, events=self.events, document=json.dumps(document),
            disabled=bool(self.disabled), version=self.version,
        )  # fmt: skip


def endpoint_of(row: Endpoint) -> WebhookEndpoint:
    document: dict[str, Any] = json.loads(row.document)
    return WebhookEndpoint(
        id=row.id, account=row.account, url=document["url"], events=row.events,
        secrets=tuple(Reference(name=name, until=until) for name, until in document["secrets"]),
        created_at=document["created_at"], disabled=document["why"] if row.disabled else "",
        version=row.version, failures=row.failures, failing_since=row.failing_since,
    )  # fmt: skip


def live_secrets(endpoint: WebhookEndpoint, now: float) -> tuple[str, ...]:
    """References that sign now, the newest first."""
    return tuple(r.name for r in endpoint.secrets if r.until is None or r.until > now)


def rotated(endpoint: WebhookEndpoint, now: float, keep: float, reference: str | None) -> WebhookEndpoint:
    """With a new secret; the one before signs beside it for `keep` seconds."""
    older = tuple(
        replace(r, until=now + keep if r.until is None else r.until)
        for r in endpoint.secrets
        if r.until is None or r.until > now
    )
    return replace(endpoint, secrets=(Reference(name=reference or _next(endpoint)), *older))


def first_reference(key: str = KEY) -> str:
    return f"derived:{key}:1"


def _next(endpoint: WebhookEndpoint) -> str:
    """From the key of the newest, with a number that was never used: the version has counted all of them."""
    kind, _, rest = endpoint.secrets[0].name.partition(":")
    key = rest.rpartition(":")[0] if kind == "derived" else KEY
    numbers = (r.name.rpartition(":")[2] for r in endpoint.secrets if r.name.startswith("derived:"))
    return f"derived:{key}:{max(endpoint.version, *map(int, numbers), 0) + 1}"


def check_reference(reference: str) -> None:
    """Raises `RequestRejected`, without repeating it, for what may be a secret and not the name of one."""
    kind, _, rest = reference.partition(":")
    derived = kind == "derived" and rest.rpartition(":")[0] and rest.rpartition(":")[2].isdecimal()
    if not is_name(reference, 200) or not rest or (kind == "derived" and not derived):
        raise RequestRejected(
            ["secret: it is named, not given: 'env:NAME', 'derived:NAME:1', or what your credentials read"]
        )


def secret_of(endpoint: str, reference: str, credentials: Credentials) -> Secret:
    """The secret itself. Raises `MissingCredentials`, or `ArrowError` for a key that is too short."""
    kind, _, rest = reference.partition(":")
    if kind != "derived":
        return credentials.get(PURPOSE, reference)
    name, _, number = rest.rpartition(":")
    key = credentials.get(PURPOSE, f"env:{name}").reveal()
    if len(key) < SHORTEST_KEY:
        raise ArrowError(
            f"the key in {name} has {len(key)} characters and needs {SHORTEST_KEY}: make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )
    made = hmac.new(key.encode(), f"webhook/{endpoint}/{number}".encode(), hashlib.sha256).digest()
    return Secret("whsec_" + base64.b64encode(made).decode())
