"""Results in a folder: whole or not at all, named by what they are, whatever the other side does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.artifacts.sink import Sink
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import ArtifactGone, ArtifactRetry
from execution_arrow.facts import Stored
from tests.execution_arrow.artifacts.makers import clip, picture
from tests.execution_arrow.transport.kit import Server, answer, serving

LOCAL = EgressPolicy(allow_loopback=True)


def replying(data: bytes) -> Any:
    async def script(server: Server, reader: Any, writer: Any) -> None:
        while True:
            await server.read(reader)
            writer.write(data)
            await writer.drain()

    return script


def with_store(folder: Path, work: Callable[[FolderArtifacts], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        store = FolderArtifacts(folder, options.pop("egress", LOCAL), **options)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(main())


def copy(folder: Path, script: Any, kind: str = "image", **options: Any) -> Stored:
    async def work(store: FolderArtifacts) -> Stored:
        async with serving(script) as server:
            return await store.copy(f"{server.url}/result.png", index=3, kind=kind)

    return with_store(folder, work, **options)


def put(folder: Path, data: bytes, kind: str = "image", **options: Any) -> Stored:
    return with_store(folder, lambda store: store.put(data, index=0, kind=kind), **options)


def files(folder: Path) -> list[str]:
    """Every file of the store, as paths inside it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_picture_is_copied_and_described(tmp_path: Path) -> None:
    data = picture("PNG", 640, 480)
    stored = copy(tmp_path, replying(answer(data, "200 OK", "Content-Type: image/jpeg")))
    digest = hashlib.sha256(data).hexdigest()
    assert stored == Stored(
        index=3,
        key=f"sha256/{digest[:2]}/{digest}.png",
        sha256=digest,
        size=len(data),
        media_type="image/png",  # sniffed; what was announced was wrong
        width=640,
        height=480,
    )
    assert files(tmp_path) == [stored.key]
    assert (tmp_path / stored.key).read_bytes() == data


def test_a_clip_larger_than_a_chunk(tmp_path: Path) -> None:
    data = clip("mp4", "mpeg4") + os.urandom(3_000_000)  # trailing bytes do not change the index
    stored = copy(tmp_path, replying(answer(data)), kind="video")
    assert (stored.media_type, stored.size, stored.width, stored.height) == ("video/mp4", len(data), 64, 48)
    assert stored.seconds == pytest.approx(1.0, abs=0.1)
    assert stored.sha256 == hashlib.sha256(data).hexdigest()


def test_reading_back(tmp_path: Path) -> None:
    data = picture("PNG", 900, 900)

    async def work(store: FolderArtifacts) -> None:
        stored = await store.put(data, index=0, kind="image")
        assert store.path(stored.key) == tmp_path / stored.key
        assert b"".join([piece async for piece in store.read(stored.key)]) == data
        for key in (
            "sha256/00/" + "0" * 64 + ".png",
            "../../etc/passwd",
            "sha256/../x",
            "",
            stored.key[:-4],
            "/etc/passwd",
        ):
            assert store.path(key) is None
            with pytest.raises(ArtifactGone):
                await anext(store.read(key))

    with_store(tmp_path, work)


def test_the_same_bytes_are_one_file(tmp_path: Path) -> None:
    data = picture("JPEG")

    async def work(store: FolderArtifacts) -> list[Stored]:
        return await asyncio.gather(*(store.put(data, index=i, kind="image") for i in range(20)))

    stored = with_store(tmp_path, work)
    assert {s.key for s in stored} == {stored[0].key}
    assert [s.index for s in stored] == list(range(20))
    assert files(tmp_path) == [stored[0].key]


GONE = [
    (answer(b"", "404 Not Found"), "404"),
    (answer(b"", "410 Gone"), "410"),
    (answer(b"", "451 Unavailable"), "451"),
    (answer(b"<!doctype html><title>Expired</title>" + b" " * 100), "neither a picture nor a clip"),
    (answer(b'{"error": "expired"}'), "neither a picture nor a clip"),
    (answer(b"short"), "neither a picture nor a clip"),
    (answer(b"", "302 Found", "Location: https://169.254.169.254/"), "link-local"),
    (answer(b"", "302 Found", "Location: /again"), "302"),
    (answer(b"", "200 OK", length=10**15), "more than the limit"),
]


