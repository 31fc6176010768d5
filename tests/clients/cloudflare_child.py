"""What Cloudflare's official client sees of the sandbox. It has a call and an answer, and no jobs at all."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

from tests.clients.scenarios import Scenarios, main, size

FLUX = "@cf/black-forest-labs/flux-1-schnell"


class Cloudflare(Scenarios):
    provider = "cloudflare"

    def __init__(self, box: Any) -> None:
        super().__init__(box)
        import cloudflare

        self._cloudflare, self._client = cloudflare, cloudflare.Cloudflare()
        self._plain = cloudflare.Cloudflare(max_retries=0)
        self._account = os.environ["CLOUDFLARE_ACCOUNT_ID"]

    def picture(self) -> Any:
        return size(base64.b64decode(self._run(self._client)["image"]))

    def picture_without_an_envelope(self) -> Any:
        answer = self._client.ai.with_raw_response.run(
            "@cf/leonardo/phoenix-1.0", account_id=self._account, prompt="a seal", width=640, height=384
        )
        return [answer.headers["content-type"], size(answer.read())]

    def picture_from_a_form(self) -> Any:
        """FLUX.2 has no typed method: the client's own `post`."""
        answer = self._client.post(
            f"/accounts/{self._account}/ai/run/@cf/black-forest-labs/flux-2-dev",
            cast_to=object,
            body={"prompt": "a seal", "width": "768", "height": "512"},
            files=[("input_image_0", ("a.png", b"\x89PNG", "image/png"))],
            options={"headers": {"Content-Type": "multipart/form-data"}},  # in this spelling alone it is seen
        )
        return size(base64.b64decode(answer["result"]["image"]))

    def throttled(self) -> Any:
        self._strike("rate_limited")
        return self._error(lambda: self._run(self._plain))

    def empty_purse_is_asked_again_all_the_same(self) -> Any:
        self._strike("no_credit")
        return self._statuses(lambda: self._run(self._client))

    def server_error(self) -> Any:
        self._strike("server_error")
        return self._error(lambda: self._run(self._plain))

    def failures(self) -> Any:
        told = []
        for kind in ("job_fails", "moderation"):
            self._strike(kind)
            told.append(self._error(lambda: self._run(self._plain)))
        return told

    def bad_input(self) -> Any:
        run = self._client.ai.run
        return [
            self._error(lambda: run("@cf/nobody/nothing", account_id=self._account, prompt="x")),
            self._error(lambda: run(FLUX, account_id=self._account, prompt="x", width=512)),
        ]

    def lost_reply(self) -> Any:
        return self._paid_twice(lambda: self._run(self._client))

    def _run(self, client: Any) -> Any:
        return client.ai.run(FLUX, account_id=self._account, prompt="a seal")

    def _error(self, call: Callable[[], Any]) -> list[Any]:
        try:
            call()
        except self._cloudflare.APIStatusError as error:
            return [error.status_code, *(item.code for item in error.errors)]
        return []


if __name__ == "__main__":
    main(Cloudflare)
