"""A whole Arrow over the provider sandbox: real sockets, real files, real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy
from execution_arrow.sandbox import PROVIDERS, Sandbox, Timing

Opener = Callable[..., AsyncArrow]


@pytest.fixture(scope="module")
def listening() -> Iterator[Sandbox]:
    """One set of servers per module; jobs take a fraction of a second."""
    with Sandbox(seed=1, timing=Timing(queue=0.02, image=0.1, video=0.2)) as box:
        yield box


@pytest.fixture
def box(listening: Sandbox) -> Iterator[Sandbox]:
    yield listening
    listening.heal()


def options(box: Sandbox) -> dict[str, Any]:
    """What points an Arrow at the sandbox."""
    return {
        "base_urls": {name: box.base_url(name) for name in PROVIDERS},
        "credentials": EnvironmentCredentials(box.environment()),
        "egress": EgressPolicy(allow_loopback=True),
    }


@pytest.fixture
def open_arrow(box: Sandbox, tmp_path: Path) -> Opener:
    def opener(folder: str = "data", **more: Any) -> AsyncArrow:
        return AsyncArrow.open(tmp_path / folder, **{**options(box), **more})

    return opener
