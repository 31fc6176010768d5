"""fal's official client against the sandbox, over TLS with a throw-away CA (`fal_child.py` runs it)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fal_client")
trustme = pytest.importorskip("trustme")
CHILD = Path(__file__).with_name("fal_child.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(folder / "cert.pem"), append=True)
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "SSL_CERT_FILE": str(folder / "ca.pem"), "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder / "cert.pem"), str(folder / "key.pem")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_three_states(seen):
    assert seen["states"] == ["Queued", "InProgress", "Completed"]


def test_submit_and_get(seen):
    assert seen["result"] == {"announced": [[1024, 576]] * 2, "real": [[1024, 576]] * 2}


def test_subscribe_to_a_clip(seen):
    assert seen["subscribe_to_a_clip"] == "video/mp4"


def test_the_synchronous_host(seen):
    assert seen["synchronous"] == 2


def test_result_by_id_of_an_endpoint_with_a_sub_path(seen):
    assert seen["by_id"] == 2


def test_cancel_while_queued(seen):
    assert (seen["cancel_queued"]["status"], seen["cancel_queued"]["type"]) == (499, "client_cancelled")


def test_cancel_when_finished(seen):
    assert seen["cancel_finished"]["status"] == 400
    assert "ALREADY_COMPLETED" in seen["cancel_finished"]["text"]


def test_throttled_submits_are_repeated_by_the_client(seen):
    assert seen["throttled"] == [429, 429, 200]


def test_server_error(seen):
    assert (seen["server_error"]["status"], seen["server_error"]["type"]) == (500, "internal_error")


def test_no_credit(seen):
    assert seen["no_credit"]["status"] == 403
    assert "Exhausted balance" in seen["no_credit"]["text"]


def test_a_failed_job_is_told_at_the_result_and_is_free(seen):
    told = seen["job_fails"]
    assert (told["status"], told["type"], told["status_error_type"]) == (500, *["runner_server_error"] * 2)
    assert told["amount"] == 0


def test_moderation_is_told_at_the_result_and_may_cost(seen):
    told = seen["moderation"]
    assert told["status"] == 422
    assert "content checker" in told["text"]
    assert told["status_error_type"] == "content_policy_violation"
    assert told["amount"] == 6_000


def test_the_callers_own_start_timeout(seen):
    assert (seen["start_timeout"]["status"], seen["start_timeout"]["type"]) == (504, "request_timeout")


def test_invalid_input_is_told_at_the_result(seen):
    assert seen["invalid_input"]["status"] == 422
    assert "prompt" in seen["invalid_input"]["text"]


def test_unknown_endpoint(seen):
    assert seen["unknown_endpoint"]["status"] == 404


def test_a_lost_reply_makes_the_official_client_pay_twice(seen):
    assert seen["lost_reply"] == [6_000, 6_000]
