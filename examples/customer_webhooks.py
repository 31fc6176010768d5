"""Webhooks to your customers: the sender is an Arrow, the receiver checks each one and acts on it once."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from execution_arrow import Arrow
from execution_arrow.delivery import WebhookPolicy, verify_webhook
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import WebhookRejected
from execution_arrow.sandbox import Sandbox

secrets: list[str] = []  # the receiver's, as it was shown when the endpoint was added
seen: dict[str, str] = {}  # in your database, written in the transaction that acts on the event
ended = threading.Event()


class Receiver(BaseHTTPRequestHandler):
    """What a customer runs; the libraries of standardwebhooks.com verify the same messages."""

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 1 << 20))  # raw: it is signed
        try:
            event = verify_webhook(dict(self.headers), body, secrets[0])
        except WebhookRejected as no:
            self.send_response(no.http_status)
        else:
            self.send_response(204)  # within ten seconds; the work comes later
            seen.setdefault(self.headers["webhook-id"], event["webhook_event"])  # each may come again
        self.end_headers()
        if "generation.completed" in seen.values():
            ended.set()

    def log_message(self, *_: object) -> None:
        """Quiet."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.setdefault(
    "EXECUTION_ARROW_WEBHOOK_KEY", "made once, of 32 characters or more, kept with your keys"
)
here = WebhookPolicy(egress=EgressPolicy(allow_loopback=True))  # without it: the public internet, https alone

with Sandbox() as sandbox, Arrow.open("media-data", worker=True, webhooks=here, **sandbox.options()) as arrow:
    endpoint = arrow.webhooks.add(f"http://127.0.0.1:{server.server_port}/hooks", account="acct_1")
    secrets.append(arrow.webhooks.secret(endpoint.id).reveal())
    arrow.ledger.grant("acct_1", "5", key="hello", create=True)
    arrow.generate("bfl/flux-schnell", {"generation_prompt": "a lighthouse"}, account="acct_1")
    assert ended.wait(60)
    arrow.webhooks.disable(endpoint.id)
print(list(seen.values()))
assert list(seen.values()) == ["generation.started", "generation.completed"]  # in order
server.shutdown()
