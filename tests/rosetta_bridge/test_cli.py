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


def test_a_request_from_text_file_and_standard_input(
    capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "request.json").write_text(GOOD)
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
        (["normalize", ONE, "@/nowhere.json"], "the request is not JSON"),
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
    for argv in ([], ["rendr"], ["models", "--on", "yesterday"]):
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
