"""The inference providers that ship with this package, each a module of pure functions and tables.

A team adds its own by writing an object with the methods of `providers.base.Provider` and passing it
beside the shipped ones: `{**shipped(), "mine": MyProvider()}`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from execution_arrow.providers.base import Provider

_MODULES = (
    "alibabacloud", "bfl", "byteplus", "cloudflare", "fal", "openai", "replicate", "runway",
)  # fmt: skip


class _Shipped(Mapping[str, Provider]):
    """Provider modules by name, imported when they are first asked for."""

    def __getitem__(self, name: str) -> Provider:
        if name not in _MODULES:
            raise KeyError(name)
        provider: Provider = importlib.import_module(f"{__name__}.{name}").PROVIDER
        return provider

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    def __repr__(self) -> str:
        return f"shipped({', '.join(_MODULES)})"


def shipped() -> Mapping[str, Provider]:
    """Return the shipped providers by name. A module is imported when its name is looked up."""
    return _Shipped()
