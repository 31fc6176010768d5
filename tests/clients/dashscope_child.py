"""What Alibaba Cloud's official client sees of the sandbox. It raises nothing: errors are answers, too."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.clients.scenarios import Scenarios, main, size

CLIP = {"model": "wan2.6-t2v", "prompt": "waves", "size": "832*480", "duration": 2}
PICTURE = {"model": "wan2.5-t2i-preview", "prompt": "a seal", "size": "640*480", "n": 2}
ASKED = [{"role": "user", "content": [{"text": "a seal"}]}]


class DashScope(Scenarios):
    provider = "alibabacloud"

    def __init__(self, box: Any) -> None:
        super().__init__(box)
        import dashscope  # reads its address from the environment when it is imported

        assert dashscope.base_http_api_url == os.environ["DASHSCOPE_HTTP_BASE_URL"]
        self._clips, self._pictures = dashscope.VideoSynthesis, dashscope.ImageSynthesis
        self._messages = dashscope.MultiModalConversation

    def clip(self) -> Any:
        self._strike("queued", seconds=0.1)
        told = self._clips.async_call(**CLIP)
        states = [told.output.task_status]
        while states[-1] not in ("SUCCEEDED", "FAILED"):
            time.sleep(0.02)
            told = self._clips.fetch(told)
            states.append(told.output.task_status)
        file = httpx.get(told.output.video_url).content
        return [list(dict.fromkeys(states)), file[4:8].decode(), told.usage.video_count]

    def pictures(self) -> Any:
        told = self._ended(self._pictures, self._pictures.async_call(**PICTURE))
        return [size(httpx.get(item.url).content) for item in told.output.results]

    def clip_from_files(self) -> Any:
        """Files of this machine: the client gets a certificate, fills in the form and names `oss://`."""
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "a b.png"
            picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
            told = self._clips.async_call(
                model="wan2.5-i2v-preview", prompt="waves", img_url=f"file://{picture}"
            )
        return self._ended(self._clips, told).output.task_status

    def a_file_for_another_model(self) -> Any:
        lost = "oss://dashscope-instant/none/a.png"
        told = self._clips.async_call(model="wan2.5-i2v-preview", prompt="waves", img_url=lost)
        return [told.status_code, told.code]

    def picture_in_the_answer(self) -> Any:
        told = self._messages.call("qwen-image-plus", messages=ASKED, size="1664*928")
        return size(httpx.get(told.output.choices[0].message.content[0]["image"]).content)

    def cancel_while_pending(self) -> Any:
        self._strike("queued", seconds=60)
        task = self._clips.async_call(**CLIP)
        canceled = self._clips.cancel(task)
        bills = [bill.amount for bill in self.box.bills() if bill.job == task.output.task_id]
        return [canceled.status_code, self._clips.fetch(task).output.task_status, bills]

    def cancel_while_running(self) -> Any:
        self._strike("slow", seconds=60)
        task = self._clips.async_call(**CLIP)
        self._until(lambda: self._clips.fetch(task).output.task_status, lambda status: status == "RUNNING")
        refused = self._clips.cancel(task)
        return [refused.status_code, refused.code]

    def unknown_task(self) -> Any:
        told = self._clips.fetch("00000000-0000-4000-8000-000000000000")
        return [told.status_code, told.output.task_status]

    def listed(self) -> Any:
        return self._clips.list(status="CANCELED").status_code

    def refusals(self) -> Any:
        told = {}
        for kind in ("rate_limited", "server_error", "no_credit"):
            self._strike(kind)
            answer = self._clips.async_call(**CLIP)
            told[kind] = [answer.status_code, answer.code]
        return told

    def failures(self) -> Any:
        told = {}
        for kind in ("job_fails", "moderation"):
            self._strike(kind)
            ended = self._ended(self._clips, self._clips.async_call(**CLIP)).output
            self._strike(kind)
            at_once = self._messages.call("qwen-image-plus", messages=ASKED)
            told[kind] = [ended.task_status, ended["code"], at_once.status_code, at_once.code]
        return told

    def bad_input(self) -> Any:
        answers = [
            self._clips.async_call(**{**CLIP, "model": "wan9"}),
            self._clips.async_call(**{**CLIP, "size": "832x480"}),
            self._messages.call("wan2.5-t2v-preview", messages=ASKED),
        ]
        return [[answer.status_code, answer.code] for answer in answers]

    def lost_reply(self) -> Any:
        return self._paid_twice(lambda: self._clips.async_call(**CLIP))

    def _ended(self, kind: Any, task: Any) -> Any:
        return self._until(
            lambda: kind.fetch(task), lambda told: told.output.task_status in ("SUCCEEDED", "FAILED")
        )


if __name__ == "__main__":
    main(DashScope)
