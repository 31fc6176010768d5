"""The command: what it prints, and its exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from rosetta_bridge.cli import main
from tests.rosetta_bridge.support import FILES, changed, write

ONE = "lab/one"
GOOD = '{"generation_prompt": "p"}'


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(write(tmp_path, FILES))


def run(capsys: pytest.CaptureFixture[str], folder: str, *argv: str) -> tuple[int, str, str]:
    code = main([argv[0], "--catalog", folder, "--no-shipped", "--on", "2026-11-20", *argv[1:]])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def as_json(capsys: pytest.CaptureFixture[str], folder: str, *argv: str) -> tuple[int, Any]:
    code, out, _ = run(capsys, folder, argv[0], "--json", *argv[1:])
    return code, json.loads(out)


def test_models_and_show(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    assert run(capsys, folder, "models")[:2] == (
        0,
        "MODEL    KIND   PROVIDERS\nlab/one  image  fal, replicate\n",
    )
    assert as_json(capsys, folder, "models") == (
        0,
        [{"model": ONE, "kind": "image", "lab": "lab", "providers": ["fal", "replicate"]}],
    )
    code, out, _ = run(capsys, folder, "show", ONE)
    assert code == 0
    assert "generation_ratio" in out
    assert "generation_output_number: 1" in out
    assert as_json(capsys, folder, "show", ONE)[1]["limits"]["replicate"]["default"]


def test_show_says_a_least_value_of_0_and_a_default_of_false(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "kling/v3-pro", "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)["fields"]
    assert fields["generation_generate_audio"] == {"type": "boolean", "strength": "binding", "default": False}
    assert main(["show", "nvidia/sana"]) == 0
    assert "min: 0; max: 2147483647" in capsys.readouterr().out


def test_a_request_from_text_file_and_standard_input(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "request.json").write_text(GOOD, "utf-8-sig")  # as some editors write it
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD))
    answers = [
        as_json(capsys, folder, "normalize", ONE, text) for text in (GOOD, f"@{tmp_path}/request.json", "-")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1]["values"]["generation_ratio"] == "1:1"


def test_render_explain_estimate_schema(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    code, payload = as_json(capsys, folder, "render", ONE, "replicate", GOOD)
    assert (code, payload["path"]) == (0, "/v1/models/lab/one/predictions")
    assert payload["body"]["input"]["prompt"] == "p"
    code, out, _ = run(
        capsys, folder, "explain", ONE, '{"generation_prompt": "p", "generation_output_number": 2}'
    )
    assert (code, out.splitlines()[0]) == (0, "fal: eligible (route text)")
    assert "replicate: not eligible: generation_output_number" in out
    assert run(capsys, folder, "estimate", ONE, GOOD)[1].splitlines()[1].split() == [
        "fal",
        "0.040000",
        "exact",
        "docs",
        "2026-11-20",
    ]
    assert as_json(capsys, folder, "estimate", ONE, GOOD)[1]["replicate"] is None
    assert as_json(capsys, folder, "schema", ONE)[1]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["normalize", ONE, '{"generation_promt": 1}'], "generation_promt: lab/one has no such field"),
        (["normalize", ONE, "{"], "the request is not JSON"),
        (["normalize", ONE, '{"a": 1, "a": 2}'], "the key 'a' stands twice"),
        (["normalize", ONE, "[" * 100_000], "nested too deeply"),
        (["normalize", ONE, "@/nowhere.json"], "cannot read the request from /nowhere.json"),
        (["normalize", "lab/two", GOOD], "did you mean lab/one?"),
        (["render", ONE, "fall", GOOD], "did you mean fal?"),
        (
            [
                "estimate",
                ONE,
                '{"generation_prompt": "p", "generation_ratio": "9:16", "generation_resolution": "2K"}',
            ],
            "not supported",
        ),
        (["prove", "--native", "/nowhere"], "--native DIR"),
        (["check", "/nowhere"], "no such directory"),
        (["types", "--output", "/nowhere/types.py"], "cannot write /nowhere/types.py"),
        (["normalize", ONE, '{"generation_seed": ' + "9" * 5000 + "}"], "a number of 5000 digits"),
    ],
)
def test_a_refusal_is_told_on_standard_error_with_exit_code_1(
    capsys: pytest.CaptureFixture[str], folder: str, argv: list[str], message: str
) -> None:
    code, out, err = run(capsys, folder, *argv)
    assert (code, out) == (1, "")
    assert message in err
    code, answer = as_json(capsys, folder, *argv)
    assert code == 1
    assert message in answer["message"]


def test_a_wrong_command_line_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["rendr"], ["models", "--on", "yesterday"], ["status", "--within", "9" * 12]):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_check_tells_problems_and_overrides(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    assert run(capsys, folder, "check", folder)[:2][0] == 0
    team = write(
        tmp_path / "team", {"lab/one/replicate.yaml": "schema: mapping.v1\nextends: shipped\nbody: {a: 1}\n"}
    )
    code, out, _ = run(capsys, folder, "check", str(team))
    assert code == 0
    assert "overrides lab/one/replicate.yaml" in out
    write(
        team,
        {
            "lab/one/replicate.yaml": changed("lab/one/replicate.yaml", (".first", ".frist"))[
                "lab/one/replicate.yaml"
            ]
        },
    )
    code, _, err = run(capsys, folder, "check", str(team))
    assert code == 1
    assert "did you mean first?" in err


def test_prove_prints_a_table_and_fails_on_failure(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    native = tmp_path / "native"
    (native / "replicate").mkdir(parents=True)
    code, out, _ = run(capsys, folder, "prove", "--native", str(native))
    assert code == 0
    assert "unproved" in out
    (native / "replicate" / "lab__one.json").write_text('{"type": "object", "required": ["nothing"]}')
    code, answer = as_json(capsys, folder, "prove", "--native", str(native))
    assert code == 1
    assert answer["totals"]["failed"] == 1


def test_where_a_key_stands(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    code, found = as_json(capsys, folder, "show", "--origin", ONE)
    assert code == 0
    assert found.keys() == {"", "fal", "replicate"}
    file, line = found[""]["kind"]
    assert Path(folder, file).read_text("utf-8").splitlines()[line - 1].startswith("kind:")
    assert any(file.startswith("_providers/") for file, _line in found["fal"].values()), "what is inherited"
    assert "FILE OF" in run(capsys, folder, "show", "--origin", ONE)[1]


def test_an_openapi_document_of_all_models(capsys: pytest.CaptureFixture[str]) -> None:
    from jsonschema import Draft202012Validator

    assert main(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert len(document["paths"]) == len(schemas) > 40
    for path, item in document["paths"].items():
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = body["$ref"].removeprefix("#/components/schemas/")
        assert path.endswith(name.replace("__", "/"))
        Draft202012Validator.check_schema(schemas[name])
    names = [item["post"]["operationId"] for item in document["paths"].values()]
    assert len(set(names)) == len(names)


def test_a_typed_module_says_what_normalize_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module = tmp_path / "requests_of_models.py"
    assert main(["types", "--output", str(module)]) == 0
    space: dict[str, Any] = {}
    exec(compile(module.read_text("utf-8"), str(module), "exec", dont_inherit=True), space)
    from rosetta_bridge import Catalog

    catalog = Catalog.shipped()
    assert space["REQUESTS"].keys() == set(catalog.models())
    for name, kind in space["REQUESTS"].items():
        fields = catalog[name].contract.fields
        assert kind.__required_keys__ == {field for field in fields if fields[field].required}, name
        assert kind.__optional_keys__ == {*fields, "generation_provider_order"} - kind.__required_keys__
    assert main(["types", "bytedance/seedream-4.5"]) == 0
    assert 'Literal["2K", "4K"]' in capsys.readouterr().out


def test_a_type_checker_finds_a_wrong_value(tmp_path: Path) -> None:
    from mypy import api

    assert main(["types", "bytedance/seedream-4.5", "--output", str(tmp_path / "models.py")]) == 0
    (tmp_path / "use.py").write_text(
        "from models import BytedanceSeedream45Request as R\n"
        "good: R = {'generation_prompt': 'p', 'generation_resolution': '4K'}\n"
        "bad: R = {'generation_prompt': 'p', 'generation_resolution': '8K'}\n"
        "worse: R = {'generation_ratio': '1:1'}\n"
    )
    out, _err, code = api.run(["--strict", "--cache-dir", str(tmp_path / "c"), "--no-incremental",
                               "--config-file", "", str(tmp_path / "use.py")])  # fmt: skip
    assert code == 1
    assert {line.split(":")[1] for line in out.splitlines() if ": error:" in line} == {"3", "4"}, out


def test_status_counts_the_catalogue(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    code, told = as_json(capsys, folder, "status")
    assert code == 0
    assert (told["models"], told["labs"], told["routes"]) == (1, 1, 3)
    assert told["digest"].startswith("sha256:")
    assert "models" in run(capsys, folder, "status")[1]


def test_drift_names_what_changed_and_whom_it_concerns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from rosetta_bridge.proof.natives import CHECKOUT

    newer = tmp_path / "newer"
    name = "fal/fal-ai__bytedance__seedream__v4.5__text-to-image.json"
    for folder in (tmp_path / "older", newer):
        (folder / "fal").mkdir(parents=True)
        (folder / name).write_text((CHECKOUT / name).read_text("utf-8"), "utf-8")
    older = ["--native", str(tmp_path / "older")]
    assert main(["drift", str(newer), *older]) == 0
    schema = json.loads((newer / name).read_text("utf-8"))
    schema["properties"]["style"] = {"type": "string"}
    del schema["properties"]["num_images"]
    schema["properties"]["max_images"]["maximum"] = 2
    schema["properties"]["prompt"]["description"] = "words are no facts"
    (newer / name).write_text(json.dumps(schema), "utf-8")
    capsys.readouterr()
    assert main(["drift", str(newer), *older, "--json"]) == 1
    changes = {c["parameter"]: c for c in json.loads(capsys.readouterr().out)["changes"]}
    assert {key: c["kind"] for key, c in changes.items()} == {
        "style": "added", "num_images": "removed", "max_images": "changed",
    }  # fmt: skip
    assert changes["num_images"]["breaks"]
    assert any("bytedance/seedream-4.5 fal/" in route for route in changes["num_images"]["routes"])
    assert not changes["style"]["breaks"]
    (newer / name).unlink()
    assert main(["drift", str(newer), *older]) == 1
    assert "name the folder that holds" in capsys.readouterr().err
    (newer / "fal" / "another.json").write_text("{}", "utf-8")
    assert main(["drift", str(newer), *older]) == 1
    assert "gone!" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        ({"num_images": {"type": "number", "maximum": 2}}, True),
        ({"num_images": {"type": "number", "default": 2}}, False),
        ({"num_images": {"type": "string"}}, True),
        ({"seed": {"type": "integer"}}, True),
        ({"enable_safety_checker": {"type": "boolean", "enum": [True]}}, True),
        ({"required": ["prompt", "seed"]}, True),
        ({"required": []}, False),
    ],
)
def test_drift_tells_what_breaks_from_what_does_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, change: dict[str, Any], breaks: bool
) -> None:
    """Taking more, or another default, refuses nobody; taking less, or asking for more, does."""
    from rosetta_bridge.proof.natives import CHECKOUT

    schema = json.loads((CHECKOUT / "fal" / "fal-ai__sana.json").read_text("utf-8"))
    older, newer = tmp_path / "older", tmp_path / "newer"
    for folder in (older, newer):
        (folder / "fal").mkdir(parents=True)
        (folder / "fal" / "fal-ai__sana.json").write_text(json.dumps(schema), "utf-8")
        if "required" in change:
            schema["required"] = change["required"]
        else:
            schema["properties"] |= change
    code = main(["drift", str(newer), "--native", str(older), "--json"])
    told = json.loads(capsys.readouterr().out)["changes"]
    assert told
    assert any(one["breaks"] for one in told) is breaks
    assert code == int(breaks)


def test_drift_shows_what_is_overridden_here_and_what_ends(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from rosetta_bridge.proof.natives import CHECKOUT

    text = (
        'extends: shipped\nbody: {negative_prompt: "{generation_negative_prompt}, fog"}\n'
        "retired: {date: 2026-12-01, source: a page}\n"
    )
    ours = write(tmp_path / "ours", {"nvidia/sana/fal.yaml": text})
    schema = json.loads((CHECKOUT / "fal" / "fal-ai__sana.json").read_text("utf-8"))
    for folder, limit in (("older", {}), ("newer", {"maxLength": 5})):
        (tmp_path / folder / "fal").mkdir(parents=True)
        schema["properties"]["negative_prompt"] |= limit
        (tmp_path / folder / "fal" / "fal-ai__sana.json").write_text(json.dumps(schema), "utf-8")
    asked = ["drift", str(tmp_path / "newer"), "--native", str(tmp_path / "older"), "--catalog", str(ours)]
    assert main([*asked, "--on", "2026-11-20", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (row,) = told["overrides"]["nvidia/sana/fal.yaml"]
    assert (row["parameter"], row["after"]["maxLength"]) == ("negative_prompt", 5)
    assert row["here"].endswith("nvidia/sana/fal.yaml:2")
    assert "nvidia/sana fal/default on 2026-12-01" in told["ending"]
    assert main([*asked, "--on", "2026-11-20"]) == 1
    assert "ends: nvidia/sana fal/default" in capsys.readouterr().out


def test_prove_since_an_earlier_proof(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path
) -> None:
    """A route that was proved and is not, or is gone, is told and fails, though the proof holds."""
    native = tmp_path / "native"
    native.mkdir()
    proof = as_json(capsys, folder, "prove", "--native", str(native))[1]
    for route in proof["routes"]:
        route["status"] = "proved"
    proof["routes"].append({"model": ONE, "provider": "bfl", "route": "old", "status": "partly"})
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(proof), "utf-8")
    code, told = as_json(capsys, folder, "prove", "--native", str(native), "--since", str(earlier))
    assert code == 1
    assert "lab/one bfl/old: was partly, is gone" in told["regressions"]
    assert len(told["regressions"]) == len(proof["routes"])
    assert all(0 < route["share"] <= 1 for route in told["routes"])
    earlier.write_text("[]", "utf-8")
    code, _, err = run(capsys, folder, "prove", "--native", str(native), "--since", str(earlier))
    assert (code, "prove --json" in err) == (1, True)
