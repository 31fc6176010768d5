"""The default transport against real sockets: what left, what may have left, and how soon it says so."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import read_spool
from execution_arrow.transport.httpx import HttpxTransport

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A real TCP server that does exactly what a test says, and keeps the requests it read."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        request = head + await reader.readexactly(size)
        self.requests.append(request)
        return request


@asynccontextmanager
async def serving(
    script: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server()

    open_ones: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        open_ones.add(writer)
        try:
            await script(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()  # since Python 3.12 waiting for it would wait for idle clients too
        for writer in open_ones:
            writer.close()


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def replying(data: bytes) -> Any:
    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.read(reader)
            writer.write(data)
            await writer.drain()

    return script


def post(url: str, timeout: float = 0.4, **more: Any) -> Call:
    return Call(
        method="POST", url=f"{url}/v1/jobs", json={"prompt": "a lighthouse — 灯台"}, timeout=timeout, **more
    )


async def send(call: Call, **options: Any) -> Reply:
    spool = options.pop("spool", None)
    transport = HttpxTransport(**options)
    try:
        return await transport.send(call, spool=spool)
    finally:
        await transport.aclose()


def run(
    script: Any, call: Callable[[str], Call] = post, tls: ssl.SSLContext | None = None, **options: Any
) -> Any:
    """Send one call to a scripted server; return the server and the reply or the exception."""

    async def main() -> Any:
        async with serving(script, tls) as server:
            try:
                return server, await send(call(server.url), **options)
            except (NotSentError, MaybeSentError) as error:
                return server, error

    return asyncio.run(main())


def test_a_call_arrives_as_it_was_built() -> None:
    server, reply = run(
        replying(answer(b'{"id": 1}', "201 Created", "X-Request-Id: r1")),
        lambda url: post(url, headers={"authorization": "Bearer k", "X-Client-Request-Id": "att_1"}),
    )
    assert reply.status == 201
    assert reply.body == b'{"id": 1}'
    assert reply.headers["x-request-id"] == "r1"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/jobs HTTP/1.1\r\n")
    lines = {line.split(b": ", 1)[0].lower(): line.split(b": ", 1)[1] for line in head.split(b"\r\n")[1:]}
    assert lines[b"authorization"] == b"Bearer k"
    assert lines[b"x-client-request-id"] == b"att_1"
    assert lines[b"content-type"] == b"application/json"
    assert lines[b"accept-encoding"] == b"identity"
    assert json.loads(body) == {"prompt": "a lighthouse — 灯台"}


def test_a_call_without_a_body_says_so() -> None:
    server, _ = run(replying(answer()), lambda url: Call(method="POST", url=f"{url}/cancel"))
    assert b"Content-Length: 0" in server.requests[0]


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(NotSentError, match="was not sent"):
        asyncio.run(send(post(url)))


def test_no_such_name() -> None:
    with pytest.raises(NotSentError, match="was not sent"):
        asyncio.run(send(post("http://nobody.invalid"), connect_timeout=5))


def test_connect_timeout_is_not_a_read_timeout() -> None:
    """A server whose queue of connections is full never answers the first packet: nothing left."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(4):  # Linux admits one more than the backlog
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with pytest.raises(NotSentError, match="ConnectTimeout"):
                asyncio.run(send(post(url, timeout=30), connect_timeout=0.3))
        finally:
            for filler in fillers:
                filler.close()


