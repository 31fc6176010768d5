"""Why a provider did not do it, in the public terms, with its own words apart and without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from execution_arrow import GenerationFailed, errors
from execution_arrow import facts as f
from execution_arrow.documents import GenerationV1
from execution_arrow.facts import Fault
from execution_arrow.providers import _wire
from execution_arrow.testing import FakeProvider
from tests.execution_arrow.delivery.kit import run
from tests.execution_arrow.driver.test_driver import arrow_of, generate
from tools.packages import ROOT


@run
async def test_every_provider_that_did_not_do_it_is_told_by_code(tmp_path: Path) -> None:
    refusals = {
        "a": f.Refused(fault=Fault.ACCOUNT, code="payment_required", message="top up, please"),
        "b": f.Refused(fault=Fault.PROVIDER, code="http_503", message="we are down"),
        "c": f.Refused(fault=Fault.ACCOUNT, code="missing_credentials", message="no key"),
        "d": f.Refused(fault=Fault.CALLER, code="nsfw", message="not this", moderation=True),
    }
    providers = [FakeProvider(name, submits=[fact] * 9) for name, fact in refusals.items()]
    async with arrow_of(tmp_path, *providers) as arrow:
        with pytest.raises(GenerationFailed) as failed:
            await generate(arrow)
    told = {error.provider: error for error in failed.value.generation.provider_errors}
    assert {name: (error.code, error.type, error.retryable) for name, error in told.items()} == {
        "a": ("BSE3005", "provider_credits_exhausted", False),
        "b": ("BSE3001", "provider_error", True),
        "c": ("BSE3004", "provider_key_missing", False),
        "d": ("BSE2006", "content_policy_violation", False),
    }
    assert (told["a"].provider_code, told["a"].provider_message) == ("payment_required", "top up, please")
    assert "top up" not in told["a"].message
    document = json.loads(GenerationV1.of(failed.value.generation).model_dump_json())
    validate(document, "generation.v1")
    assert len(document["provider_errors"]) == 4
    for error in document["provider_errors"]:
        validate(error, "provider-error.v1")


def validate(document: Any, name: str) -> None:
    """As whoever reads the published schema does."""
    schema = json.loads((ROOT / "schemas" / f"{name}.json").read_text("utf-8"))
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(document)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "see https://cdn.example/a.png?X-Amz-Signature=abc&x=1 now",
            "see https://cdn.example/a.png?*** now",
        ),
        ('{"url":"https://me:pw@h.example/p?token=1"}', '{"url":"https://h.example/p?***"}'),
        ("https://h.example/p failed", "https://h.example/p failed"),
        ("bad key sk-abcdef123456", "bad key ***"),
    ],
)
def test_a_providers_text_keeps_no_key_and_no_signed_link(said: str, kept: str) -> None:
    assert _wire.text(said) == kept


def test_an_error_differs_from_its_codes_row_only_where_it_says_so() -> None:
    assert (errors.NoPrice.http_status, errors.RequestRejected.http_status) == (422, 400)
    assert errors.StoreUnavailable.retryable
    assert not errors.WaitTimeout.retryable

    class Mine(errors.ArrowError):
        code = "BSE1005"

    assert (Mine.http_status, Mine.retryable) == (429, True)
