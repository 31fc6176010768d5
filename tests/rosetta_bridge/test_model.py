"""The face of a model: the mission's example, verdicts, costs, errors and what an import loads."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import threading
from decimal import Decimal, Inexact, localcontext
from pathlib import Path
from typing import Any

import pytest

import rosetta_bridge
from rosetta_bridge import Catalog, InvalidRequest, NotEligible, Request, UnknownModel
from tests.rosetta_bridge.support import FILES, MODEL, catalog, changed, one_body, write

URL = "https://example.com/cat.png"
F = "lab/one/fal.yaml"


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return Catalog.shipped()


def test_one_request_three_native_forms(shipped: Catalog) -> None:
    """The mission's example: one ratio and one input file, three spellings of both."""
    model = shipped["bytedance/seedream-4.5"]
    request = model.normalize(
        {"generation_prompt": "a lighthouse", "generation_ratio": "16:9", "generation_input_file": [URL]}
    )
    assert set(model.eligible(request)) == {"byteplus", "replicate", "fal"}
    replicate = model.render(request, "replicate").arguments
    assert replicate["aspect_ratio"] == "16:9"
    assert replicate["image_input"] == [URL]
    fal = model.render(request, "fal")
    assert fal.model.endswith("/edit")
    assert fal.arguments["image_urls"] == [URL]
    assert fal.arguments["image_size"] == {"width": 2848, "height": 1600}
    byteplus = model.render(request, "byteplus").arguments
    assert (byteplus["size"], byteplus["image"]) == ("2848x1600", [URL])


def test_a_model_that_takes_little_is_not_excluded_for_ever(shipped: Catalog) -> None:
    model = shipped["bfl/flux-schnell"]
    assert "cloudflare" in model.eligible(model.normalize({"generation_prompt": "a lighthouse"}))


