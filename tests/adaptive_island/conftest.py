"""Fixtures of this package's tests."""

from __future__ import annotations

import pytest

from tests.adaptive_island.kit import World


@pytest.fixture
def world() -> World:
    return World()
