"""Which addresses are of the public internet, by our own table."""

from __future__ import annotations

import ipaddress
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from execution_arrow.addresses import REFUSED, why_refused
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import EgressRefused

N = int(os.environ.get("N", "1"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",  # Alibaba metadata
        "169.254.169.254",  # AWS, Google, Azure metadata
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fd00:ec2::254",  # AWS metadata
        "fe80::1",
        "ff02::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "2002:7f00:1::",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "fec0::1",
        "5f00::1",
        "4000::1",
    ],
)
def test_refused(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address))
    with pytest.raises(EgressRefused, match=r"allow `cdn.example:443`"):
        EgressPolicy().check_address("cdn.example", 443, address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_public(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address)) is None
    assert EgressPolicy().check_address("cdn.example", 443, address) == address


@pytest.mark.parametrize("text", [text for text, _ in REFUSED])
def test_every_range_is_refused_to_its_edges(text: str) -> None:
    network = ipaddress.ip_network(text)
    assert why_refused(network[0])
    assert why_refused(network[-1])


# What this version of Python calls global and our table refuses all the same.
STRICTER = [
    ipaddress.ip_network(text)
    for text in [
        "168.63.129.16/32",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "192.0.0.0/24",
        "224.0.0.0/4",
        "2620:4f:8000::/48",
        "2001::/23",
        "2002::/16",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "3fff::/20",
        "ff00::/8",
    ]
]

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)


@st.composite
def edges(draw: st.DrawFn) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The first and last address of a refused range, and their neighbours outside."""
    network = ipaddress.ip_network(draw(st.sampled_from([text for text, _ in REFUSED])))
    number = int(draw(st.sampled_from([network[0], network[-1]]))) + draw(st.integers(-1, 1))
    return type(network[0])(number % 2**network.max_prefixlen)


@settings(max_examples=500 * N, deadline=None)
@given(v4 | v6 | edges())
@example(ipaddress.ip_address("192.88.99.1"))
def test_what_we_let_through_python_calls_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """The table is never laxer than the standard library's, and stricter only where we say so."""
    if why_refused(address) is None:
        assert address.is_global
        assert not address.is_multicast
    elif address.is_global and not address.is_multicast:
        unassigned = address.version == 6 and int(address) >> 125 != 1
        assert unassigned or any(address.version == n.version and address in n for n in STRICTER)


@settings(max_examples=100 * N, deadline=None)
@given(v4, st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::", "2001::"]))
def test_no_ipv4_address_hides_in_an_ipv6_one(inner: ipaddress.IPv4Address, prefix: str) -> None:
    base = int(ipaddress.IPv6Address(prefix))
    shift = 80 if prefix == "2002::" else 0
    assert why_refused(ipaddress.IPv6Address(base | int(inner) << shift))


def test_allowances_are_exact() -> None:
    policy = EgressPolicy(allowed_hosts=frozenset({"127.0.0.1:8080", "minio.internal:9000", "[::1]:81"}))
    assert policy.check_address("127.0.0.1", 8080, "127.0.0.1") == "127.0.0.1"
    assert policy.check_address("MINIO.internal.", 9000, "10.0.0.7") == "10.0.0.7"
    assert policy.check_address("::1", 81, "::1") == "::1"
    for host, port, address in (("127.0.0.1", 8081, "127.0.0.1"), ("minio.internal", 9001, "10.0.0.7")):
        with pytest.raises(EgressRefused):
            policy.check_address(host, port, address)
    loopback = EgressPolicy(allow_loopback=True)
    assert loopback.check_address("localhost", 5000, "::1") == "::1"
    with pytest.raises(EgressRefused):
        loopback.check_address("localhost", 5000, "10.0.0.1")
    with pytest.raises(EgressRefused):  # a name that looks local and leads elsewhere, on an odd port
        loopback.check_address("localhost", 5000, "8.8.8.8")
    with pytest.raises(EgressRefused):
        EgressPolicy().check_address("x", 443, "not an address")
