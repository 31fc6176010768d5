"""Layers of directories, `extends`, and every way in which a file could reach where it should not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from rosetta_bridge import Catalog, InvalidCatalog
from rosetta_bridge.language.yaml12 import parse
from rosetta_bridge.loading import SHIPPED
from tests.rosetta_bridge.support import FILES, MODEL, ON, changed, write

F, R = "lab/one/fal.yaml", "lab/one/replicate.yaml"
FAMILY = """
schema: family.v1
body: {prompt: $generation_prompt, n: $generation_output_number, extra: {a: 1, b: 2}, list: [1, 2]}
leaves: [old]
accepts: {generation_output_number: 1}
evidence: {level: docs, source: the family, date: 2026-01-01}
"""
SMALL = """
schema: mapping.v1
extends: ../../_families/base.yaml
model: lab/one
body:
  size: $size
  image: $generation_input_file.first
  seed: $generation_seed
  strict: $generation_moderation
"""


def open_layers(*folders: Path) -> Catalog:
    return Catalog.open(*folders, shipped=False, on=ON)


def body(catalog: Catalog, provider: str = "replicate") -> dict[str, object]:
    model = catalog[MODEL]
    arguments: dict[str, object] = model.render(
        model.normalize({"generation_prompt": "p"}), provider
    ).arguments
    return arguments


def refusal(catalog: Catalog) -> str:
    with pytest.raises(InvalidCatalog) as caught:
        catalog[MODEL]
    return str(caught.value)


def test_a_team_replaces_a_file_by_its_path(tmp_path: Path) -> None:
    base = write(tmp_path / "base", FILES)
    team = write(
        tmp_path / "team", {R: FILES[R].replace("seed: $generation_seed", "seed_value: $generation_seed")}
    )
    catalog = open_layers(base, team)
    model = catalog[MODEL]
    request = model.normalize({"generation_prompt": "p", "generation_seed": 7})
    assert model.render(request, "replicate").arguments["seed_value"] == 7
    assert model.render(request, "fal").arguments["seed"] == 7, "other files are the lower layer's"


def test_a_team_changes_single_keys_with_extends_shipped(tmp_path: Path) -> None:
    base = write(tmp_path / "base", FILES)
    over = "schema: mapping.v1\nextends: shipped\nbody: {n: 1, quality: high}\n"
    team = write(tmp_path / "team", {R: over})
    catalog = open_layers(base, team)
    assert body(catalog) == {"prompt": "p", "size": "1024*1024", "n": 1, "quality": "high"}
    digest = hashlib.sha256((base / R).read_bytes()).hexdigest()
    assert catalog[MODEL].overrides == ((R, str(base.resolve()), f"sha256:{digest}"),)


def test_layers_stack_and_each_override_is_recorded(tmp_path: Path) -> None:
    folders = [write(tmp_path / "0", FILES)]
    for i in (1, 2):
        over = f"schema: mapping.v1\nextends: shipped\nbody: {{k{i}: {i}}}\n"
        folders.append(write(tmp_path / str(i), {R: over}))
    catalog = open_layers(*folders)
    assert {"k1": 1, "k2": 2}.items() <= body(catalog).items()
    assert [override.layer for override in catalog[MODEL].overrides] == [
        str(f.resolve()) for f in folders[1::-1]
    ]


def test_the_digest_names_the_content_of_all_layers(tmp_path: Path) -> None:
    base, team = write(tmp_path / "base", FILES), write(tmp_path / "team", {R: FILES[R]})
    alone, both = open_layers(base), open_layers(base, team)
    assert alone.digest == open_layers(base).digest != both.digest
    payload = both[MODEL].render(both[MODEL].normalize({"generation_prompt": "p"}), "fal")
    assert payload.catalog_digest == both.digest
    (team / R).write_text((team / R).read_text() + "# a comment\n")
    assert open_layers(base, team).digest != both.digest


def test_shipped_models_can_be_overridden(tmp_path: Path) -> None:
    """The shipped catalogue is the lowest layer; one changed key keeps the rest of its file."""
    name = "bfl/flux-schnell/replicate.yaml"
    write(
        tmp_path,
        {
            name: "schema: mapping.v1\nextends: shipped\nbody: {go_fast: true}\n"
            "leaves: [output_quality, disable_safety_checker]\n"
        },
    )
    catalog = Catalog.open(tmp_path, on=ON)
    model = catalog["bfl/flux-schnell"]
    arguments = model.render(model.normalize({"generation_prompt": "p"}), "replicate").arguments
    assert arguments["go_fast"] is True
    assert arguments["prompt"] == "p"
    assert [override.path for override in model.overrides] == [name]


def test_a_family_is_laid_under_the_file(tmp_path: Path) -> None:
    swap = {R: SMALL.replace("  size: $size", "  size: $size\n  extra: {b: 3}\n  list: [9]")}
    catalog = open_layers(write(tmp_path, {**FILES, "_families/base.yaml": FAMILY, **swap}))
    assert body(catalog) == {
        "prompt": "p",
        "n": 1,
        "extra": {"a": 1, "b": 3},
        "list": [9],
        "size": "1024x1024",
    }
    route = catalog[MODEL].mappings["replicate"].routes[0]
    assert route.leaves == ("old",)
    assert route.evidence.source == "the family"


def test_a_problem_in_a_family_is_told_with_the_family_s_line(tmp_path: Path) -> None:
    broken = FAMILY.replace("$generation_output_number", "$generation_output_numbr")
    catalog = open_layers(write(tmp_path, {**FILES, "_families/base.yaml": broken, R: SMALL}))
    assert refusal(catalog).startswith("_families/base.yaml:2: body.n: unknown field or table")


def test_a_team_may_override_a_family(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {**FILES, "_families/base.yaml": FAMILY, R: SMALL})
    over = "schema: family.v1\nextends: shipped\nbody: {extra: {c: 5}}\n"
    team = write(tmp_path / "team", {"_families/base.yaml": over})
    assert body(open_layers(base, team))["extra"] == {"a": 1, "b": 2, "c": 5}


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("../../../../../../etc/passwd.yaml", "leaves the catalogue"),
        ("/etc/passwd.yaml", "names a file of the catalogue"),
        ("../../_families/bas.yaml", "no such file: _families/bas.yaml (did you mean base.yaml?)"),
        ("../../_families/base", "names a file of the catalogue"),
        ("..\\\\..\\\\base.yaml", "names a file of the catalogue"),
        ("fal.yaml", "expected `schema: family.v1`, found 'mapping.v1'"),
        ("shipped", "`extends: shipped`, but no layer below has this file"),
        ("[a, b]", "names a file of the catalogue"),
    ],
)
def test_extends_stays_inside(tmp_path: Path, parent: str, message: str) -> None:
    swap = {R: SMALL.replace("../../_families/base.yaml", parent)}
    catalog = open_layers(write(tmp_path, {**FILES, "_families/base.yaml": FAMILY, **swap}))
    assert message in refusal(catalog)


def test_extends_in_a_circle_is_refused(tmp_path: Path) -> None:
    a = FAMILY + "extends: b.yaml\n"
    files = {**FILES, "_families/base.yaml": a, "_families/b.yaml": FAMILY + "extends: base.yaml\n", R: SMALL}
    message = refusal(open_layers(write(tmp_path, files)))
    assert f"in a circle: {R} -> _families/base.yaml -> _families/b.yaml -> _families/base.yaml" in message
    assert "_families/b.yaml:6" in message


def test_extends_is_bounded_in_depth(tmp_path: Path) -> None:
    chain = {f"_families/f{i}.yaml": FAMILY + f"extends: f{i + 1}.yaml\n" for i in range(12)}
    files = {**FILES, **chain, "_families/f12.yaml": FAMILY, R: SMALL.replace("base.yaml", "f0.yaml")}
    assert "deeper than 8 files" in refusal(open_layers(write(tmp_path, files)))


def test_a_link_out_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "secret.yaml"
    outside.write_text("schema: mapping.v1\n")
    base = write(tmp_path / "base", FILES)
    (base / R).unlink()
    (base / R).symlink_to(outside)
    assert "a link that leaves the catalogue" in refusal(open_layers(base))


def test_a_huge_file_is_refused_unparsed(tmp_path: Path) -> None:
    base = write(tmp_path, FILES)
    (base / R).write_bytes(b"schema: mapping.v1\n" + b"# x\n" * 3_000_000)
    assert "bytes" in refusal(open_layers(base))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalog, match="no such directory"):
        Catalog.open(tmp_path / "nowhere")


def test_only_the_model_asked_for_is_read(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    write(tmp_path, {"lab/broken/model.yaml": "nonsense: [\n", "lab/broken/fal.yaml": "x"})
    catalog = open_layers(tmp_path)
    assert catalog.models() == ("lab/broken", MODEL)
    assert catalog[MODEL] is catalog[MODEL]
    with pytest.raises(InvalidCatalog, match=r"lab/broken/model\.yaml"):
        catalog["lab/broken"]


def test_problems_tells_everything_wrong_in_a_catalogue(tmp_path: Path) -> None:
    files = changed(F, ("$generation_prompt", "$generation_promt"))
    files |= {"lab/lost/fal.yaml": "schema: mapping.v1\n"}
    found = [str(problem) for problem in open_layers(write(tmp_path, files)).problems()]
    assert any("did you mean generation_prompt" in line for line in found)
    assert any(line.startswith("lab/lost/fal.yaml: no model is in this folder") for line in found)


@pytest.mark.parametrize("folder", ["caf\u00e9", "cafe\u0301", "\uff59", "Upper", "y" * 101])
def test_a_folder_that_is_no_id_is_told(tmp_path: Path, folder: str) -> None:
    """Passed over in silence, its model would be missed only when somebody asks for it."""
    told = {f"lab/{folder}/model.yaml": FILES["lab/one/model.yaml"]}
    catalog = Catalog.open(write(tmp_path, FILES | told), shipped=False, on=ON)
    assert catalog.models() == ("lab/one",)
    (problem,) = catalog.problems()
    assert (problem.file, problem.message) == (f"lab/{folder}/model.yaml", "no model is in this folder")


def test_every_shipped_file_has_the_shape_that_editors_are_told() -> None:
    from pydantic import TypeAdapter

    from rosetta_bridge.documents import MappingV1, ModelV1

    for file in sorted(SHIPPED.rglob("*.yaml")):
        kind = ModelV1 if file.name == "model.yaml" else MappingV1
        TypeAdapter(kind).validate_json(json.dumps(parse(file.read_bytes(), file.name).data))
