"""The strict door: every issue at once, named; never a traceback, never a repaired value."""

from __future__ import annotations

import copy
import enum
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_bridge import Catalog, InvalidRequest, Model, Request
from rosetta_bridge.urls import url_problem
from tests.rosetta_bridge.support import catalog, changed

N = max(1, int(os.environ.get("N", "0")) // 200)  # 40,000 examples for N=40000
URL = "https://example.com/a.png"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    fields = (
        "generation_moderation: {type: boolean}",
        """generation_moderation: {type: boolean}
          generation_duration: {type: integer, values: [5, 10], default: 5}
          generation_guidance: {type: number, min: 0, max: 10, step: 0.5}
          generation_mask_file: {type: url}
          generation_reference_tag: {type: string_list, max_items: 3, max_length: 10}
          generation_width: {type: integer, min: 64, max: 4096, step: 16}
          generation_height: {type: integer, min: 64, max: 4096, step: 16}""",
    )
    rules = (
        "tables:",
        "together: [[generation_width, generation_height]]\n"
        "        exclusive: [[generation_ratio, generation_width]]\n        tables:",
    )
    files = changed("lab/one/model.yaml", fields, ("providers: [fal, replicate]", "providers: [fal]"), rules)
    del files["lab/one/replicate.yaml"]
    files["lab/one/fal.yaml"] = """
        schema: mapping.v1
        model: fal-ai/one
        body:
          a: $generation_prompt
          b: {width: $size.width, height: $size.height}
          b2: $generation_resolution
          c: $generation_output_number
          d: $generation_input_file
          e: $generation_moderation
          f: $generation_seed
          g: $generation_duration
          h: $generation_guidance
          i: $generation_mask_file
          j: $generation_reference_tag
          k: {width: $generation_width, height: $generation_height}
        evidence: {level: sdk, source: a test, date: 2026-11-20}
        """
    return catalog(tmp_path_factory.mktemp("catalog"), files)["lab/one"]


def issues(model: Model, **fields: Any) -> dict[str, str]:
    """Field to code, for a request that is good but for the given fields."""
    data = {"generation_prompt": "p", **{f"generation_{k}": v for k, v in fields.items()}}
    with pytest.raises(InvalidRequest) as caught:
        model.normalize(data)
    assert all(issue.message for issue in caught.value.issues)
    return {issue.field.removeprefix("generation_"): issue.code for issue in caught.value.issues}


def values(model: Model, **fields: Any) -> dict[str, Any]:
    request = model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in fields.items()}})
    return {name.removeprefix("generation_"): value for name, value in request.values.items()}


def test_defaults_are_filled_in_and_what_was_given_is_remembered(model: Model) -> None:
    request = model.normalize({"generation_prompt": "p", "generation_output_number": 2})
    assert request.values == {
        "generation_prompt": "p",
        "generation_output_number": 2,
        "generation_ratio": "1:1",
        "generation_resolution": "1K",
        "generation_duration": 5,
    }
    assert request.given == {"generation_prompt", "generation_output_number"}
    assert (request.model, request.kind, request.asked, request.work) == ("lab/one", "image", 2, "1K/5s")
    assert request.order == "fastest"


