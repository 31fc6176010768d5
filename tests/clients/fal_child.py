"""Runs fal's official client against a sandbox with TLS and prints what it saw, as JSON.

A process of its own because fal-client reads its hosts when it is imported and insists on https: the hosts
must be known, and the CA trusted through SSL_CERT_FILE, before the import.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from execution_arrow.sandbox import Fault, Sandbox, Timing

MODEL = "fal-ai/flux/schnell"
INPUT = {"prompt": "a seal on a rock", "image_size": "landscape_16_9", "num_images": 2}


class Run:
    """The scenarios; each returns what the test looks at."""

    def __init__(self, sandbox: Sandbox) -> None:
        import fal_client

        self.box, self.fal = sandbox, fal_client

    def states(self) -> list[str]:
        self.box.fault("fal", Fault("queued", times=1, seconds=0.4))
        handle, seen = self.fal.submit(MODEL, INPUT), []
        while not seen or seen[-1] != "Completed":
            seen.append(type(handle.status(with_logs=True)).__name__)
            time.sleep(0.01)
        return list(dict.fromkeys(seen))

    def result(self) -> Any:
        import io

        import httpx
        from PIL import Image

        value = self.fal.submit(MODEL, INPUT).get()
        sizes = [Image.open(io.BytesIO(httpx.get(image["url"]).content)).size for image in value["images"]]
        return {"announced": [(image["width"], image["height"]) for image in value["images"]], "real": sizes}

    def subscribe_to_a_clip(self) -> Any:
        value = self.fal.subscribe("fal-ai/veo3.1/fast", {"prompt": "waves", "duration": "4s"})
        return value["video"]["content_type"]

    def synchronous(self) -> Any:
        return len(self.fal.run(MODEL, INPUT)["images"])

    def by_id(self) -> Any:
        handle = self.fal.submit(MODEL, INPUT)
        return len(self.fal.result(MODEL, handle.request_id)["images"])

    def cancel_queued(self) -> Any:
        self.box.fault("fal", Fault("never_finishes", times=1))
        handle = self.fal.submit(MODEL, INPUT)
        handle.cancel()
        return self.error(handle.get)

    def cancel_finished(self) -> Any:
        handle = self.fal.submit(MODEL, INPUT)
        handle.get()
        return self.error(handle.cancel)

    def throttled(self) -> Any:
        self.box.fault("fal", Fault("rate_limited", times=2))
        before = len(self.box.calls("fal"))
        self.fal.submit(MODEL, INPUT)
        return [call.status for call in self.box.calls("fal")[before:]]

    def server_error(self) -> Any:
        self.box.fault("fal", Fault("server_error", times=1))
        return self.error(lambda: self.fal.submit(MODEL, INPUT))

    def no_credit(self) -> Any:
        self.box.fault("fal", Fault("no_credit", times=1))
        return self.error(lambda: self.fal.submit(MODEL, INPUT))

    def job_fails(self) -> Any:
        return self.ends_badly("job_fails")

    def moderation(self) -> Any:
        return self.ends_badly("moderation")

    def ends_badly(self, kind: str) -> Any:
        self.box.fault("fal", Fault(kind, times=1))
        handle = self.fal.submit(MODEL, INPUT)
        error = self.error(handle.get)
        status = handle.status()
        bill = next(bill.amount for bill in self.box.bills() if bill.job == handle.request_id)
        return {**error, "status_error_type": status.error_type, "amount": bill}

    def start_timeout(self) -> Any:
        self.box.fault("fal", Fault("queued", times=1))
        handle = self.fal.submit(MODEL, INPUT, start_timeout=1.01)
        return self.error(handle.get)

    def invalid_input(self) -> Any:
        return self.error(self.fal.submit(MODEL, {"image_size": "huge"}).get)

    def unknown_endpoint(self) -> Any:
        return self.error(lambda: self.fal.submit("fal-ai/nope", INPUT))

    def lost_reply(self) -> Any:
        """The official client posts again: two jobs, two bills."""
        self.box.fault("fal", Fault("lost_reply", times=1))
        before = len(self.box.jobs("fal"))
        self.fal.submit(MODEL, INPUT).get()
        time.sleep(0.3)
        new = {job.id for job in self.box.jobs("fal")[before:]}
        return [bill.amount for bill in self.box.bills() if bill.job in new]

    def error(self, call: Callable[[], Any]) -> dict[str, Any]:
        try:
            call()
        except self.fal.FalClientHTTPError as error:
            return {"status": error.status_code, "type": error.error_type, "text": str(error)}
        return {"status": None, "type": None, "text": "no error"}


SCENARIOS = [
    name for name in vars(Run) if not name.startswith("_") and name not in ("ends_badly", "error")
]  # in the order of the class


def main(certificate: str, key: str) -> None:
    with Sandbox(tls=(certificate, key), timing=Timing(queue=0.03, image=0.1, video=0.1)) as sandbox:
        os.environ.update(sandbox.environment())
        run = Run(sandbox)
        print(json.dumps({name: getattr(run, name)() for name in SCENARIOS}))


if __name__ == "__main__":
    main(*sys.argv[1:])
