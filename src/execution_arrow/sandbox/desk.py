"""What every provider does with a call, whatever its words: check, meet a fault, take the job, answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.checks import Problem, problems
from execution_arrow.sandbox.engine import Engine
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.models import MODELS
from execution_arrow.sandbox.webhooks import Notice
from execution_arrow.sandbox.wire import Answer, Field, HangUp, Reply, Request, Wait, lost
from execution_arrow.sandbox.work import Job, Order, Output

#: faults by which nothing is accepted, each said by a method of the provider of the same name
_REFUSALS = ("rate_limited", "server_error", "no_credit")


class Desk:
    """One provider. Subclasses route calls and find the words; `file_url` and `render` are the sandbox's.

    `models` adds models to the known ones; a model without known properties takes any input.
    """

    name: ClassVar[str]

    def __init__(
        self,
        engine: Engine,
        *,
        file_url: Callable[[Job, int], str],
        render: Callable[[Job, int], bytes],
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.engine, self.file_url, self.render = engine, file_url, render
        self.models = {**MODELS.get(self.name, {}), **(models or {})}

    def handle(self, request: Request, now: float) -> Answer:
        """Answer one call."""
        raise NotImplementedError

    def notice(self, request: Request, job: Job, now: float) -> Notice | None:
        """What a callback says about a job that has just changed; None where this change is not told."""
        return None

    def rate_limited(self, fault: Fault) -> Reply:
        raise NotImplementedError

    def server_error(self, fault: Fault) -> Reply:
        raise NotImplementedError

    def no_credit(self, fault: Fault) -> Reply:
        raise NotImplementedError

    # --- the common way -----------------------------------------------------------------------------------

    def check(self, model: Model, value: Any, *, closed: bool = True) -> tuple[Problem, ...]:
        return problems(model, value, closed=closed)

    def submit(
        self, request: Request, order: Order, now: float, answer: Callable[[Job, float], Answer]
    ) -> Answer:
        """Take an order unless a fault forbids it, and answer with what `answer(job, now)` says."""
        self.engine.note(request.call, on="submit", model=order.model, webhook=order.webhook)
        fault = self.engine.strike(self.name, "submit", order.model, request.call)
        refusal = self._refusal(fault)
        if refusal is not None:
            return refusal
        job = self.engine.accept(order, fault, call=request.call, now=now)
        return _bent(fault, answer(job, now))

    def about(
        self, request: Request, on: str, job: Job, now: float, answer: Callable[[float], Answer]
    ) -> Answer:
        """A poll, result or cancel of a known job."""
        self.engine.note(request.call, on=on, model=job.model, job=job.id)
        fault = self.engine.strike(self.name, on, job.model, request.call)
        return self._refusal(fault) or _bent(fault, answer(now))

    def at_end(self, job: Job, now: float, answer: Callable[[Job, float], Answer]) -> Answer:
        """The answer of a synchronous provider: when the job has ended, or never."""
        if math.isinf(job.ended):
            return Wait(seconds=math.inf, then=lambda _: HangUp())
        if job.ended > now:
            return Wait(seconds=job.ended - now, then=lambda later: answer(job, max(later, job.ended)))
        return answer(job, now)

    def _refusal(self, fault: Fault | None) -> Answer | None:
        if fault is None:
            return None
        if fault.kind == "down":
            return HangUp(received=False)
        return getattr(self, fault.kind)(fault) if fault.kind in _REFUSALS else None

    def files(self, job: Job) -> list[str]:
        """The URLs of a succeeded job, none where its result is missing."""
        return [] if job.empty else [self.file_url(job, index) for index in range(len(job.order.outputs))]


def _bent(fault: Fault | None, answer: Answer) -> Answer:
    if fault is not None and fault.kind == "lost_reply":
        return lost(answer)
    if fault is not None and fault.kind == "delay":
        return Wait(seconds=fault.duration, then=lambda _: answer)
    return answer


# --- reading an input -----------------------------------------------------------------------------------


def from_form(
    form: Iterable[Field], *, numbers: Container[str], flags: Container[str] = ()
) -> dict[str, Any]:
    """A form as the object that it stands for: a file is `file`, `name[]` a list, the rest mostly texts."""
    body: dict[str, Any] = {}
    for part in form:
        value: Any = part.text if part.file is None else "file"
        if part.name in numbers and value.isascii() and value.isdigit() and len(value) < 11:
            value = int(value)
        elif part.name in flags:
            value = {"true": True, "false": False}.get(value, value)
        if part.name.endswith("[]"):
            body.setdefault(part.name, []).append(value)
        else:
            body[part.name] = value
    return body


def still(size: sizes.Size, form: Any) -> Output:
    return Output(kind="image", width=size[0], height=size[1], format=media_format(form))


def clip(size: sizes.Size, seconds: Any, fps: Any = 24) -> Output:
    """A clip of 1 to 60 seconds: whoever asks for more gets a minute, not a stuck laptop."""
    length, rate = min(max(integer(seconds, 5), 1), 60), min(max(integer(fps, 24), 1), 60)
    return Output(kind="video", width=size[0], height=size[1], format="mp4", seconds=length, fps=rate)


def copies(output: Output, count: Any) -> tuple[Output, ...]:
    return (output,) * max(1, min(count, 15)) if isinstance(count, int) else (output,)


def integer(value: Any, default: int) -> int:
    """A whole number wherever one is written: 5, 5.0, "5", "8s"."""
    try:
        return int(float(str(value).rstrip("s")))
    except (ValueError, OverflowError):
        return default


def media_format(value: Any, default: str = "jpeg") -> str:
    """`jpg` is `jpeg`; a word that is no picture format is the default."""
    word = {"jpg": "jpeg"}.get(str(value), str(value))
    return word if word in ("jpeg", "png", "webp") else default


def filled(model: Model, value: Mapping[str, Any]) -> dict[str, Any]:
    """The input with the model's defaults; null counts as absent."""
    return {**model.defaults, **{name: item for name, item in value.items() if item is not None}}


def with_prompt(order: Order, value: Mapping[str, Any]) -> Order:
    """Prompt and seed, for captions."""
    prompt = str(value.get("prompt") or "").encode("utf-8", "replace").decode()
    return replace(order, prompt=prompt, seed=integer(value.get("seed"), 0))
