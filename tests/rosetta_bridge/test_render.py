"""Each operator of the language: what it makes of a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rosetta_bridge import InvalidRequest, NotEligible
from tests.rosetta_bridge.support import arguments, one_body

URLS = [f"https://example.com/{i}.png" for i in range(9)]
FILES = "generation_input_file: {type: url_list, max_items: 8}"
LAST = "generation_input_file_last_content: {type: url}"
TAGS = "generation_reference_tag: {type: string_list, max_items: 8}"
SEED = "generation_seed: {type: integer}"
COUNT = "generation_output_number: {type: integer, min: 1, max: 3, default: 1}"
RATIO = 'generation_ratio: {type: enum, values: ["1:1", "16:9"]}'
TIER = "generation_resolution: {type: enum, values: [1K, 2K]}"
SECONDS = "generation_duration: {type: number, min: 1, max: 10}"
AUDIO = "generation_generate_audio: {type: boolean}"
SIZES = 'tables:\n  size: {$by: generation_ratio, "1:1": 512x512, "16:9": 1280x720}\n'
GRID = """
tables:
  size:
    $by: [generation_resolution, generation_ratio]
    1K: {"1:1": 512x512, "16:9": 1280x720, $absent: 512x512}
    2K: {"1:1": 1024x1024, "16:9": $unsupported, $absent: 1024x1024}
    $absent: {"1:1": 256x256, "16:9": 640x360}
