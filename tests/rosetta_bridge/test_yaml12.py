"""YAML by the 1.2 rules, positions, and everything that is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rosetta_bridge import InvalidCatalog
from rosetta_bridge.language import yaml12
from rosetta_bridge.language.yaml12 import MAX_BYTES, Doc, dotted, merge, parse


@pytest.fixture(params=["C", "Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: they report plain scalars differently."""
    if request.param == "C" and not yaml.__with_libyaml__:
        pytest.skip("PyYAML is built without libyaml here")
    monkeypatch.setattr(yaml12, "_LOADER", yaml.CBaseLoader if request.param == "C" else yaml.BaseLoader)


def read(text: str) -> dict[object, object]:
    return parse(text.encode(), "file.yaml").data


def refusal(text: str | bytes) -> str:
    with pytest.raises(InvalidCatalog) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "file.yaml")
    (problem,) = caught.value.problems
    assert problem.file == "file.yaml"
    return str(problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("n", "n"),
        ("y", "y"),
        ("2026-11-20", "2026-11-20"),
        ("832*480", "832*480"),
        ("1024x768", "1024x768"),
        ("4K", "4K"),
        ("'16:9'", "16:9"),
        ('"on"', "on"),
        ('"007"', "007"),
        ("'5'", "5"),
        ("$field.first", "$field.first"),
        ("= x", "= x"),
        ("1.5.2", "1.5.2"),
        ("16:9-ish", "16:9-ish"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    found = read(f"key: {text}\n")["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "16:9",
        "1:1",
        "9:16",
        "21:9",
        "190:20:30",
        "on",
        "Off",
        "yes",
        "NO",
        "007",
        "0x1F",
        "0b1",
        "1_000",
        ".inf",
        ".nan",
        "-.inf",
    ],
)
@pytest.mark.parametrize("place", ["a:\n  key: {}\n", "a: {{key: {}}}\n", "a:\n  - {}\n", "a:\n  {}: x\n"])
def test_what_readers_of_yaml_disagree_about_is_refused_with_its_line(text: str, place: str) -> None:
    message = refusal(place.format(text))
    assert f"unquoted {text}" in message
    assert f'write "{text}"' in message
    assert "file.yaml:2:" in message or place.startswith("a: {")


def test_an_unquoted_ratio_never_becomes_969() -> None:
    assert yaml.safe_load("16:9") == 969, "the trap this loader is for"
    assert "base-60" in refusal("ratio: 16:9\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "file.yaml:3: a: the key 'a' stands twice"),
        ("t:\n  true: x\n  1: y\n", "file.yaml:3: t[1]: the key 1 stands twice, the same key as True here"),
        ("t: {1: x, 1.0: y}\n", "the same key as 1 here"),
        ("t: {a: &x 1, b: 2}\n", "anchors and aliases are not part of the language"),
        ("t: {a: *x}\n", "anchors and aliases"),
        ("t: {<<: {a: 1}}\n", "the key '<<' is not part of the language"),
        ("t: !!python/object:os.system {}\n", "the tag"),
        ("t: !x y\n", "the tag '!x'"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2: a second document"),
        ("- a\n", "the file must hold a map"),
        ("", "the file must hold a map"),
        ("a: [1, 2\n", "file.yaml:2:"),
        ("a:\n\t- b\n", "file.yaml:2:"),
        ("{[a]: b}\n", "a key must be a plain word"),
        ("{null: b}\n", "the key 'null'"),
        ("a: 1e999\n", "too large"),
        (f"a: {'9' * 30}\n", "more than 20 digits"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: 1\nb: \xc3\x28\n", "file.yaml:2: the file is not UTF-8"),
        ("a: \x00\n", "file.yaml"),
        ("a" * (MAX_BYTES + 1), "at most"),
    ],
)
def test_a_refusal_says_where_and_why(text: str | bytes, message: str) -> None:
    assert message in refusal(text)


def test_a_billion_laughs_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert "file.yaml:1: a: anchors" in refusal(bomb)


@pytest.mark.parametrize("text", ["a: " + "[" * 50_000, "a: " + "{a: " * 20_000, "- " * 20_000 + "x"])
def test_deep_nesting_is_refused_without_a_recursion_error(text: str) -> None:
    assert "nested deeper" in refusal(text) or "must hold a map" in refusal(text)


def test_every_node_knows_its_line() -> None:
    doc = parse(b"a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "f.yaml")
    assert [doc.mark(p)[1] for p in (("a",), ("a", "b"), ("a", "c", 1), ("a", "c", 1, "d"))] == [1, 2, 5, 5]
    assert doc.mark(("a", "c", 9, "nowhere")) == ("f.yaml", 3), "the nearest ancestor"
    assert dotted(("a", "c", 1, "d")) == "a.c[1].d"
    assert doc.at("a").mark(("c", 0)) == ("f.yaml", 4)


def test_merging_keeps_maps_and_replaces_lists_and_tables_whole() -> None:
    base = parse(b"m: {a: 1, b: 2}\nl: [1, 2]\nt: {$by: f, x: 1, y: 2}\ns: 1\n", "base")
    over = parse(b"m: {b: 3, c: 4}\nl: [9]\nt: {$by: g, z: 1}\ns: {a: 1}\n", "over")
    merged = merge(base, over)
    assert merged.data == {"m": {"a": 1, "b": 3, "c": 4}, "l": [9], "t": {"$by": "g", "z": 1}, "s": {"a": 1}}
    assert [merged.mark(("m", k))[0] for k in "abc"] == ["base", "over", "over"]
    assert base.data["m"] == {"a": 1, "b": 2}, "merging changes neither side"


def answer(data: bytes) -> Doc | str:
    """A document, or the refusal; anything else escapes and fails the test."""
    try:
        return parse(data, "f")
    except InvalidCatalog as error:
        return error.problems[0].message


@given(st.binary(max_size=400))
def test_any_bytes_give_a_document_or_a_named_refusal(data: bytes) -> None:
    assert isinstance(answer(data), Doc | str)


@given(st.text(alphabet="ab:-{}[]!&*'\"#|>%@ \n0159.$,?~", max_size=120))
def test_yaml_like_noise_gives_a_document_or_a_named_refusal(text: str) -> None:
    assert isinstance(answer(text.encode()), Doc | str)
