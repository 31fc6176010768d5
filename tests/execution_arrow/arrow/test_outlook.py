"""`library` and `health`: what can be asked for, and whether it would work."""

from __future__ import annotations

import shutil
from pathlib import Path

import jsonschema
import pytest

from execution_arrow import Arrow
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import Row
from execution_arrow.stores.memory import MemoryStore

KEYS = EnvironmentCredentials({"FAL_KEY": "x"})


def test_the_library_has_models_with_their_schemas_and_providers(tmp_path: Path) -> None:
    with Arrow.open(tmp_path) as arrow:
        found = arrow.library("bytedance/seedream-4.5", "bfl/flux-1.1-pro")
    seedream, _ = found.models
    assert (seedream.id, seedream.kind) == ("bytedance/seedream-4.5", "image")
    assert set(seedream.providers) >= {"byteplus", "fal"}
    jsonschema.validate(
        {"generation_prompt": "a lighthouse", "generation_ratio": "16:9"}, dict(seedream.schema)
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"generation_prompt": "x", "generation_ratio": "17:9"}, dict(seedream.schema))
    providers = {provider.id: provider for provider in found.providers}
    assert len(providers) == 8
    assert providers["fal"].delivery == "webhook_with_polling"
    assert (providers["bfl"].cancel, providers["bfl"].models) == (None, 1)
    assert found.catalog_digest


def test_health_says_which_part_does_not_work(tmp_path: Path) -> None:
    class Away(MemoryStore):
        away = False

        def load(self, generation_id: str) -> Row | None:
            if self.away:
                raise StoreUnavailable("gone fishing", maybe_applied=False)
            return super().load(generation_id)

    jobs = Away()
    with Arrow.open(tmp_path, jobs=jobs, credentials=KEYS) as arrow:
        good = arrow.health()
        assert good.healthy, good
        assert [check.service for check in good.checks] == ["jobs", "ledger", "artifacts"]
        assert {p.provider for p in good.providers if p.has_key} == {"fal"}
        assert {p.status for p in good.providers} == {"unknown"}
        jobs.away = True
        shutil.rmtree(tmp_path / "artifacts")
        bad = arrow.health()
        assert not bad.healthy
        errors = {check.service: check.error for check in bad.checks if not check.healthy}
        assert set(errors) == {"jobs", "artifacts"}
        assert "gone fishing" in errors["jobs"]
        jobs.away = False
