"""The shipped providers for tests: asked more often than the real services like."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from execution_arrow.providers import shipped
from execution_arrow.providers.base import Provider


def hurried(seconds: float = 0.1) -> dict[str, Provider]:
    """The shipped providers with this pause between two polls (BytePlus and Runway want five seconds).

    For a sandbox: `AsyncArrow.open(..., providers=hurried())`. Never for the real services.
    """
    found: dict[str, Any] = {name: copy(provider) for name, provider in shipped().items()}
    for provider in found.values():
        if provider.semantics.poll_every is not None:
            provider.semantics = replace(provider.semantics, poll_every=seconds)
    return found
