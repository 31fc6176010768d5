"""What BytePlus' official client sees of the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.clients.scenarios import Scenarios, main, size

PICTURE = {"model": "seedream-4-0-250828", "prompt": "a seal", "size": "1024x1024", "response_format": "url"}
CLIP = {
    "model": "seedance-1-0-pro-250528",
    "content": [{"type": "text", "text": "waves"}],
    "resolution": "480p",
    "duration": 2,
}


class BytePlus(Scenarios):
    provider = "byteplus"

    def __init__(self, box: Any) -> None:
        super().__init__(box)
        import byteplussdkarkruntime as ark

        self._ark = ark
        address = box.base_url("byteplus")
        self._client = ark.Ark(base_url=address, api_key="x")  # it reads the key from the environment alone
        self._plain = ark.Ark(base_url=address, api_key="x", max_retries=0)
        self._tasks = self._client.content_generation.tasks

    def picture(self) -> Any:
        made = self._client.images.generate(**PICTURE)
        return [size(httpx.get(made.data[0].url).content), made.usage.generated_images]

    def clip(self) -> Any:
        task = self._tasks.create(**CLIP)
        done = self._ended(task.id)
        listed = self._tasks.list(status="succeeded").items
        return [done.status, httpx.get(done.content.video_url).content[4:8].decode(), listed[0].id == task.id]

    def cancel_while_queued(self) -> Any:
        self._strike("queued", seconds=60)
        task = self._tasks.create(**CLIP)
        self._tasks.delete(task_id=task.id)
        bills = [bill.amount for bill in self.box.bills("byteplus") if bill.job == task.id]
        return [self._tasks.get(task_id=task.id).status, bills]

    def cancel_while_running(self) -> Any:
        self._strike("slow", seconds=60)
        task = self._tasks.create(**CLIP)
        self._until(lambda: self._tasks.get(task_id=task.id).status, lambda status: status == "running")
        return self._error(lambda: self._plain.content_generation.tasks.delete(task_id=task.id))

    def delete_erases_what_has_ended(self) -> Any:
        task = self._tasks.create(**CLIP)
        self._ended(task.id)
        self._tasks.delete(task_id=task.id)
        return self._error(lambda: self._tasks.get(task_id=task.id))

    def refusals(self) -> Any:
        told = {}
        for kind in ("rate_limited", "server_error", "no_credit"):
            self._strike(kind)
            told[kind] = self._error(lambda: self._plain.images.generate(**PICTURE))
        return told

    def failed_clips(self) -> Any:
        told = []
        for kind in ("job_fails", "moderation"):
            self._strike(kind)
            done = self._ended(self._tasks.create(**CLIP).id)
            told.append([done.status, done.error.code])
        return told

    def moderated_picture(self) -> Any:
        self._strike("moderation")
        return self._error(lambda: self._plain.images.generate(**PICTURE))

    def server_error_is_posted_again(self) -> Any:
        self._strike("server_error")
        return self._statuses(lambda: self._tasks.create(**CLIP))

    def lost_reply(self) -> Any:
        return self._paid_twice(lambda: self._tasks.create(**CLIP))

    def _ended(self, task: str) -> Any:
        return self._until(
            lambda: self._tasks.get(task_id=task), lambda told: told.status in ("succeeded", "failed")
        )

    def _error(self, call: Callable[[], Any]) -> list[Any]:
        from byteplussdkarkruntime._exceptions import ArkAPIStatusError

        try:
            call()
        except ArkAPIStatusError as error:
            return [error.status_code, error.code]
        return []


if __name__ == "__main__":
    main(BytePlus)
