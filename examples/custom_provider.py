"""A provider of your own: a GPU server in the next room, asked first, with the shipped ones behind it.

How it is asked is data, in `own_catalog/`. How its answers are read is the class `Studio`.
"""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from PIL import Image

from execution_arrow import Arrow, facts
from execution_arrow.ports import Payload
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Call, Context, Reply, Semantics
from execution_arrow.providers.synchronous import Synchronous
from execution_arrow.sandbox import Sandbox
from rosetta_bridge import Catalog

# A declared refusal lets the next one be asked. Whatever is not in here may have been made: `unknown`.
FAULTS = {400: facts.Fault.CALLER, 401: facts.Fault.ACCOUNT, 429: facts.Fault.HERE, 503: facts.Fault.PROVIDER}
KEY, URL = "STUDIO_API_KEY", "http://studio.internal"


class Studio(Synchronous):
    semantics = Semantics(
        name="studio", base_url=URL, key_variable=KEY, poll_every=None, webhook=None, cancel=None
    )

    def build_submit(self, payload: Payload, context: Context) -> Call:
        key = {"authorization": f"Bearer {context.secret.reveal()}"}
        return Call(method="POST", url=context.base_url + payload.path, headers=key, json=payload.body)

    def read_submit(self, payload: Payload, reply: Reply) -> facts.SubmitFact:
        if reply.status == 200 and reply.body.startswith(b"\xff\xd8"):
            return facts.Completed(outputs=(facts.Output(index=0, media_type="image/jpeg"),))
        if fault := FAULTS.get(reply.status):
            return facts.Refused(fault=fault, code=f"http_{reply.status}", status=reply.status)
        return facts.Ambiguous(message="not a picture", status=reply.status)


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the server in the next room
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        Image.new("RGB", (1024, 1024), "navy").save(self.wfile, "JPEG")


server = HTTPServer(("127.0.0.1", 0), Server)
Thread(target=server.serve_forever, daemon=True).start()

os.environ.setdefault(KEY, "made-up")
with Sandbox() as sandbox:
    place = sandbox.options()
    place["base_urls"]["studio"] = f"http://127.0.0.1:{server.server_port}"
    place["catalog"] = Catalog.open(Path(__file__).parent / "own_catalog")
    with Arrow.open("media-data", providers={**shipped(), "studio": Studio()}, **place) as arrow:
        arrow.ledger.grant("acct_1", "5", key="hello", create=True)
        asked = {"generation_prompt": "dusk"}
        assert arrow.generate_and_wait("bfl/flux-schnell", asked, account="acct_1").provider_used == "studio"
        server.shutdown()
        server.server_close()
        done = arrow.generate_and_wait("bfl/flux-schnell", asked, account="acct_1")
        print([(attempt.provider, str(attempt.outcome)) for attempt in done.attempts])
        assert done.provider_used == "replicate"
