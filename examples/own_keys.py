"""Several accounts, and customers who bring their own keys: a `Credentials` of yours decides who is who."""

from collections.abc import Mapping

from execution_arrow import Arrow
from execution_arrow.credentials import VARIABLES
from execution_arrow.errors import MissingCredentials
from execution_arrow.ports import Secret
from execution_arrow.sandbox import Sandbox


class Vault:
    """Keys by reference. An attempt stores the reference, never the key: a key that was changed is used at
    the next call, and a poll asks with the account that submitted. Breakers, too, are per reference.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets  # your secret manager; read at each use
        self.used: set[str] = set()

    def reference(self, provider: str, account: str) -> str:
        own = f"{account}/{provider}"
        if own in self._secrets:
            return own  # this customer's own key
        return f"eu/{provider}" if account.startswith("eu_") else f"main/{provider}"  # one of our accounts

    def get(self, provider: str, reference: str) -> Secret:
        if reference not in self._secrets:
            raise MissingCredentials(provider, VARIABLES.get(provider, reference))
        self.used.add(reference)
        return Secret(self._secrets[reference])  # prints as ***, and is in no log and no row

    def settings(self, provider: str, reference: str) -> Mapping[str, str]:
        return {}  # what a provider's address needs beside the key: Cloudflare's account id


vault = Vault({"main/fal": "key-1", "eu/fal": "key-2", "acct_7/fal": "the customer's own"})
asked = {"generation_prompt": "a lighthouse", "generation_provider_order": "fal"}

with Sandbox() as sandbox:
    place = sandbox.options() | {"credentials": vault}
    with Arrow.open("media-data", worker=True, **place) as arrow:
        for account in ("acct_1", "eu_2", "acct_7"):
            arrow.ledger.grant(account, "5", key="hello", create=True)
            arrow.generate("bfl/flux-schnell", asked, account=account)
        for started in arrow.list():
            print(started.account, arrow.wait(started.id, timeout=60).status)

assert vault.used == {"main/fal", "eu/fal", "acct_7/fal"}
