"""Files that the provider keeps for us: what it takes, what can go wrong, and that nothing is paid then."""

from __future__ import annotations

import asyncio
from email.parser import BytesParser
from typing import Any

import pytest

from execution_arrow.errors import InputGone, NotSentError, PayloadUnsupported
from execution_arrow.facts import Fault, NotSent, Refused
from execution_arrow.inputs.bodies import filled
from execution_arrow.inputs.uploading import NotUploaded, uploaded
from execution_arrow.ports import InputFile
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Call, Reply, Uploaded
from execution_arrow.sandbox import Sandbox
from execution_arrow.testing import FakeProvider
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.providers import samples as s

A, B, C = "https://x.example/a.png?sig=1", "https://x.example/b.mp3", "https://x.example/c.png"
FILES = {
    A: InputFile(data=b"\x89PNG\r\n\x1a\n" + bytes(20), media_type="image/png"),
    B: InputFile(data=b"ID3" + bytes(20), media_type="audio/mpeg"),
    C: InputFile(data=b"\x89PNG\r\n\x1a\n", media_type="image/png"),
}
GRANTED = {
    "policy": "p", "signature": "s", "upload_dir": "dashscope-instant/d", "oss_access_key_id": "k",
    "x_oss_object_acl": "private", "x_oss_forbid_overwrite": "true", "max_file_size_mb": "100",
    "upload_host": "https://dashscope-file.oss-cn-beijing.aliyuncs.com",
}  # fmt: skip
ASKED = s.payload(
    "alibabacloud",
    "/services/aigc/video-generation/video-synthesis",
    {
        "input": {"img_url": {"$fetch": A, "as": "upload"}, "audio_url": {"$fetch": B, "as": "upload"}},
        "again": [{"$fetch": A, "as": "upload"}, {"$fetch": C, "as": "base64"}],
    },
    fetches=(A, B, C),
)


def upload(
    *answers: Reply | Exception, provider: Any = None, base: str = "https://dashscope.aliyuncs.com/api/v1"
) -> tuple[Uploaded, list[Call]]:
    waiting, calls = list(answers), []

    async def send(call: Call) -> Reply:
        calls.append(call)
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    context = s.context(base)
    used = provider or shipped()["alibabacloud"]
    return asyncio.run(uploaded(used, ASKED, context, FILES, send)), calls


def test_one_certificate_and_a_form_for_each_file() -> None:
    """As the official client does it. The bucket is told nothing of our key."""
    done, calls = upload(s.reply({"data": GRANTED}), s.reply(b""), s.reply(b""))
    assert [call.method for call in calls] == ["GET", "POST", "POST"]
    assert calls[0].url.endswith(f"/api/v1/uploads?action=getPolicy&model={ASKED.model}")
    assert [call.url for call in calls[1:]] == [GRANTED["upload_host"]] * 2
    assert s.KEY in calls[0].headers["authorization"]
    for call in calls[1:]:
        assert set(call.headers) == {"content-type"}
        assert s.KEY.encode() not in (call.content or b"")
    assert sorted(done.places) == [A, B]  # each once, and not what is sent inside the call
    assert all(place.startswith("oss://dashscope-instant/d/") for place in done.places.values())
    assert len({*done.places.values()}) == 2
    body = filled(ASKED, FILES, done.places).body
    assert body["input"] == {"img_url": done.places[A], "audio_url": done.places[B]}
    assert body["again"] == [done.places[A], "iVBORw0KGgo="]
    assert done.headers == {"X-DashScope-OssResourceResolve": "enable"}


