"""The proof: it holds for what is right, and it kills what is wrong."""

from __future__ import annotations

import json
import os
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosetta_bridge import Catalog, InvalidCatalog
from rosetta_bridge.proof.findings import Proof
from rosetta_bridge.proof.natives import (
    NoNativeSchemas,
    merge_patch,
    native_folder,
    native_schema,
    properties,
)
from rosetta_bridge.proof.products import pairwise, requests
from rosetta_bridge.proof.prove import prove
from tests.rosetta_bridge.support import FILES, MODEL, ON, changed, write

N = int(os.environ.get("N", "0"))
F, R = "lab/one/fal.yaml", "lab/one/replicate.yaml"

TEXT: dict[str, Any] = {
    "x-origin": "machine",
    "type": "object",
    "additionalProperties": False,
    "required": ["prompt", "image_size"],
    "properties": {
        "prompt": {"type": "string"},
        "num_images": {"type": "integer", "maximum": 4},
        "seed": {"type": "integer"},
        "image_size": {
            "type": "object",
            "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}},
            "required": ["width", "height"],
            "additionalProperties": False,
        },
        "safety": {"enum": ["strict", "lax"]},
    },
}
EDIT = {
    **TEXT,
    "required": [*TEXT["required"], "image_urls"],
    "properties": {
        **TEXT["properties"],
        "image_urls": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
}
PAGE = {
    "x-origin": "hand-made",
    "type": "object",
    "additionalProperties": False,
    "required": ["prompt", "size"],
    "properties": {
        "prompt": {"type": "string"},
        "size": {"type": "string", "pattern": r"^\d+\*\d+$"},
        "n": {"const": 1},
        "image": {"type": "string"},
        "seed": {"type": "integer"},
        "strict": {"type": "boolean"},
    },
}


def natives(folder: Path, **schemas: Any) -> Path:
    chosen = {"fal/fal-ai__one": TEXT, "fal/fal-ai__one__edit": EDIT, "replicate/lab__one": PAGE, **schemas}
    for name, schema in chosen.items():
        if schema is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(schema))
    return folder


def proof(tmp_path: Path, files: dict[str, str] | None = None, **schemas: Any) -> Proof:
    catalog = Catalog.open(write(tmp_path / "catalog", files or FILES), shipped=False, on=ON)
    return prove(catalog, natives(tmp_path / "native", **schemas))


def test_routes_are_proved_partly_or_unproved_and_it_is_said(tmp_path: Path) -> None:
    found = proof(tmp_path, None, **{"fal/fal-ai__one__edit": None})
    assert [(r.provider, r.route, r.status, r.reason) for r in found.routes] == [
        ("fal", "text", "proved", ""),
        ("fal", "edit", "unproved", "no native schema"),
        ("replicate", "default", "partly", "a person wrote the schema of unnamed origin"),
    ]
    assert found.holds
    assert found.problems == []
    totals = found.totals()
    assert (totals["models"], totals["routes"], totals["proved"], totals["partly"], totals["unproved"]) == (
        1,
        3,
        1,
        1,
        1,
    )


def test_lists_are_tried_at_one_two_the_limit_and_beyond(tmp_path: Path) -> None:
    catalog = Catalog.open(write(tmp_path, FILES), shipped=False, on=ON)
    model = catalog[MODEL]
    lengths = {
        len(v.get("generation_input_file", ())) for v in requests(model.contract, model.mappings["fal"])
    }
    assert lengths == {0, 1, 2, 3, 4, 8}


