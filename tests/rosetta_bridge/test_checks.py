"""Each static check, by one mistake in a small catalogue: what is said, and where."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rosetta_bridge import Catalog, InvalidCatalog
from tests.rosetta_bridge.support import FILES, MODEL, ON, catalog, changed, told, write

M, F, R = "lab/one/model.yaml", "lab/one/fal.yaml", "lab/one/replicate.yaml"
SAFETY = "safety: {$by: generation_moderation, true: strict, false: lax}"

MISTAKES: dict[str, tuple[str, list[tuple[str, str]], str]] = {
    # references
    "field misspelt": (
        F,
        [("$generation_prompt", "$generation_promt")],
        "fal.yaml:9: body.prompt: unknown field or table '$generation_promt' "
        "(did you mean generation_prompt?)",
    ),
    "table misspelt": (
        R,
        [("{size.width}*", "{sise.width}*")],
        "unknown field or table '{sise.width}' (did you mean size?)",
    ),
    "suffix misspelt": (R, [(".first", ".frist")], "unknown suffix .frist (did you mean first?)"),
    "key misspelt": (
        F,
        [("refuses:", "refusals:")],
        "fal.yaml:14: refusals: unknown key 'refusals' (did you mean refuses?)",
    ),
    "route key misspelt": (F, [("accepts:", "acepts:")], "routes.edit.acepts: unknown key"),
    "operator misspelt": (
        F,
        [(SAFETY, "safety: {$bye: generation_moderation, true: strict, false: lax}")],
        "unknown operator '$bye' (did you mean $by?)",
    ),
    "special row misspelt": (
        F,
        [("false: lax", "false: lax, $absnt: x")],
        "'$absnt' (did you mean $absent?)",
    ),
    "table over an unknown field": (
        F,
        [("$by: generation_moderation", "$by: generation_moderating")],
        "unknown field 'generation_moderating'",
    ),
    "rows without $by": (
        F,
        [("$by: generation_moderation, true", "$else: 1, true")],
        "say with `$by` which field",
    ),
    "single brace": (R, [('"{size.width}*{size.height}"', '"{size.width*{size.height}"')], "a single {"),
    "first of a text": (
        F,
        [("prompt: $generation_prompt", "prompt: $generation_prompt.first")],
        ".first needs a list; generation_prompt is string",
    ),
    "each outside a list": (
        F,
        [("image_urls: $generation_input_file", "image_urls: $generation_input_file.each")],
        ".each must stand inside a list",
    ),
    "base64 of a number": (
        F,
        [("seed: $generation_seed", "seed: $generation_seed.base64")],
        ".base64 needs a URL",
    ),
    "file in JSON": (
        R,
        [("$generation_input_file.first", "$generation_input_file.first.file")],
        ".file is for `encoding: multipart`",
    ),
    "list in a text": (
        R,
        [("image: $generation_input_file.first", 'image: "{generation_input_file}"')],
        "cannot be part of a text",
    ),
    "width of a field": (
        F,
        [("width: $size.width", "width: $generation_seed.width")],
        ".width is for tables",
    ),
    "width of a table of words": (
        M,
        [('2K: {"1:1": 2048x2048', '2K: {"1:1": large')],
        ".width needs a table whose cells are all WxH; size has the cell 'large'",
    ),
    "$body in the body": (F, [("seed: $generation_seed", "seed: $body")], "$body stands in `wrap` only"),
    "wrap without $body": (
        "_providers/replicate.yaml",
        [("{input: $body}", "{input: body}")],
        "replicate.yaml:3: wrap: `wrap` needs $body exactly once",
    ),
    "wrap with $body twice": (
        "_providers/replicate.yaml",
        [("{input: $body}", "{a: $body, b: $body}")],
        "exactly once",
    ),
    "wrap with a field": (
        "_providers/replicate.yaml",
        [("{input: $body}", "{a: $body, b: $generation_seed}")],
        "`wrap` knows $body and {model} only",
    ),
    # tables
    "missing row": (
        F,
        [("true: strict, false: lax", "true: strict")],
        "fal.yaml:12: body.safety: the table over generation_moderation has no row for false",
    ),
    "missing row of a table over two fields": (
        M,
        [(', "9:16": $unsupported', "")],
        "tables.size.2K: the table over generation_ratio has no row for 9:16",
    ),
    "row never reached": (
        M,
        [('"9:16": $unsupported}', '"9:16": $unsupported, "3:2": 1x1}')],
        "tables.size.2K.3:2: the row '3:2' is never reached: no such value",
    ),
    "row of the wrong type": (
        F,
        [
            (
                "seed: $generation_seed",
                "n: {$by: generation_output_number, '1': a, $else: b}\n          seed: $generation_seed",
            )
        ],
        "the row '1' is never reached: no such value of generation_output_number (write 1)",
    ),
    "row true for 1": (
        F,
        [
            (
                "seed: $generation_seed",
                "n: {$by: generation_output_number, true: a, $else: b}\n          seed: $generation_seed",
            )
        ],
        "the row True is never reached",
    ),
    "$else never reached": (F, [("false: lax", "false: lax, $else: x")], "the $else row is never reached"),
    "$absent never reached": (
        R,
        [
            (
                "strict: $generation_moderation",
                "strict: {$by: generation_ratio, $absent: 1, $else: 2}\n          s2: $generation_moderation",
            )
        ],
        "the row $absent is never reached: generation_ratio is always there",
    ),
    "$present and $else": (
        F,
        [("seed: $generation_seed", "seed: {$by: generation_seed, $present: 1, $else: 2}")],
        "keep one",
    ),
    "endless field without $else": (
        F,
        [("seed: $generation_seed", "seed: {$by: generation_seed, 7: 1}")],
        "no row for other values (add `$else`)",
    ),
    "rows of a list": (
        F,
        [("image_urls: $generation_input_file", "image_urls: {$by: generation_input_file, a: b}")],
        "a url_list has no values to list",
    ),
    "table inside a table over the same field": (
        F,
        [("true: strict", "true: {$by: generation_moderation, true: a, false: b}")],
        "join the two",
    ),
    "table over three fields": (
        F,
        [("$by: generation_moderation", "$by: [generation_moderation, generation_ratio, generation_seed]")],
        "names one field, or a list of two",
    ),
    "table that refers to itself": (M, [("2K: {", "2K: $size # {")], "the table size refers to itself"),
    "size turned round": (
        M,
        [('"16:9": 1344x768', '"16:9": 768x1344')],
        "model.yaml:15: tables.size.1K.16:9: the size 768x1344 is not 16:9",
    ),
    "size in the wrong row": (
        M,
        [('"1:1": 2048x2048, "16:9": 2688x1536', '"1:1": 2688x1536, "16:9": 2048x2048')],
        "the size 2688x1536 is not 1:1",
    ),
    "size more than 5 % off": (
        M,
        [('"16:9": 2688x1536', '"16:9": 2688x1416')],
        "the size 2688x1416 is not 16:9",
    ),
    "unquoted ratio": (M, [('values: ["1:1",', "values: [1:1,")], "model.yaml:6:"),
    # accounting
    "field not mapped": (
        F,
        [(f"          {SAFETY}\n", "")],
        "generation_moderation is lost on the route text",
    ),
    "field lost on one route": (
        F,
        [("body: {image_urls: $generation_input_file}", "body: {}")],
        "generation_input_file is lost on the route edit",
    ),
    "field lost in a one-cell row": (
        R,
        [
            (
                'size: "{size.width}*{size.height}"',
                "size: {$by: [generation_resolution, generation_ratio], "
                '1K: small, 2K: {"1:1": 2048x2048, "16:9": 2688x1536, "9:16": $unsupported}}',
            )
        ],
        "generation_ratio is lost on the route default with generation_resolution 1K",
    ),
    "field lost when another is absent": (
        R,
        [("seed: $generation_seed", 'seed: "{generation_seed}-{generation_moderation}"')],
        "generation_seed is lost on the route default with generation_moderation absent",
    ),
    "field lost with its list item": (
        R,
        [
            (
                "image: $generation_input_file.first",
                "i: [{url: $generation_input_file.first, s: $generation_seed}]",
            ),
            ("          seed: $generation_seed\n", ""),
        ],
        "generation_input_file is lost on the route default with generation_seed absent",
    ),
    "first item lost": (
        F,
        [("image_urls: $generation_input_file", "image_urls: $generation_input_file.rest")],
        "the first item of generation_input_file is lost",
    ),
    "narrowed to two values and not sent": (
        R,
        [
            ("accepts: {generation_output_number: 1}", "accepts: {generation_output_number: [1, 2]}"),
            ("          n: $generation_output_number\n", ""),
        ],
        "generation_output_number is lost",
    ),
    "dropped and used": (
        F,
        [("refuses:", "drops: {generation_seed: never mind}\n        refuses:")],
        "generation_seed is dropped and used as well",
    ),
    "set and left": (
        F,
        [("refuses:", "leaves: [seed]\n        refuses:")],
        "seed is left out and set as well",
    ),
    "left although it must be set": (
        F,
        [("refuses:", "leaves: [generate_audio]\n        refuses:")],
        "generate_audio must be set",
    ),
    # limits
    "accepts outside the public values": (
        R,
        [("accepts: {generation_output_number: 1}", "accepts: {generation_output_number: 9}")],
        "accepts.generation_output_number: 9 is not a value",
    ),
    "accepts narrows nothing": (
        R,
        [
            (
                "accepts: {generation_output_number: 1}",
                'accepts: {generation_output_number: 1, generation_ratio: ["1:1", "16:9", "9:16"]}',
            )
        ],
        "narrows nothing: these are all public values",
    ),
    "max_items narrows nothing": (F, [("max_items: 3", "max_items: 8")], "max_items: 8 narrows nothing"),
    "none for a required field": (
        F,
        [("{generation_input_file: {max_items: 3}}", "{generation_prompt: none}")],
        "generation_prompt is required",
    ),
    "accepts of an unknown field": (
        F,
        [("{generation_input_file: {max_items: 3}}", "{generation_input_files: {max_items: 3}}")],
        "unknown field 'generation_input_files' (did you mean generation_input_file?)",
    ),
    "range for a list": (F, [("{max_items: 3}", "{max: 3}")], "max: 3 means nothing for url_list"),
    "rule that cannot fire": (
        F,
        [("max: 5, because", "max: 12, because")],
        "the rule can never fire: at most five",
    ),
    "rule with impossible values": (
        F,
        [
            (
                "{sum: [generation_input_file, generation_output_number], max: 5,",
                "{when: {generation_ratio: absent},",
            )
        ],
        "the rule can never fire",
    ),
    "rule without a reason": (F, [(", because: at most five in and out", "")], "a rule needs `because`"),
    "sum of a text": (
        F,
        [("sum: [generation_input_file,", "sum: [generation_prompt,")],
        "can be neither added nor counted",
    ),
    # routes
    "unreachable route": (
        F,
        [
            (
                "edit:\n            model",
                "again: {when: {generation_input_file: absent}, model: x}\n"
                "          edit:\n            model",
            )
        ],
        "the route again is never reached",
    ),
    "condition on an unknown value": (
        F,
        [("when: {generation_input_file: absent}", "when: {generation_ratio: 16x9}")],
        "'16x9' is not a value of generation_ratio (did you mean 16:9?)",
    ),
    "second of a text": (
        F,
        [("{generation_input_file: absent}", "{generation_prompt.second: absent}")],
        "only `.second` of a list",
    ),
    "route without a model": (R, [("        model: lab/one\n", "")], "has no `model`"),
    "default excludes a provider for ever": (
        R,
        [
            (
                "accepts: {generation_output_number: 1}",
                'accepts: {generation_output_number: 1, generation_ratio: "16:9"}',
            )
        ],
        "the default of generation_ratio excludes replicate for ever",
    ),
    # the rest of a file
    "numbered keys of a scalar": (
        R,
        [("image: $generation_input_file.first", "image_{1..3}: $generation_input_file.first")],
        "numbered keys need a list",
    ),
    "numbered keys collide": (
        R,
        [
            (
                "image: $generation_input_file.first",
                "image_2: $generation_input_file.first\n          image_{2..4}: $generation_input_file.rest",
            )
        ],
        "the key image_2 is also set by 'image_2'",
    ),
    "numbered keys fall": (
        R,
        [("image: $generation_input_file.first", "image_{3..2}: $generation_input_file.rest")],
        "the range must rise",
    ),
    "multipart with objects": (
        F,
        [("price:", "encoding: multipart\n        price:")],
        "multipart carries scalars",
    ),
    "credential in a header": (
        F,
        [("price:", "headers: {Authorization: Bearer x}\n        price:")],
        "carries a credential",
    ),
    "header from the request": (
        F,
        [("price:", 'headers: {X-Seed: "$generation_seed"}\n        price:')],
        "headers are constant",
    ),
    "number as header": (F, [("price:", "headers: {X-Version: 2}\n        price:")], "map of name to text"),
    "path with a field": (
        "_providers/fal.yaml",
        [('"/{model}"', '"/{generation_seed}"')],
        "a path knows {model} only",
    ),
    "relative path": ("_providers/fal.yaml", [('"/{model}"', '"{model}"')], "a path begins with /"),
    "no evidence": (
        R,
        [("        evidence: {level: docs, source: a page, date: 2026-11-20}\n", "")],
        "has no `evidence`",
    ),
    "unknown evidence": (
        R,
        [("level: docs", "level: hearsay")],
        "unknown level 'hearsay' (one of docs, openapi, sdk, secondary)",
    ),
    "no date": (R, [("date: 2026-11-20", "date: yesterday")], "expected a date as 2026-11-20"),
    "unknown successor": (
        R,
        [
            (
                "model: lab/one",
                "model: lab/one\n        retired: {date: 2027-01-01, successor: lab/two, source: x}",
            )
        ],
        "unknown model 'lab/two' (did you mean lab/one?)",
    ),
    "wrong schema": (F, [("mapping.v1", "mapping.v2")], "expected `schema: mapping.v1`, found 'mapping.v2'"),
    # prices
    "price as float": (F, [('"0.04"', "0.04")], "usd is a decimal in quotes, found 0.04"),
    "price without a row": (
        F,
        [('usd: "0.04"', 'usd: {$by: generation_resolution, 1K: "0.04"}')],
        "has no row for 2K",
    ),
    "price without $absent": (
        F,
        [('usd: "0.04"', 'usd: {$by: generation_moderation, true: "0.04", false: "0.03"}')],
        "a price needs a row for absent generation_moderation",
    ),
    "price times an optional number": (
        F,
        [("times: $generation_output_number", "times: $generation_seed")],
        "generation_seed is no count",
    ),
    "megapixel without unit": (
        F,
        [("per: image, times: $generation_output_number", "per: megapixel, size: $size")],
        "needs `size` and `unit`",
    ),
    "unknown per": (F, [("per: image", "per: picture")], "unknown `per` 'picture'"),
    # model.yaml
    "unknown type": (
        M,
        [("generation_moderation: {type: boolean}", "generation_moderation: {type: bool}")],
        "model.yaml:10: fields.generation_moderation.type: unknown type 'bool' (did you mean boolean?)",
    ),
    "default outside": (M, [("default: 1K", "default: 8K")], "the default '8K' is not a value of the field"),
    "required with default": (
        M,
        [("required: true,", "required: true, default: x,")],
        "a required field cannot have a default",
    ),
    "reserved value": (
        M,
        [("values: [1K, 2K]", "values: [1K, 2K, absent]")],
        "'absent' is a word of the language",
    ),
    "reserved field": (
        M,
        [
            (
                "generation_moderation: {type: boolean}",
                "generation_moderation: {type: boolean}\n          generation_provider_order: {type: string}",
            )
        ],
        "the provider order is reserved",
    ),
    "field without prefix": (
        M,
        [("generation_moderation: {type", "moderation: {type")],
        "'moderation' is not a field name",
    ),
    "key of another type": (
        M,
        [("{type: boolean}", "{type: boolean, max_items: 3}")],
        "max_items means nothing for type boolean",
    ),
    "together with an unknown field": (
        M,
        [("kind: image", "kind: image\n        together: [[generation_sed, generation_moderation]]")],
        "unknown field 'generation_sed' (did you mean generation_seed?)",
    ),
    "unknown kind": (M, [("kind: image", "kind: sound")], "kind is image or video"),
    "provider without a file": (
        M,
        [("providers: [fal, replicate]", "providers: [fal, replicate, bfl]")],
        "bfl has no file lab/one/bfl.yaml",
    ),
    # bounds and kinds
    "step of nothing": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, step: 0}",
            )
        ],
        "step must be more than 0, found 0",
    ),
    "step backwards": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: number, step: -0.5}",
            )
        ],
        "step must be more than 0, found -0.5",
    ),
    "list of nothing": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: url_list, max_items: 0}",
            )
        ],
        "max_items must be more than 0",
    ),
    "range without a value": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, min: 5, max: 2}",
            )
        ],
        "model.yaml:11: fields.generation_seed.max: max 2 is below min 5",
    ),
    "lengths without a value": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: string, min_length: 5, max_length: 2}",
            )
        ],
        "max_length 2 is below min_length 5",
    ),
    "values of nothing": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, values: null}",
            )
        ],
        "values must be a list",
    ),
    "default that is no integer": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, min: 0, default: 2.5}",
            )
        ],
        "the default 2.5 is not a value of the field",
    ),
    "default written as a float": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, min: 0, default: 2.0}",
            )
        ],
        "write a whole number as 5",
    ),
    "default between the steps": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: integer, min: 0, max: 1000, step: 10, default: 7}",
            )
        ],
        "7 is not a step of 10 from 0",
    ),
    "default that is too short": (
        M,
        [
            (
                "generation_seed: {type: integer, min: 0, max: 1000, strength: hint}",
                "generation_seed: {type: string, min_length: 3, default: ab}",
            )
        ],
        "has 2 characters; at least 3",
    ),
    "aliases that are no text": (
        M,
        [("kind: image", "kind: image\n        aliases: [[a/b]]")],
        "aliases: expected a list of names",
    ),
    "tables of a mapping that are a list": (
        F,
        [("schema: mapping.v1", "schema: mapping.v1\n        tables: [1]")],
        "`tables` is a map of name to table",
    ),
    "tables of a mapping that are a text": (
        F,
        [("schema: mapping.v1", "schema: mapping.v1\n        tables: generation_prompt")],
        "`tables` is a map of name to table",
    ),
    "accepts a text as a bound": (
        F,
        [("{max_items: 3}", "{max_items: three}")],
        "fal.yaml:7: accepts.generation_input_file: max_items: 'three' means nothing for url_list",
    ),
    "accepts a bound that the type has not": (
        F,
        [("{max_items: 3}}", "{max_items: 3}, generation_ratio: {min: 3}}")],
        "accepts.generation_ratio: min: 3 means nothing for enum",
    ),
    "accepts a step of nothing": (
        F,
        [("{max_items: 3}}", "{max_items: 3}, generation_seed: {step: 0}}")],
        "step must be more than 0",
    ),
    "provider nobody names": (
        M,
        [("providers: [fal, replicate]", "providers: [fal]")],
        "no provider of the model reads this file",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, tmp_path: Path) -> None:
    file, swaps, message = MISTAKES[name]
    with pytest.raises(InvalidCatalog) as caught:
        catalog(tmp_path, changed(file, *swaps))[MODEL]
    assert message in str(caught.value)
    assert str(caught.value) == told(caught.value.problems)


def test_the_small_catalogue_itself_is_right(tmp_path: Path) -> None:
    assert catalog(tmp_path).problems() == ()


def test_all_problems_of_a_model_are_told_at_once(tmp_path: Path) -> None:
    swaps = (("$generation_prompt", "$generation_promt"), ("seed: $generation_seed", "seed: $generation_sed"))
    broken = {**changed(F, *swaps), R: FILES[R].replace("model: lab/one", "mode: lab/one")}
    with pytest.raises(InvalidCatalog) as caught:
        catalog(tmp_path, broken)[MODEL]
    lines = str(caught.value).splitlines()
    assert len(lines) >= 3
    assert {line.split(":")[0] for line in lines} == {F, R}


def test_a_row_that_accepts_excludes_may_be_left_out(tmp_path: Path) -> None:
    """`accepts` says "cannot" already; a table need not say it again."""
    files = changed(
        R,
        ('size: "{size.width}*{size.height}"', 'size: {$by: generation_ratio, "1:1": a, "16:9": b}'),
        ("accepts: {", 'accepts: {generation_ratio: ["1:1", "16:9"], generation_resolution: 1K, '),
    )
    assert catalog(tmp_path, files).problems() == ()


def test_a_retired_route_leaves_on_its_date(tmp_path: Path) -> None:
    line = (
        "model: lab/one\n        retired: {date: 2026-12-01, successor: lab/one, source: the vendor's list}"
    )
    write(tmp_path, changed(R, ("model: lab/one", line)))
    for day, providers in ((date(2026, 11, 30), ("fal", "replicate")), (date(2026, 12, 1), ("fal",))):
        model = Catalog.open(tmp_path, shipped=False, on=day)[MODEL]
        request = model.normalize({"generation_prompt": "p"})
        assert model.providers == model.eligible(request) == providers
    verdict = model.explain(request)[1]
    assert verdict.reason == "retired on 2026-12-01; successor lab/one"


def test_a_retired_model_leaves_at_every_provider(tmp_path: Path) -> None:
    write(
        tmp_path, changed(M, ("kind: image", "kind: image\n        retired: {date: 2026-11-20, source: x}"))
    )
    model = Catalog.open(tmp_path, shipped=False, on=ON)[MODEL]
    assert model.providers == ()
    assert all(not verdict.eligible for verdict in model.explain(model.normalize({"generation_prompt": "p"})))


def test_secondary_evidence_is_off_by_default(tmp_path: Path) -> None:
    write(tmp_path, changed(R, ("level: docs", "level: secondary")))
    assert Catalog.open(tmp_path, shipped=False, on=ON)[MODEL].providers == ("fal",)
    with_secondary = Catalog.open(tmp_path, shipped=False, on=ON, include="secondary")[MODEL]
    assert with_secondary.providers == ("fal", "replicate")
    with pytest.raises(ValueError, match="include"):
        Catalog.shipped(include="everything")
