"""What the sandbox signs, Replicate's own verifier accepts."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from execution_arrow.sandbox import Sandbox, Timing

replicate = pytest.importorskip("replicate")
from replicate.webhook import InvalidSignatureError, Webhooks  # noqa: E402


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers.items()), body))  # type: ignore[attr-defined]
        self.server.bell.release()  # type: ignore[attr-defined]
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers, server.bell = [], [], threading.Semaphore(0)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_signed_callbacks(receiver):
    receiver.answers.append(500)  # the first one is delivered again
    with Sandbox(timing=Timing(queue=0.02, image=0.1)) as sandbox:
        client = replicate.Client(base_url=sandbox.base_url("replicate"), api_token="x")
        prediction = client.models.predictions.create(
            "black-forest-labs/flux-schnell",
            {"prompt": "a seal"},
            webhook=f"http://127.0.0.1:{receiver.server_port}/hook?token=t1",
            webhook_events_filter=["completed"],
        )
        for _ in range(2):
            assert receiver.bell.acquire(timeout=10)
        secret = client.webhooks.default.secret()
        assert sandbox.calls()[0].webhook.endswith("token=t1")
    (first, body), (headers, again) = receiver.got
    assert body == again
    assert first["webhook-id"] == headers["webhook-id"]
    assert json.loads(body)["id"] == prediction.id
    assert json.loads(body)["status"] == "succeeded"
    Webhooks.validate(headers=headers, body=body.decode(), secret=secret, tolerance=300)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=body.decode() + " ", secret=secret, tolerance=300)
