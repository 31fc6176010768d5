"""Every transport against real sockets: what left, what may have left, and how soon it says so."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import read_spool
from execution_arrow.transport.aiohttp import AiohttpTransport
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.transport.kit import Server, answer, replying, serving

KINDS: dict[str, Any] = {"httpx": HttpxTransport, "aiohttp": AiohttpTransport}
_now: list[Any] = []


@pytest.fixture(params=KINDS, autouse=True)
def _each_of_them(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of these tests are run over each transport."""
    _now[:] = [KINDS[request.param]]
    yield
    _now.clear()


def make(**options: Any) -> Any:
    return _now[0](**options)


def post(url: str, timeout: float = 0.4, **more: Any) -> Call:
    return Call(
        method="POST", url=f"{url}/v1/jobs", json={"prompt": "a lighthouse — 灯台"}, timeout=timeout, **more
    )


async def send(call: Call, **options: Any) -> Reply:
    spool = options.pop("spool", None)
    transport = make(**options)
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
            with pytest.raises(NotSentError, match="was not sent: Connect"):
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
            transport = make()
            url = server.url.replace(
                "127.0.0.1", "localhost"
            )  # cookies are for names, say those who keep them
            await transport.send(post(url))
            await transport.send(post(url))
            await transport.aclose()
            for _ in range(2):
                await transport.send(Call(method="GET", url=url))
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
            transport = make()
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
            transport = make()
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
            transport = make()
            for _ in range(3):
                assert (await transport.send(post(server.url))).status == 200
            await transport.aclose()
            return len(server.requests)

    assert asyncio.run(main()) == 3


def test_a_full_pool_is_not_sent() -> None:
    async def main() -> None:
        async with serving(_silent) as server:
            transport = make(max_connections=1, pool_timeout=0.1, connect_timeout=0.1)
            first = asyncio.create_task(transport.send(post(server.url, timeout=2)))
            await asyncio.sleep(0.1)
            with pytest.raises(NotSentError, match=r"was not sent: (Pool|Connection)Timeout"):
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
            transport = make()
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


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_http_would_allow_to_repeat_is_sent_once(method: str) -> None:
    """The connection dies, fresh or kept alive: whoever asked repeats a cancel or a poll, if anybody."""

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        if method == "GET" and len(server.requests) == 1:
            writer.write(answer())
            await writer.drain()
            await server.read(reader)

    async def main() -> tuple[int, int]:
        async with serving(script) as server:
            transport = make()
            call = Call(method=method, url=f"{server.url}/job", timeout=2)
            if method == "GET":
                await transport.send(call)
            with pytest.raises(MaybeSentError):
                await transport.send(call)
            await transport.aclose()
            return server.connections, len(server.requests)

    assert asyncio.run(main()) == (1, 2 if method == "GET" else 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", b"abc"])
def test_nothing_is_added_to_a_call(method: str, body: bytes | None) -> None:
    url = "/a%2Fb/c%20d~?q=1%2F2&r=%C3%BC+z#fragment"
    server, _ = run(
        replying(answer()),
        lambda base: Call(method=method, url=base + url, headers={"X-Key": "v"}, content=body),
    )
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    named = dict(line.lower().split(b": ", 1) for line in lines)
    assert first == f"{method} {url.partition('#')[0]} HTTP/1.1".encode()
    assert sent == (body or b"")
    assert named.pop(b"content-length", b"0") == str(len(sent)).encode()
    assert named.pop(b"connection", b"close") in (b"close", b"keep-alive")
    assert named == {
        b"host": server.url.removeprefix("http://").encode(),
        b"accept-encoding": b"identity",
        b"user-agent": b"execution-arrow",
        b"x-key": b"v",
    }


def test_long_headers_do_not_lose_a_paid_answer() -> None:
    more = [f"X-Policy-{number}: {'p' * 100}" for number in range(200)]
    _, reply = run(replying(answer(b"{}", "200 OK", f"X-Long: {'l' * 30_000}", *more)))
    assert (reply.status, len(reply.headers["x-long"])) == (200, 30_000)
    assert reply.headers["x-policy-199"] == "p" * 100


def test_headers_are_text_whatever_they_are_made_of() -> None:
    data = answer(b"{}", "200 OK", "X-Two: a", "x-two: b", "X-New: ü").replace(
        b"X-New", b"X-Old: \xfc\r\nX-New"
    )
    _, reply = run(replying(data))
    found = {name: value for name, value in reply.headers.items() if name.startswith("x-")}
    assert found == {"x-two": "a, b", "x-old": "ü", "x-new": "ü"}


@pytest.mark.parametrize("url", ["http://user:word@127.0.0.1:9/x", "http://127.0.0.1:9/x"])
@pytest.mark.parametrize("key", ["secret-1 ", "secret-1é", "secret-1"])
def test_what_a_key_must_not_hold_is_said_without_the_key(url: str, key: str) -> None:
    with pytest.raises(NotSentError) as caught:
        asyncio.run(send(Call(method="POST", url=url, headers={"authorization": key})))
    assert "secret-1" not in str(caught.value)
    assert "word" not in str(caught.value)
    if "user" in url:
        assert "user name" in str(caught.value)
    elif key != "secret-1":
        assert "the header 'authorization'" in str(caught.value)


def test_a_big_body_is_written_elsewhere_and_arrives_whole() -> None:
    """Two megabytes of text, with all that JSON has to escape, at a server that reads slowly."""
    asked = {"prompt": "a", "images": ['"\\\n' * 200_000, "灯" * 300_000, ""], "n": {"1": [None, True]}}
    server, reply = run(
        replying(answer()), lambda base: Call(method="POST", url=base, json=asked, timeout=10)
    )
    assert reply.status == 200
    sent = server.requests[0].partition(b"\r\n\r\n")[2]
    assert sent == json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()


def test_an_answer_before_the_end_of_a_big_call_is_no_proof_of_nothing() -> None:
    """A server may refuse a file by its length alone. Whether that is read in time or not, it never says
    that nothing was sent."""

    async def script(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"too large", "413 Content Too Large"))
        await writer.drain()
        await asyncio.sleep(1)

    big = bytes(20 << 20)
    _, found = run(script, lambda base: Call(method="POST", url=base, content=big, timeout=0.5))
    assert isinstance(found, MaybeSentError) or (found.status, found.body) == (413, b"too large")


