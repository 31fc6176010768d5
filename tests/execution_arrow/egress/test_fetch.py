"""Fetching through the guard: names, redirects, rebinding and proxies against real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import pytest
import trustme

from execution_arrow.egress import Egress, EgressPolicy, GuardedBackend
from execution_arrow.errors import EgressRefused
from tests.execution_arrow.transport.kit import Server, answer, serving

LOCAL = EgressPolicy(allow_loopback=True)


async def fetch(egress: Egress, url: str) -> tuple[int, bytes, str]:
    try:
        async with egress.get(url) as found:
            return found.status, b"".join([piece async for piece in found.body]), found.url
    finally:
        await egress.aclose()


def get(url: str, policy: EgressPolicy | None = None, **options: Any) -> tuple[int, bytes, str]:
    return asyncio.run(fetch(Egress(policy=policy or EgressPolicy(), timeout=2, **options), url))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://cdn.example/x", "only http"),
        ("file:///etc/passwd", "only http"),
        ("gopher://cdn.example/", "only http"),
        ("//cdn.example/x", "only http"),
        ("x", "only http"),
        ("", "only http"),
        ("http://cdn.example/x", "http to cdn.example"),
        ("https://cdn.example:22/x", "port 22"),
        ("https://user:pass@cdn.example/x", "user name"),
        ("https://cdn.example@127.0.0.1/x", "user name"),
        ("https://[::1", "not a usable address"),
        ("https://cdn.example:99999/x", "port 99999"),
        ("https://cdn example/x", "not (a usable address|the name)"),
        ("https://cdn%2eexample/x", "not the name of a host"),
        ("https://[fe80::1%25eth0]/", "not|link-local"),
        ("https://a\x00b/x", "not a usable address"),
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "embedded"),
        ("https://169.254.169.254/latest/meta-data/", "link-local"),
        ("https://2130706433/", "loopback"),
        ("https://0x7f.1/", "loopback"),
        ("https://127.1/", "loopback"),
        ("https://0/", "this network"),
        ("https://localhost/", "loopback"),
        ("https://localhost./", "loopback"),
    ],
)
def test_refused_addresses(url: str, says: str) -> None:
    """Odd spellings of local addresses are looked up by the system as they would be connected to."""
    with pytest.raises(EgressRefused, match=says):
        get(url)


def test_a_name_with_one_bad_address_is_refused() -> None:
    async def resolve(host: str, port: int) -> Iterable[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(EgressRefused, match=r"10\.0\.0\.1"):
        get("https://cdn.example/", resolve=resolve)


class _Network(httpcore.AsyncNetworkBackend):
    """Remembers where a connection was wanted and refuses it."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        self.wanted.append((host, port))
        raise httpcore.ConnectError("not here")


