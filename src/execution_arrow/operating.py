"""The verbs of `AsyncArrow` that are not a customer's: what web handlers and operators call."""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.webhooks import Inbound, WebhookReply


class Operating:
    """A part of `AsyncArrow`, which makes what is named here."""

    _inbound: Inbound

    async def handle_webhook(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> WebhookReply:
        """Take a provider's callback; answer it with the reply's `status`.

        Providers are given `<public_url>/<provider>/<token>` to call: pass those last two parts, the headers
        and the raw body. Any process may do it, whoever owns the generation. Signed content is verified and
        kept before this returns; unsigned content is never believed, the provider is asked instead. What is
        forged, stale, foreign, repeated or malformed changes nothing, and `reason` says which it was. Never
        raises for what a stranger may send; a store that is away is a 503, so that the provider calls again.
        """
        return await self._inbound.handle(provider, token, headers, body)
