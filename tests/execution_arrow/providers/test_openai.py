"""What is OpenAI's own: forms, results behind the key, the finer pause, and the list of clips."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.facts import (
    Accepted,
    Completed,
    Failed,
    Fault,
    LookupFound,
    LookupNone,
    Missing,
    Output,
    PollFailed,
    Refused,
    Running,
    Succeeded,
)
from execution_arrow.inputs.bodies import filled
from execution_arrow.intake.freezing import terms_of
from execution_arrow.policy import Policy
from execution_arrow.ports import InputFile, Quote
from execution_arrow.providers import shipped
from tests.execution_arrow.providers import samples as s

OPENAI = shipped()["openai"]
HOST = s.context("http://h/v1")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(62)
CLIP = "video_123"


def test_pictures_are_inside_the_answer() -> None:
    answer = s.answered("openai", "images_generate_gpt_image_2")
    assert OPENAI.read_submit(s.GPT_IMAGE, answer) == Completed(outputs=(Output(index=0),))
    assert OPENAI.inline_output(answer, 0).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no number 1"):
        OPENAI.inline_output(answer, 1)


@pytest.mark.parametrize(
    ("provider", "case"),
    [
        ("openai", "images_edit_multipart_mask"),
        ("openai", "images_edit_multipart_two_images"),
        ("openai", "videos_create_input_reference_file"),
        ("cloudflare", "run_flux_2_dev_multipart_via_client_post"),
    ],
)
def test_a_form_has_the_parts_of_the_official_clients(provider: str, case: str) -> None:
    """Names, values, file names and types of every part; the two clients order them differently."""
    theirs = s.requested(provider, case)["body"]
    body: dict[str, Any] = {}
    for part in theirs:
        head = part["headers"]["Content-Disposition"]
        name = head.split('name="')[1].split('"')[0]
        value = {"$fetch": "https://x/a.png", "as": "file"} if "filename" in head else part["value"]
        body[name] = [*body.get(name, []), value] if name.endswith("[]") else value
    asked = s.payload(provider, "/x", body, encoding="multipart", fetches=("https://x/a.png",))
    files = {"https://x/a.png": InputFile(data=PNG, media_type="image/png")}
    host = s.context("http://h", settings={"account_id": "a"})
    call = shipped()[provider].build_submit(filled(asked, files), host)
    assert call.json is None
    assert call.content is not None
    boundary = call.headers["content-type"].removeprefix("multipart/form-data; boundary=").encode()
    ours = [_part(raw) for raw in call.content.split(b"--" + boundary)[1:-1]]
    assert sorted(ours) == sorted(
        (
            part["headers"]["Content-Disposition"].split('name="')[1].split('"')[0],
            part["headers"].get("Content-Type", ""),
            "<70 bytes>" if "Content-Type" in part["headers"] else part["value"],
        )
        for part in theirs
    )


def _part(raw: bytes) -> tuple[str, str, str]:
    head, _, value = raw.strip(b"\r\n").partition(b"\r\n\r\n")
    name = re.search(r'name="([^"]+)"', head.decode())
    kind = re.search(r"content-type: (\S+)", head.decode())
    assert name is not None
    assert (kind is None) == (b"filename=" not in head)
    return name[1], kind[1] if kind else "", f"<{len(PNG)} bytes>" if kind else value.decode()


@pytest.mark.parametrize("encoding", ["json", "multipart"])
def test_an_answer_in_pieces_is_not_asked_for(encoding: str) -> None:
    asked = replace(s.GPT_IMAGE, body={**s.GPT_IMAGE.body, "stream": True}, encoding=encoding)
    with pytest.raises(PayloadUnsupported, match="streamed"):
        OPENAI.build_submit(asked, HOST)


def test_a_clip_from_submit_to_content() -> None:
    job = s.job(s.SORA, CLIP)
    assert OPENAI.read_submit(s.SORA, s.answered("openai", "videos_create")) == Accepted(job=CLIP)
    told = [
        OPENAI.read_poll(job, s.answered("openai", "videos_poll_until_completed", n), HOST) for n in (0, 1)
    ]
    assert told[0] == Running()
    done = OPENAI.read_poll(job, s.answered("openai", "videos_retrieve"), HOST)
    assert done == Succeeded(outputs=(Output(index=0, url=f"http://h/v1/videos/{CLIP}/content", keyed=True),))
    assert f"/v1/videos/{CLIP}/content" in s.requested("openai", "videos_download_content")["path"]
    failed = OPENAI.read_poll(job, s.answered("openai", "videos_poll_failed"), HOST)
    assert failed == Failed(fault=Fault.CALLER, code="moderation_blocked", message="blocked", moderation=True)
    broke = s.reply({"id": CLIP, "status": "failed", "error": {"code": "video_generation_failed"}})
    assert OPENAI.read_poll(job, broke, HOST) == Failed(fault=Fault.PROVIDER, code="video_generation_failed")
    assert OPENAI.read_poll(job, s.reply({"error": {}}, 404), HOST) == Missing()
    assert isinstance(
        OPENAI.read_poll(job, s.reply({"id": "other", "status": "completed"}), HOST), PollFailed
    )


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "soon"}, None),
    ],
)
def test_the_finer_pause_counts(headers: dict[str, str], wait: float | None) -> None:
    error = {"error": {"code": "rate_limit_exceeded", "type": "requests", "message": "slower"}}
    fact = OPENAI.read_submit(s.GPT_IMAGE, s.reply(error, 429, headers))
    assert isinstance(fact, Refused)
    assert fact.retry_after == wait


@pytest.mark.parametrize(
    ("error", "fault", "moderation"),
    [
        (
            {"type": "image_generation_user_error", "message": "blocked by our safety system"},
            Fault.CALLER,
            True,
        ),
        ({"type": "image_generation_user_error", "code": "invalid_image_file"}, Fault.CALLER, False),
        ({"type": "invalid_request_error", "code": "billing_hard_limit_reached"}, Fault.ACCOUNT, False),
    ],
)
def test_one_status_several_faults(error: dict[str, str], fault: Fault, moderation: bool) -> None:
    fact = OPENAI.read_submit(s.GPT_IMAGE, s.reply({"error": error}, 400))
    assert isinstance(fact, Refused)
    assert (fact.fault, fact.moderation) == (fault, moderation)


def test_an_overload_that_is_named_was_before_any_work() -> None:
    error = {"error": {"code": "server_is_overloaded", "type": "service_unavailable_error"}}
    fact = OPENAI.read_submit(s.GPT_IMAGE, s.reply(error, 503, {"retry-after": "3"}))
    assert isinstance(fact, Refused)
    assert (fact.fault, fact.retry_after) == (Fault.HERE, 3.0)


NOW = 1_800_000_000
LISTED = {
    "id": CLIP,
    "object": "video",
    "model": "sora-2",
    "prompt": "waves",
    "seconds": "4",
    "size": "1280x720",
    "created_at": NOW,
}


def look(*items: Any, asked: Any = s.SORA, bound: str = "") -> Any:
    reply = s.reply({"object": "list", "data": list(items)})
    return OPENAI.read_lookup(asked, reply, sent_at=float(NOW), bound=lambda job: job == bound)


def test_a_lost_clip_is_found_by_what_was_asked() -> None:
    assert look(LISTED) == LookupFound(job=CLIP)
    assert look({**LISTED, "model": "sora-2-2025-12-08"}) == LookupFound(job=CLIP)
    other = {**LISTED, "id": "video_9", "prompt": "dunes"}
    assert look(other, LISTED) == LookupFound(job=CLIP)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "dunes"},
        {"prompt": None},
        {"size": "720x1280"},
        {"seconds": "8"},
        {"model": "sora-2-pro"},
        {"created_at": NOW - 60},
        {"created_at": "now"},
        {"id": "../x"},
    ],
)
def test_what_could_be_somebody_elses_is_not_taken(change: dict[str, Any]) -> None:
    assert look({**LISTED, **change}) == LookupNone(conclusive=False)


def test_in_doubt_nothing_is_taken() -> None:
    twice = {**LISTED, "id": "video_9"}
    assert look(LISTED, twice) == LookupNone(conclusive=False)
    assert look(LISTED, twice, bound="video_9") == LookupFound(job=CLIP)
    from_a_picture = replace(
        s.SORA, body={**s.SORA.body, "input_reference": {"image_url": "https://x/a.png"}}
    )
    assert look(LISTED, asked=from_a_picture) == LookupNone(conclusive=False)
    failed = OPENAI.read_lookup(s.SORA, s.reply(b"", 500), sent_at=0.0, bound=lambda job: False)
    assert isinstance(failed, PollFailed)


def test_a_lost_picture_is_not_waited_for() -> None:
    """A clip can be looked for, a picture cannot: waiting for one would keep a customer for nothing."""
    for payload, patient in ((s.SORA, True), (s.GPT_IMAGE, False)):
        terms = terms_of(OPENAI, Quote(payload=payload, cost=1, price=1), "image", Policy(), True)
        assert (terms.lookup, terms.patience > 0) == (patient, patient)
    pictures = Quote(payload=s.PICTURES, cost=1, price=1)  # BytePlus calls back about clips alone
    terms = terms_of(shipped()["byteplus"], pictures, "image", Policy(), True)
    assert (terms.webhook, terms.patience) == (False, 0.0)