def test_it_can_be_used_again_after_its_end_and_in_another_loop() -> None:
    transport = make()

    async def main() -> int:
        async with serving(replying(answer())) as server:
            for method in ("POST", "GET", "GET"):
                await transport.send(Call(method=method, url=server.url))
            await transport.aclose()
            return server.connections

    assert [asyncio.run(main()) for _ in range(3)] == [2, 2, 2]


def test_closing_what_was_never_used() -> None:
    asyncio.run(make().aclose())


def test_another_loop_sends_nothing_and_says_why() -> None:
    """Its connections live in one loop: from elsewhere a call must not hang, and not leave either."""

    async def main() -> None:
        async with serving(replying(answer())) as server:
            transport = make()
            call = Call(method="GET", url=server.url, timeout=2)
            await transport.send(call)
            with pytest.raises(NotSentError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, transport.send(call))
            await asyncio.to_thread(asyncio.run, transport.aclose())  # which is not that loop's to do
            assert (await transport.send(call)).status == 200
            assert (server.connections, len(server.requests)) == (1, 2)
            await transport.aclose()

    asyncio.run(main())


def test_a_loop_that_ended_without_goodbye_is_forgotten() -> None:
    transport = make()

    async def main(*, close: bool) -> int:
        async with serving(replying(answer())) as server:
            await transport.send(Call(method="POST", url=server.url))
            if close:
                await transport.aclose()
            return server.connections

    assert [asyncio.run(main(close=close)) for close in (False, True)] == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_neither_uses_nor_closes_its_parents_connections() -> None:
    """It opens its own: an answer read by the wrong process would be another generation's job."""

    async def main() -> None:
        async with serving(replying(answer())) as server:
            transport = make()
            call = Call(method="GET", url=server.url, timeout=2)
            await transport.send(call)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    loop = asyncio.new_event_loop()
                    code = int(loop.run_until_complete(transport.send(call)).status != 200)
                    loop.run_until_complete(transport.aclose())
                finally:
                    os._exit(code)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            await transport.send(call)
            assert (server.connections, len(server.requests)) == (2, 3)
            await transport.aclose()

    asyncio.run(main())
