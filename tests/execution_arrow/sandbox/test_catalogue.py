"""Two transcriptions of the providers' inputs judge each other: the sandbox takes what is rendered."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from execution_arrow.errors import MaybeSentError
from execution_arrow.inputs.bodies import filled
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers import shipped
from execution_arrow.sandbox import PROVIDERS, Sandbox
from execution_arrow.wiring import _payload
from rosetta_bridge import Catalog, InvalidRequest
from tests.execution_arrow.providers import samples as s

PNG = InputFile(data=b"\x89PNG\r\n\x1a\n" + bytes(60), media_type="image/png")
PICTURE, MASK, CLIP = (f"https://files.example/{name}" for name in ("in.png", "mask.png", "in.mp4"))
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"generation_input_file": [PICTURE]},
    {"generation_input_file": [PICTURE], "generation_mask_file": MASK},
    {"generation_input_video_file": CLIP},
    {"generation_input_video_file": CLIP, "generation_input_file": [PICTURE]},
    {"generation_ratio": "9:16"},
)


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[tuple[str, Payload]]]:
    """What every provider is sent for some plain wishes at every model that can have them."""
    catalog, found = Catalog.shipped(include="secondary"), defaultdict(list)
    for name in catalog.models():
        model = catalog[name]
        for wish in WISHES:
            asks = "generation_prompt" in model.contract.fields
            prompt = {"generation_prompt": "a lighthouse"} if asks else {}
            try:
                request = model.normalize({**prompt, **wish})
            except InvalidRequest:
                continue
            for provider in model.eligible(request):
                found[provider].append((name, _payload(model.render(request, provider))))
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_the_catalogue_renders_is_taken(
    rendered: dict[str, list[tuple[str, Payload]]], provider: str
) -> None:
    """Nothing is unknown there, and nothing wrong. Whether a job was taken says it; results are not made."""

    async def work() -> list[str]:
        box, refused = Sandbox(), []
        transport, context = box.transport(), s.context(box.base_url(provider), settings={"account_id": "0"})
        for name, payload in rendered[provider]:
            ready = filled(payload, dict.fromkeys(payload.fetches, PNG))
            before = len(box.jobs(provider))
            try:
                call = shipped()[provider].build_submit(ready, context)
                answer = await transport.send(replace(call, timeout=0.01))
                said = f"{answer.status} {answer.body[:200]!r}"
            except MaybeSentError as error:
                said = str(error)
            if len(box.jobs(provider)) == before:
                refused.append(f"{name} {payload.route}: {said}")
        return refused

    assert rendered[provider]
    assert asyncio.run(work()) == []
