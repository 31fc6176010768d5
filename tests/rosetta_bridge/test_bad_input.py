"""Hostile requests and hostile mapping files: refused by name, whole, and without a traceback."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from rosetta_bridge import Catalog, InvalidCatalog, InvalidRequest, Model, NotEligible, UnknownModel
from rosetta_bridge.language.fields import Field
from rosetta_bridge.proof.products import requests
from tests.rosetta_bridge.support import FILES, ON, changed, write

CATALOG = Catalog.shipped(include="secondary")
URL = "https://example.com/a.png"
DEEP: Any = "x"
for _ in range(40):
    DEEP = [DEEP]

# What no field of these types takes, and the issue's code.
NUMBERS: list[tuple[Any, str]] = [
    ("5", "type"), ("", "type"), (float("nan"), "type"), (float("inf"), "type"), (float("-inf"), "type"),
    (True, "type"), (None, "type"), ([5], "type"), (10**400, "range"), (2**53, "range"),
    (-(10**5000), "range"),
]  # fmt: skip
TEXTS: list[tuple[Any, str]] = [
    ("a\x00b", "text"), ("a\x1b[2Jb", "text"), ("a\x7fb", "text"), ("a\ud800b", "text"), (b"x", "type"),
    (5, "type"), (None, "type"), ({"text": "x"}, "type"), (["x"], "type"),
]  # fmt: skip
ENUMS: list[tuple[Any, str]] = [("\x00", "value"), ("x" * 10_000, "value"), (10**5000, "type"), ([], "type")]
BOOLEANS: list[tuple[Any, str]] = [("true", "type"), (1, "type"), (0.0, "type"), (None, "type")]
URLS = [
    "http://localhost/", "http://169.254.169.254/latest", "https://user:pw@example.com/", "http://[::1]/x",
    "http://2130706433/", "https://a.internal/x", "https://a.local", "file:///etc/passwd", "javascript:x",
    "https://example.com/a b", "https://example.com\\@evil.example/", "https://ex\u0430mple.com/",
    "https://example.com/" + "x" * 2048, "https://example.com/\x00", "https://a..com/", "https://-a.com/",
    f"https://{'a' * 64}.com/", f"https://{'a' * 30}-{'a' * 33}.com/", "https://lan/", "https://a.test?x",
]  # fmt: skip
OF_TYPE = {
    "integer": NUMBERS, "number": NUMBERS, "string": TEXTS, "enum": ENUMS, "boolean": BOOLEANS,
    "url": [(url, "url") for url in URLS],
    "url_list": [([url], "url") for url in URLS] + [([URL] * 500, "items"), ([DEEP], "too_deep"),
                                                   (URL, "type")],
    "string_list": [(["abcd\x00"], "text"), (["a"] * 500, "items"), ({"a": 1}, "type")],
}  # fmt: skip


def good(model: Model) -> dict[str, Any]:
    mapping = next(iter(model.mappings.values()))
    return next(iter(requests(model.contract, mapping, whole=1)))


def codes(model: Model, data: Any) -> dict[str, set[str]]:
    with pytest.raises(InvalidRequest) as caught:
        model.normalize(data)
    assert str(caught.value)
    found: dict[str, set[str]] = {}
    for issue in caught.value.issues:
        assert issue.message
        found.setdefault(issue.field, set()).add(issue.code)
    return found


def hostile(field: Field) -> list[tuple[Any, str]]:
    if field.values is not None and field.type == "integer":
        return [(value, code) for value, code in NUMBERS if code == "type"]
    return OF_TYPE[field.type]


@pytest.mark.parametrize("name", CATALOG.models())
def test_each_field_of_each_model_names_what_is_wrong_with_it(name: str) -> None:
    model = CATALOG[name]
    base = good(model)
    for field in model.contract.fields.values():
        for value, code in hostile(field):
            found = codes(model, {**base, field.name: value})
            where = "" if code == "too_deep" else field.name
            assert code in found[where], (field.name, value if len(repr(value)) < 100 else type(value))


@pytest.mark.parametrize("name", CATALOG.models())
def test_a_request_that_is_too_large_or_too_deep_is_one_issue(name: str) -> None:
    model = CATALOG[name]
    base = good(model)
    for more, code in (
        ({"generation_prompt": "x" * 102_400}, "too_large"),
        ({"generation_prompt": "\u0100" * 52_000}, "too_large"),
        ({"x": "y" * 102_400}, "too_large"),
        ({"generation_provider_order": "fal," * 30_000}, "too_large"),
        ({"x": DEEP}, "too_deep"),
    ):
        assert codes(model, {**base, **more}) == {"": {code}}


@pytest.mark.parametrize("name", CATALOG.models())
def test_a_long_prompt_is_refused_or_sent_whole(name: str) -> None:
    """10,000 characters: an issue, a provider that says why not, or every character of it."""
    model = CATALOG[name]
    prompt = "waves " * 1666 + "end!"
    assert len(prompt) == 10_000
    data = {**good(model), "generation_prompt": prompt}
    field = model.contract.fields.get("generation_prompt")
    if field is None or (field.max_length or 10_000) < 10_000:
        code = "unknown_field" if field is None else "length"
        assert codes(model, data) == {"generation_prompt": {code}}
        return
    request = model.normalize(data)
    for verdict in model.explain(request):
        if not verdict.eligible:
            assert verdict.reasons
            with pytest.raises(NotEligible):
                model.render(request, verdict.provider)
        elif verdict.provider in model.providers:
            assert prompt in repr(model.render(request, verdict.provider).body)


def child(parent: str) -> dict[str, str]:
    return changed("lab/one/fal.yaml", ("mapping.v1", f"mapping.v1\nextends: {parent}"))


def mapped(line: str) -> dict[str, str]:
    """The file with one more line, in the place of a line of the same key."""
    key = line.partition(":")[0] + ":"
    kept = [old for old in dedent(FILES["lab/one/fal.yaml"]).splitlines() if not old.startswith(key)]
    return {"lab/one/fal.yaml": "\n".join([*kept, line, ""])}


def endpoint(name: str) -> dict[str, str]:
    return changed("lab/one/fal.yaml", ("fal-ai/one/edit", name))


PRICE = 'price: {{evidence: docs, source: x, date: 2026-11-20, parts: [{{per: request, usd: "{}"}}]}}'
BOMB = "".join(f"  k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9 if i else ['x'])}]\n" for i in range(12))
HOSTILE: dict[str, tuple[dict[str, str], str]] = {
    "an alias bomb": ({"lab/one/fal.yaml": f"schema: mapping.v1\nbody:\n{BOMB}"}, "anchors and aliases"),
    "ten megabytes": ({"lab/one/fal.yaml": "schema: mapping.v1\n# " + "x" * 10_000_000}, "bytes"),
    "ten megabytes of a model": ({"lab/one/model.yaml": "a: " + "x" * 10_000_000}, "bytes"),
    "a parent outside": (child("../../etc/passwd"), ""),
    "an absolute parent": (child("/etc/passwd"), ""),
    "its own parent": (
        child("_families/a.yaml")
        | {
            "_families/a.yaml": "schema: family.v1\nextends: _families/b.yaml\n",
            "_families/b.yaml": "schema: family.v1\nextends: _families/a.yaml\n",
        },
        "",
    ),
    "a deep list": ({"lab/one/fal.yaml": "schema: mapping.v1\nbody: " + "[" * 60_000}, "nested deeper"),
    "a Python object": ({"lab/one/fal.yaml": "schema: !!python/object/apply:os.abort []\n"}, "the tag"),
    "a provider outside": (changed("lab/one/model.yaml", ("[fal,", '["../../x", fal,')), ""),
    "no text": ({"lab/one/fal.yaml": "schema: \x00\n"}, ""),
    "text of another encoding": ({"lab/one/fal.yaml": "schema: mapping.v1\n\u20ac"}, "UTF-8"),
    "twenty thousand unknown keys": (
        {"lab/one/fal.yaml": "schema: mapping.v1\n" + "".join(f"k{i}: 1\n" for i in range(20_000))},
        "k0",
    ),
    "a list without an end": (changed("lab/one/model.yaml", ("items: 8", "items: 999999999")), "up to 1000"),
    "a path to another host": (mapped('path: "//evil.example/x"'), "lead elsewhere"),
    "a path upwards": (mapped('path: "/v1/../../x"'), "lead elsewhere"),
    "a path with a query": (mapped('path: "/x?a=b#c"'), "lead elsewhere"),
    "a path with a line break": (mapped('path: "/x\\ny"'), "lead elsewhere"),
    "a model upwards": (endpoint('"../../x"'), "not a model id"),
    "a model with a line break": (endpoint('"a\\nb"'), "not a model id"),
    "a header with a second header": (mapped('headers: {X-A: "a\\r\\nHost: evil"}'), "printable ASCII"),
    "a price that is no number": (mapped(PRICE.format("NaN")), "a decimal"),
    "a price below nothing": (mapped(PRICE.format("-1")), "a decimal"),
    "a price in other digits": (mapped(PRICE.format("\u0663")), "a decimal"),
    "a price with an underscore": (mapped(PRICE.format("1_0")), "a decimal"),
    "a price of 5,000 digits": (mapped(PRICE.format("0." + "0" * 5000 + "1")), "a decimal"),
    "a link to itself": ({}, "no file"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_with_its_name_and_a_reason(what: str, tmp_path: Path) -> None:
    files, reason = HOSTILE[what]
    write(tmp_path, FILES | files)
    file = tmp_path / "lab" / "one" / "fal.yaml"
    if what == "text of another encoding":
        file.write_bytes(file.read_text("utf-8").encode("cp1252"))
    elif what == "a link to itself":
        file.unlink()
        file.symlink_to(file.name)
    with pytest.raises(InvalidCatalog, match=reason or None) as caught:
        Catalog.open(tmp_path, shipped=False, on=ON)["lab/one"]
    for problem in caught.value.problems:
        assert problem.file
        assert problem.message
        assert len(str(problem)) < 1000


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "lab/../lab/one", "lab/one\x00", "x" * 10**6, "lab"]
)
def test_no_id_leads_out_of_the_catalogue(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        CATALOG[name]
    assert len(str(caught.value)) < 1000