BAD: dict[str, tuple[Any, str]] = {
    "prompt": (None, "type"),
    "prompt ": (5, "type"),
    "prompt  ": ("", "length"),
    "prompt   ": ("x" * 101, "length"),
    "prompt    ": (" \n ", "length"),
    "prompt     ": ("a\x00b", "text"),
    "prompt      ": ("a\x1b[2J", "text"),
    "prompt       ": ("\ud800", "text"),
    "prompt        ": (["p"], "type"),
    "prompt         ": ({"text": "p"}, "type"),
    "ratio": ("16x9", "value"),
    "ratio ": (16, "type"),
    "ratio  ": (["1:1"], "type"),
    "ratio   ": (10**5000, "type"),
    "resolution": ("2k", "value"),
    "output_number": ("3", "type"),
    "output_number ": (0, "range"),
    "output_number  ": (5, "range"),
    "output_number   ": (1.5, "type"),
    "output_number    ": (True, "type"),
    "output_number     ": (float("nan"), "type"),
    "output_number      ": (10**400, "range"),
    "output_number       ": (1e308, "range"),
    "output_number        ": (float("-inf"), "type"),
    "output_number         ": (-(10**5000), "range"),
    "seed": (2**53, "range"),
    "moderation": ("true", "type"),
    "moderation ": (1, "type"),
    "moderation  ": (None, "type"),
    "duration": (7, "value"),
    "duration ": ("5", "type"),
    "guidance": (10.1, "range"),
    "guidance ": (0.3, "range"),
    "guidance  ": ("1", "type"),
    "input_file": (URL, "type"),
    "input_file ": ([], "items"),
    "input_file  ": ([URL] * 9, "items"),
    "input_file   ": (["nope"], "url"),
    "input_file    ": ([[URL]], "type"),
    "input_file     ": ({URL}, "type"),
    "mask_file": ("file:///etc/passwd", "url"),
    "mask_file ": ([URL], "type"),
    "reference_tag": (["x" * 11], "length"),
    "reference_tag ": (["a\x07"], "text"),
    "reference_tag  ": (["a"] * 4, "items"),
    "width": (65, "range"),
    "promt": ("p", "unknown_field"),
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_value_is_one_named_issue(model: Model, field: str) -> None:
    value, code = BAD[field]
    found = issues(model, **{field.strip(): value})
    assert found.get(field.strip()) == code
    assert set(found) <= {field.strip(), "height"}


def test_all_issues_come_at_once(model: Model) -> None:
    found = issues(model, ratio="2:1", output_number="3", seed=float("nan"), promt="x", mask_file="ftp://x/y")
    assert found == {
        "ratio": "value",
        "output_number": "type",
        "seed": "type",
        "promt": "unknown_field",
        "mask_file": "url",
    }


def test_hints_say_what_was_meant(model: Model) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model.normalize({"generation_promt": "p", "generation_resolution": "2k", "generation_seed": "7"})
    hints = {issue.field: issue.hint for issue in caught.value.issues}
    assert hints["generation_promt"] == "did you mean generation_prompt?"
    assert hints["generation_resolution"] == "did you mean 2K?"
    assert hints["generation_seed"] == "send it without quotes"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("BSE2001", {"promt": 1}),
        ("BSE2008", {"output_number": 9}),
        ("BSE2001", {"output_number": 9, "ratio": "x"}),
        ("BSE2010", {"prompt": "x" * 200_000}),
    ],
)
def test_the_error_carries_babysea_s_code(model: Model, code: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in fields.items()}})
    assert caught.value.code == code
    assert not caught.value.retryable


class Color(str, enum.Enum):
    RATIO = "16:9"


def test_one_value_in_several_notations(model: Model) -> None:
    """As in JSON Schema, 2.0 is the integer 2; subclasses of text become plain text."""
    found = values(model, output_number=2.0, ratio=Color.RATIO, guidance=5, input_file=(URL,))
    assert found["output_number"] == 2
    assert type(found["output_number"]) is int
    assert type(found["ratio"]) is str
    assert found["input_file"] == [URL]
    assert json.loads(json.dumps(found)) == found


def test_together_and_exclusive(model: Model) -> None:
    assert issues(model, width=512) == {"height": "together"}
    assert issues(model, width=512, height=512, ratio="16:9") == {"width": "exclusive"}
    found = values(model, width=512, height=512)
    assert "ratio" not in found, "a default yields to a rival that was given"
    assert (
        model.normalize({"generation_prompt": "p", "generation_width": 64, "generation_height": 80}).work
        == "1K/5s"
    )


