"""Which addresses are of the public internet.

The table of refused ranges is our own (IANA's special-purpose registries, RFC 6890, and addresses known to
serve machine metadata), because `ipaddress.is_global` changes between patch versions of Python.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

REFUSED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared (CGNAT, Alibaba metadata)"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "Azure metadata"),
    ("169.254.0.0/16", "link-local (metadata)"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments (Oracle metadata)"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved and broadcast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::ffff:0:0/96", "embedded IPv4 (mapped)"),
    ("64:ff9b::/96", "embedded IPv4 (NAT64)"),
    ("64:ff9b:1::/48", "embedded IPv4 (local NAT64)"),
    ("2001::/32", "embedded IPv4 (Teredo)"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "embedded IPv4 (6to4)"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
_REFUSED = tuple((ipaddress.ip_network(text), why) for text, why in REFUSED)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # the only block from which IPv6 addresses are given out


def why_refused(address: Address) -> str | None:
    """Name the reason why an address is not one of the public internet, or return None."""
    for network, why in _REFUSED:
        if address.version == network.version and address in network:
            return why
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return "not given out"
    return None
