"""Is this a URL of public media, readable in only one way?

Providers fetch what we pass on, and so may the sender. The rules are those that need no network: what two
URL parsers could read differently is refused, and so are addresses that are never public. What a name
resolves to is checked by whoever connects.
"""

from __future__ import annotations

import re
from typing import Final

MAX_URL: Final = 2048
#: What a mapping file may put into an address, so that no base URL that it is joined to leads elsewhere.
NATIVE_ID: Final = re.compile(r"[A-Za-z0-9@](?!.*\.\.)[A-Za-z0-9._:/@+-]*\Z")
NATIVE_PATH: Final = re.compile(r"(/(?!\.)[A-Za-z0-9._:@+-]+)+\Z")
HEADER: Final = re.compile(r"[A-Za-z0-9-]+:[ -~]*\Z")  # name:value
_SHAPE = re.compile(r"https?://(?P<host>[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?#][!-\[\]-~]*)?\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_NUMERIC = re.compile(r"(?i)(0x[0-9a-f]*|[0-9]+)\Z")
PRIVATE_NAMES: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "test",
    "invalid",
    "onion",
    "arpa",
)
# Most URLs are of this shape and need no closer look. It takes nothing that the long way would refuse: all
# its lengths together stay below the limits there. Possessive: it never tries twice.
PLAIN = re.compile(
    r"https://(?:[a-z0-9][a-z0-9-]{0,35}+(?<!-)\.){1,5}+"
    rf"(?!(?:{'|'.join(PRIVATE_NAMES)})/)[a-z]{{2,63}}+/[!-\[\]-~]{{0,1700}}+\Z"
)


def url_problem(url: str) -> tuple[str, str] | None:
    """(what is wrong, what to do), or None for a good URL."""
    if PLAIN.match(url):
        return None
    if len(url) > MAX_URL:
        return f"has {len(url)} characters; at most {MAX_URL} are allowed", "send a shorter URL"
    scheme = url.split(":", 1)[0].lower() if ":" in url[:20] else ""
    if scheme not in ("http", "https"):
        return "is not an http or https URL", "upload the file and send its public URL"
    found = _SHAPE.match(url)
    if found is None:
        if "@" in url.split("/", 3)[2] if url.count("/") >= 2 else False:
            return "carries a user name or password", "send a URL without them"
        return (
            "is not a plain URL",
            "percent-encode spaces, backslashes and non-ASCII characters; no IPv6 literals",
        )
    if (port := found["port"]) is not None and not 0 < int(port) < 65536:
        return f"has the port {port}", "ports go up to 65535"
    return _host_problem(found["host"].lower())


def _host_problem(host: str) -> tuple[str, str] | None:
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.match(labels[-1]):  # the last label decides whether a host is read as an address
        return _address_problem(host)
    if len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        return "has a malformed host name", "check the URL"
    if len(labels) < 2 or labels[-1] in PRIVATE_NAMES:
        return f"names the private host {host[:80]}", "media must be public"
    return None


def _address_problem(host: str) -> tuple[str, str] | None:
    from ipaddress import AddressValueError, IPv4Address

    try:
        address = IPv4Address(
            host
        )  # four decimal parts without leading zeros; all other spellings are refused
    except AddressValueError:
        return "has an address in an unusual spelling", "use a host name"
    if not address.is_global or address.is_multicast:
        return f"points to the private address {host}", "media must be public"
    return None
