"""Keys from the environment: one documented variable per provider.

A reference is `env:NAME`. Attempts store the reference, never the key, so a key that was changed is used at
the next call, and a poll asks with the same account that submitted. Several accounts or customers' own keys
need another implementation of `ports.Credentials`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from execution_arrow.errors import MissingCredentials
from execution_arrow.ports import Credentials, Secret

# The variables that the providers' own clients read.
VARIABLES: Mapping[str, str] = {
    "alibabacloud": "DASHSCOPE_API_KEY",
    "bfl": "BFL_API_KEY",
    "byteplus": "ARK_API_KEY",
    "cloudflare": "CLOUDFLARE_API_TOKEN",
    "fal": "FAL_KEY",
    "openai": "OPENAI_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
    "runway": "RUNWAYML_API_SECRET",
}
SETTINGS: Mapping[str, Mapping[str, str]] = {"cloudflare": {"account_id": "CLOUDFLARE_ACCOUNT_ID"}}

# What the calls of a whole account are signed with, where a provider makes such (`providers.base.Events`).
WEBHOOKS: Mapping[str, str] = {"openai/webhooks": "OPENAI_WEBHOOK_SECRET"}

_SCHEME = "env:"


class EnvironmentCredentials:
    """Reads keys at each use. A provider without a documented variable is looked for as `<NAME>_API_KEY`.

    `environ` is for tests and for a team's own mapping of variables; the default is the process's.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def reference(self, provider: str, account: str) -> str:
        """Return `env:NAME`; every customer account uses the same key here."""
        known = {**VARIABLES, **WEBHOOKS}
        return _SCHEME + known.get(provider, provider.upper().replace("-", "_") + "_API_KEY")

    def get(self, provider: str, reference: str) -> Secret:
        """Return the key. Raises `MissingCredentials` with the variable that is unset or empty."""
        return Secret(self._read(provider, reference.removeprefix(_SCHEME)))

    def settings(self, provider: str, reference: str) -> Mapping[str, str]:
        """Return what the provider's URLs need beside the key (Cloudflare's account id)."""
        wanted = SETTINGS.get(provider, {})
        return {name: self._read(provider, variable) for name, variable in wanted.items()}

    def _read(self, provider: str, variable: str) -> str:
        value = self._environ.get(variable, "").strip()  # a pasted line break would break the header
        if not value:
            raise MissingCredentials(provider, variable)
        return value


def missing_keys(credentials: Credentials, providers: Iterable[str], account: str = "") -> dict[str, str]:
    """The providers that cannot be asked from here, each with the variable that was looked for in vain."""
    missing = {}
    for provider in providers:
        reference = credentials.reference(provider, account)
        try:
            credentials.get(provider, reference)
            credentials.settings(provider, reference)
        except MissingCredentials as error:
            missing[provider] = error.variable
    return missing