def test_a_request_nobody_can_honour_names_the_field_per_provider(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    request = model.normalize(
        {"generation_prompt": "p", "generation_ratio": "9:16", "generation_resolution": "2K"}
    )
    assert model.eligible(request) == ()
    with pytest.raises(InvalidRequest) as caught:
        model.require_eligible(request)
    assert [(i.field, i.code, i.message.split(":")[0]) for i in caught.value.issues] == [
        ("generation_ratio", "not_eligible", "fal"),
        ("generation_ratio", "not_eligible", "replicate"),
    ]
    assert caught.value.code == "BSE2001"


def test_verdicts_read_as_sentences(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    request = model.normalize({"generation_prompt": "p", "generation_output_number": 3})
    assert [str(verdict) for verdict in model.explain(request)] == [
        "fal: eligible (route text)",
        "replicate: not eligible: generation_output_number: only 1 here, not 3",
    ]
    assert model.require_eligible(request) == ("fal",)


def test_a_payload_has_all_that_a_sender_needs(tmp_path: Path) -> None:
    opened = catalog(tmp_path)
    model = opened[MODEL]
    payload = model.render(model.normalize({"generation_prompt": "p"}), "replicate")
    assert (payload.method, payload.path) == ("POST", "/v1/models/lab/one/predictions")
    assert payload.body == {"input": payload.arguments}
    assert payload.arguments == {"prompt": "p", "size": "1024*1024", "n": 1}
    assert payload.catalog_digest == opened.digest
    assert payload.catalog_digest.startswith("sha256:")


def test_an_unknown_model_says_what_was_meant(shipped: Catalog) -> None:
    for wrong, meant in (
        ("bytedance/seedream-45", "bytedance/seedream-4.5"),
        ("Google/Veo-3.1", "google/veo-3.1"),
    ):
        with pytest.raises(UnknownModel) as caught:
            shipped[wrong]
        assert meant in caught.value.meant
        assert meant in str(caught.value)
        assert isinstance(caught.value, LookupError)
    for hostile in (
        "../../etc/passwd",
        "a/../../b",
        "",
        "x" * 10_000,
        "_families/x",
        "lab/one/two",
        "lab\0/x",
        "bytedance/" + "x" * 300,
        "x" * 300 + "/seedream",
    ):
        with pytest.raises(UnknownModel):
            shipped[hostile]
        assert hostile not in shipped


@pytest.mark.parametrize(
    "wrong",
    [None, 7, 10**5000, ["bytedance/seedream-4.5"], {}, b"bytedance/seedream-4.5"],
    ids=["null", "number", "huge number", "list", "object", "bytes"],
)
def test_an_id_that_is_no_text_is_unknown_too(shipped: Catalog, wrong: Any) -> None:
    """It may come straight out of somebody's JSON."""
    with pytest.raises(UnknownModel, match=type(wrong).__name__):
        shipped[wrong]
    assert wrong not in shipped


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_while_another_thread_reads_can_read(tmp_path: Path) -> None:
    """The thread that held the lock is not in the child; its lock must not be there either."""
    opened, held, done = catalog(tmp_path), threading.Event(), threading.Event()

    def hold() -> None:
        with opened._lock:
            held.set()
            done.wait(30.0)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30.0)
    if (child := os.fork()) == 0:
        signal.alarm(20)
        os._exit(0 if opened[MODEL].providers else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_an_unknown_provider_is_not_eligible(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    request = model.normalize({"generation_prompt": "p"})
    with pytest.raises(NotEligible, match="did you mean replicate"):
        model.render(request, "replicat")
    with pytest.raises(NotEligible):
        model.cost(request, "nobody")


def test_a_request_of_another_model_is_refused(tmp_path: Path, shipped: Catalog) -> None:
    request = shipped["bfl/flux-schnell"].normalize({"generation_prompt": "p"})
    with pytest.raises(ValueError, match="normalize it with this model"):
        catalog(tmp_path)[MODEL].eligible(request)


def test_a_request_that_came_another_way_renders_as_the_normalized_one(tmp_path: Path) -> None:
    """By pickle, by the constructor, and from a catalogue whose contract has the fields in another order."""
    model = catalog(tmp_path)[MODEL]
    prompt = "          generation_prompt: {type: string, required: true, min_length: 1, max_length: 100}\n"
    last = "          generation_seed: {type: integer, min: 0, max: 1000, strength: hint}\n"
    turned = dict(FILES)
    turned["lab/one/model.yaml"] = (
        FILES["lab/one/model.yaml"].replace(prompt, "").replace(last, last + prompt)
    )
    (tmp_path / "other").mkdir()
    other = catalog(tmp_path / "other", turned)[MODEL]
    data = {"generation_prompt": "p", "generation_seed": 7, "generation_ratio": "16:9"}
    request = model.normalize(data)
    again = [
        pickle.loads(pickle.dumps(request)),
        copy.deepcopy(request),
        dataclasses.replace(request),
        other.normalize(data),
        Request(MODEL, "image", request.values, request.given, "fastest", 1, "1K"),
    ]
    for one in again:
        assert one == request
        assert model.render(one, "fal") == model.render(request, "fal")
        assert model.explain(one) == model.explain(request)
    lacking = dataclasses.replace(request, values={"generation_prompt": "p"})
    assert model.render(lacking, "fal").arguments == {"prompt": "p"}, "nothing is put in that it does not say"


def test_a_request_and_a_payload_are_frozen(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    request = model.normalize({"generation_prompt": "p"})
    for value, member in ((request, "order"), (request, "values"), (model.render(request, "fal"), "body")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, member, "other")
    with pytest.raises(AttributeError, match="no attribute 'valeus'"):
        request.valeus  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(Request(MODEL, "image", {}, frozenset(), "fastest", 1, "1K"), "nothing")


def test_one_call_is_the_two_steps(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    files = [URL, URL]
    data = {"generation_prompt": "p", "generation_input_file": files}
    payload = model.payload(data, "fal")
    assert payload == model.render(model.normalize(data), "fal")
    payload.arguments["image_urls"].append("x")
    assert files == [URL, URL], "the caller's list is his own"
    assert model.payload({**data, "generation_provider_order": "fal"}, "fal").arguments["image_urls"] == files
    with pytest.raises(InvalidRequest, match="generation_promt"):
        model.payload({"generation_promt": "p"}, "fal")
    with pytest.raises(NotEligible, match="generation_output_number"):
        model.payload({"generation_prompt": "p", "generation_output_number": 2}, "replicate")
    with pytest.raises(NotEligible, match="did you mean replicate"):
        model.payload(data, "replicat")


def test_aliases_lead_to_the_canonical_model(tmp_path: Path) -> None:
    model = ("kind: image", "kind: image\n        aliases: [lab/uno, old/one]")
    opened = catalog(tmp_path, changed("lab/one/model.yaml", model))
    assert opened["lab/uno"] is opened["old/one"] is opened[MODEL]
    assert opened["old/one"].id == MODEL
    assert opened.models() == (MODEL,)
    assert opened.aliases() == {"lab/uno": MODEL, "old/one": MODEL}
    assert "old/one" in opened
    assert "old/two" not in opened
    write(
        tmp_path,
        {name.replace("lab/one", "lab/two"): text for name, text in FILES.items() if "/one/" in name},
    )
    again = catalog(
        tmp_path, changed("lab/one/model.yaml", ("kind: image", "kind: image\n        aliases: [lab/two]"))
    )
    with pytest.raises(rosetta_bridge.InvalidCatalog, match="stands for another model already"):
        again["lab/three"]


@pytest.mark.parametrize(
    "error",
    [
        rosetta_bridge.InvalidRequest([rosetta_bridge.Issue("f", "type", "m", "h")]),
        UnknownModel("a/b", ("a/c",)),
        NotEligible("fal", (("f", "why"),)),
        rosetta_bridge.InvalidCatalog([]),
    ],
)
def test_errors_survive_a_process_boundary(error: rosetta_bridge.RosettaError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (type(error), str(error), error.code)


# Costs


def cost(tmp_path: Path, price: str, **values: object) -> tuple[int, str] | None:
    fields = """
    generation_ratio: {type: enum, values: ["1:1", "16:9"], default: "1:1"}
    generation_output_number: {type: integer, min: 1, max: 4, default: 1}
    generation_input_file: {type: url_list, max_items: 8}
    generation_duration: {type: number, min: 1, max: 10, default: 5}
    generation_generate_audio: {type: boolean}
    """
    body = """
    s: $size
    n: $generation_output_number
    f: $generation_input_file
    d: $generation_duration
    a: $generation_generate_audio
    """
    tables = 'tables:\n  size: {$by: generation_ratio, "1:1": 1024x1024, "16:9": 1920x1080}\n'
    more = f"{tables}price:\n  evidence: docs\n{price}\n"
    model = one_body(tmp_path, fields, body, more)
    request = model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in values.items()}})
    found = model.cost(request, "fal")
    assert model.estimate(request) == {"fal": found}
    if found is None:
        return None
    assert (found.evidence, found.date) == ("docs", "2026-11-20")
    return found.micros, found.kind


COSTS = {
    "per request": ('  parts: [{per: request, usd: "0.03"}]', {}, (30_000, "exact")),
    "per image": (
        '  parts: [{per: image, times: $generation_output_number, usd: "0.04"}]',
        {"output_number": 3},
        (120_000, "exact"),
    ),
    "per second, a fraction": (
        '  parts: [{per: second, times: $generation_duration, usd: "0.1"}]',
        {"duration": 2.5},
        (250_000, "exact"),
    ),
    "two factors": (
        '  parts: [{per: second, times: [$generation_duration, $generation_output_number], usd: "0.1"}]',
        {"duration": 4, "output_number": 2},
        (800_000, "exact"),
    ),
    "inputs beyond the first": (
        '  parts: [{per: input, times: $generation_input_file, beyond: 1, usd: "0.015"}]',
        {"input_file": [URL] * 3},
        (30_000, "exact"),
    ),
    "no inputs": ('  parts: [{per: input, times: $generation_input_file, usd: "0.015"}]', {}, (0, "exact")),
    "1024 x 1024 is two megapixels of a million": (
        '  parts: [{per: megapixel, size: $size, unit: 1000000, usd: "0.01"}]',
        {},
        (20_000, "exact"),
    ),
    "and one of 2^20": (
        '  parts: [{per: megapixel, size: $size, unit: 1048576, usd: "0.01"}]',
        {},
        (10_000, "exact"),
    ),
    "megapixels beyond the first": (
        '  parts: [{per: megapixel, size: $size, unit: 1048576, beyond: 1, usd: "0.01"}]',
        {"ratio": "16:9"},
        (10_000, "exact"),
    ),
    "a table with $absent": (
        "  parts: [{per: request, usd: "
        '{$by: generation_generate_audio, true: "0.4", false: "0.2", $absent: "0.3"}}]',
        {"generate_audio": True},
        (400_000, "exact"),
    ),
    "parts add up": (
        '  parts: [{per: request, usd: "0.000001"}, '
        '{per: image, times: $generation_output_number, usd: "0.1"}]',
        {"output_number": 2},
        (200_001, "exact"),
    ),
    "less than a micro-credit is rounded up": (
        '  parts: [{per: request, usd: "0.0000001"}]',
        {},
        (1, "exact"),
    ),
    "marked": ('  kind: upper_bound\n  parts: [{per: request, usd: "1"}]', {}, (1_000_000, "upper_bound")),
    "unknown for a combination": (
        "  parts: [{per: request, usd: "
        '{$by: generation_generate_audio, true: $omit, false: "1", $absent: "1"}}]',
        {"generate_audio": True},
        None,
    ),
}


@pytest.mark.parametrize("name", COSTS)
def test_cost(name: str, tmp_path: Path) -> None:
    price, values, expected = COSTS[name]
    assert cost(tmp_path, price, **values) == expected


def test_costs_are_exact_where_floats_are_not(tmp_path: Path) -> None:
    assert 0.1 + 0.2 != 0.3
    parts = '  parts: [{per: request, usd: "0.1"}, {per: request, usd: "0.2"}]'
    assert cost(tmp_path, parts) == (int(Decimal("0.3") * 10**6), "exact")


def test_costs_do_not_depend_on_the_precision_of_the_application(tmp_path: Path) -> None:
    """`decimal` keeps one context per thread, and whoever calls us may have changed theirs."""
    field = "generation_duration: {type: number, min: 1, max: 60, default: 1}"
    price = 'price: {evidence: docs, parts: [{per: second, times: $generation_duration, usd: "0.117386775"}]}'
    model = one_body(tmp_path, field, "d: $generation_duration", price)
    request = model.normalize({"generation_prompt": "p", "generation_duration": 11.5})
    with localcontext() as context:
        context.prec = 4
        context.traps[Inexact] = True
        [cost] = model.estimate(request).values()
    assert cost is not None
    assert cost.micros == 1_349_948


def test_no_price_is_no_cost(tmp_path: Path) -> None:
    model = catalog(tmp_path)[MODEL]
    request = model.normalize({"generation_prompt": "p"})
    assert model.estimate(request)["replicate"] is None


# Imports

IMPORTS = "import sys; import rosetta_bridge; print(*sorted(m.split('.')[0] for m in sys.modules))"


def test_importing_the_package_loads_no_library() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"yaml", "_yaml", "pydantic", "jsonschema", "httpx", "difflib", "argparse"} & set(loaded)
    assert "rosetta_bridge" in loaded


def test_a_first_request_loads_neither_pydantic_nor_jsonschema() -> None:
    code = (
        "import sys; from rosetta_bridge import Catalog; m = Catalog.shipped()['bfl/flux-schnell']\n"
        "r = m.normalize({'generation_prompt': 'p'}); m.render(r, 'fal')\n"
        "print(*sorted(x.split('.')[0] for x in sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {
        "pydantic",
        "jsonschema",
        "httpx",
        "adaptive_island",
        "ledger_fortress",
        "execution_arrow",
    } & set(loaded)


def test_the_public_surface_is_small_and_sorted() -> None:
    assert rosetta_bridge.__all__ == sorted(rosetta_bridge.__all__)
    assert len(rosetta_bridge.__all__) <= 12
    assert all(getattr(rosetta_bridge, name) is not None for name in rosetta_bridge.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        rosetta_bridge.nothing_here  # noqa: B018