@pytest.mark.parametrize(("data", "says"), GONE, ids=[says for _, says in GONE])
def test_gone_for_good(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ArtifactGone, match=says):
        copy(tmp_path, replying(data))
    assert files(tmp_path) == []


async def _short(server: Server, reader: Any, writer: Any) -> None:
    await server.read(reader)
    data = picture("PNG", 300, 300)
    writer.write(answer(data[:-100], length=len(data)))
    await writer.drain()


async def _short_chunked(server: Server, reader: Any, writer: Any) -> None:
    await server.read(reader)
    data = picture("PNG")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(data), data))
    await writer.drain()


async def _drip(server: Server, reader: Any, writer: Any) -> None:
    await server.read(reader)
    writer.write(answer(b"", length=10**6))
    for byte in picture("PNG", 300, 300):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def _silent(server: Server, reader: Any, writer: Any) -> None:
    await server.read(reader)
    await asyncio.sleep(5)


async def _reset(server: Server, reader: Any, writer: Any) -> None:
    writer.transport.abort()


def _closing(data: bytes) -> Any:
    async def script(server: Server, reader: Any, writer: Any) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + data)
        await writer.drain()

    return script


LATER = [
    (replying(answer(picture("PNG", 300, 300)[:9000], "206 Partial Content")), "206"),
    (_closing(picture("PNG", 300, 300)[:9000]), "ends in the middle"),
    (replying(answer(b"", "500 Oops")), "500"),
    (replying(answer(b"", "503 Busy", "Retry-After: 7")), "503"),
    (replying(answer(b"", "429 Slow")), "429"),
    (replying(answer(b"", "403 Forbidden")), "403"),
    (replying(answer(b"")), "without a single byte"),
    (_short, "RemoteProtocolError"),
    (_short_chunked, "RemoteProtocolError"),
    (_drip, "not complete after"),
    (_silent, "not complete after"),
    (_reset, "ReadError|RemoteProtocolError"),
]


@pytest.mark.parametrize(("script", "says"), LATER, ids=[says for _, says in LATER])
def test_may_work_later(tmp_path: Path, script: Any, says: str) -> None:
    with pytest.raises(ArtifactRetry, match=says) as caught:
        copy(tmp_path, script, timeout=0.4)
    assert caught.value.retry_after == (7.0 if says == "503" else None)
    assert files(tmp_path) == []


def test_a_whole_file_needs_no_length(tmp_path: Path) -> None:
    """Some servers end an answer by closing the connection; what is complete is taken."""
    data = picture("JPEG", 300, 300)
    assert copy(tmp_path, _closing(data)).size == len(data)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRetry, match="ConnectError"):
        with_store(tmp_path, lambda store: store.copy("http://127.0.0.1:9/x.png", index=0, kind="image"))


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/x.png", "http://cdn.example/x.png", "file:///etc/passwd", ""]
)
def test_refused_addresses_are_gone(tmp_path: Path, url: str) -> None:
    with pytest.raises(ArtifactGone):
        with_store(tmp_path, lambda store: store.copy(url, index=0, kind="image"), egress=EgressPolicy())


def test_the_size_is_counted_on_the_wire(tmp_path: Path) -> None:
    """A stream without a length, or with a wrong one, still ends at the limit."""

    async def endless(server: Server, reader: Any, writer: Any) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + picture("PNG"))
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    with pytest.raises(ArtifactGone, match="larger than the limit of 3000000"):
        copy(tmp_path, endless, limits={"image": 3_000_000})
    assert files(tmp_path) == []
    data = picture("PNG")
    assert put(tmp_path, data, limits={"image": len(data)}).size == len(data)
    with pytest.raises(ArtifactGone):
        put(tmp_path, data, limits={"image": len(data) - 1})


def test_another_kind_than_asked_for_is_not_the_result(tmp_path: Path) -> None:
    """A placeholder picture in the place of a clip is not what the customer pays for."""
    with pytest.raises(ArtifactGone, match="image/png, not a file of the kind 'video'"):
        put(tmp_path, picture("PNG"), kind="video")
    with pytest.raises(ArtifactGone, match="video/mp4"):
        put(tmp_path, clip("mp4", "mpeg4"), kind="image")
    assert put(tmp_path, picture("GIF"), kind="video").media_type == "image/gif"