def test_the_request_is_not_changed(model: Model) -> None:
    data = {"generation_prompt": "p", "generation_input_file": [URL]}
    before = copy.deepcopy(data)
    request = model.normalize(data)
    request.values["generation_input_file"].append("x")
    assert data == before


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"generation_prompt": "p", "x": nested(100_000)}, "too_deep"),
        ({"generation_prompt": "p", "x": LOOP}, "too_deep"),
        ({"generation_prompt": "p" * 102_401}, "too_large"),
        ({"generation_prompt": "é" * 60_000}, "too_large"),
        ({"generation_input_file": [URL] * 10_000}, "too_large"),
        ({f"k{i}": 1 for i in range(60_000)}, "too_large"),
        ({"x" * 200_000: 1}, "too_large"),
        (None, "type"),
        ([], "type"),
        ("{}", "type"),
        (7, "type"),
        ({1: 2, None: 3}, "unknown_field"),
    ],
)
def test_too_large_too_deep_or_no_object_is_refused_whole(model: Model, data: Any, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model.normalize(data)
    assert code in {issue.code for issue in caught.value.issues}
    assert len(str(caught.value)) < 20_000


def test_a_flood_of_unknown_fields_is_told_in_a_bounded_answer(model: Model) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model.normalize({"generation_prompt": "p", **{f"field_{i}": 1 for i in range(5000)}})
    assert len(caught.value.issues) <= 65
    assert "more" in caught.value.issues[-1].message


def test_nobody_is_looked_up_before_a_hint_is_read(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was meant by an unknown field takes a quarter of a millisecond: a second for a full request."""
    looked_up: list[str] = []
    monkeypatch.setattr(
        "rosetta_bridge.normalize.did_you_mean", lambda name, options: looked_up.append(name) or "x"
    )
    with pytest.raises(InvalidRequest) as caught:
        model.normalize({"generation_prompt": "p", **{f"generation_{i}": 1 for i in range(4000)}})
    assert not looked_up
    assert caught.value.issues[0].hint == "x"
    assert str(caught.value)
    assert 0 < len(looked_up) <= 66, "and those that are not told, never"


HOSTILE = [
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "ftp://example.com/x",
    "//example.com/x",
    "http://localhost/x",
    "http://LOCALHOST:80/",
    "http://a.localhost/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://[::1]/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://intranet/",
    "http://user:pw@example.com/",
    "http://example.com@evil.example/",
    "http://example.com\\@evil.example/",
    "http://example.com /x",
    "http://exa mple.com/",
    "http://example.com/\n",
    "http://example.com/a\tb",
    "http://éxample.com/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:8a/",
    "http://",
    "http:///x",
    "http://-a.com/",
    "http://a..com/",
    "http://1.2.3.4.5/",
    "http://1.2.3/",
    "http://127.0.0.1./",
    "http://example.com/" + "x" * 2048,
    "",
    " https://example.com/",
    "http://ⓔxample.com/",
    "http://example。com/",
    "http://0x7f.1/",
    "http://1.1.1.256/",
    "http://example.com/\\evil.example",
    "https://example.com/a\\..\\b",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused(url: str) -> None:
    assert url_problem(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "http://example.com",
        "https://example.com:8443/a?b=c&d=%20#e",
        "https://cdn-1.example.co.uk/a_b/c.jpg",
        "https://8.8.8.8/x.png",
        "https://xn--bcher-kva.example.com/x",
        "https://bucket.s3.amazonaws.com/k?X-Amz-Signature=a%2Fb",
    ],
)
def test_an_ordinary_url_is_taken(url: str) -> None:
    assert url_problem(url) is None


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.@:\\/\[\]]{1,30}", fullmatch=True))
def test_no_text_breaks_the_url_check(text: str) -> None:
    assert url_problem(text) is None or len(url_problem(text)[0]) < 300  # type: ignore[index]


# Provider order


def test_an_order_is_a_word_or_a_sequence(tmp_path: Path) -> None:
    model = catalog(tmp_path)["lab/one"]

    def order(text: Any) -> Any:
        return model.normalize({"generation_prompt": "p", "generation_provider_order": text}).order

    assert order("cheapest") == "cheapest"
    assert order("replicate, fal") == ("replicate", "fal")
    assert order("fal,replicate") == ("fal", "replicate")
    assert order("openai, fal") == ("openai", "fal"), (
        "a known provider that is not this model's falls out later"
    )
    for bad in ("", "fastest, fal", "fal, fal", "fall", "fal replicate", 5, ["fal"], None, "fal,", "x" * 500):
        with pytest.raises(InvalidRequest) as caught:
            order(bad)
        assert {issue.field for issue in caught.value.issues} == {"generation_provider_order"}


def test_an_order_that_names_nobody_eligible_is_an_issue(tmp_path: Path) -> None:
    model = catalog(tmp_path)["lab/one"]
    data = {"generation_prompt": "p", "generation_output_number": 2}
    assert model.eligible(model.normalize(data)) == ("fal",)
    with pytest.raises(InvalidRequest, match="eligible: fal"):
        model.normalize({**data, "generation_provider_order": "replicate"})
    assert model.normalize({**data, "generation_provider_order": "replicate, fal"}).order == (
        "replicate",
        "fal",
    )


# Laws

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
)
JUNK = st.recursive(
    SCALARS,
    lambda c: st.lists(c, max_size=4) | st.dictionaries(st.text(max_size=5), c, max_size=4),
    max_leaves=12,
)
PLAUSIBLE = {
    "generation_prompt": st.text(min_size=1, max_size=101),
    "generation_ratio": st.sampled_from(["1:1", "16:9", "9:16", "2:1", "16:9 "]),
    "generation_resolution": st.sampled_from(["1K", "2K", "2k"]),
    "generation_output_number": st.integers(-1, 6) | st.floats(0, 5),
    "generation_input_file": st.lists(st.sampled_from([URL, "http://localhost/"]), max_size=9),
    "generation_moderation": st.booleans(),
    "generation_seed": st.integers(-5, 1005),
    "generation_duration": st.sampled_from([5, 10, 5.0, 6]),
    "generation_guidance": st.sampled_from([0, 0.5, 1, 9.5, 10, 0.25, -1]),
    "generation_mask_file": st.sampled_from([URL, "x"]),
    "generation_reference_tag": st.lists(st.text(max_size=11), max_size=4),
    "generation_width": st.sampled_from([64, 80, 4096, 65]),
    "generation_height": st.sampled_from([64, 80, 4112]),
    "generation_provider_order": st.sampled_from(["fastest", "fal", "fal, replicate", "fal fal", "nobody"]),
}
MIXED = st.fixed_dictionaries({}, optional={name: good | JUNK for name, good in PLAUSIBLE.items()})
GOODISH = st.fixed_dictionaries(
    {"generation_prompt": st.text(min_size=1, max_size=101)},
    optional={name: good for name, good in PLAUSIBLE.items() if name != "generation_prompt"},
)


def attempt(model: Model, data: Any) -> Request | InvalidRequest:
    try:
        return model.normalize(data)
    except InvalidRequest as error:
        return error


@settings(max_examples=200 * N)
@given(data=JUNK | MIXED | st.dictionaries(st.text(max_size=30) | st.integers(), JUNK, max_size=5))
def test_normalize_is_total(model: Model, data: Any) -> None:
    """Whatever comes, the answer is a request or named issues."""
    answer = attempt(model, data)
    if isinstance(answer, InvalidRequest):
        assert answer.issues
        json.dumps([[issue.field, issue.code, issue.message, issue.hint] for issue in answer.issues])


@settings(max_examples=200 * N)
@given(data=GOODISH)
def test_normalize_is_idempotent(model: Model, data: dict[str, Any]) -> None:
    request = attempt(model, data)
    if isinstance(request, Request):
        again = model.normalize(request.values)
        assert again.values == request.values
        assert json.loads(json.dumps(request.values)) == request.values


@pytest.fixture(scope="module")
def validator(model: Model) -> jsonschema.Draft202012Validator:
    schema = model.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@settings(max_examples=200 * N)
@given(data=GOODISH)
def test_the_schema_and_the_normalizer_agree(
    model: Model, validator: jsonschema.Draft202012Validator, data: dict[str, Any]
) -> None:
    """Except for what a schema cannot say: hostile URLs, control characters, providers nobody eligible."""
    request = attempt(model, data)
    codes = {issue.code for issue in request.issues} if isinstance(request, InvalidRequest) else set()
    errors = list(validator.iter_errors(data))
    if not codes:
        assert not errors
    elif not codes <= {"url", "text", "order"}:
        assert errors


@settings(max_examples=100 * N)
@given(data=st.data())
def test_render_is_all_or_nothing_for_every_shipped_model(data: st.DataObject) -> None:
    """Eligible is exactly "renders"; a payload is plain JSON; nobody sees half a body."""
    model = SHIPPED[data.draw(st.sampled_from(SHIPPED.models()))]
    lists = st.sampled_from([[URL], [URL] * 2, [URL] * 11])
    fields = {
        n: lists if f.is_list else st.sampled_from(f.samples()) for n, f in model.contract.fields.items()
    }
    needed = {name: fields.pop(name) for name, field in model.contract.fields.items() if field.required}
    request = attempt(model, data.draw(st.fixed_dictionaries(needed, optional=fields)))
    if isinstance(request, InvalidRequest):
        return
    eligible = model.eligible(request)
    for verdict in model.explain(request):
        assert verdict.eligible == (verdict.provider in eligible)
        if verdict.eligible:
            payload = model.render(request, verdict.provider)
            assert json.loads(json.dumps(payload.body)) == payload.body
            assert "absent" not in json.dumps(payload.body) or "absent" in json.dumps(request.values)
        else:
            with pytest.raises(Exception, match="cannot honour") as caught:
                model.render(request, verdict.provider)
            assert not hasattr(caught.value, "body")


SHIPPED = Catalog.shipped(include="secondary")