def test_rebinding_has_no_second_answer_to_use() -> None:
    """A name server that answers "public" to the check and "loopback" to the connect is asked once only."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> Iterable[str]:
        return answers.pop(0)

    backend = GuardedBackend(EgressPolicy(), resolve)
    network = _Network()
    backend._network = network  # type: ignore[assignment]
    with pytest.raises(httpcore.ConnectError):
        asyncio.run(backend.connect_tcp("cdn.example", 443))
    assert network.wanted == [("93.184.216.34", 443)]
    assert answers == [["127.0.0.1"]]


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async def resolve(host: str, port: int) -> Iterable[str]:
        return ["93.184.216.34", "2606:4700::1", "93.184.216.34"]

    backend = GuardedBackend(EgressPolicy(), resolve)
    network = _Network()
    backend._network = network  # type: ignore[assignment]
    with pytest.raises(httpcore.ConnectError):
        asyncio.run(backend.connect_tcp("cdn.example", 443))
    assert network.wanted == [("93.184.216.34", 443), ("2606:4700::1", 443)]


def test_a_slow_or_failing_name_server() -> None:
    async def slow(host: str, port: int) -> Iterable[str]:
        await asyncio.sleep(5)
        return []

    async def broken(host: str, port: int) -> Iterable[str]:
        raise OSError("no name server")

    with pytest.raises(httpcore.ConnectTimeout):
        asyncio.run(GuardedBackend(EgressPolicy(), slow).connect_tcp("cdn.example", 443, timeout=0.05))
    with pytest.raises(httpcore.ConnectError, match="no name server"):
        asyncio.run(GuardedBackend(EgressPolicy(), broken).connect_tcp("cdn.example", 443))
    with pytest.raises(EgressRefused):
        asyncio.run(GuardedBackend(EgressPolicy(), broken).connect_unix_socket("/run/x"))


def test_host_and_tls_name_are_those_of_the_url() -> None:
    """The connection goes to a checked number; certificate and Host header still speak of the name."""
    authority, names = trustme.CA(), []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cdn.example").configure_cert(tls)
    tls.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment]
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    lookups: list[str] = []

    async def resolve(host: str, port: int) -> Iterable[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    async def script(server: Server, reader: Any, writer: Any) -> None:
        await server.read(reader)
        writer.write(answer(b"picture"))
        await writer.drain()

    async def main() -> None:
        async with serving(script, tls) as server:
            port = server.url.rpartition(":")[2]
            policy = EgressPolicy(allowed_hosts=frozenset({f"cdn.example:{port}"}))
            egress = Egress(policy=policy, verify=trusting, resolve=resolve)
            status, body, _ = await fetch(egress, f"https://cdn.example:{port}/a%20b.png?sig=1%2F2")
            assert (status, body) == (200, b"picture")
            assert server.requests[0].startswith(b"GET /a%20b.png?sig=1%2F2 HTTP/1.1\r\n")
            assert f"host: cdn.example:{port}\r\n".encode() in server.requests[0].lower()

    asyncio.run(main())
    assert names == ["cdn.example"]
    assert lookups == ["cdn.example"]


def _redirecting(*targets: str) -> Any:
    """Answer the n-th request with the n-th target, and `done` after the last."""

    async def script(server: Server, reader: Any, writer: Any) -> None:
        while True:
            await server.read(reader)
            number = len(server.requests) - 1
            if number < len(targets):
                target = targets[number].replace("{self}", server.url)
                writer.write(answer(b"moved", "302 Found", f"Location: {target}"))
            else:
                writer.write(answer(b"done"))
            await writer.drain()

    return script


def _follow(*targets: str, policy: EgressPolicy = LOCAL) -> Any:
    async def main() -> Any:
        async with serving(_redirecting(*targets)) as server:
            try:
                return server, await fetch(Egress(policy=policy, timeout=2), f"{server.url}/start")
            except EgressRefused as error:
                return server, error

    return asyncio.run(main())


def test_redirects_are_followed_by_hand() -> None:
    server, (status, body, url) = _follow("/next", "{self}/deeper/x", "y?z=1")
    assert (status, body) == (200, b"done")
    assert url.endswith("/deeper/y?z=1")
    assert [request.split()[1] for request in server.requests] == [
        b"/start",
        b"/next",
        b"/deeper/x",
        b"/deeper/y?z=1",
    ]


def test_a_redirect_too_many_is_returned_as_it_came() -> None:
    server, (status, body, _) = _follow("/1", "/2", "/3", "/4")
    assert (status, body) == (302, b"moved")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "target",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "http://cdn.example/plain",
        "file:///etc/passwd",
        "https://user@cdn.example/",
        "https://[::ffff:10.0.0.1]/",
        "https://cdn.example:6379/",
        "//169.254.169.254/",
        "https://[broken",
    ],
)
def test_every_hop_is_checked(target: str) -> None:
    server, error = _follow(target)
    assert isinstance(error, EgressRefused)
    assert len(server.requests) == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    _, (status, body, _) = _follow()
    assert (status, body) == (200, b"done")


def test_loopback_is_refused_unless_it_is_allowed_by_name() -> None:
    async def main() -> None:
        async with serving(_redirecting()) as server:
            host = server.url.removeprefix("http://")
            for policy in (
                EgressPolicy(),
                EgressPolicy(allow_http=True),
                EgressPolicy(allowed_hosts=frozenset({"x:1"})),
            ):
                with pytest.raises(EgressRefused):
                    await fetch(Egress(policy=policy), server.url)
            allowed = EgressPolicy(allowed_hosts=frozenset({host}))
            assert (await fetch(Egress(policy=allowed), server.url))[0] == 200
            assert len(server.requests) == 1

    asyncio.run(main())


def test_a_key_stays_with_the_host_that_it_was_meant_for() -> None:
    """Followed on the same host, left behind at another port, and not given back on the way home."""
    seen: list[tuple[str, bool]] = []

    async def main() -> None:
        async def script(server: Server, reader: Any, writer: Any) -> None:
            while True:
                request = await server.read(reader)
                path = request.split(b" ")[1].decode()
                seen.append((path, b"x-key: secret" in request))
                here, there = servers
                target = {"/a": f"{here.url}/b", "/b": f"{there.url}/c", "/c": f"{here.url}/d"}.get(path)
                writer.write(answer(b"", "302 Found", f"Location: {target}") if target else answer())
                await writer.drain()

        servers: list[Server] = []
        async with serving(script) as one, serving(script) as two:
            servers += [one, two]
            egress = Egress(policy=LOCAL, timeout=2)
            async with egress.get(f"{one.url}/a", {"x-key": "secret"}) as found:
                assert found.status == 200
            await egress.aclose()

    asyncio.run(main())
    assert seen == [("/a", True), ("/b", True), ("/c", False), ("/d", False)]