def test_data_urls_are_decoded_here(tmp_path: Path) -> None:
    data = picture("PNG")
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    stored = with_store(tmp_path, lambda store: store.copy(url, index=1, kind="image"), egress=EgressPolicy())
    assert (stored.media_type, stored.sha256) == ("image/png", hashlib.sha256(data).hexdigest())
    for bad in (
        "data:image/png;base64,%%%",
        "data:image/png;base64",
        "data:text/html,<html>",
        "data:image/png;base64,é",
    ):
        with pytest.raises(ArtifactGone):
            with_store(tmp_path, lambda store, bad=bad: store.copy(bad, index=0, kind="image"))


def test_a_full_disk_is_tried_again_later(tmp_path: Path) -> None:
    """The system's own refusal to write, by a limit on file sizes."""
    data = picture("PNG", 900, 900)
    assert len(data) > 800_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(ArtifactRetry, match="cannot be written"):
            put(tmp_path, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []
    assert put(tmp_path, data).size == len(data)


def test_a_folder_that_vanished_is_tried_again_later(tmp_path: Path) -> None:
    async def work(store: FolderArtifacts) -> None:
        (tmp_path / "partial").rmdir()
        with pytest.raises(ArtifactRetry):
            await store.put(picture("PNG"), index=0, kind="image")

    with_store(tmp_path, work)


def test_a_canceled_copy_leaves_nothing(tmp_path: Path) -> None:
    async def work(store: FolderArtifacts) -> None:
        async with serving(_drip) as server:
            task = asyncio.create_task(store.copy(f"{server.url}/x", index=0, kind="image"))
            while not files(tmp_path):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert files(tmp_path) == []

    with_store(tmp_path, work)


def test_a_canceled_copy_does_not_hold_the_loop_up_until_its_file_is_placed(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()
    on_time = []

    class Slow(FolderArtifacts):
        def _place(self, sink: Sink, stored: Stored) -> None:
            began.set()
            on_time.append(go_on.wait(30))  # as long as a clip takes to a bucket
            super()._place(sink, stored)

    async def main() -> None:
        store = Slow(tmp_path, LOCAL)
        task = asyncio.create_task(store.put(picture("PNG"), index=0, kind="image"))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(main())
    assert on_time == [True]
    assert [name for name in files(tmp_path) if name.endswith(".part")] == []


CHILD = """
import asyncio, sys
from execution_arrow.artifacts.folder import FolderArtifacts
async def main():
    store, n = FolderArtifacts(sys.argv[1]), 0
    head = bytes.fromhex(sys.argv[2])
    async def one(n):
        await store.put(head + n.to_bytes(4, "big") * 500_000, index=0, kind="image")
    while True:
        await asyncio.gather(*(one(n + i) for i in range(4)))
        n += 4
        print(n, flush=True)
asyncio.run(main())
"""


def _kill_a_writer(folder: Path, rounds: int) -> None:
    head = picture("PNG")[:64].hex()
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), head], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(rounds):
        child.stdout.readline()
    time.sleep(0.01 * rounds)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def test_killed_processes_leave_no_broken_file(tmp_path: Path) -> None:
    """Whenever the kill comes: every file under its name is whole, and the next opening sweeps the rest."""
    for rounds in range(1, 3 + int(os.environ.get("N", "1"))):
        _kill_a_writer(tmp_path, rounds)
        stored = list((tmp_path / "sha256").rglob("*.png"))
        assert stored
        for path in stored:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    (tmp_path / "partial" / "left.part").write_bytes(b"left by a killed process")
    FolderArtifacts(tmp_path)
    assert list((tmp_path / "partial").iterdir()) == []


def test_the_files_of_the_living_are_not_swept(tmp_path: Path) -> None:
    """A second process that opens the same folder must not take away what the first one is writing."""

    async def work(store: FolderArtifacts) -> Stored:
        data = picture("PNG", 200, 200)

        async def slow(server: Server, reader: Any, writer: Any) -> None:
            await server.read(reader)
            writer.write(answer(data[:100], length=len(data)))
            await writer.drain()
            code = "import sys, execution_arrow.artifacts.folder as a; a.FolderArtifacts(sys.argv[1])"
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path))
            assert await other.wait() == 0
            FolderArtifacts(tmp_path)  # and another one in this process
            writer.write(data[100:])
            await writer.drain()

        async with serving(slow) as server:
            return await store.copy(f"{server.url}/x.png", index=0, kind="image")

    stored = with_store(tmp_path, work)
    assert files(tmp_path) == [stored.key]
