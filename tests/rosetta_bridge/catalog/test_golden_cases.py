"""Golden cases: a public request and what each provider is sent, as data that any language can run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rosetta_bridge import Catalog, NotEligible

FOLDER = Path(__file__).parent / "cases"
CATALOG = Catalog.shipped(include="secondary")


def cases() -> list[Any]:
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        for case in document["cases"]:
            found.append(pytest.param(document["model"], case, id=f"{document['model']}: {case['name']}"))
    return found


def observed(model: str, data: dict[str, Any], provider: str) -> dict[str, Any]:
    loaded = CATALOG[model]
    request = loaded.normalize(data)
    verdict = {one.provider: one for one in loaded.explain(request)}[provider]
    if not verdict.eligible:
        with pytest.raises(NotEligible):
            loaded.render(request, provider)
        return {"excluded_by": verdict.field}
    payload = loaded.render(request, provider)
    seen: dict[str, Any] = {"route": payload.route, "path": payload.path, "body": payload.body}
    seen |= {"dropped": list(payload.dropped)} if payload.dropped else {}
    seen |= {"headers": payload.headers} if payload.headers else {}
    seen |= {"encoding": payload.encoding} if payload.encoding != "json" else {}
    cost = loaded.cost(request, provider)
    return seen if cost is None else {**seen, "cost": cost.micros}


@pytest.mark.parametrize(("model", "case"), cases())
def test_each_provider_is_sent_exactly_this(model: str, case: dict[str, Any]) -> None:
    seen = {provider: observed(model, case["request"], provider) for provider in case["expected"]}
    assert json.loads(json.dumps(seen)) == case["expected"]
    assert set(case["expected"]) == set(CATALOG[model].mappings), "a case speaks about every provider"


def test_every_model_has_cases_that_reach_every_route() -> None:
    """A route without a golden case could change its payload unnoticed."""
    reached: set[tuple[str, str, str]] = set()
    for file in FOLDER.glob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        for case in document["cases"]:
            for provider, expected in case["expected"].items():
                reached.add((document["model"], provider, expected.get("route", "")))
    every = {
        (model, provider, route.name)
        for model in CATALOG.models()
        for provider, mapping in CATALOG[model].mappings.items()
        for route in mapping.routes
    }
    assert every - reached == set()


def test_the_example_of_the_readme() -> None:
    """One ratio, one input file: three providers, three wordings of the same request."""
    model = CATALOG["bytedance/seedream-4.5"]
    url = "https://example.com/in.png"
    request = model.normalize(
        {"generation_prompt": "at dusk", "generation_ratio": "16:9", "generation_input_file": [url]}
    )
    replicate = model.render(request, "replicate").arguments
    assert (replicate["aspect_ratio"], replicate["image_input"]) == ("16:9", [url])
    fal = model.render(request, "fal")
    assert fal.model == "fal-ai/bytedance/seedream/v4.5/edit"
    assert fal.arguments["image_urls"] == [url]
    assert fal.arguments["image_size"] == {"width": 2848, "height": 1600}
    byteplus = model.render(request, "byteplus").arguments
    assert (byteplus["size"], byteplus["image"]) == ("2848x1600", [url])


LATE = {
    "qwen/image-edit-plus": (
        "fal",
    ),  # left out, the ratio means the shape of the input; these answer with a square
    "bfl/flux-2-klein-4b": ("fal",),  # only editing: the text endpoint there is another model
    "kling/o1": ("fal",),  # a first frame or reference pictures, either of them
    "xai/grok-imagine-video-1.5": ("replicate",),  # there only from a first frame
    "wan/2.7-i2v": ("fal",),  # a first frame or a clip, either of them
    "runway/act-two": ("runway",),  # a picture or a clip of the character, either of them
}
"""Providers that a request of required fields alone does not reach, each with the reason."""


def least(field: Any) -> Any:
    if field.is_list:
        return ["https://example.com/a.png"]
    return "https://example.com/a.png" if field.is_url else "a seal"


@pytest.mark.parametrize("model", CATALOG.models())
def test_a_prompt_alone_excludes_nobody(model: str) -> None:
    """Defaults never exclude: what a provider cannot do must be asked for before it counts against it."""
    loaded = CATALOG[model]
    required = {name: field for name, field in loaded.contract.fields.items() if field.required}
    request = loaded.normalize({name: least(field) for name, field in required.items()})
    late = LATE.get(model, ())
    assert loaded.eligible(request) == tuple(one for one in loaded.providers if one not in late)