MUTANTS: dict[str, tuple[str, tuple[str, str]]] = {
    "misspelt native key": (F, ("seed: $generation_seed", "sead: $generation_seed")),
    "renamed target": (F, ("prompt: $generation_prompt", "text: $generation_prompt")),
    "number for text": (F, ("prompt: $generation_prompt", "prompt: 7")),
    "text for number": (
        F,
        ("num_images: $generation_output_number", 'num_images: "{generation_output_number}"'),
    ),
    "wrong enum word": (F, ("false: lax", "false: loose")),
    "forgotten unit": (R, ('"{size.width}*{size.height}"', '"{size.width}{size.height}"')),
    "wrong separator": (R, ('"{size.width}*{size.height}"', '"{size.width}x{size.height}"')),
    "costly default left out": (F, ("          num_images: $generation_output_number\n", "")),
    "costly default sent sometimes": (
        F,
        (
            "num_images: $generation_output_number",
            "num_images: {$by: generation_output_number, 1: $omit, $else: $generation_output_number}",
        ),
    ),
    "field not mapped": (R, ("          seed: $generation_seed\n", "")),
    "field lost on one route": (F, ("body: {image_urls: $generation_input_file}", "body: {}")),
    "forgotten accepts": (F, ("accepts: {generation_input_file: {max_items: 3}}", "accepts: {}")),
    "forgotten single accept": (R, ("accepts: {generation_output_number: 1}", "accepts: {}")),
    "table row shifted": (
        "lab/one/model.yaml",
        ('"1:1": 1024x1024, "16:9": 1344x768', '"1:1": 1344x768, "16:9": 1024x1024'),
    ),
    "sides exchanged": (
        F,
        ("{width: $size.width, height: $size.height}", "{width: $size.height, height: $size.width}"),
    ),
    "required object lost": (F, ("          image_size: {width: $size.width, height: $size.height}\n", "")),
    "one side only": (F, ("{width: $size.width, height: $size.height}", "{width: $size.width}")),
    "scalar for a list": (
        F,
        ("image_urls: $generation_input_file", "image_urls: $generation_input_file.first"),
    ),
    "list for a scalar": (R, ("image: $generation_input_file.first", "image: $generation_input_file")),
    "unknown leaves": (F, ("refuses:", "leaves: [sync_mod]\n        refuses:")),
    "unproved although there is a schema": (
        R,
        ("model: lab/one", "model: lab/one\n        unproved: no schema"),
    ),
    "wrong endpoint": (F, ("model: fal-ai/one/edit", "model: fal-ai/one")),
    "reversed scale": (F, ("true: strict, false: lax", "true: lax, false: strict")),
    "only the first file": (
        F,
        ("image_urls: $generation_input_file", "image_urls: [$generation_input_file.first]"),
    ),
}
# No schema knows which end of a scale is strict: golden cases do.
SURVIVORS = {"reversed scale"}


def killed(tmp_path: Path, name: str) -> bool:
    file, swap = MUTANTS[name]
    try:
        return not proof(tmp_path, changed(file, swap)).holds
    except InvalidCatalog:
        return True


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in SURVIVORS])
def test_a_mutant_dies_at_load_or_by_proof(name: str, tmp_path: Path) -> None:
    assert killed(tmp_path, name)


@pytest.mark.parametrize("name", sorted(SURVIVORS))
def test_what_only_golden_cases_can_catch_is_known(name: str, tmp_path: Path) -> None:
    """A list of what the proof cannot see; when it learns to, this test says to move the line."""
    assert not killed(tmp_path, name)


def test_narrowing_shows_in_the_listing_of_limits(tmp_path: Path) -> None:
    """Whatever narrows a route is a line of the derived limits, a listing that is reviewed."""
    file, swap = MUTANTS["only the first file"]
    before = Catalog.open(write(tmp_path / "a", FILES), shipped=False, on=ON)[MODEL].limits()["fal"]["edit"]
    after = Catalog.open(write(tmp_path / "b", changed(file, swap)), shipped=False, on=ON)[MODEL].limits()[
        "fal"
    ]["edit"]
    assert "generation_input_file: max_items 1 (what the body can hold)" in set(after) - set(before)


