"""The verbs about outgoing webhooks, for `AsyncArrow.webhooks`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from execution_arrow.delivery.courier import Courier
from execution_arrow.delivery.endpoints import (
    EVENTS,
    GENERATIONS,
    Reference,
    WebhookEndpoint,
    check_reference,
    endpoint_of,
    first_reference,
    rotated,
    secret_of,
)
from execution_arrow.errors import RequestRejected, UnknownEndpoint
from execution_arrow.intake.checks import KEY_LENGTH, check_account, is_name
from execution_arrow.naming import uuid7
from execution_arrow.ports import Clock, Credentials, Secret
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Fenced
from execution_arrow.stores.outgoing import Delivery, DeliveryState, KeepEndpoint, Posted, Publish, Replay

_TYPE_LENGTH = 100
_PAGES = 1000  # of a replay: more than are kept, unless they die as fast as they are replayed
_TRIES = 20  # changes of one endpoint that may come in between


class Webhooks:
    """Endpoints and deliveries. Every verb raises `execution_arrow.errors` only.

    Workers deliver; without one, `deliver` does what is due.
    """

    def __init__(self, store: Access, clock: Clock, credentials: Credentials, courier: Courier) -> None:
        self._store, self._clock, self._credentials, self._courier = store, clock, credentials, courier

    async def add(
        self,
        url: str,
        *,
        account: str | None = None,
        events: Iterable[str] = (),
        secret: str | None = None,
    ) -> WebhookEndpoint:
        """Send the events of `account` (None: of everybody) to `url` from now on; `events` names the types.

        `secret` is a reference for the credentials (`env:NAME`); the default is one of its own, derived from
        the key in the environment variable EXECUTION_ARROW_WEBHOOK_KEY. `secret(id)` shows it. Raises
        `RequestRejected` for an address that nothing is sent to, `MissingCredentials` without a key.
        """
        if account is not None:
            check_account(account, None)
        if secret is not None:
            check_reference(secret)
        endpoint = WebhookEndpoint(
            id="we_" + uuid7(), account=account, url=_checked(url, self._courier), events=_known(events),
            secrets=(Reference(name=secret or first_reference()),), created_at=self._clock.now(),
        )  # fmt: skip
        secret_of(endpoint.id, endpoint.secrets[0].name, self._credentials)
        await self._store.apply(KeepEndpoint(endpoint=endpoint.row(), at=endpoint.created_at))
        return await self.get(endpoint.id)

    async def get(self, endpoint_id: str) -> WebhookEndpoint:
        """Raises `UnknownEndpoint`."""
        for row in await self._store.endpoints():
            if row.id == endpoint_id:
                return endpoint_of(row)
        raise UnknownEndpoint(endpoint_id)

    async def secret(self, endpoint_id: str) -> Secret:
        """The newest secret, to be given to the receiver: `.reveal()` shows it."""
        endpoint = await self.get(endpoint_id)
        return secret_of(endpoint.id, endpoint.secrets[0].name, self._credentials)

    async def rotate(
        self, endpoint_id: str, *, keep: float = 86_400.0, secret: str | None = None
    ) -> WebhookEndpoint:
        """Sign with a new secret; the one before signs beside it for `keep` seconds more."""
        if secret is not None:
            check_reference(secret)

        def change(endpoint: WebhookEndpoint) -> WebhookEndpoint:
            changed = rotated(endpoint, self._clock.now(), keep, secret)
            secret_of(changed.id, changed.secrets[0].name, self._credentials)
            return changed

        return await self._change(endpoint_id, change)

    async def disable(self, endpoint_id: str) -> WebhookEndpoint:
        """Send nothing more. What waits, and what happens from now on, is kept as dead for 72 hours."""
        return await self._change(endpoint_id, lambda endpoint: replace(endpoint, disabled="by hand"))

    async def enable(self, endpoint_id: str) -> WebhookEndpoint:
        """Send again, from now on; `replay` brings what was missed."""
        return await self._change(endpoint_id, lambda endpoint: replace(endpoint, disabled=""))

    async def remove(self, endpoint_id: str) -> None:
        """Forget the endpoint and all of its deliveries."""
        for _ in range(_TRIES):
            endpoint = await self.get(endpoint_id)
            op = KeepEndpoint(endpoint=endpoint.row(), at=self._clock.now(), remove=True)
            if not isinstance(await self._store.apply(op), Fenced):
                return

    async def deliveries(
        self,
        *,
        endpoint: str | None = None,
        state: DeliveryState | None = None,
        generation: str | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """What was sent, waits (`waiting`), or could not be delivered (`dead`), newest event first."""
        if state not in (None, "waiting", "delivered", "dead"):
            raise RequestRejected([f"state: must be 'waiting', 'delivered' or 'dead', not {state!r}"])
        return await self._store.deliveries(endpoint, state, generation, limit)

    async def replay(self, endpoint_id: str, *, generation: str | None = None, no: int | None = None) -> int:
        """Deliver again what is dead, under new delivery ids; returns how many.

        With a `generation` its events alone, with the event's `no` that one even if it was delivered. An
        endpoint that is disabled has to be enabled first, else `RequestRejected`.
        """
        if (endpoint := await self.get(endpoint_id)).disabled:
            raise RequestRejected(
                [f"endpoint {endpoint_id} is disabled ({endpoint.disabled}): enable it first"]
            )
        op, total = Replay(endpoint=endpoint_id, at=self._clock.now(), subject=generation, no=no), 0
        for _ in range(_PAGES):
            total += (count := await self._posted(op))
            if count < op.most:
                break
        return total

    async def test(self, endpoint_id: str) -> int:
        """Send a `webhook.test`, whatever events the endpoint wants."""
        endpoint = await self.get(endpoint_id)
        op = Publish(
            account=endpoint.account or "",
            subject=f"test_{uuid7()}",
            type="webhook.test",
            at=self._clock.now(),
            body=json.dumps({"account_id": endpoint.account}),
            endpoint=endpoint_id,
        )
        return await self._posted(op)

    async def publish(self, type: str, data: Mapping[str, Any], *, account: str, key: str) -> int:
        """Send an event of your own, such as `credits.low_balance`; the same `key` is published once.

        A key is known for as long as its deliveries are kept: 72 hours after the last has ended, by default.
        `type` and `key` are sent in headers, so they are printable ASCII; the types of what happens to
        generations are theirs alone. Raises `RequestRejected`.
        """
        check_account(account, None)
        issues = [
            f"{name}: must be 1 to {most} printable ASCII characters"
            for name, value, most in (("type", type, _TYPE_LENGTH), ("key", key, KEY_LENGTH))
            if not (is_name(value, most) and value.isascii())
        ]
        if type in GENERATIONS:
            issues.append(f"type: {type!r} is said by generations themselves: choose another name")
        body = ""
        try:
            body = json.dumps(data, allow_nan=False)
        except (TypeError, ValueError) as error:
            issues.append(f"data: {error}")
        if issues:
            raise RequestRejected(issues)
        op = Publish(account=account, subject=key, type=type, at=self._clock.now(), body=body)
        return await self._posted(op)

    async def deliver(self) -> int:
        """Do what is due now, without a worker; returns how many deliveries were tried."""
        return await self._courier.deliver()

    async def list(self, *, account: str | None = None) -> list[WebhookEndpoint]:
        """Every endpoint, the oldest first; with `account` those of that account alone."""
        rows = await self._store.endpoints()
        return [endpoint_of(row) for row in rows if account in (None, row.account)]

    async def _posted(self, op: Replay | Publish) -> int:
        posted = await self._store.apply(op)
        assert isinstance(posted, Posted)
        return posted.count

    async def _change(
        self, endpoint_id: str, change: Callable[[WebhookEndpoint], WebhookEndpoint]
    ) -> WebhookEndpoint:
        for _ in range(_TRIES):
            changed = change(await self.get(endpoint_id))
            op = KeepEndpoint(endpoint=changed.row(), at=self._clock.now())
            if not isinstance(await self._store.apply(op), Fenced):
                break
        return await self.get(endpoint_id)


def _checked(url: str, courier: Courier) -> str:
    from execution_arrow.delivery.courier import egress_of
    from execution_arrow.errors import EgressRefused

    try:
        return str(egress_of(courier.policy).policy.check_url(url))
    except EgressRefused as error:
        raise RequestRejected([f"url: {error}"]) from error


def _known(events: Iterable[str]) -> tuple[str, ...]:
    if isinstance(events, str):
        raise RequestRejected([f"events: a list of types, not the text {events!r}"])
    given = tuple(dict.fromkeys(events))
    odd = [name for name in given if name.startswith(("generation.", "webhook.")) and name not in EVENTS]
    if odd:
        raise RequestRejected(
            [f"events: {name!r} never happens; there are {', '.join(EVENTS)}" for name in odd]
        )
    return given
