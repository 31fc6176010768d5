"""The result files of jobs: their addresses, and their bytes when somebody fetches them."""

from __future__ import annotations

from collections.abc import Callable

from execution_arrow.sandbox.faults import chance
from execution_arrow.sandbox.media import MEDIA_TYPES, render
from execution_arrow.sandbox.wire import Reply, reply
from execution_arrow.sandbox.work import Job, State

#: seconds that result URLs live, counted from the end of the job
LIVES = {"replicate": 3600.0, "fal": 7 * 86400.0, "byteplus": 86400.0, "alibabacloud": 86400.0,
         "bfl": 600.0, "runway": 86400.0}  # fmt: skip
#: a new question brings a new address, with a life of its own: Runway's SDK says so, at BFL it is a guess
RENEWED = frozenset({"bfl", "runway"})


class Files:
    """Files are drawn when they are asked for: a job's state and its order are all there is to store."""

    def __init__(
        self, origin: Callable[[], str], find: Callable[[str, str], Job | None], now: Callable[[], float]
    ) -> None:
        self._origin, self._find, self._now = origin, find, now

    def url(self, job: Job, index: int) -> str:
        """Where an output lies. An address that has a life of its own says when it was told."""
        told = f"?told={self._now():.3f}" if job.provider in RENEWED or job.dead_for else ""
        form = job.order.outputs[index].format
        return f"{self._origin()}/files/{job.provider}/{job.id}/{index}.{form}{told}"

    def render(self, job: Job, index: int) -> bytes:
        """The bytes of one output, its prompt and origin as a caption."""
        order, output = job.order, job.order.outputs[index]
        seed = order.seed + index if order.seed else int(chance(job.id, index) * 1_000_000)
        note = f"{order.model} · {order.provider} · seed {seed} · {output.width} x {output.height} · sandbox"
        return render(output, order.prompt, note, seed)

    def fetch(self, provider: str, name: str, file: str, told: str | None) -> Reply:
        """Answer for `/files/<provider>/<job>/<index>.<format>?told=<when>`."""
        now = self._now()
        job, number = self._find(provider, name), file.partition(".")[0]
        index = int(number) if number.isdecimal() else -1
        if job is None or job.empty or job.state(now) is not State.SUCCEEDED:
            return reply(404, {"detail": "no such file"})
        since = _seconds(told, job.ended)
        if since < job.ended + job.dead_for or now >= since + LIVES.get(job.provider, 3600.0):
            return reply(404 if told is None else 403, {"detail": "this file has expired"})
        if not 0 <= index < len(job.order.outputs):
            return reply(404, {"detail": f"job {name} has no file {file}"})
        headers = {"content-type": MEDIA_TYPES[job.order.outputs[index].format]}
        return Reply(status=200, headers=headers, body=lambda: self.render(job, index))


def _seconds(told: str | None, otherwise: float) -> float:
    """When an address was told; a time that nobody told is long ago."""
    if told is None:
        return otherwise
    return float(told) if told.replace(".", "", 1).isdigit() and told.isascii() else 0.0
