"""Whoever points an Arrow at a sandbox never shows it, or a real provider, a real key."""

from __future__ import annotations

import pytest

from execution_arrow.credentials import VARIABLES
from execution_arrow.errors import MissingCredentials
from execution_arrow.sandbox import PROVIDERS, Sandbox, options
from execution_arrow.sandbox.pointing import pointing


def test_no_real_key_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Played: made up. Not played: none, so that it is passed over. Other secrets are the environment's."""
    for variable in (*VARIABLES.values(), "STUDIO_API_KEY"):
        monkeypatch.setenv(variable, "real")
    keys = pointing({"fal": "http://127.0.0.1:1/fal"}, "http://127.0.0.1:1")["credentials"]
    assert keys.get("fal", keys.reference("fal", "")).reveal() == "sandbox"
    with pytest.raises(MissingCredentials, match="OPENAI_API_KEY"):
        keys.get("openai", keys.reference("openai", ""))
    assert keys.get("studio", keys.reference("studio", "")).reveal() == "real"


def test_a_sandbox_elsewhere_is_below_its_main_address() -> None:
    """As one that has only a main port tells it itself."""
    with Sandbox(separate=False) as box:
        mine = box.options()
        assert mine["base_urls"] == options(f"{box.url}/")["base_urls"]
    assert set(mine["base_urls"]) == set(PROVIDERS)
