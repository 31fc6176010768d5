"""The compiled path against the interpreter: no difference, on good requests, odd ones and wrong ones."""

from __future__ import annotations

import dataclasses
import json
import os
import traceback
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rosetta_bridge import Catalog, InvalidRequest, Issue, Model, NotEligible, Payload, Request
from rosetta_bridge.compile import compile_mapping, sources
from rosetta_bridge.compile_doubts import request_of
from rosetta_bridge.compile_request import compile_request, compile_rows
from rosetta_bridge.fields import ORDER_FIELD
from rosetta_bridge.mapping import Mapping
from rosetta_bridge.model import payload_of
from rosetta_bridge.products import requests
from rosetta_bridge.render import render_route
from tests.rosetta_bridge import test_render
from tests.rosetta_bridge.support import one_body

LARGE = 200_000
MUTATIONS = int(os.environ.get("N", "500"))
CATALOG = Catalog.shipped(include="secondary")
MODELS = CATALOG.models()
KNOWN = CATALOG.providers()
ODD: list[Any] = [
    None, True, False, 0, 1, 2, -1, 1.0, 1.5, 0.5, 2.0, 2**53, -(2**53), 10**400, float("nan"), float("inf"),
    "", " ", "x", "1", "1:1", "16:9", "2K", "1080p", "png", "a\x00b", "\ud800", "x" * 5001, "\u200b",
    "naïve\nline\ttab", b"x", [], ["x"], [None], ["https://example.com/a.png"],
    ["https://example.com/a.png"] * 20, "https://example.com/a.png", "http://localhost/",
    "https://user@example.com/", {}, {"a": 1}, ("https://example.com/a.png",), [[]], 5, 8, 10, 4.0,
]  # fmt: skip


def mutants(model: Model, count: int, seed: int) -> list[dict[str, Any]]:
    """Good requests of the model, most of them with one to three changes."""
    random = Random(seed)
    mapping = model.mappings[next(iter(model.mappings))]
    good = list(requests(model.contract, mapping, seed, whole=60))
    names = [*model.contract.fields, ORDER_FIELD, "generation_nothing"]
    found = []
    for _ in range(count):
        data = dict(random.choice(good))
        for _ in range(random.choice((0, 1, 1, 2, 3))):
            name = random.choice(names)
            if random.random() < 0.25:
                data.pop(name, None)
            elif name == ORDER_FIELD and random.random() < 0.7:
                data[name] = random.choice(["fastest", "cheapest", "fal", "replicate, fal", "fal,fal", "x"])
            else:
                data[name] = random.choice(ODD)
        found.append(data)
    return found


def told(outcome: Any) -> Any:
    """All there is to an outcome: `repr` tells 1 from True and 1.0, and one key order from another.

    A hint is compared as how it would be found: to look for what was meant, for each of so many issues, takes
    longer than all the rest.
    """
    if isinstance(outcome, Request):
        return repr(dataclasses.replace(outcome, given=frozenset())), outcome.given
    if isinstance(outcome, tuple):
        return [(i.field, i.code, i.message, i._hint) if isinstance(i, Issue) else i for i in outcome]
    return repr(outcome)


