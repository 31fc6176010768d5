"""What the modules declare about themselves holds together."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from execution_arrow import media
from execution_arrow.credentials import SETTINGS, VARIABLES
from execution_arrow.facts import Fault
from execution_arrow.inputs import bodies as inputs
from execution_arrow.providers import _callbacks, _wire, shipped
from tests.execution_arrow.providers import samples as s

MODULES = [importlib.import_module(f"execution_arrow.providers.{name}") for name in shipped()]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_declarations_agree_with_the_functions(name: str) -> None:
    provider = shipped()[name]
    semantics = provider.semantics
    assert semantics.name == name
    assert semantics.base_url.startswith("https://")
    assert not semantics.base_url.endswith("/")
    assert VARIABLES[name] == semantics.key_variable
    assert tuple(SETTINGS.get(name, {})) == semantics.settings
    for payload in s.PAYLOADS[name]:
        context = s.context("http://h", settings=dict.fromkeys(semantics.settings, "x"))
        if provider.is_sync(payload):
            assert provider.build_lookup(payload, context) is None
        else:
            assert (provider.build_lookup(payload, context) is not None) == (semantics.lookup is not None)
            assert semantics.poll_every is not None
            assert (provider.build_cancel(s.job(payload), context) is not None) == (
                semantics.cancel is not None
            )


@pytest.mark.parametrize("module", [*MODULES, _wire], ids=lambda m: m.__name__)
def test_every_row_of_an_error_table_names_its_source(module: object) -> None:
    tables = {name: rows for name, rows in vars(module).items() if name.endswith("_RULES")}
    assert tables
    for rows in tables.values():
        for row in rows:
            assert row.source
            assert not row.moderation or row.fault is Fault.CALLER


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_no_row_of_a_table_is_dead(module: object) -> None:
    """A row behind one that says more is never reached: every row wins for some answer."""
    for name, rows in vars(module).items():
        if not name.endswith("_RULES"):
            continue
        for row in rows:
            status = row.status[0] if row.status else 400
            message = _sample(row.text)
            winner = _wire.find(rows, status, row.code, message)
            assert winner is row or (not row.code and winner is not None), (name, row, winner)


def _sample(pattern: str) -> str:
    texts = {
        r"invalid version|not permitted": "Invalid version or not permitted",
        r"exhausted balance|user is locked": "User is locked. Reason: Exhausted balance.",
        r"queue": "too many queued tasks",
        r"spend limit": "spend limit reached",
        r"\bE(1000|1001|6716)\b": "E1001",
        r"\bE4875\b": "E4875",
        r"safety system|moderation|content policy": "rejected by the safety system",
        r"content.policy|moderat": "content_policy_violation",
        r"not have enough credits": "You do not have enough credits to run this task.",
        r"synchronous|asynchronous": "current user api does not support synchronous calls",
    }
    return texts.get(pattern, "nsfw" if pattern else "")


def test_looking_up_one_provider_loads_only_that_module() -> None:
    code = (
        "import sys; from execution_arrow.providers import shipped\n"
        "p = shipped(); before = set(sys.modules); "
        "assert len(p) and 'execution_arrow.providers.fal' not in before; p['fal']; "
        "new = {m for m in set(sys.modules) - before if m.startswith('execution_arrow.providers.')}; "
        "shared = {f'execution_arrow.providers.{m}' for m in ('_wire', '_callbacks')}; "
        "assert new - shared == {'execution_arrow.providers.fal'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("module", [*MODULES, media, inputs, _callbacks, _wire], ids=lambda m: m.__name__)
def test_the_modules_are_pure(module: ModuleType) -> None:
    """No clock, no chance, no socket, no thread: a recorded exchange can always stand in for the network."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    impure = "time random secrets uuid os socket asyncio threading logging sqlite3 httpx httpcore pathlib"
    assert not names & {*impure.split(), "email.utils"}
    assert not re.search(r"\.(now|utcnow|today)\(", Path(str(module.__file__)).read_text())