def test_a_server_that_never_accepts_may_have_read_us() -> None:
    """The kernel takes connection and bytes in the server's name: from outside that is a delivery."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(MaybeSentError):
            asyncio.run(send(post(url, timeout=0.3)))


def test_tls_that_is_not_trusted_is_not_sent() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    server, error = run(replying(answer()), tls=server_side)
    assert isinstance(error, NotSentError)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert server.requests == []

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server, reply = run(replying(answer()), tls=server_side, verify=trusting)
    assert reply.status == 200


def test_tls_against_a_plain_server_is_not_sent() -> None:
    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    _, error = run(script, lambda url: post(url.replace("http:", "https:")))
    assert isinstance(error, NotSentError)


async def _close_before_reading(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.close()


async def _reset_before_reading(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _close_after_reading(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read(reader)


async def _close_inside_the_head(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read(reader)
    writer.write(b"HTTP/1.1 201 Crea")
    await writer.drain()


async def _close_inside_the_body(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read(reader)
    writer.write(answer(b'{"id": "job', "201 Created", length=500))
    await writer.drain()


async def _not_http(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()


async def _silent(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read(reader)
    await asyncio.sleep(5)


MAYBE = [
    _close_before_reading,
    _reset_before_reading,
    _close_after_reading,
    _close_inside_the_head,
    _close_inside_the_body,
    _not_http,
    _silent,
]


@pytest.mark.parametrize("script", MAYBE, ids=lambda script: script.__name__.strip("_"))
def test_what_fails_after_the_first_byte_may_have_been_received(script: Any) -> None:
    server, error = run(script)
    assert isinstance(error, MaybeSentError)
    assert server.connections == 1  # and nothing was tried again


def test_a_dripping_answer_ends_with_the_calls_timeout() -> None:
    """Each byte comes in time, the answer as a whole does not: the clock runs over all of it."""

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(answer(b"", length=10_000))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    started = time.monotonic()
    server, error = run(script, lambda url: post(url, timeout=0.5))
    assert isinstance(error, MaybeSentError)
    assert time.monotonic() - started < 3
    assert len(server.requests) == 1


def test_redirects_are_an_answer() -> None:
    """A redirected POST would be a second paid call; the provider module says what a 3xx means."""
    server, reply = run(replying(answer(b"", "307 Temporary Redirect", "Location: /elsewhere")))
    assert reply.status == 307
    assert len(server.requests) == 1


def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no netrc: a key must not travel through what somebody put into a shell."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server, reply = run(replying(answer()))
    assert reply.status == 200
    assert b"authorization" not in server.requests[0].lower()


def test_cookies_are_not_kept() -> None:
    async def main() -> list[bytes]:
        async with serving(replying(answer(b"{}", "200 OK", "Set-Cookie: a=b"))) as server:
            transport = HttpxTransport()
            await transport.send(post(server.url))
            await transport.send(post(server.url))
            await transport.aclose()
            for _ in range(2):
                await transport.send(Call(method="GET", url=server.url))
            assert server.connections == 3  # of its own for each POST, kept alive for polls
            return server.requests

    assert all(b"cookie" not in request.lower() for request in asyncio.run(main()))


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    """The most common false alarm: an idle connection dies, and the next paid call meets the corpse."""

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(answer())
        await writer.drain()

    async def main() -> int:
        async with serving(script) as server:
            transport = HttpxTransport()
            for _ in range(5):
                await transport.send(Call(method="GET", url=server.url))
                await asyncio.sleep(0.02)
            await transport.aclose()
            return server.connections

    assert asyncio.run(main()) == 5


@pytest.mark.parametrize(
    "call",
    [
        Call(method="POST", url="ftp://x/y"),
        Call(method="POST", url="/relative"),
        Call(method="POST", url="http://[::1"),
        Call(method="POST", url="http://127.0.0.1:9", json={"a": float("nan")}),
        Call(method="POST", url="http://127.0.0.1:9", json={"a": "\ud800"}),
        Call(method="POST", url="http://127.0.0.1:9", json={"a": object()}),
    ],
    ids=["scheme", "relative", "brackets", "nan", "surrogate", "object"],
)
def test_what_cannot_be_written_down_is_not_sent(call: Call) -> None:
    with pytest.raises(NotSentError):
        asyncio.run(send(call))


def test_a_header_that_http_forbids_is_not_sent() -> None:
    """The connection is open by then; still no byte was written, and that is what counts."""
    server, error = run(replying(answer()), lambda url: post(url, headers={"authorization": "Bearer a\nb"}))
    assert isinstance(error, NotSentError)
    assert server.requests == []


def test_an_answer_too_many_is_not_the_next_calls_answer() -> None:
    """A server that says two things at once must not have the second one believed of another paid call."""
    two = answer(b'{"id": "mine"}') + answer(b'{"detail": "refused"}', "422 Unprocessable Entity")

    async def main() -> tuple[set[bytes], int]:
        async with serving(replying(two)) as server:
            transport = HttpxTransport()
            bodies = {(await transport.send(post(server.url))).body for _ in range(4)}
            await transport.aclose()
            return bodies, len(server.requests)

    assert asyncio.run(main()) == ({b'{"id": "mine"}'}, 4)


def test_a_connection_that_dies_between_two_paid_calls_costs_nothing() -> None:
    """The server closes the idle connection just when the second call is under way: no doubt arises."""

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.write(answer())
        await writer.drain()
        await reader.read(1)  # closes only when something new has arrived

    async def main() -> int:
        async with serving(script) as server:
            transport = HttpxTransport()
            for _ in range(3):
                assert (await transport.send(post(server.url))).status == 200
            await transport.aclose()
            return len(server.requests)

    assert asyncio.run(main()) == 3


def test_a_full_pool_is_not_sent() -> None:
    async def main() -> None:
        async with serving(_silent) as server:
            transport = HttpxTransport(max_connections=1, pool_timeout=0.1)
            first = asyncio.create_task(transport.send(post(server.url, timeout=2)))
            await asyncio.sleep(0.1)
            with pytest.raises(NotSentError, match="PoolTimeout"):
                await transport.send(post(server.url, timeout=2))
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await transport.aclose()

    asyncio.run(main())


def test_cancelling_the_wait_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        assert await reader.read() == b""
        closed.set()

    async def main() -> None:
        async with serving(script) as server:
            transport = HttpxTransport()
            task = asyncio.create_task(transport.send(post(server.url, timeout=10)))
            while not server.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(closed.wait(), 2)
            await transport.aclose()

    asyncio.run(main())


def test_the_body_is_bounded_on_the_wire_and_unpacked() -> None:
    body = os.urandom(5000)
    _, reply = run(replying(answer(body)), body_limit=5000)
    assert reply.body == body
    _, error = run(replying(answer(body)), body_limit=4999)
    assert isinstance(error, MaybeSentError)
    assert "longer than 4999" in str(error)

    packed = gzip.compress(b'{"a": 1}')
    _, reply = run(replying(answer(packed, "200 OK", "Content-Encoding: gzip")))
    assert (reply.body, "content-encoding" in reply.headers) == (b'{"a": 1}', False)
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < 20_000
    _, error = run(replying(answer(bomb, "200 OK", "Content-Encoding: gzip")), body_limit=1_000_000)
    assert isinstance(error, MaybeSentError)
    for encoding, content in (("gzip", b"junk"), ("br", b"junk"), ("gzip", packed[:-3])):
        _, error = run(replying(answer(content, "200 OK", f"Content-Encoding: {encoding}")))
        assert isinstance(error, MaybeSentError)


def test_the_spooled_answer_is_on_disk_before_it_is_returned(tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "att_1"
    body = os.urandom(200_000)
    _, reply = run(replying(answer(body, "200 OK", "Content-Type: image/jpeg")), spool=spool)
    assert read_spool(spool) == reply
    assert reply.body == body
    assert [path.name for path in spool.parent.iterdir()] == ["att_1"]


def test_an_answer_that_cannot_be_kept_is_not_returned(tmp_path: Path) -> None:
    """Without the file a crash would lose a paid result silently; so the loss is told now."""
    (tmp_path / "att_1" / "in the way").mkdir(parents=True)
    _, error = run(replying(answer()), spool=tmp_path / "att_1")
    assert isinstance(error, MaybeSentError)
    assert "could not be kept" in str(error)


def test_errors_do_not_tell_secrets() -> None:
    call = Call(
        method="POST",
        url="http://127.0.0.1:9/x?fal_webhook=token-1",
        headers={"authorization": "Key secret-1"},
    )
    with pytest.raises(NotSentError) as caught:
        asyncio.run(send(call))
    assert "secret-1" not in str(caught.value)
    assert "token-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "key"),
    [("http", "Key secret-1\nx"), ("http", "Key secret-1\x00"), ("queue.fal.run", "Key secret-1")],
)
def test_errors_about_a_call_that_cannot_be_written_do_not_tell_secrets(url: str, key: str) -> None:
    """The library's own error quotes the header that it refuses."""

    def build(server: str) -> Call:
        base = server if url == "http" else url
        return Call(
            method="POST", url=f"{base}/x?fal_webhook=token-1", headers={"authorization": key}, json={}
        )

    server, error = run(replying(answer()), build)
    assert isinstance(error, NotSentError)
    shown = "".join(traceback.format_exception(error))  # with what it was raised from
    assert "secret-1" not in shown
    assert "token-1" not in shown
    assert server.requests == []


def test_a_body_that_is_too_deep_is_not_sent() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(NotSentError, match="cannot be written down"):
        asyncio.run(send(Call(method="POST", url="http://127.0.0.1:9", json=deep)))
