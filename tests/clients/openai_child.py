"""What OpenAI's official client sees of the sandbox."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable
from typing import Any

from tests.clients.scenarios import Scenarios, main, size

PICTURE = {"model": "gpt-image-2", "prompt": "a seal on a rock", "size": "768x512"}
CLIP = {"model": "sora-2", "prompt": "waves", "seconds": "4", "size": "720x1280"}


class OpenAI(Scenarios):
    provider = "openai"

    def __init__(self, box: Any) -> None:
        super().__init__(box)
        import openai

        warnings.simplefilter("ignore")  # every method of videos says that the API closes
        self._openai, self._client = openai, openai.OpenAI()  # addresses and key from the environment
        self._plain = openai.OpenAI(max_retries=0)

    def pictures(self) -> Any:
        made = self._client.images.generate(**PICTURE, n=2, output_format="webp")
        return [size(base64.b64decode(item.b64_json)) for item in made.data]

    def edit_as_a_form(self) -> Any:
        """The typed method sends files; two pictures and a mask."""
        given = base64.b64decode(self._client.images.generate(**PICTURE).data[0].b64_json)
        made = self._client.images.edit(
            model="gpt-image-2",
            prompt="a hat",
            image=[("a.png", given), ("b.png", given)],
            mask=("m.png", given),
        )
        return [size(base64.b64decode(made.data[0].b64_json)), self.box.jobs("openai")[-1].order.references]

    def clip(self) -> Any:
        made = self._client.videos.create_and_poll(**CLIP)
        content = self._client.videos.download_content(made.id).read()
        listed = [video.id for video in self._client.videos.list(limit=1)]
        gone = self._client.videos.delete(made.id)
        again = self._error(lambda: self._client.videos.retrieve(made.id))
        return [made.status, content[4:8].decode(), listed[0] == made.id, gone.deleted, again["status"]]

    def delete_while_it_runs(self) -> Any:
        """There is no cancel: what runs goes on, and is billed."""
        self._strike("slow", seconds=0.3)
        made = self._client.videos.create(**CLIP)
        error = self._error(lambda: self._client.videos.delete(made.id))
        bills = self._until(
            lambda: [bill.amount for bill in self.box.bills("openai") if bill.job == made.id], bool
        )
        return [error["status"], bills]

    def throttled(self) -> Any:
        self._strike("rate_limited")
        return self._error(lambda: self._plain.images.generate(**PICTURE))

    def server_error_is_posted_again(self) -> Any:
        self._strike("server_error")
        return self._statuses(lambda: self._client.images.generate(**PICTURE))

    def no_credit(self) -> Any:
        self._strike("no_credit")
        return self._error(lambda: self._plain.images.generate(**PICTURE))

    def moderation(self) -> Any:
        self._strike("moderation")
        return self._error(lambda: self._client.images.generate(**PICTURE))

    def failed_picture(self) -> Any:
        self._strike("job_fails")
        return self._error(lambda: self._plain.images.generate(**PICTURE))

    def failed_clips(self) -> Any:
        told = []
        for kind in ("job_fails", "moderation"):
            self._strike(kind)
            made = self._client.videos.create_and_poll(**CLIP)
            told.append([made.status, made.error.code])
        return told

    def bad_input(self) -> Any:
        return [
            self._error(lambda: self._client.images.generate(**{**PICTURE, "size": "100x100"})),
            self._error(lambda: self._client.images.generate(**{**PICTURE, "model": "dall-e-3"})),
        ]

    def lost_reply(self) -> Any:
        return self._paid_twice(lambda: self._client.images.generate(**PICTURE))

    def _error(self, call: Callable[[], Any]) -> dict[str, Any]:
        try:
            call()
        except self._openai.APIStatusError as error:
            kind = type(error).__name__
            return {"status": error.status_code, "kind": kind, "code": error.code, "type": error.type}
        return {"status": None}


if __name__ == "__main__":
    main(OpenAI)
