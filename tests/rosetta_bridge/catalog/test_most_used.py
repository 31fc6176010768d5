"""The models that products ask for most are complete: every task, route, price and golden case, or a reason.

The list is `tools/models.yaml`; the page of models prints it.
"""

from __future__ import annotations

from typing import Any

import pytest

from rosetta_bridge import Catalog
from rosetta_bridge.proof.natives import native_folder, native_schema
from tests.rosetta_bridge.catalog.test_golden_cases import FOLDER
from tools.models_page import notes

CATALOG = Catalog.shipped()
NOTES = notes()
USED: dict[str, dict[str, Any]] = NOTES["most_used"]
PICTURE, CLIP = "https://example.com/a.png", "https://example.com/a.mp4"
FRAME = {"generation_input_file": [PICTURE]}
WISHES: dict[str, dict[str, Any]] = {
    "text": {},
    "edit": FRAME,
    "first frame": FRAME,
    "first and last frame": {**FRAME, "generation_input_file_last_content": PICTURE},
    "reference": {"generation_reference_file": [PICTURE]},
    "clip": {"generation_input_video_file": CLIP},
}


def test_there_are_twenty_five() -> None:
    assert len(USED) == 25
    assert set(USED) <= set(CATALOG.models())


@pytest.mark.parametrize("name", USED)
def test_every_task_can_be_had_or_is_left_out_for_a_reason(name: str) -> None:
    model, said = CATALOG[name], USED[name]
    for task in said["tasks"]:
        wish = {"generation_prompt": "a lighthouse at dusk", **WISHES[task]}
        plain = model.eligible(model.normalize(wish))
        assert plain or model.eligible(model.normalize({**wish, "generation_ratio": "16:9"})), task
    assert set(said.get("without", {})) <= set(WISHES) - set(said["tasks"])


@pytest.mark.parametrize("name", USED)
def test_one_route_is_proved_and_every_route_has_a_schema(name: str) -> None:
    origins = [
        (native_schema(native_folder(), provider, route.native or route.model) or {}).get("x-origin")
        for provider, mapping in CATALOG[name].mappings.items()
        for route in mapping.routes
        if CATALOG[name].in_use(provider, route.name)
    ]
    assert None not in origins
    assert "machine" in origins


@pytest.mark.parametrize("name", USED)
def test_every_provider_has_a_price_or_a_reason(name: str) -> None:
    unpriced = {
        provider
        for provider, mapping in CATALOG[name].mappings.items()
        if any(route.price is None for route in mapping.routes)
    }
    assert unpriced == set(USED[name].get("unpriced", {}))
    assert len(unpriced) < len(CATALOG[name].mappings), "somebody's price is known"


@pytest.mark.parametrize("name", USED)
def test_there_are_golden_cases(name: str) -> None:
    """Which routes they reach, and that they hold, says `test_golden_cases`."""
    assert (FOLDER / (name.replace("/", "__") + ".json")).is_file()


def test_what_is_said_to_be_missing_is_missing() -> None:
    known = {*CATALOG.models(), *CATALOG.aliases()}
    assert set(NOTES["not_shipped"]) & known == set()
    assert all(NOTES["not_shipped"].values())
