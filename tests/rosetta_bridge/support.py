"""A small catalogue that tests write to a folder, whole or with a change."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

from rosetta_bridge import Catalog, Model
from rosetta_bridge.errors import Problem

MODEL = "lab/one"
ON = date(2026, 11, 20)

FILES = {
    "_providers/fal.yaml": """
        schema: provider.v1
        path: "/{model}"
        must_set: [num_images, generate_audio]
        """,
    "_providers/replicate.yaml": """
        schema: provider.v1
        path: "/v1/models/{model}/predictions"
        wrap: {input: $body}
        """,
    "lab/one/model.yaml": """
        schema: model.v1
        kind: image
        providers: [fal, replicate]
        fields:
          generation_prompt: {type: string, required: true, min_length: 1, max_length: 100}
          generation_ratio: {type: enum, values: ["1:1", "16:9", "9:16"], default: "1:1"}
          generation_resolution: {type: enum, values: [1K, 2K], default: 1K}
          generation_output_number: {type: integer, min: 1, max: 4, default: 1}
          generation_input_file: {type: url_list, max_items: 8}
          generation_moderation: {type: boolean}
          generation_seed: {type: integer, min: 0, max: 1000, strength: hint}
        tables:
          size:
            $by: [generation_resolution, generation_ratio]
            1K: {"1:1": 1024x1024, "16:9": 1344x768, "9:16": 768x1344}
            2K: {"1:1": 2048x2048, "16:9": 2688x1536, "9:16": $unsupported}
        """,
    "lab/one/fal.yaml": """
        schema: mapping.v1
        routes:
          text: {when: {generation_input_file: absent}, model: fal-ai/one}
          edit:
            model: fal-ai/one/edit
            body: {image_urls: $generation_input_file}
            accepts: {generation_input_file: {max_items: 3}}
        body:
          prompt: $generation_prompt
          image_size: {width: $size.width, height: $size.height}
          num_images: $generation_output_number
          safety: {$by: generation_moderation, true: strict, false: lax}
          seed: $generation_seed
        refuses:
          - {sum: [generation_input_file, generation_output_number], max: 5, because: at most five in and out}
        price: {evidence: docs, parts: [{per: image, times: $generation_output_number, usd: "0.04"}]}
        evidence: {level: sdk, source: a package, date: 2026-11-20}
        """,
    "lab/one/replicate.yaml": """
        schema: mapping.v1
        model: lab/one
        body:
          prompt: $generation_prompt
          size: "{size.width}*{size.height}"
          n: $generation_output_number
          image: $generation_input_file.first
          seed: $generation_seed
          strict: $generation_moderation
        accepts: {generation_output_number: 1}
        evidence: {level: docs, source: a page, date: 2026-11-20}
        """,
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def changed(name: str, *swaps: tuple[str, str]) -> dict[str, str]:
    """The small catalogue with text of one file replaced; a swap that finds nothing is the test's mistake."""
    text = FILES[name]
    for old, new in swaps:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        text = text.replace(old, new)
    return {**FILES, name: text}


def catalog(folder: Path, files: dict[str, str] | None = None, **options: Any) -> Catalog:
    write(folder, files or FILES)
    return Catalog.open(folder, shipped=False, on=options.pop("on", ON), **options)


def one_body(folder: Path, fields: str, body: str, more: str = "") -> Model:
    """A model with a prompt and the given fields, and one mapping with the given body, each as flow YAML."""
    files = {
        "_providers/fal.yaml": "schema: provider.v1\npath: /x\n",
        "lab/one/model.yaml": "schema: model.v1\nkind: image\nproviders: [fal]\n"
        f"fields:\n  generation_prompt: {{type: string, required: true, max_length: 50}}\n{_indent(fields)}",
        "lab/one/fal.yaml": "schema: mapping.v1\nmodel: native/one\n"
        f"body:\n  prompt: $generation_prompt\n{_indent(body)}{dedent(more)}\n"
        "evidence: {level: sdk, source: a test, date: 2026-11-20}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Catalog.open(folder, shipped=False, on=ON)[MODEL]


def _indent(text: str) -> str:
    return "".join(f"  {line}\n" for line in dedent(text).strip("\n").splitlines())


def arguments(model: Model, **values: Any) -> dict[str, Any]:
    """What the one provider is sent, without the prompt; field names without their prefix."""
    request = model.normalize({"generation_prompt": "p", **{f"generation_{k}": v for k, v in values.items()}})
    body: dict[str, Any] = json.loads(json.dumps(model.render(request, model.providers[0]).arguments))
    del body["prompt"]
    return body


def told(problems: tuple[Problem, ...]) -> str:
    return "\n".join(map(str, problems))
