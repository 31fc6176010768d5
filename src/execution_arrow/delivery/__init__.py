"""Outgoing webhooks: events of generations, signed and sent to the addresses that asked for them.

What happened is written by the job store in the commit that made it true (`stores.outgoing`). Here is the
rest: who may be told (`endpoints`), what is said (`payload`), when it is tried again and when an address is
given up (`policy`), the loop that does it (`courier`), and the verbs for people (`desk`).
`verify_webhook` is for those who receive.
"""

from __future__ import annotations

from execution_arrow.delivery.desk import Webhooks
from execution_arrow.delivery.endpoints import WebhookEndpoint
from execution_arrow.delivery.policy import WebhookPolicy
from execution_arrow.delivery.receiving import verify_webhook

__all__ = ["WebhookEndpoint", "WebhookPolicy", "Webhooks", "verify_webhook"]
