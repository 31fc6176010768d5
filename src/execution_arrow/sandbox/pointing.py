"""What points an Arrow at a sandbox: addresses, made-up keys, and leave to fetch its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def pointing(base_urls: Mapping[str, str], url: str) -> dict[str, Any]:
    """Arguments of `Arrow.open`.

    No real key is sent. A provider that the sandbox does not play has no key here, so it is passed over and
    never called. Results are fetched from the sandbox and nowhere else.
    """
    from execution_arrow.credentials import SETTINGS, VARIABLES, EnvironmentCredentials
    from execution_arrow.egress import EgressPolicy

    names = {VARIABLES[name] for name in base_urls}
    names |= {variable for name in base_urls for variable in SETTINGS.get(name, {}).values()}
    return {
        "base_urls": dict(base_urls),
        "credentials": EnvironmentCredentials(dict.fromkeys(names, "sandbox")),
        "egress": EgressPolicy(allowed_hosts=frozenset({urlsplit(url).netloc})),
    }


def options(url: str) -> dict[str, Any]:
    """Arguments of `Arrow.open` for a sandbox that runs in another process; `url` is its main address."""
    from execution_arrow.sandbox.desks import DESKS, ROOTS

    url = url.rstrip("/")
    names = {desk.name for desk in DESKS.values()}
    return pointing({name: f"{url}/{name}{ROOTS.get(name, '')}" for name in sorted(names)}, url)
