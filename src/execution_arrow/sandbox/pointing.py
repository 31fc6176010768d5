"""What points an Arrow at a sandbox: addresses, made-up keys, and leave to fetch its files."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit


def pointing(base_urls: Mapping[str, str], url: str) -> dict[str, Any]:
    """Arguments of `Arrow.open`.

    No real provider's key is read: those that the sandbox plays have a made-up one, the others have none and
    are passed over. Any other variable (of a provider of your own, of webhooks) is read from the environment.
    Results are fetched from the sandbox and nowhere else.
    """
    from execution_arrow.credentials import SETTINGS, VARIABLES, EnvironmentCredentials
    from execution_arrow.egress import EgressPolicy

    def variables(names: Iterable[str]) -> list[str]:
        return [word for name in names for word in (VARIABLES[name], *SETTINGS.get(name, {}).values())]

    made_up, absent = dict.fromkeys(variables(base_urls), "sandbox"), dict.fromkeys(variables(VARIABLES), "")
    return {
        "base_urls": dict(base_urls),
        "credentials": EnvironmentCredentials(ChainMap(made_up, absent, os.environ)),
        "egress": EgressPolicy(allowed_hosts=frozenset({urlsplit(url).netloc})),
    }


def options(url: str) -> dict[str, Any]:
    """Arguments of `Arrow.open` for a sandbox that runs in another process; `url` is its main address."""
    from execution_arrow.sandbox.desks import DESKS, ROOTS

    url = url.rstrip("/")
    names = {desk.name for desk in DESKS.values()}
    return pointing({name: f"{url}/{name}{ROOTS.get(name, '')}" for name in sorted(names)}, url)
