"""Why a provider did not do it, in the public terms, with its own words apart and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution_arrow import GenerationFailed, errors
from execution_arrow import facts as f
from execution_arrow.facts import Fault
from execution_arrow.providers import _wire
from execution_arrow.testing import FakeProvider
from tests.execution_arrow.delivery.kit import run
from tests.execution_arrow.driver.test_driver import arrow_of, generate


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
