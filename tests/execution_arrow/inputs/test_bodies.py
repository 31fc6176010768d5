"""Markers become bytes, and forms are forms, as a parser that is not ours reads them."""

from __future__ import annotations

import base64
from email.parser import BytesParser
from typing import Any

import pytest

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.inputs.bodies import filled, form
from execution_arrow.ports import InputFile, Payload
from tests.execution_arrow.providers import samples as s

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SOUND = b"ID3" + bytes(20)
FILES = {
    "https://x.example/a.png?sig=1": InputFile(data=PNG, media_type="image/png"),
    "https://x.example/b.mp3": InputFile(data=SOUND, media_type="audio/mpeg"),
}
A, B = FILES


def payload(body: Any, encoding: str = "json") -> Payload:
    return s.payload("openai", "/images/edits", body, encoding=encoding, fetches=(A, B))


def test_markers_become_text_where_they_stand() -> None:
    asked = payload(
        {
            "prompt": "a seal",
            "input": {
                "images": [{"url": {"$fetch": A, "as": "data_url"}}],
                "sound": {"$fetch": B, "as": "base64"},
            },
            "n": 1,
        }
    )
    done = filled(asked, FILES)
    assert done.body == {
        "prompt": "a seal",
        "input": {
            "images": [{"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}],
            "sound": base64.b64encode(SOUND).decode(),
        },
        "n": 1,
    }
    assert done.fetches == ()
    assert asked.body["input"]["sound"] == {"$fetch": B, "as": "base64"}  # what is frozen stays as it was


@pytest.mark.parametrize(
    "marker", [{"$fetch": A, "as": "hex"}, {"$fetch": A}, {"$fetch": "https://x/c", "as": "file"}]
)
def test_a_marker_that_nobody_knows_is_not_sent_as_it_stands(marker: Any) -> None:
    with pytest.raises(PayloadUnsupported):
        filled(payload({"image": marker}), FILES)


def read(asked: Payload) -> list[tuple[str, str | None, str, bytes]]:
    """Name, file name, type and content of each part, as Python's own parser reads them."""
    kind, body = form(asked)
    message = BytesParser().parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
    assert message.is_multipart()
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            bytes(part.get_payload(decode=True)),
        )
        for part in message.get_payload()
    ]


def test_a_form_holds_scalars_files_and_repeated_parts() -> None:
    picture = {"$fetch": A, "as": "file"}
    asked = filled(
        payload({"prompt": "ein Löwe", "n": 2, "stream": False, "image[]": [picture, picture]}, "multipart"),
        FILES,
    )
    assert read(asked) == [
        ("prompt", None, "text/plain", "ein Löwe".encode()),
        ("n", None, "text/plain", b"2"),
        ("stream", None, "text/plain", b"false"),
        ("image[]", "image-1.png", "image/png", PNG),
        ("image[]", "image-2.png", "image/png", PNG),
    ]
    assert form(asked) == form(asked)  # no chance in it: the same call twice is the same bytes


def test_a_name_cannot_break_out_of_its_header() -> None:
    names = [name for name, *_ in read(payload({'a"\r\nx-evil: 1': "v"}, "multipart"))]
    assert names == ["a%22%0D%0Ax-evil: 1"]


@pytest.mark.parametrize("body", [{"image": {"url": "x"}}, {"image": None}, {"image": [[1]]}, ["no object"]])
def test_what_a_form_has_no_word_for_is_refused(body: Any) -> None:
    with pytest.raises(PayloadUnsupported):
        form(payload(body, "multipart"))