"""

CASES: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    "literal": (
        "",
        "watermark: false\nk: {a: [1, {b: x}], c: {}}\ne: []",
        "",
        {},
        {"watermark": False, "k": {"a": [1, {"b": "x"}], "c": {}}, "e": []},
    ),
    "literal null": ("", "k: null", "", {}, {"k": None}),
    "literal dollar and braces": ("", 'k: $$x\nj: "a {{b}} c"', "", {}, {"k": "$x", "j": "a {b} c"}),
    "copy": (SEED, "seed: $generation_seed", "", {"seed": 5}, {"seed": 5}),
    "copy of absent": (SEED, "seed: $generation_seed", "", {}, {}),
    "zero and false are not absent": (
        f"{SEED}\n{AUDIO}",
        "s: $generation_seed\na: $generation_generate_audio",
        "",
        {"seed": 0, "generate_audio": False},
        {"s": 0, "a": False},
    ),
    "copy of a list": (FILES, "f: $generation_input_file", "", {"input_file": URLS[:2]}, {"f": URLS[:2]}),
    "text": (SECONDS, 'd: "{generation_duration}s"', "", {"duration": 8}, {"d": "8s"}),
    "text of a whole float": (SECONDS, 'd: "{generation_duration}s"', "", {"duration": 8.0}, {"d": "8s"}),
    "text of a fraction": (SECONDS, 'd: "{generation_duration}"', "", {"duration": 2.5}, {"d": "2.5"}),
    "text of a small fraction": (
        "generation_scale: {type: number, min: 0, max: 10}",
        'd: "{generation_scale}"',
        "",
        {"scale": 0.00001},
        {"d": "0.00001"},
    ),
    "text of a boolean": (
        AUDIO,
        'd: "{generation_generate_audio}"',
        "",
        {"generate_audio": True},
        {"d": "true"},
    ),
    "text with absent": (SECONDS, 'd: "{generation_duration}s"', "", {}, {}),
    "text with the model": ("", 'm: "{model}:x"', "", {}, {"m": "native/one:x"}),
    "text is not evaluated twice": (
        "",
        'm: "({generation_prompt})"',
        "",
        {"prompt": "{model} $generation_seed"},
        {"m": "({model} $generation_seed)"},
    ),
    "first": (FILES, "f: $generation_input_file.first", "", {"input_file": URLS[:1]}, {"f": URLS[0]}),
    "first and second": (
        FILES,
        "f: $generation_input_file.first\ns: $generation_input_file.second",
        "",
        {"input_file": URLS[:2]},
        {"f": URLS[0], "s": URLS[1]},
    ),
    "second of one": (
        FILES,
        "f: $generation_input_file.first\ns: $generation_input_file.second",
        "",
        {"input_file": URLS[:1]},
        {"f": URLS[0]},
    ),
    "rest": (
        FILES,
        "f: $generation_input_file.first\nr: $generation_input_file.rest",
        "",
        {"input_file": URLS[:3]},
        {"f": URLS[0], "r": URLS[1:3]},
    ),
    "rest of one": (
        FILES,
        "f: $generation_input_file.first\nr: $generation_input_file.rest",
        "",
        {"input_file": URLS[:1]},
        {"f": URLS[0]},
    ),
    "numbered": (
        FILES,
        "i: $generation_input_file.first\ni_{2..8}: $generation_input_file.rest",
        "",
        {"input_file": URLS[:3]},
        {"i": URLS[0], "i_2": URLS[1], "i_3": URLS[2]},
    ),
    "numbered from zero": (
        FILES,
        "i_{0..7}: $generation_input_file",
        "",
        {"input_file": URLS[:2]},
        {"i_0": URLS[0], "i_1": URLS[1]},
    ),
    "numbered of absent": (FILES, "i_{0..7}: $generation_input_file", "", {}, {}),
    "each": (
        FILES,
        "l: [{url: $generation_input_file.each, role: ref}]",
        "",
        {"input_file": URLS[:2]},
        {"l": [{"url": URLS[0], "role": "ref"}, {"url": URLS[1], "role": "ref"}]},
    ),
    "each as bare items": (
        FILES,
        "l: [$generation_input_file.each, end]",
        "",
        {"input_file": URLS[:2]},
        {"l": [URLS[0], URLS[1], "end"]},
    ),
    "each of absent": (FILES, "l: [{url: $generation_input_file.each, role: ref}]", "", {}, {}),
    "each repeats the innermost item only": (
        FILES,
        "m: [{role: user, content: [{image: $generation_input_file.each}, {text: $generation_prompt}]}]",
        "",
        {"input_file": URLS[:2]},
        {"m": [{"role": "user", "content": [{"image": URLS[0]}, {"image": URLS[1]}, {"text": "p"}]}]},
    ),
    "each zipped": (
        f"{FILES}\n{TAGS}",
        "l: [{uri: $generation_input_file.each, tag: $generation_reference_tag.each}]",
        "",
        {"input_file": URLS[:2], "reference_tag": ["a", "b"]},
        {"l": [{"uri": URLS[0], "tag": "a"}, {"uri": URLS[1], "tag": "b"}]},
    ),
    "a short follower loses no driver": (
        f"{FILES}\n{TAGS}",
        "l: [{uri: $generation_input_file.each, tag: $generation_reference_tag.each}]",
        "",
        {"input_file": URLS[:2], "reference_tag": ["a"]},
        {"l": [{"uri": URLS[0], "tag": "a"}, {"uri": URLS[1]}]},
    ),
    "an absent follower loses no driver": (
        f"{FILES}\n{TAGS}",
        "l: [{uri: $generation_input_file.each, tag: $generation_reference_tag.each}]",
        "",
        {"input_file": URLS[:2]},
        {"l": [{"uri": URLS[0]}, {"uri": URLS[1]}]},
    ),
    "absence removes the innermost item": (
        f"{FILES}\n{LAST}",
        "c: [{t: 1}, {u: {url: $generation_input_file.first}, role: first}, "
        "{u: {url: $generation_input_file_last_content}, role: last}]",
        "",
        {"input_file_last_content": URLS[8]},
        {"c": [{"t": 1}, {"u": {"url": URLS[8]}, "role": "last"}]},
    ),
    "outside lists only the key goes": (
        SEED,
        "o: {seed: $generation_seed, fixed: 1}",
        "",
        {},
        {"o": {"fixed": 1}},
    ),
    "an emptied object goes": (SEED, "o: {p: {seed: $generation_seed}}", "", {}, {}),
    "an emptied list goes, its item stays": (
        FILES,
        "o: [{a: 1, l: [$generation_input_file.each]}]",
        "",
        {},
        {"o": [{"a": 1}]},
    ),
    "base64": (
        FILES,
        "f: $generation_input_file.first.base64",
        "",
        {"input_file": URLS[:1]},
        {"f": {"$fetch": URLS[0], "as": "base64"}},
    ),
    "data_url of all": (
        FILES,
        "f: $generation_input_file.data_url",
        "",
        {"input_file": URLS[:2]},
        {"f": [{"$fetch": URLS[0], "as": "data_url"}, {"$fetch": URLS[1], "as": "data_url"}]},
    ),
    "table": (
        RATIO,
        'r: {$by: generation_ratio, "1:1": square, "16:9": wide}',
        "",
        {"ratio": "16:9"},
        {"r": "wide"},
    ),
    "table with absent field and no row": (
        RATIO,
        'r: {$by: generation_ratio, "1:1": a, "16:9": b}',
        "",
        {},
        {},
    ),
    "table with $absent": (
        RATIO,
        'r: {$by: generation_ratio, "1:1": a, "16:9": b, $absent: c}',
        "",
        {},
        {"r": "c"},
    ),
    "table with $else": (
        COUNT,
        "r: {$by: generation_output_number, 1: one, $else: $generation_output_number}",
        "",
        {"output_number": 3},
        {"r": 3},
    ),
    "table with $present": (
        SEED,
        "r: {$by: generation_seed, $present: $generation_seed, $absent: -1}",
        "",
        {},
        {"r": -1},
    ),
    "table with $omit": (
        COUNT,
        "r: {$by: generation_output_number, 1: $omit, $else: $generation_output_number}",
        "",
        {"output_number": 1},
        {},
    ),
    "$omit in a list item leaves the item": (
        COUNT,
        "l: [{a: 1, r: {$by: generation_output_number, 1: $omit, $else: $generation_output_number}}]",
        "",
        {},
        {"l": [{"a": 1}]},
    ),
    "table of booleans": (
        AUDIO,
        "r: {$by: generation_generate_audio, true: 0, false: 5}",
        "",
        {"generate_audio": True},
        {"r": 0},
    ),
    "rows of true are not rows of 1": (
        COUNT,
        "r: {$by: generation_output_number, 1: a, 2: b, 3: c}",
        "",
        {"output_number": 1.0},
        {"r": "a"},
    ),
    "object cells": (
        RATIO,
        'r: {$by: generation_ratio, "1:1": {w: 1, h: 1}, "16:9": {w: 16, h: 9}}',
        "",
        {"ratio": "16:9"},
        {"r": {"w": 16, "h": 9}},
    ),
    "two fields": (
        f"{RATIO}\n{TIER}",
        "s: $size",
        GRID,
        {"ratio": "16:9", "resolution": "1K"},
        {"s": "1280x720"},
    ),
    "two fields, second absent": (
        f"{RATIO}\n{TIER}",
        "s: $size",
        GRID,
        {"resolution": "2K"},
        {"s": "1024x1024"},
    ),
    "two fields, first absent": (f"{RATIO}\n{TIER}", "s: $size", GRID, {"ratio": "1:1"}, {"s": "256x256"}),
    "two fields, both absent": (f"{RATIO}\n{TIER}", "s: $size", GRID, {}, {}),
    "a row may be one cell": (
        f"{RATIO}\n{TIER}",
        "r: $generation_ratio\n"
        's: {$by: [generation_resolution, generation_ratio], 1K: a, 2K: {"1:1": b, "16:9": c}}',
        "",
        {"resolution": "1K", "ratio": "1:1"},
        {"r": "1:1", "s": "a"},
    ),
    "sides": (RATIO, "w: $size.width\nh: $size.height", SIZES, {"ratio": "16:9"}, {"w": 1280, "h": 720}),
    "sides in text": (RATIO, 's: "{size.width}*{size.height}"', SIZES, {"ratio": "16:9"}, {"s": "1280*720"}),
    "sides of absent": (RATIO, "o: {w: $size.width, h: $size.height}", SIZES, {}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, tmp_path: Path) -> None:
    fields, body, more, values, expected = CASES[name]
    assert arguments(one_body(tmp_path, fields, body, more), **values) == expected


REFUSALS: dict[str, tuple[str, str, str, dict[str, Any], str, str]] = {
    "first of two": (
        FILES,
        "f: $generation_input_file.first",
        "",
        {"input_file": URLS[:2]},
        "generation_input_file",
        "at most 1",
    ),
    "third of first and second": (
        FILES,
        "f: $generation_input_file.first\ns: $generation_input_file.second",
        "",
        {"input_file": URLS[:3]},
        "generation_input_file",
        "at most 2",
    ),
    "numbers run out": (
        FILES,
        "i: $generation_input_file.first\ni_{2..3}: $generation_input_file.rest",
        "",
        {"input_file": URLS[:4]},
        "generation_input_file",
        "at most 3",
    ),
    "follower too long": (
        f"{FILES}\n{TAGS}",
        "l: [{uri: $generation_input_file.each, tag: $generation_reference_tag.each}]",
        "",
        {"input_file": URLS[:1], "reference_tag": ["a", "b"]},
        "generation_reference_tag",
        "more items than generation_input_file",
    ),
    "unsupported cell": (
        f"{RATIO}\n{TIER}",
        "s: $size",
        GRID,
        {"ratio": "16:9", "resolution": "2K"},
        "generation_ratio",
        "16:9 is not supported with generation_resolution 2K",
    ),
    "accepts one": (
        COUNT,
        "x: 1",
        "accepts: {generation_output_number: 1}",
        {"output_number": 2},
        "generation_output_number",
        "only 1 here, not 2",
    ),
    "accepts a range": (
        COUNT,
        "n: $generation_output_number",
        "accepts: {generation_output_number: {max: 2}}",
        {"output_number": 3},
        "generation_output_number",
        "only up to 2 here",
    ),
    "accepts none": (
        SEED,
        "x: 1",
        "accepts: {generation_seed: none}",
        {"seed": 3},
        "generation_seed",
        "cannot be used here",
    ),
    "accepts few items": (
        FILES,
        "f: $generation_input_file",
        "accepts: {generation_input_file: {max_items: 2}}",
        {"input_file": URLS[:3]},
        "generation_input_file",
        "at most 2 here, not 3",
    ),
    "accepts short text": (
        "",
        "x: 1",
        "accepts: {generation_prompt: {max_length: 3}}",
        {"prompt": "long"},
        "generation_prompt",
        "at most 3 characters",
    ),
    "accepts steps": (
        SECONDS,
        "d: $generation_duration",
        "accepts: {generation_duration: {min: 2, step: 2}}",
        {"duration": 5},
        "generation_duration",
        "only steps of 2",
    ),
    "binding field dropped": (
        RATIO,
        "x: 1",
        "drops: {generation_ratio: there is no such thing}",
        {"ratio": "1:1"},
        "generation_ratio",
        "there is no such thing",
    ),
    "rule": (
        f"{SEED}\n{AUDIO}",
        "s: $generation_seed\na: $generation_generate_audio",
        "refuses: [{when: {generation_seed: present, generation_generate_audio: true}, because: not both}]",
        {"seed": 1, "generate_audio": True},
        "generation_seed",
        "not both",
    ),
    "sum": (
        f"{FILES}\n{COUNT}",
        "f: $generation_input_file\nn: $generation_output_number",
        "refuses: [{sum: [generation_input_file, generation_output_number], max: 4, because: too many}]",
        {"input_file": URLS[:3], "output_number": 2},
        "generation_input_file",
        "too many",
    ),
    "no route": (
        FILES,
        "f: $generation_input_file",
        "routes: {edit: {when: {generation_input_file: present}}}",
        {},
        "generation_input_file",
        "the route edit needs generation_input_file present",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_rendered_is_not_eligible_and_says_why(name: str, tmp_path: Path) -> None:
    fields, body, more, values, field, reason = REFUSALS[name]
    model = one_body(tmp_path, fields, body, more)
    request = model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in values.items()}})
    assert model.eligible(request) == ()
    (verdict,) = model.explain(request)
    assert verdict.field == field
    assert reason in (verdict.reason or "")
    with pytest.raises(NotEligible, match=field):
        model.render(request, "fal")


def test_all_reasons_are_collected_not_only_the_first(tmp_path: Path) -> None:
    model = one_body(
        tmp_path,
        f"{FILES}\n{SEED}\n{COUNT}\n{AUDIO}",
        "f: $generation_input_file.first\na: {$by: generation_generate_audio, true: $unsupported, false: 1}",
        "accepts: {generation_seed: none, generation_output_number: 1}",
    )
    request = model.normalize(
        {
            "generation_prompt": "p",
            "generation_input_file": URLS[:2],
            "generation_seed": 1,
            "generation_output_number": 2,
            "generation_generate_audio": True,
        }
    )
    (verdict,) = model.explain(request)
    blamed = [field for field, _ in verdict.reasons]
    assert blamed == [
        "generation_seed",
        "generation_output_number",
        "generation_input_file",
        "generation_generate_audio",
    ]


def test_a_hint_is_dropped_and_named_only_when_the_caller_gave_it(tmp_path: Path) -> None:
    seed = "generation_seed: {type: integer, strength: hint}"
    model = one_body(
        tmp_path,
        f"{seed}\n{COUNT}",
        "x: 1",
        "drops: {generation_seed: no seed, generation_output_number: one}",
    )
    given = model.normalize({"generation_prompt": "p", "generation_seed": 3, "generation_output_number": 1})
    assert model.render(given, "fal").dropped == {
        "generation_seed": "no seed",
        "generation_output_number": "one",
    }
    silent = model.normalize({"generation_prompt": "p"})
    assert model.render(silent, "fal").dropped == {}, "a default that nobody asked for is not reported"
    more = model.normalize({"generation_prompt": "p", "generation_output_number": 2})
    assert model.eligible(more) == (), "a binding field is dropped only at its default"


def test_routes_are_tried_in_order_and_lay_their_body_over_the_shared_one(tmp_path: Path) -> None:
    routes = """
    routes:
      pair:
        when: {generation_input_file.second: present}
        model: native/pair
        body: {pair: $generation_input_file}
      one:
        when: {generation_input_file: present}
        model: native/single
        body: {image: $generation_input_file.first}
      text: {}
    """
    model = one_body(tmp_path, FILES, "shared: 1", routes)
    for count, native, extra in (
        (0, "native/one", {}),
        (1, "native/single", {"image": URLS[0]}),
        (2, "native/pair", {"pair": URLS[:2]}),
    ):
        files = {"generation_input_file": URLS[:count]} if count else {}
        payload = model.render(model.normalize({"generation_prompt": "p", **files}), "fal")
        assert (payload.model, payload.arguments) == (native, {"prompt": "p", "shared": 1, **extra})


def test_multipart_carries_files_and_headers_and_lists_what_to_fetch(tmp_path: Path) -> None:
    more = """
    encoding: multipart
    headers: {X-Protocol: "2"}
    wrap: {outer: {inner: $body}, model: "{model}"}
    """
    model = one_body(tmp_path, FILES, '"image[]": $generation_input_file.file', more)
    payload = model.render(
        model.normalize({"generation_prompt": "p", "generation_input_file": URLS[:2]}), "fal"
    )
    markers = [{"$fetch": url, "as": "file"} for url in URLS[:2]]
    assert payload.encoding == "multipart"
    assert payload.headers == {"X-Protocol": "2"}
    assert payload.arguments == {"prompt": "p", "image[]": markers}
    assert payload.body == {"outer": {"inner": payload.arguments}, "model": "native/one"}
    assert payload.fetches == tuple(markers)


def test_payloads_share_nothing_with_each_other_or_with_the_request(tmp_path: Path) -> None:
    model = one_body(tmp_path, FILES, "f: $generation_input_file\no: {a: [1]}")
    request = model.normalize({"generation_prompt": "p", "generation_input_file": URLS[:1]})
    first = model.render(request, "fal")
    first.arguments["f"].append("x")
    first.arguments["o"]["a"].append(2)
    assert model.render(request, "fal").arguments == {"prompt": "p", "f": URLS[:1], "o": {"a": [1]}}


@pytest.mark.parametrize(
    ("bounds", "good", "bad"), [("", (0.3, 0.7, 2), 0.25), (", min: 0.2", (0.5, 0.7), 0.55)]
)
def test_a_step_that_a_route_accepts_is_counted_in_decimal(
    bounds: str, good: tuple[float, ...], bad: float, tmp_path: Path
) -> None:
    """In binary 0.3 is no multiple of 0.1; a caller who wrote it must not lose the provider."""
    accepts = f"accepts: {{generation_scale: {{step: 0.1{bounds}}}}}"
    field = "generation_scale: {type: number, min: 0, max: 10}"
    model = one_body(tmp_path, field, "scale: $generation_scale", accepts)
    for value in good:
        assert arguments(model, scale=value) == {"scale": value}
    request = model.normalize({"generation_prompt": "p", "generation_scale": bad})
    assert model.eligible(request) == ()


def test_a_step_without_a_bound_takes_any_size_of_number(tmp_path: Path) -> None:
    model = one_body(tmp_path, "generation_scale: {type: number, step: 0.1}", "scale: $generation_scale")
    assert arguments(model, scale=1e300) == {"scale": 1e300}
    with pytest.raises(InvalidRequest, match="not a step"):
        arguments(model, scale=1e-300)
