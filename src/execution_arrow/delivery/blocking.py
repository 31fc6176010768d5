"""`Webhooks` for code without an event loop: the verbs of `arrow.webhooks`, each to its end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from execution_arrow.delivery.desk import Webhooks
from execution_arrow.delivery.endpoints import WebhookEndpoint
from execution_arrow.ports import Secret
from execution_arrow.stores.outgoing import Delivery, DeliveryState

T = TypeVar("T")


class Runner(Protocol):
    """Runs a verb on the Arrow's own loop."""

    def __call__(self, verb: Callable[[Webhooks], Coroutine[Any, Any, T]], /) -> T: ...


class BlockingWebhooks:
    """See `Webhooks`."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    def add(
        self,
        url: str,
        *,
        account: str | None = None,
        events: Iterable[str] = (),
        secret: str | None = None,
    ) -> WebhookEndpoint:
        return self._run(lambda w: w.add(url, account=account, events=events, secret=secret))

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        return self._run(lambda w: w.get(endpoint_id))

    def secret(self, endpoint_id: str) -> Secret:
        return self._run(lambda w: w.secret(endpoint_id))

    def rotate(
        self, endpoint_id: str, *, keep: float = 86_400.0, secret: str | None = None
    ) -> WebhookEndpoint:
        return self._run(lambda w: w.rotate(endpoint_id, keep=keep, secret=secret))

    def disable(self, endpoint_id: str) -> WebhookEndpoint:
        return self._run(lambda w: w.disable(endpoint_id))

    def enable(self, endpoint_id: str) -> WebhookEndpoint:
        return self._run(lambda w: w.enable(endpoint_id))

    def remove(self, endpoint_id: str) -> None:
        return self._run(lambda w: w.remove(endpoint_id))

    def deliveries(
        self,
        *,
        endpoint: str | None = None,
        state: DeliveryState | None = None,
        generation: str | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        return self._run(
            lambda w: w.deliveries(endpoint=endpoint, state=state, generation=generation, limit=limit)
        )

    def replay(self, endpoint_id: str, *, generation: str | None = None, no: int | None = None) -> int:
        return self._run(lambda w: w.replay(endpoint_id, generation=generation, no=no))

    def test(self, endpoint_id: str) -> int:
        return self._run(lambda w: w.test(endpoint_id))

    def publish(self, type: str, data: Mapping[str, Any], *, account: str, key: str) -> int:
        return self._run(lambda w: w.publish(type, data, account=account, key=key))

    def deliver(self) -> int:
        return self._run(lambda w: w.deliver())

    def list(self, *, account: str | None = None) -> list[WebhookEndpoint]:
        return self._run(lambda w: w.list(account=account))
