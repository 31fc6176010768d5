"""Keys from the environment."""

from __future__ import annotations

import pickle

import pytest

from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.errors import MissingCredentials


def test_a_key_is_read_at_each_use() -> None:
    environ = {"REPLICATE_API_TOKEN": " r8_old\n"}
    credentials = EnvironmentCredentials(environ)
    reference = credentials.reference("replicate", "acct_1")
    assert reference == "env:REPLICATE_API_TOKEN"
    secret = credentials.get("replicate", reference)
    assert secret.reveal() == "r8_old"
    assert "r8" not in f"{secret!r} {secret}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    environ["REPLICATE_API_TOKEN"] = "r8_new"
    assert credentials.get("replicate", reference).reveal() == "r8_new"


@pytest.mark.parametrize("environ", [{}, {"FAL_KEY": ""}, {"FAL_KEY": "  "}])
def test_a_missing_key_names_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(MissingCredentials, match="FAL_KEY"):
        EnvironmentCredentials(environ).get("fal", "env:FAL_KEY")


def test_settings_beside_the_key() -> None:
    credentials = EnvironmentCredentials({"CLOUDFLARE_ACCOUNT_ID": "abc"})
    assert credentials.settings("cloudflare", "env:CLOUDFLARE_API_TOKEN") == {"account_id": "abc"}
    assert credentials.settings("fal", "env:FAL_KEY") == {}
    with pytest.raises(MissingCredentials, match="CLOUDFLARE_ACCOUNT_ID"):
        EnvironmentCredentials({}).settings("cloudflare", "env:CLOUDFLARE_API_TOKEN")


def test_a_provider_of_your_own(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = EnvironmentCredentials()
    assert credentials.reference("my-cloud", "a") == "env:MY_CLOUD_API_KEY"
    monkeypatch.setenv("MY_CLOUD_API_KEY", "k")
    assert credentials.get("my-cloud", "env:MY_CLOUD_API_KEY").reveal() == "k"