def outcome(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except InvalidRequest as error:
        return error.issues
    except NotEligible as error:
        return error.reasons


def steps(model: Model, data: Any, provider: str) -> Payload:
    return model.render(model.normalize(data), provider)


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_request_differs_in_nothing(name: str) -> None:
    """Requests and refusals alike; `repr` tells 1 from True and 1.0, and one key order from another."""
    model = CATALOG[name]
    compiled = compile_request(model.contract, KNOWN)
    taken = 0
    for data in mutants(model, MUTATIONS, seed=len(name)):
        specified = outcome(request_of, model.contract, KNOWN, data)
        made = outcome(compiled, data)
        taken += isinstance(made, Request)
        assert told(made) == told(specified), data
    assert MUTATIONS / 10 < taken < MUTATIONS, "both good and bad ones"


@pytest.mark.parametrize(
    "more",
    [
        {ORDER_FIELD: "fal" + " " * LARGE},
        {"x" * LARGE: 1},
        {"generation_nothing": "x" * LARGE},
        {"generation_seed": "7" * LARGE},
        {"generation_nothing": [["x" * 90] * 50] * 50},
        {("x",) * LARGE: 1},
        {f"generation_{i}": "x" * 90 for i in range(1200)},
    ],
)
def test_a_wrong_request_that_is_too_large_is_only_that(more: dict[Any, Any]) -> None:
    """Wherever its size lies: what is plainly small is not measured by the compiled function."""
    model = CATALOG["bytedance/seedream-4.5"]
    data = {"generation_prompt": "p", "generation_ratio": "16x9", **more}
    made = outcome(compile_request(model.contract, KNOWN), data)
    assert [issue.code for issue in made] == ["too_large"]
    assert told(made) == told(outcome(request_of, model.contract, KNOWN, data))


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_mapping_differs_in_nothing(name: str) -> None:
    """The route that is chosen, its payload, and whom it cannot serve."""
    model = CATALOG[name]
    row = compile_rows(model.contract)
    for mapping in model.mappings.values():
        compiled = compile_mapping(mapping, model.contract, "digest")
        for values in requests(model.contract, mapping, seed=1, whole=max(40, MUTATIONS // 8)):
            given = frozenset(list(values)[::2])
            payload = compiled(row(values, given))
            made = repr(payload) if payload else None
            assert made == specified(model, mapping, values, given), (mapping.provider, values)


def specified(model: Model, mapping: Mapping, values: dict[str, Any], given: frozenset[str]) -> str | None:
    """The payload that the interpreter makes; None where it says why not."""
    if (route := mapping.route(values)) is None:
        return None
    rendered = render_route(route, model.contract, values, given)
    return None if rendered.reasons else repr(payload_of(route, mapping.provider, rendered, "digest"))


@pytest.mark.parametrize("name", MODELS)
def test_a_request_s_whole_way_is_the_interpreter_s(name: str) -> None:
    """What callers see, issues and verdicts included."""
    model = CATALOG[name]
    for data in mutants(model, MUTATIONS // 10, seed=7):
        seen = outcome(model.normalize, data)
        for provider in model.mappings:
            in_steps = outcome(steps, model, data, provider)
            assert told(outcome(model.payload, data, provider)) == told(in_steps), (provider, data)
        specified = outcome(request_of, model.contract, KNOWN, data)
        if isinstance(seen, tuple):  # an order that names nobody eligible is found by the model alone
            assert told(seen) == told(specified) or {issue.code for issue in seen} == {"order"}
            continue
        assert told(seen) == told(specified)
        for verdict in model.explain(seen):
            mapping = model.mappings[verdict.provider]
            if verdict.provider in model.providers and (route := mapping.route(seen.values)) is not None:
                reasons = render_route(route, model.contract, seen.values, seen.given).reasons
                assert tuple((field or "", why) for field, why in verdict.reasons) == reasons


@pytest.mark.parametrize("name", test_render.CASES)
def test_every_operator_compiles_to_the_same(name: str, tmp_path: Path) -> None:
    fields, body, more, values, _ = test_render.CASES[name]
    model = one_body(tmp_path, fields, body, more)
    route = model.mappings["fal"].routes[0]
    request = model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in values.items()}})
    rendered = render_route(route, model.contract, request.values, request.given)
    made = compile_mapping(model.mappings["fal"], model.contract, "digest")(request._row)
    assert repr(made) == repr(payload_of(route, "fal", rendered, "digest"))


def test_no_text_of_a_mapping_becomes_code(tmp_path: Path) -> None:
    """Keys and literals that look like Python stay text."""
    evil = "__import__('os').abort()"
    texts = [f"', {evil}, '", f'", {evil}, "', f"\n    {evil}\n#", f"\\', {evil} #", f'"""{evil}"""', "\\"]
    body = "".join(f"{json.dumps(text)}: [{json.dumps(text)}]\n" for text in texts)
    body += f"joined: {json.dumps(texts[0] + '{generation_prompt}' + texts[1])}\n"
    model = one_body(tmp_path, "generation_seed: {type: integer}", body + "seed: $generation_seed")
    payload = model.render(model.normalize({"generation_prompt": "p"}), "fal")
    expected = {text: [text] for text in texts}
    assert payload.arguments == {"prompt": "p", **expected, "joined": f"{texts[0]}p{texts[1]}"}


def test_tracebacks_show_the_generated_source(tmp_path: Path) -> None:
    files = "generation_input_file: {type: url_list, max_items: 2}"
    model = one_body(tmp_path, files, "f: $generation_input_file.first")
    compiled = compile_mapping(model.mappings["fal"], model.contract, "digest")
    with pytest.raises(IndexError) as caught:
        compiled(("p", [], 0))
    assert "[0]" in "".join(traceback.format_exception(caught.value))
    assert any(name == "<rosetta_bridge lab/one fal>" for name, _ in sources())
