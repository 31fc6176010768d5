"""Whatever is sent, a provider answers in its own words and the sandbox does not break."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_arrow.sandbox import Sandbox
from execution_arrow.sandbox.desks import DESKS
from execution_arrow.sandbox.engine import Engine
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.models import MODELS
from execution_arrow.sandbox.wire import Reply, Request, Wait

EXAMPLES = int(os.environ.get("N", "1")) * 150
FIELDS = sorted(
    {name for models in MODELS.values() for model in models.values() for name in model.properties or ()}
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["16:9", "2K", "2848x1600", "1 MP", "..", "8s", "auto", "custom", "0.0.1", "square_hd"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*FIELDS, "type", "text", "width", "max_images"]), inner, max_size=4),
    ),
    max_leaves=6,
)
INPUTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
TASK = {"x-dashscope-async": "enable"}  # makes tasks at Model Studio, and nothing elsewhere
ACCESS = {"x-key": "a", "x-runway-version": "2024-11-06"}  # what BFL and Runway want, and nobody else reads
OPEN = {"acme/image": Model(kind="image"), "acme/video": Model(kind="video", many=False)}


def authorization(name: str) -> str:
    return "Key a" if name == "fal" else "Bearer a"


def path_of(model: str) -> str:
    """Where Model Studio takes a model; any model that is not its own is taken as a task."""
    known = MODELS["alibabacloud"].get(model)
    return known.family if known is not None else "video-generation/video-synthesis"


def submits(name: str, model: str, value: Any) -> tuple[str, Any]:
    endpoint, _, place = model.partition("/")  # Runway's models stand below their endpoint
    return {
        "replicate": (f"/v1/models/{model}/predictions", {"input": value}),
        "bfl": (f"/v1/{model}", value),
        "runway": (
            f"/v1/text_to_{place}" if model in OPEN else f"/v1/{endpoint}",
            {**value, "model": model if model in OPEN else place} if isinstance(value, dict) else value,
        ),
        "fal": (f"/{model}", value),
        "byteplus": (
            "/api/v3/images/generations" if "image" in model or "seedream" in model
            else "/api/v3/contents/generations/tasks",
            {**value, "model": model} if isinstance(value, dict) else value,
        ),
        "cloudflare": (f"/client/v4/accounts/0/ai/run/{model}", value),
        "openai": (
            "/v1/videos" if "video" in model or "sora" in model else "/v1/images/generations",
            {**value, "model": model} if isinstance(value, dict) else value,
        ),
        "alibabacloud": (
            f"/api/v1/services/aigc/{path_of(model)}", {"model": model, "input": value, "parameters": value}
        ),
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", sorted(MODELS))
def test_any_input_is_answered(name):
    engine, accepted = Engine(), []
    desk = DESKS[name](
        engine, file_url=lambda job, index: f"http://f/{index}", render=lambda *_: b"", models=OPEN
    )

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(model=st.sampled_from(sorted(desk.models)), value=st.one_of(INPUTS, VALUES))
    def ask(model: str, value: Any) -> None:
        path, body = submits(name, model, value)
        headers = {"authorization": authorization(name), **ACCESS, **({} if "multimodal" in path else TASK)}
        number = engine.receive(name, "POST", path, reference=None, now=0.0)
        request = Request(
            method="POST", path=path, headers=headers,
            body=json.dumps(body).encode(), call=number,
        )  # fmt: skip
        answer = desk.handle(request, 0.0)
        while isinstance(answer, Wait):
            answer = answer.then(1e6)
        assert isinstance(answer, Reply)
        assert answer.status < 500
        name_of_job = engine.call(number).job
        if name_of_job is not None:
            job = engine.job(name, name_of_job)
            made = job.order.outputs
            assert all(1 <= item.width <= 8192 and 1 <= item.height <= 8192 for item in made)
            assert all(item.seconds <= 60 and len(made) <= 15 for item in made)
            assert engine.prices.bill(job, 1e7, None).amount >= 0
            accepted.append(job)

    ask()
    assert accepted, "no input was ever accepted, so nothing was tried"


@given(body=st.binary(max_size=60), path=st.text(alphabet="/abv1predictions.%2F ", max_size=40))
@pytest.mark.parametrize("name", sorted(MODELS))
def test_any_bytes_at_any_path_are_answered(name, body, path):
    engine = Engine()
    desk = DESKS[name](engine, file_url=lambda *_: "", render=lambda *_: b"")
    for method in ("POST", "GET", "PUT", "DELETE"):
        number = engine.receive(name, method, path, reference=None, now=0.0)
        headers = {"authorization": authorization(name), **ACCESS}
        answer = desk.handle(Request(method=method, path=path, headers=headers, body=body, call=number), 0.0)
        assert isinstance(answer, Reply)
        assert 400 <= answer.status < 500 or method == "GET"


@pytest.mark.parametrize(
    "name", ["resolution", "aspect_ratio", "size", "duration", "fps", "seed", "megapixels"]
)
def test_numbers_too_long_to_be_one(name: str) -> None:
    """A model whose input is not checked gets whatever somebody wrote, and still makes something."""
    with Sandbox() as sandbox:
        for model in ("wan-video/wan-2.5-t2v-fast", "black-forest-labs/flux-dev"):
            for number in ("9" * 5000, f"{'9' * 5000}:1", "1." + "9" * 5000):
                answer = httpx.post(
                    f"{sandbox.base_url('replicate')}/v1/models/{model}/predictions",
                    json={"input": {"prompt": "x", name: number}},
                    headers={"authorization": "Bearer x"},
                )
                assert answer.status_code == 201
