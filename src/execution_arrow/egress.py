"""Fetching from addresses that somebody else chose, without becoming their tool.

A result's URL comes from a provider, a webhook's from a user. Either may name our own network: a metadata
service, a database, a neighbour. A name is therefore looked up once, every address it has is checked, and the
connection goes to the very address that was checked, so that a second, different answer of the name server
(DNS rebinding) is never used. Host header and TLS name stay those of the URL. Redirects are followed by hand
and checked like a first request. No proxy and no other setting is taken from the environment.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from execution_arrow.addresses import why_refused
from execution_arrow.errors import EgressRefused

Resolver = Callable[[str, int], Awaitable[Iterable[str]]]

_NAME = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")  # after IDNA; or an IPv6 address


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """What may be fetched. The default is https to the public internet on port 443.

    `allowed_hosts` are exact `host:port` texts, trusted whatever they resolve to, over http too: for a local
    sandbox or a store inside your network. `allow_loopback` trusts every port of this machine: for tests.
    """

    allow_loopback: bool = False
    allowed_hosts: frozenset[str] = frozenset()
    allow_http: bool = False
    ports: frozenset[int] = frozenset({80, 443})

    def check_url(self, url: str) -> httpx.URL:
        """Return the parsed URL. Raises `EgressRefused` for one that no address could make acceptable."""
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise EgressRefused(f"not a usable address: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise EgressRefused(f"{parsed.scheme or 'a relative'} address refused; only http(s) is fetched")
        if parsed.userinfo:
            raise EgressRefused(f"address with a user name refused (host {parsed.host})")
        host, port = _host(parsed.raw_host.decode("ascii")), _port(parsed)
        if not _NAME.fullmatch(host):
            raise EgressRefused(f"{host!r} is not the name of a host")
        if not self.trusts(host, port):
            if parsed.scheme == "http" and not (self.allow_http or self._may_be_loopback(host)):
                raise EgressRefused(f"http to {host} refused; allow the host, or http, if this is meant")
            if port not in self.ports and not self._may_be_loopback(host):
                raise EgressRefused(f"port {port} of {host} refused; allow `{host}:{port}` if this is meant")
        return parsed

    def check_address(self, host: str, port: int, address: str) -> str:
        """Return the address to connect to. Raises `EgressRefused` when it is not a public one."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError as error:
            raise EgressRefused(f"{host} leads to something that is no address") from error
        if self.trusts(host, port) or (self.allow_loopback and parsed.is_loopback):
            return str(parsed)
        why = why_refused(parsed)
        if why is not None:
            raise EgressRefused(
                f"{host} leads to {parsed} ({why}), which is not fetched from; "
                f"allow `{_host(host)}:{port}` if this is meant"
            )
        if port not in self.ports:  # a loopback name that led elsewhere
            raise EgressRefused(f"port {port} of {host} refused")
        return str(parsed)

    def trusts(self, host: str, port: int) -> bool:
        """Whether this host and port were allowed by name."""
        return not self.allowed_hosts.isdisjoint((f"{_host(host)}:{port}", f"[{_host(host)}]:{port}"))

    def _may_be_loopback(self, host: str) -> bool:
        if not self.allow_loopback or host == "localhost":
            return self.allow_loopback
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections only to addresses that the policy lets through, each looked up once."""

    def __init__(self, policy: EgressPolicy, resolve: Resolver | None = None) -> None:
        self._policy = policy
        self._resolve = resolve or _resolve
        backend: Any = (
            httpcore.AnyIOBackend()
        )  # without anyio this name is a stand-in that refuses to be used
        self._network: httpcore.AsyncNetworkBackend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look up, check every address, connect to the first of them that answers."""
        try:
            async with asyncio.timeout(timeout):
                found = list(dict.fromkeys(await self._resolve(_host(host), port)))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved within {timeout} s") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        # All of them, not only the one that is used: a name that also points into our network is suspicious.
        checked = [self._policy.check_address(host, port, address) for address in found]
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in checked[:4]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: object = None
    ) -> httpcore.AsyncNetworkStream:
        raise EgressRefused("unix sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer whose body is still on the wire. Header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


@dataclass(slots=True)
class Egress:
    """Fetches and sends under a policy. Belongs to one event loop; close it with `aclose`.

    `timeout` is in seconds and bounds connecting and each wait for a piece of the body; the caller bounds the
    whole. `verify` is an SSL context for servers with a private certificate, `resolve` replaces the name
    lookup (tests).
    """

    policy: EgressPolicy = field(default_factory=EgressPolicy)
    timeout: float = 30.0
    max_redirects: int = 3
    verify: ssl.SSLContext | None = None
    resolve: Resolver | None = None
    _pool: httpcore.AsyncConnectionPool | None = None

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Fetched]:
        """Fetch, following at most `max_redirects` redirects, each checked like the first address.

        `headers` may hold a key: after a redirect to another host, port or scheme they stay behind.
        Raises `EgressRefused` for an address that is not fetched from, and `httpcore`'s exceptions for what
        goes wrong on the way. A redirect too many, or without a usable target, is returned as it came.
        """
        origin, sent = None, headers or {}
        for hops_left in range(self.max_redirects, -1, -1):
            parsed = self.policy.check_url(url)
            here = (parsed.scheme, parsed.host, _port(parsed))
            origin = origin or here
            sent = sent if here == origin else {}  # and not given back further on
            response = await self._open(parsed, sent)
            try:
                told = _headers(response)
                target = told.get("location") if response.status in (301, 302, 303, 307, 308) else None
                if target is None or hops_left == 0:
                    body = response.aiter_stream()
                    yield Fetched(url=url, status=response.status, headers=told, body=body)
                    return
            finally:
                await response.aclose()
            try:
                url = str(parsed.join(target))
            except (httpx.InvalidURL, ValueError) as error:
                raise EgressRefused(f"{parsed.host} redirects to an unusable address: {error}") from error

    @asynccontextmanager
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Fetched]:
        """Send, and follow no redirect: what was signed for one address is not another's. Raises as `get`."""
        response = await self._open(self.policy.check_url(url), headers, body)
        try:
            yield Fetched(
                url=url, status=response.status, headers=_headers(response), body=response.aiter_stream()
            )
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _open(
        self, url: httpx.URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> httpcore.Response:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self.verify or httpx.create_ssl_context(trust_env=False),
                network_backend=GuardedBackend(self.policy, self.resolve),
                max_connections=100,
                max_keepalive_connections=20,
                keepalive_expiry=5.0,
            )
        bounds = dict.fromkeys(("connect", "read", "write", "pool"), self.timeout)
        request = httpcore.Request(
            method=b"GET" if body is None else b"POST",
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[
                (b"host", url.netloc),
                (b"accept", b"*/*"),
                (b"accept-encoding", b"identity"),
                (b"user-agent", b"execution-arrow"),
                *([] if body is None else [(b"content-length", b"%d" % len(body))]),
                *((name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()),
            ],
            content=body,
            extensions={"timeout": bounds},
        )
        return await self._pool.handle_async_request(request)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in response.headers
    }


def _host(host: str) -> str:
    return host.rstrip(".").lower()


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
