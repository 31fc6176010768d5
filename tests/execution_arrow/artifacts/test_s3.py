"""Results in a bucket: a local store that speaks S3, and boto3 as the judge of what lies in it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from urllib3.exceptions import ProtocolError

from execution_arrow import AsyncArrow
from execution_arrow import facts as f
from execution_arrow.artifacts import s3
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.artifacts.s3 import S3Artifacts
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import ArtifactGone, ArtifactRetry
from execution_arrow.naming import SystemClock
from execution_arrow.testing import FakeProvider, fake_parts
from execution_arrow.testing.fakes import FakeArtifacts
from execution_arrow.wiring import default_parts
from tests.execution_arrow.artifacts.makers import picture
from tests.execution_arrow.delivery.kit import run
from tests.execution_arrow.driver.test_driver import arrow_of
from tests.execution_arrow.transport.kit import answer, replying, serving

LOCAL = EgressPolicy(allow_loopback=True)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def judge(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="media")
    for found in client.list_objects_v2(Bucket="media").get("Contents", []):
        client.delete_object(Bucket="media", Key=found["Key"])
    return client


def with_store(url: str, folder: Path, work: Callable[[S3Artifacts], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        store = S3Artifacts(url, folder, LOCAL)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(main())


def names(judge: Any) -> list[str]:
    return [found["Key"] for found in judge.list_objects_v2(Bucket="media").get("Contents", [])]


def test_a_result_is_copied_described_read_linked_and_removed(
    judge: Any, endpoint: str, tmp_path: Path
) -> None:
    data = picture("PNG", 64, 48)

    async def work(store: S3Artifacts) -> None:
        async with serving(replying(answer(data))) as server:
            stored = await store.copy(f"{server.url}/x", index=2, kind="image")
        assert stored.sha256 == hashlib.sha256(data).hexdigest()
        assert (stored.index, stored.size, stored.width, stored.media_type) == (2, len(data), 64, "image/png")
        assert names(judge) == [f"results/{stored.key}"]
        found = judge.get_object(Bucket="media", Key=f"results/{stored.key}")
        assert found["Body"].read() == data
        assert (found["ContentType"], found["Metadata"]) == ("image/png", {"sha256": stored.sha256})
        assert b"".join([piece async for piece in store.read(stored.key)]) == data
        link = await store.link(stored.key)
        assert link is not None
        assert "very-secret" not in link
        with urllib.request.urlopen(link) as answered:
            assert answered.read() == data
        assert store.path(stored.key) is None
        await store.check()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # nothing stays on the way
        assert await store.remove(stored.key) is True
        assert await store.remove(stored.key) is False
        with pytest.raises(ArtifactGone):
            [piece async for piece in store.read(stored.key)]

    with_store(f"s3://media/results/?endpoint={endpoint}", tmp_path, work)


def test_a_large_result_is_sent_in_parts_and_equal_ones_are_one_object(
    judge: Any, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART", 5 << 20)
    data = picture("PNG", 64, 48) + bytes(11 << 20)

    async def work(store: S3Artifacts) -> None:
        first, second = await asyncio.gather(*(store.put(data, index=i, kind="image") for i in (0, 1)))
        assert first.key == second.key
        found = judge.head_object(Bucket="media", Key=first.key)
        assert found["ContentLength"] == len(data) > 2 * s3.PART
        assert found["ETag"].endswith('-3"')

    with_store(f"s3://media?endpoint={endpoint}", tmp_path, work)


def test_what_is_refused_never_reaches_the_bucket(judge: Any, endpoint: str, tmp_path: Path) -> None:
    async def work(store: S3Artifacts) -> None:
        with pytest.raises(ArtifactGone, match="neither"):
            await store.put(b"<html>" * 40, index=0, kind="image")
        for key in ("../secret", "sha256/zz/x.png", "results"):
            assert await store.link(key) is None
            assert await store.remove(key) is False
            with pytest.raises(ArtifactGone):
                [piece async for piece in store.read(key)]

    with_store(f"s3://media?endpoint={endpoint}", tmp_path, work)
    assert names(judge) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [("s3://nowhere?endpoint={}", "make the bucket"), ("s3://media?endpoint=http://127.0.0.1:9", "reached")],
)
@pytest.mark.usefixtures("judge")
def test_a_bucket_that_is_away_is_our_own_trouble_and_tried_again(
    endpoint: str, tmp_path: Path, url: str, says: str
) -> None:
    async def work(store: S3Artifacts) -> None:
        with pytest.raises(ArtifactRetry, match=says) as refused:
            await store.put(picture("PNG"), index=0, kind="image")
        assert refused.value.ours
        with pytest.raises(ArtifactRetry):
            await store.check()
        assert "very-secret" not in str(refused.value)

    with_store(url.format(endpoint), tmp_path, work)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_sweep_deletes_what_was_last_stored_before(
    judge: Any, endpoint: str, tmp_path: Path, kind: str
) -> None:
    async def work(store: FolderArtifacts) -> None:
        await store.put(picture("PNG"), index=0, kind="image")
        assert await store.sweep(time.time() - 60) == 0
        assert await store.sweep(time.time() + 60) == 1
        assert await store.sweep(time.time() + 60) == 0

    if kind == "bucket":
        with_store(f"s3://media/p?endpoint={endpoint}", tmp_path, work)
        assert names(judge) == []
    else:
        asyncio.run(work(FolderArtifacts(tmp_path, LOCAL)))


@pytest.mark.usefixtures("judge")
def test_what_a_sweep_may_not_delete_is_said(endpoint: str, tmp_path: Path, monkeypatch: Any) -> None:
    async def work(store: S3Artifacts) -> None:
        await store.put(picture("PNG"), index=0, kind="image")
        no = SimpleNamespace(code="AccessDenied")

        def refuse(bucket: str, objects: Any) -> Any:
            return (no for _ in objects)

        monkeypatch.setattr(store._client, "remove_objects", refuse)
        with pytest.raises(ArtifactRetry, match=r"kept 1 of 1 .*AccessDenied.*s3:DeleteObject"):
            await store.sweep(time.time() + 60)

    with_store(f"s3://media?endpoint={endpoint}", tmp_path, work)


@pytest.mark.usefixtures("judge")
def test_a_bucket_that_hangs_takes_no_thread_from_the_loops_own(endpoint: str, tmp_path: Path) -> None:
    async def work(store: S3Artifacts) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        hung, go_on = threading.Event(), threading.Event()

        class Hanging:
            def read(self, size: int) -> bytes:
                hung.set()
                go_on.wait(30)
                raise ProtocolError("broken off")

            def close(self) -> None: ...
            def release_conn(self) -> None: ...

        store._client.get_object = lambda *_: Hanging()  # type: ignore[assignment,method-assign]
        reading = asyncio.ensure_future(anext(aiter(store.read(f"sha256/aa/{'a' * 64}.png"))))
        while not hung.is_set():
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(lambda: go_on.is_set()) is False
        go_on.set()
        with pytest.raises(ArtifactRetry, match="ProtocolError"):
            await reading

    with_store(f"s3://media?endpoint={endpoint}", tmp_path, work)


def test_missing_keys_are_named_and_soon(tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/keys")  # nobody is there

    async def work(store: S3Artifacts) -> None:
        with pytest.raises(ArtifactRetry, match="set AWS_ACCESS_KEY_ID"):
            await store.link(f"sha256/aa/{'a' * 64}.png")

    with_store("s3://media?endpoint=http://127.0.0.1:9", tmp_path, work)


def test_keys_in_an_address_are_refused_and_not_shown(tmp_path: Path) -> None:
    for url in ("s3://AKIA:hunter2@media", "s3://media?secret=hunter2"):
        with pytest.raises(ValueError, match="s3://") as no:
            S3Artifacts(url, tmp_path)
        assert "hunter2" not in str(no.value)


@run
async def test_a_generation_lives_and_dies_in_a_bucket(judge: Any, endpoint: str, tmp_path: Path) -> None:
    store = S3Artifacts(f"s3://media?endpoint={endpoint}", tmp_path / "way", LOCAL)
    async with serving(replying(answer(picture("PNG")))) as server:
        done = f.Succeeded(outputs=(f.Output(index=0, url=f"{server.url}/0.png"),))
        async with arrow_of(tmp_path, FakeProvider(polls=[done]), artifacts=store) as arrow:
            made = await arrow.generate_and_wait("m", {"generation_prompt": "x"}, account="a", timeout=30)
            (file,) = made.files
            assert (file.path, names(judge)) == (None, [file.key])
            assert await arrow.link(file.key) is not None
            assert await arrow.delete(made.id) is True
            assert names(judge) == [file.key]
            assert await arrow.delete(made.id, files=True) is True
            assert (await arrow.get(made.id)).erased
    assert names(judge) == []


@run
async def test_bytes_that_two_generations_made_stay_until_the_last_of_them_is_deleted(tmp_path: Path) -> None:
    store = FakeArtifacts()
    done = f.Succeeded(outputs=(f.Output(index=0, url="https://x.example/same.png"),))
    async with arrow_of(tmp_path, FakeProvider(polls=[done] * 3), artifacts=store) as arrow:
        first, second, kept = [
            await arrow.generate_and_wait("m", {"generation_prompt": "x"}, account=account, timeout=30)
            for account in ("a", "b", "a")
        ]
        assert await arrow.delete(first.id, files=True) is True
        assert await arrow.delete(second.id, files=True) is True
        assert list(store.files) == [kept.files[0].key]
        assert await arrow.delete(kept.id, files=True) is True
    assert store.files == {}


@run
async def test_a_worker_deletes_what_is_older_than_it_is_to_be_kept(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "files", LOCAL)
    stored = await store.put(picture("PNG"), index=0, kind="image")
    long_ago = time.time() - 7200.0
    os.utime(tmp_path / "files" / stored.key, (long_ago, long_ago))
    parts = fake_parts({"fake": FakeProvider()}, tmp_path, artifacts=store)
    for wrong in (-60.0, 0, 3599.0, "1h", True):
        with pytest.raises(ValueError, match="retain: must be None or at least 3600 seconds"):
            AsyncArrow(parts, worker=True, retain=wrong)  # type: ignore[arg-type]
    async with AsyncArrow(parts, worker=True, retain=3600.0):
        while store.path(stored.key) is not None:
            await asyncio.sleep(0.01)


@run
async def test_a_host_with_a_wrong_date_deletes_nothing_that_is_young(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "files", LOCAL)
    stored = await store.put(picture("PNG"), index=0, kind="image")
    swept = asyncio.Event()

    class Watched(FolderArtifacts):
        async def sweep(self, before: float) -> int:
            count = await super().sweep(before)
            swept.set()
            return count

    class Wrong(SystemClock):
        def now(self) -> float:
            return super().now() + 400 * 86_400.0

    watched = Watched(tmp_path / "files", LOCAL)
    parts = fake_parts({"fake": FakeProvider()}, tmp_path, artifacts=watched, clock=Wrong())
    async with AsyncArrow(parts, worker=True, retain=86_400.0):
        await swept.wait()
    assert store.path(stored.key) is not None


@pytest.mark.parametrize("url", ["s3://", "s3://b?secret=x", "s3://b?endpoint=host:9000"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket|endpoint"):
        S3Artifacts(url, tmp_path)


def test_a_bucket_beside_a_database_needs_a_folder_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scratch"):
        default_parts("memory:", artifacts="s3://media")
    parts = default_parts("memory:", artifacts="s3://media", scratch=tmp_path)
    assert isinstance(parts.artifacts, S3Artifacts)
    assert parts.spool == tmp_path / "spool"
    for part in (parts.store, parts.blocking_ledger, parts.island):
        part.close()
