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
from rosetta_bridge.compiled.compile import compile_judge, compile_mapping, sources
from rosetta_bridge.compiled.doubts import request_of
from rosetta_bridge.compiled.request import compile_request, compile_rows
from rosetta_bridge.language.fields import ORDER_FIELD
from rosetta_bridge.language.mapping import Mapping
from rosetta_bridge.model import payload_of
from rosetta_bridge.proof.products import requests
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
        {"x" * LARGE: 1, "x" * 80: 1},
        {"": 1, ("x",) * LARGE: 1},
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
        judge = compile_judge(mapping, model.contract)
        for values in requests(model.contract, mapping, seed=1, whole=max(40, MUTATIONS // 8)):
            given = frozenset(list(values)[::2])
            payload = compiled(row(values, given))
            made = repr(payload) if payload else None
            assert judge(row(values, given)) is (True if payload else None), (mapping.provider, values)
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
        verdicts = model.explain(seen)
        assert model.eligible(seen) == tuple(verdict.provider for verdict in verdicts if verdict.eligible)
        for verdict in verdicts:
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
    assert compile_judge(model.mappings["fal"], model.contract)(request._row) is (
        not rendered.reasons or None
    )
    made = compile_mapping(model.mappings["fal"], model.contract, "digest")(request._row)
    assert repr(made) == repr(payload_of(route, "fal", rendered, "digest"))


EVIL = "__import__('os').abort()"
TEXTS = [
    f"', {EVIL}, '", f'", {EVIL}, "', f"\n    {EVIL}\n#", f"\\', {EVIL} #", f'"""{EVIL}"""', "\\",
    f"x = {EVIL}", f"x; {EVIL}", "\u2028", "__class__", "__dict__", "__x", "class", "\ufb01", "a-b", "a.b",
    "",
]  # fmt: skip


def test_no_text_of_a_mapping_becomes_code(tmp_path: Path) -> None:
    """Keys and literals that look like Python, or like a part of every object, stay text."""
    quoted = [json.dumps(text) for text in TEXTS]
    body = "".join(f"{text}: [{text}]\n" for text in quoted)
    body += "".join(
        f"o{i}: {{a: 1, b: 2, c: $generation_prompt, d: 4, {text}: 5}}\n" for i, text in enumerate(quoted)
    )
    joined = TEXTS[0] + "{generation_prompt}" + TEXTS[1] + "\\N{{DIGIT ONE}}"
    model = one_body(tmp_path, "", body + f"joined: {json.dumps(joined)}")
    expected: dict[str, Any] = {text: [text] for text in TEXTS}
    expected |= {f"o{i}": {"a": 1, "b": 2, "c": "p", "d": 4, text: 5} for i, text in enumerate(TEXTS)}
    expected["joined"] = f"{TEXTS[0]}p{TEXTS[1]}\\N{{DIGIT ONE}}"
    assert model.payload({"generation_prompt": "p"}, "fal").arguments == {"prompt": "p", **expected}


def test_no_text_around_a_body_becomes_code(tmp_path: Path) -> None:
    """Public values, defaults, reasons, headers, names of routes; in models and paths no quote is allowed."""
    texts = [text for text in TEXTS if text]
    quoted = ", ".join(map(json.dumps, texts))
    told = json.dumps(texts[0])
    more = f"""
        headers: {{X-Told: {told}}}
        accepts: {{generation_seen: [{quoted}]}}
        drops: {{generation_hint: {told}}}
        refuses: [{{when: {{generation_seen: {told}}}, because: {told}}}]
        routes: {{{told}: {{model: native/one}}}}
        """
    fields = f"generation_seen: {{type: enum, values: [{quoted}, other], default: {json.dumps(texts[1])}}}\n"
    fields += "generation_hint: {type: string, strength: hint}"
    model = one_body(tmp_path, fields, "seen: $generation_seen", more)
    for text in texts[1:]:
        payload = model.payload(
            {"generation_prompt": "p", "generation_seen": text, "generation_hint": "h"}, "fal"
        )
        assert payload.arguments == {"prompt": "p", "seen": text}
    payload = model.payload({"generation_prompt": "p", "generation_hint": "h"}, "fal")
    assert payload.dropped == {"generation_hint": texts[0]}
    assert (payload.headers, payload.route) == ({"X-Told": texts[0]}, texts[0])
    with pytest.raises(NotEligible):
        model.payload({"generation_prompt": "p", "generation_seen": texts[0]}, "fal")


def test_each_character_of_a_long_text_is_looked_at(tmp_path: Path) -> None:
    model = one_body(tmp_path, "generation_text: {type: string}", "text: $generation_text")
    for number in [*range(0x100), 0x2028, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1F600]:
        for text in (chr(number) + "x", "x" * 99 + chr(number), chr(number) * 99):
            data = {"generation_prompt": "p", "generation_text": text}
            specified = outcome(request_of, model.contract, KNOWN, data)
            assert told(outcome(model.normalize, data)) == told(specified), (number, text)


RULES = """
    generation_text: {type: string, min_length: 2}
    generation_many: {type: integer, min: 0, max: 3000, step: 8}
    generation_part: {type: number, min: 0, max: 1, step: 0.1}
    generation_width: {type: integer, min: 16, max: 128, step: 16}
    generation_height: {type: integer, values: [16, 32]}
    generation_ratio: {type: enum, values: ["1:1", "16:9"], default: "1:1"}
    generation_switch: {type: boolean, default: true}
    """


def test_rules_that_no_shipped_model_has(tmp_path: Path) -> None:
    """Fields that go together, that exclude each other, and steps."""
    body = "".join(
        f"{name}: $generation_{name}\n" for name in ("text", "many", "part", "width", "height", "ratio")
    )
    one_body(tmp_path, RULES, body + "switch: $generation_switch\ngrid: $generation_width")
    path = tmp_path / "lab/one/model.yaml"
    path.write_text(
        path.read_text() + "together: [[generation_width, generation_height]]\n"
        "exclusive: [[generation_ratio, generation_width], [generation_switch, generation_text]]\n"
    )
    model = Catalog.open(tmp_path, shipped=False)["lab/one"]
    odd: dict[str, list[Any]] = {
        "text": ["ab", "a", "", "  ", 5], "many": [8, 12, 3000, 8.0, 2.5], "part": [0.3, 0.35, 1, 1.0, "0"],
        "width": [16, 24, 128, 144, 32.0, True], "height": [16, 17, None], "ratio": ["1:1", "16:9", "x"],
        "switch": [True, False, 1],
    }  # fmt: skip
    random, taken = Random(5), 0
    for _ in range(4 * MUTATIONS):
        names = random.sample(sorted(odd), random.randrange(5))
        data = {
            "generation_prompt": "p",
            **{f"generation_{name}": random.choice(odd[name]) for name in names},
        }
        specified = outcome(request_of, model.contract, KNOWN, data)
        assert told(outcome(model.normalize, data)) == told(specified), data
        if isinstance(specified, Request):
            taken += 1
            rendered = render_route(
                model.mappings["fal"].routes[0], model.contract, specified.values, specified.given
            )
            assert repr(model.payload(data, "fal").arguments) == repr(rendered.arguments), data
    assert taken > MUTATIONS / 10


def test_tracebacks_show_the_generated_source(tmp_path: Path) -> None:
    files = "generation_input_file: {type: url_list, max_items: 2}"
    model = one_body(tmp_path, files, "f: $generation_input_file.first")
    compiled = compile_mapping(model.mappings["fal"], model.contract, "digest")
    with pytest.raises(IndexError) as caught:
        compiled(("p", [], 0))
    assert "[0]" in "".join(traceback.format_exception(caught.value))
    assert any(name == "<rosetta_bridge lab/one fal>" for name, _ in sources())
