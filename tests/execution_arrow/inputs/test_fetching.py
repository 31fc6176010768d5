"""Input files over real sockets: what is fetched, what is the caller's fault, and what may come later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from execution_arrow.egress import Egress, EgressPolicy
from execution_arrow.errors import InputGone, InputRetry
from execution_arrow.inputs.fetching import EgressInputs
from execution_arrow.ports import InputFile
from tests.execution_arrow.artifacts.makers import picture
from tests.execution_arrow.transport.kit import Server, answer, serving

LOCAL = EgressPolicy(allow_loopback=True)


def fetch(*answers: bytes, paths: tuple[str, ...] = ("/a.png",), **options: Any) -> dict[str, InputFile]:
    async def script(server: Server, reader: Any, writer: Any) -> None:
        for data in answers:
            await server.read(reader)
            writer.write(data)
            await writer.drain()

    async def main() -> dict[str, InputFile]:
        inputs = EgressInputs(options.pop("egress", LOCAL), **options)
        try:
            async with serving(script) as server, inputs.fetch([server.url + path for path in paths]) as got:
                return {url.removeprefix(server.url): file for url, file in got.items()}
        finally:
            await inputs.aclose()

    return asyncio.run(main())


def test_every_file_is_fetched_once_and_is_what_its_bytes_say() -> None:
    png, mp3 = picture("png", 8, 8), b"ID3 sound"
    found = fetch(
        answer(png, "200 OK", "Content-Type: text/plain"),
        answer(mp3, "200 OK", "Content-Type: audio/mpeg; charset=x"),
        paths=("/a.png", "/b.mp3", "/a.png"),
    )
    assert found == {
        "/a.png": InputFile(data=png, media_type="image/png"),
        "/b.mp3": InputFile(data=mp3, media_type="audio/mpeg"),
    }


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(status="404 Not Found"), "input_gone"),
        (answer(status="403 Forbidden"), "input_gone"),
        (answer(b"<!doctype html>", "200 OK", "Content-Type: text/html"), "input_not_media"),
        (answer(b"", "200 OK", "Content-Type: image/png"), "input_not_media"),
        (answer(picture("png", 8, 8)), "input_too_large"),
        (answer(b"", "302 Found", "Location: https://169.254.169.254/latest/meta-data/"), "input_gone"),
    ],
)
def test_what_is_the_callers_fault(reply: bytes, reason: str) -> None:
    with pytest.raises(InputGone) as caught:
        fetch(reply, file_limit=60)
    assert caught.value.reason == reason
    assert "/a.png" not in str(caught.value)  # a signed address is a key to the file


def test_all_files_together_have_a_limit_too() -> None:
    png = picture("png", 8, 8)
    with pytest.raises(InputGone, match="input file 2 is larger"):
        fetch(answer(png), answer(png), paths=("/a.png", "/b.png"), total_limit=2 * len(png) - 1)


@pytest.mark.parametrize(
    "reply",
    [
        answer(status="500 Oops"),
        answer(status="429 Busy"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"",
    ],
)
def test_what_may_come_later(reply: bytes) -> None:
    with pytest.raises(InputRetry):
        fetch(reply, timeout=0.3)


@pytest.mark.parametrize("host", ["db.corp.example", "metadata.example"])
def test_our_own_network_is_not_fetched_from_and_not_described(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends names must not learn from the refusals where they lead; whoever runs this must."""

    async def resolve(name: str, port: int) -> list[str]:
        return ["10.1.2.3"]

    async def main() -> None:
        inputs = EgressInputs(Egress(resolve=resolve))
        try:
            async with inputs.fetch([f"https://{host}/a.png"]):
                raise AssertionError
        finally:
            await inputs.aclose()

    with pytest.raises(InputGone) as caught:
        asyncio.run(main())
    assert "10.1.2.3" not in str(caught.value)
    assert host not in str(caught.value)
    assert "10.1.2.3" in caplog.text
