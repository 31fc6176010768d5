"""Callbacks from providers: any web server will do, here the standard library's.

A result is there as soon as the provider says so, instead of at the next poll. What a stranger sends changes
nothing and gets the status that says why.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from execution_arrow import Arrow
from execution_arrow.sandbox import Sandbox

heard: list[tuple[int, str]] = []
believed = threading.Event()


class Hooks(BaseHTTPRequestHandler):
    """`POST /hooks/<provider>/<token>`"""

    def do_POST(self) -> None:
        provider, token = self.path.split("/")[-2:]
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 8 << 20))  # raw: it is signed
        reply = arrow.handle_webhook(provider, token, dict(self.headers), body)
        self.send_response(reply.status)
        self.end_headers()
        heard.append((reply.status, reply.reason))
        if reply.status == 200:
            believed.set()

    def log_message(self, *_: object) -> None:
        """Quiet."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hooks"  # in production the https address of your service

with Sandbox() as sandbox, Arrow.open("media-data", public_url=url, **sandbox.options()) as arrow:
    arrow.ledger.grant("acct_1", "5", key="hello", create=True)
    asked = {"generation_prompt": "a lighthouse", "generation_provider_order": "replicate"}
    started = arrow.generate("bytedance/seedream-4.5", asked, account="acct_1")
    done = arrow.wait(started.id, timeout=60)
    forged = httpx.post(f"{url}/replicate/{done.id}.guessed", json={"status": "succeeded"})
    assert forged.status_code == 404  # nobody was told this token
    assert believed.wait(60)  # the provider's own call, which may also come after the poll
    print(done.status, heard)
server.shutdown()
