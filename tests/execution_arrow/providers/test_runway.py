"""What is Runway's own: one version header, a purse that answers 400, ends that say what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from execution_arrow.facts import (
    Accepted,
    CancelAcknowledged,
    Canceled,
    CancelRefused,
    Failed,
    Fault,
    Missing,
    Output,
    Refused,
    Running,
    Succeeded,
)
from execution_arrow.providers import shipped
from tests.execution_arrow.providers import samples as s

RUNWAY = shipped()["runway"]
ID = "17f20503-6c24-4c16-946b-35dbbce2af2f"
HOST = s.context("http://h")
JOB = s.job(s.GEN45, ID)


def said(call: Any) -> tuple[Any, ...]:
    headers = call.headers
    assert headers["authorization"] == f"Bearer {s.KEY}"
    return (call.method, call.url.removeprefix("http://h"), headers["x-runway-version"], call.json)


@pytest.mark.parametrize(
    "case",
    [
        "submit_act_two",
        "submit_aleph2",
        "submit_gen4.5_i2v",
        "submit_gen4.5_t2v",
        "submit_gen4_image",
        "submit_gen4_turbo",
        "submit_veo3.1_i2v",
    ],
)
def test_submits_are_those_of_the_official_client(case: str) -> None:
    theirs = s.requested("runway", case)
    given = {"X-Runway-Version": "2024-11-06"}
    call = RUNWAY.build_submit(s.payload("runway", theirs["path"], theirs["body"], headers=given), HOST)
    assert said(call) == ("POST", theirs["path"], theirs["headers"]["x-runway-version"], theirs["body"])
    assert len({name.lower() for name in call.headers}) == len(call.headers)  # the version is said once
    assert RUNWAY.read_submit(s.GEN45, s.answered("runway", case)) == Accepted(job=ID)


def test_polls_and_cancels_are_those_of_the_official_client() -> None:
    for case, call in (
        ("poll_running", RUNWAY.build_poll(JOB, HOST)),
        ("cancel_or_delete", RUNWAY.build_cancel(JOB, HOST)),
    ):
        theirs = s.requested("runway", case)
        wanted = (theirs["method"], theirs["path"], theirs["headers"]["x-runway-version"], theirs["body"])
        assert said(call) == wanted


def test_the_mappings_version_goes_on_with_its_job() -> None:
    later = s.payload("runway", "/v1/x", {}, headers={"X-Runway-Version": "2030-01-01"})
    assert RUNWAY.build_submit(later, HOST).headers["x-runway-version"] == "2030-01-01"
    assert RUNWAY.build_poll(s.job(later), HOST).headers["x-runway-version"] == "2030-01-01"


@pytest.mark.parametrize(
    ("case", "kind", "cost"),
    [
        ("poll_pending", Running, None),
        ("poll_throttled", Running, None),
        ("poll_running", Running, None),
        ("poll_succeeded", Succeeded, 250_000),
        ("poll_failed", Failed, 0),
        ("poll_cancelled", Canceled, 0),
    ],
)
def test_every_status_of_the_api(case: str, kind: type, cost: int | None) -> None:
    fact = RUNWAY.read_poll(JOB, s.answered("runway", case), HOST)
    assert type(fact) is kind
    assert getattr(fact, "cost", None) == cost


def test_results_are_a_list_and_costs_are_credits_of_a_cent() -> None:
    def read(**more: Any) -> Any:
        return RUNWAY.read_result(JOB, s.reply({"id": ID, "status": "SUCCEEDED", **more}))

    done = read(output=["https://x/a.mp4", None, 7, "https://x/b.mp4"], cost={"credits": 12.5})
    assert done == Succeeded(
        outputs=(Output(index=0, url="https://x/a.mp4"), Output(index=1, url="https://x/b.mp4")), cost=125_000
    )
    assert read(output=[], cost={"credits": 0.00001}).cost == 1
    for junk in (-1, True, "5", None, [], 1e300, float("inf")):
        assert read(cost={"credits": junk}).cost is None
    assert read(output="https://x/a.mp4").outputs == ()


@pytest.mark.parametrize(
    ("code", "fault", "moderation"),
    [
        ("SAFETY.INPUT.TEXT", Fault.CALLER, True),
        ("SAFETY.OUTPUT.VIDEO", Fault.CALLER, True),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", Fault.CALLER, True),
        ("INPUT_PREPROCESSING.SAFETY.THIRD_PARTY", Fault.CALLER, True),
        ("ASSET.INVALID", Fault.CALLER, False),
        ("INTERNAL.BAD_OUTPUT.CODE01", Fault.PROVIDER, False),
        ("INPUT_PREPROCESSING.INTERNAL", Fault.PROVIDER, False),
        ("THIRD_PARTY.UNAVAILABLE", Fault.PROVIDER, False),
        ("SAFETYNET", Fault.PROVIDER, False),
        (None, Fault.PROVIDER, False),
    ],
)
def test_failure_codes(code: str | None, fault: Fault, moderation: bool) -> None:
    body = {"id": ID, "status": "FAILED", "failure": "no", "failureCode": code, "cost": {"credits": 5}}
    fact = RUNWAY.read_poll(JOB, s.reply(body), HOST)
    assert fact == Failed(
        fault=fault, code=code or "failed", message="no", moderation=moderation, cost=50_000
    )


@pytest.mark.parametrize(
    ("case", "fault", "says"),
    [
        ("error_400_credits", Fault.ACCOUNT, "enough credits"),
        ("error_400_validation", Fault.CALLER, "ratio: Invalid enum value"),
        ("error_401", Fault.ACCOUNT, "Unauthorized"),
        ("error_429", Fault.PROVIDER, "daily task limit"),
    ],
)
def test_declared_refusals(case: str, fault: Fault, says: str) -> None:
    fact = RUNWAY.read_submit(s.GEN45, s.answered("runway", case))
    assert isinstance(fact, Refused)
    assert fact.fault is fault
    assert says in fact.message


def test_a_delete_is_no_verdict_and_may_have_erased() -> None:
    assert RUNWAY.read_cancel(JOB, s.reply(b"", 204)) == CancelAcknowledged(erases=True)
    refused = RUNWAY.read_cancel(JOB, s.answered("runway", "error_404_task"))
    assert refused == CancelRefused(message="HTTP 404: Task not found")
    assert RUNWAY.read_poll(JOB, s.answered("runway", "error_404_task"), HOST) == Missing()