def test_a_table_cell_that_nobody_reaches_is_told(tmp_path: Path) -> None:
    both = (
        (
            "accepts: {generation_output_number: 1}",
            'accepts: {generation_output_number: 1, generation_ratio: ["1:1", "16:9"]}',
        ),
    )
    files = changed(R, *both)
    files[F] = FILES[F].replace(
        "accepts: {generation_input_file: {max_items: 3}}",
        'accepts: {generation_input_file: {max_items: 3}, generation_ratio: ["1:1", "16:9"]}',
    )
    files[F] = files[F].replace(
        "model: fal-ai/one}", 'model: fal-ai/one, accepts: {generation_ratio: ["1:1", "16:9"]}}'
    )
    found = proof(tmp_path, files)
    assert not found.holds
    assert found.problems == ["lab/one/model.yaml:15: tables.size.1K.9:16: the table cell is never reached"]


def test_overlays_say_what_types_cannot(tmp_path: Path) -> None:
    folder = natives(tmp_path / "native")
    overlay = "schema: overlay.v1\nmerge:\n  properties: {num_images: {maximum: 2}, seed: null}\n"
    (folder / "fal" / "fal-ai__one.overlay.yaml").write_text(overlay)
    schema = native_schema(folder, "fal", "fal-ai/one")
    assert schema is not None
    assert schema["properties"]["num_images"] == {"type": "integer", "maximum": 2}
    assert "seed" not in schema["properties"]
    catalog = Catalog.open(write(tmp_path / "catalog", FILES), shipped=False, on=ON)
    failed = next(r for r in prove(catalog, folder).routes if r.route == "text")
    assert failed.status == "failed"
    assert any("greater than the maximum of 2" in f or "seed" in f for f in failed.failures)
    (folder / "fal" / "fal-ai__one.overlay.yaml").write_text("properties: {}\n")
    with pytest.raises(InvalidCatalog, match=r"overlay\.v1"):
        native_schema(folder, "fal", "fal-ai/one")


def test_native_parameters_are_listed_through_references() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {}},
        "$defs": {"A": {"properties": {"c": {}, "d": {"$ref": "#"}}}},
    }
    assert {"a", "a.c", "a.d", "b"} <= set(properties(schema))


def test_a_merge_patch_is_the_one_of_rfc_7396() -> None:
    """The examples of appendix A that matter here."""
    for base, patch, result in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        (["a"], {"b": 1}, {"b": 1}),
    ):
        assert merge_patch(base, patch) == result


def test_no_folder_of_schemas_is_a_named_refusal(tmp_path: Path) -> None:
    with pytest.raises(NoNativeSchemas, match="--native DIR"):
        native_folder(tmp_path / "nowhere")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 5))
def test_pairwise_rows_hold_every_pair(sizes: list[int], seed: int) -> None:
    domains = [tuple(range(size)) for size in sizes]
    rows = list(pairwise(domains, Random(seed)))
    for i, j in combinations(range(len(sizes)), 2):
        assert {(row[i], row[j]) for row in rows} == {(a, b) for a in domains[i] for b in domains[j]}
    if len(sizes) == 1:
        assert len(rows) == sizes[0]


def test_sampling_a_large_product_is_repeatable_and_covers_every_value(tmp_path: Path) -> None:
    model = Catalog.open(write(tmp_path, FILES), shipped=False, on=ON)[MODEL]
    mapping = model.mappings["fal"]
    whole, sampled = (
        list(requests(model.contract, mapping)),
        list(requests(model.contract, mapping, seed=3, whole=60)),
    )
    assert sampled == list(requests(model.contract, mapping, seed=3, whole=60))
    assert len(sampled) < len(whole)
    for name in model.contract.fields:
        assert {repr(v.get(name)) for v in sampled} == {repr(v.get(name)) for v in whole}


PARTS = 12


@pytest.mark.parametrize("part", range(PARTS))
def test_the_shipped_catalogue_is_proved_by_sample(part: int) -> None:
    """The whole product is `rosetta-bridge prove`; here every route is sampled (`N` makes it larger)."""
    catalog = Catalog.shipped(include="secondary")
    found = prove(catalog, native_folder(), catalog.models()[part::PARTS], whole=25 * (N or 1))
    assert [(r.model, r.provider, r.route, r.failures) for r in found.routes if r.status == "failed"] == []
    assert {r.model for r in found.routes if r.status == "proved"} == {r.model for r in found.routes}
