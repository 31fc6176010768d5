"""From a mapping file that asks for bytes to a picture: mapping, fetch, call, sandbox, result, settlement."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy
from execution_arrow.ports import InputFile
from execution_arrow.sandbox import Sandbox, Timing
from execution_arrow.transport.aiohttp import AiohttpTransport
from execution_arrow.wiring import default_parts
from rosetta_bridge import Catalog
from tests.execution_arrow.artifacts.makers import picture

URLS = ["https://files.example.com/a.png?signature=1", "https://files.example.com/b.png"]
MODEL = """
    schema: model.v1
    kind: image
    providers: [openai, alibabacloud]
    fields:
      generation_prompt: {type: string, required: true, max_length: 500}
      generation_input_file: {type: url_list, required: true, max_items: 3}
"""
OPENAI = """
    schema: mapping.v1
    model: gpt-image-2
    encoding: multipart
    path: /images/edits
    body:
      prompt: $generation_prompt
      size: 768x512
      "n": 1
      quality: low
      "image[]": [$generation_input_file.each.file]
    price: {evidence: docs, parts: [{per: request, usd: "0.04"}]}
    evidence: {level: docs, source: a test, date: 2026-11-20}
"""
ALIBABA = """
    schema: mapping.v1
    model: qwen-image-edit-plus
    path: /services/aigc/multimodal-generation/generation
    body:
      input:
        messages:
          - {role: user, content: [{image: $generation_input_file.each.data_url}, {text: $generation_prompt}]}
      parameters: {n: 1, size: 768*512}
    price: {evidence: docs, parts: [{per: request, usd: "0.03"}]}
    evidence: {level: docs, source: a test, date: 2026-11-20}
"""
UPLOADING = ALIBABA.replace("each.data_url", "each.upload")
FILES = {"model": MODEL, "openai": OPENAI, "alibabacloud": ALIBABA}


class Fetched:
    """Two pictures; the addresses are nobody's."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @asynccontextmanager
    async def fetch(self, urls: Sequence[str]) -> AsyncIterator[dict[str, InputFile]]:
        self.asked += urls
        yield {url: InputFile(data=picture("png", 8, 8), media_type="image/png") for url in urls}

    async def aclose(self) -> None:
        pass


@pytest.fixture(scope="module")
def box() -> Sandbox:
    with Sandbox(seed=2, timing=Timing(queue=0.01, image=0.02)) as running:
        yield running  # type: ignore[misc]


@pytest.mark.parametrize(
    ("provider", "mapping"), [("openai", OPENAI), ("alibabacloud", ALIBABA), ("alibabacloud", UPLOADING)]
)
def test_files_travel_with_the_one_call_or_ahead_of_it(
    box: Sandbox, tmp_path: Path, provider: str, mapping: str
) -> None:
    before = len(box.jobs(provider))
    for name, text in {**FILES, provider: mapping}.items():
        path = tmp_path / "catalog" / "lab" / "hat" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))

    async def main() -> None:
        inputs = Fetched()
        parts = default_parts(
            tmp_path / "data",
            catalog=Catalog.open(tmp_path / "catalog"),
            credentials=EnvironmentCredentials(box.environment()),
            egress=EgressPolicy(allow_loopback=True),
            transport=AiohttpTransport() if mapping is UPLOADING else None,
        )
        urls = {name: box.base_url(name) for name in ("openai", "alibabacloud")}
        async with AsyncArrow(replace(parts, inputs=inputs), base_urls=urls) as arrow:
            await arrow.ledger.grant("acct", "1", key="start", create=True)
            asked = {
                "generation_prompt": "a hat",
                "generation_input_file": URLS,
                "generation_provider_order": provider,
            }
            done = await arrow.generate_and_wait("lab/hat", asked, account="acct", timeout=30)
            row = parts.store.load(done.id)
        assert (done.status, done.provider_used) == (Status.SUCCEEDED, provider)
        assert [(file.width, file.height) for file in done.files] == [(768, 512)]
        assert inputs.asked == URLS
        assert row is not None
        assert base64.b64encode(picture("png", 8, 8)[:24]).decode()[:24] not in row.spec + row.state
        assert len(row.spec) < 4000

    asyncio.run(asyncio.wait_for(main(), 60))
    jobs = box.jobs(provider)[before:]
    assert ("oss://dashscope-instant" in str(jobs[0].order.native)) is (mapping is UPLOADING)
    assert (len(jobs), jobs[0].order.references, jobs[0].order.prompt) == (1, 2, "a hat")