@pytest.mark.parametrize(
    ("answers", "fact"),
    [
        ((s.reply({"code": "InvalidApiKey", "message": "no"}, 401),), (Refused, Fault.ACCOUNT)),
        ((s.reply({"code": "Throttling.RateQuota", "message": "later"}, 429),), (Refused, Fault.HERE)),
        ((s.reply({"code": "InternalError", "message": "?"}, 500),), (NotSent, None)),
        ((s.reply(b"<html>"),), (NotSent, None)),
        (
            (s.reply({"data": {**GRANTED, "policy": None, "upload_dir": None}}), s.reply(b"", 403)),
            (NotSent, None),
        ),
        ((s.reply({"data": GRANTED}), s.reply(b"<Error/>", 409)), (NotSent, None)),
        ((s.reply({"data": {**GRANTED, "upload_host": "https://169.254.169.254/"}}),), (NotSent, None)),
        ((s.reply({"data": {**GRANTED, "upload_host": "http://x.aliyuncs.com/"}}),), (NotSent, None)),
        (
            (s.reply({"data": {**GRANTED, "upload_host": "https://aliyuncs.com.evil.example"}}),),
            (NotSent, None),
        ),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_is_paid(answers: Any, fact: Any) -> None:
    kind, fault = fact
    with pytest.raises(NotUploaded) as caught:
        upload(*answers)
    assert isinstance(caught.value.fact, kind)
    assert getattr(caught.value.fact, "fault", None) == fault
    assert s.KEY not in str(caught.value)


def test_a_file_that_the_model_does_not_take_is_the_callers() -> None:
    with pytest.raises(InputGone) as caught:
        upload(s.reply({"data": {**GRANTED, "max_file_size_mb": 0}}))
    assert caught.value.reason == "input_too_large"


def test_troubles_on_the_way_are_those_of_the_transport() -> None:
    with pytest.raises(NotSentError):
        upload(NotSentError("no network"))


def test_a_provider_without_a_store_is_not_sent_a_marker() -> None:
    with pytest.raises(PayloadUnsupported, match="upload"):
        upload(provider=FakeProvider())


def test_replicate_takes_a_form_for_each_file_as_its_client_sends_it() -> None:
    """Recorded of the official client: one part, `content`, with the type of the file."""
    told = [s.reply({"urls": {"get": f"https://api.replicate.com/v1/files/{n}"}}, 201) for n in (1, 2)]
    done, calls = upload(*told, provider=shipped()["replicate"], base="https://api.replicate.com")
    assert {call.url for call in calls} == {"https://api.replicate.com/v1/files"}
    assert all(s.KEY in call.headers["authorization"] for call in calls)
    first = BytesParser().parsebytes(
        f"content-type: {calls[0].headers['content-type']}\r\n\r\n".encode() + (calls[0].content or b"")
    )
    (part,) = first.get_payload()
    assert part.get_param("name", header="content-disposition") == "content"
    assert (part.get_content_type(), part.get_payload(decode=True)) == ("image/png", FILES[A].data)
    assert done == Uploaded(
        places={A: "https://api.replicate.com/v1/files/1", B: "https://api.replicate.com/v1/files/2"}
    )


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (s.reply({"title": "Unauthenticated", "detail": "no"}, 401), Refused),
        (s.reply({"title": "?"}, 500), NotSent),
        (s.reply({"urls": {"get": "file:///etc/passwd"}}, 201), NotSent),
        (s.reply(b"<html>", 200), NotSent),
    ],
)
def test_what_replicate_may_say_instead(answer: Reply, kind: type) -> None:
    with pytest.raises(NotUploaded) as caught:
        upload(answer, provider=shipped()["replicate"], base="https://api.replicate.com")
    assert isinstance(caught.value.fact, kind)


def test_the_sandbox_keeps_files_for_replicate() -> None:
    async def main(base: str) -> Uploaded:
        transport = HttpxTransport()
        try:
            context, provider = s.context(base), shipped()["replicate"]
            return await uploaded(provider, ASKED, context, FILES, transport.send)
        finally:
            await transport.aclose()

    with Sandbox() as box:
        done = asyncio.run(main(box.base_url("replicate")))
        assert all(place.startswith(box.base_url("replicate")) for place in done.places.values())
    assert sorted(done.places) == [A, B]
