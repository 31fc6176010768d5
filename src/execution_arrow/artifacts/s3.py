"""Results in an S3 bucket, or in any store that speaks S3. Needs the extra `s3`.

A result comes in as in a folder: to a temporary file of this machine, hashed and looked at on the way. Then
it is sent to `<prefix>/sha256/<xx>/<hex>.<ext>`, in parts where it is large, and the temporary file goes. An
object appears whole or not at all, and the same bytes are one object.

The client is `minio`: a tenth of a megabyte and a pool of connections, where boto3 brings seventeen and every
other service, and the same signatures. It blocks, so it runs in threads, which are its own: a bucket that
hangs must not keep the store's readers, or the answer to a paid call, from theirs. Nothing of it exists
before the first use, so a forked child has its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from execution_arrow.artifacts.folder import KEY, FolderArtifacts
from execution_arrow.artifacts.sink import CHUNK, Sink
from execution_arrow.errors import ArtifactGone, ArtifactRetry, MissingExtra
from execution_arrow.facts import Stored

if TYPE_CHECKING:
    from minio import Minio
    from minio.credentials.credentials import Credentials

T = TypeVar("T")
PART: Final = 16 << 20  # bytes of one part; a store takes ten thousand of them
_THREADS: Final = 16
_NO_KEYS: Final = "no keys for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a role"
_GONE: Final = ("NoSuchKey", "NoSuchObject", "NoSuchBucket")


class S3Artifacts(FolderArtifacts):
    """`ports.ArtifactStore` in a bucket: `s3://bucket/prefix?endpoint=https://host&region=eu-central-1`.

    Without `endpoint` it is Amazon's. Credentials are found as Amazon's tools find them: the environment
    (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`), the shared file, the role of the machine. `folder` is for
    files on their way. Links for customers are good for `link_seconds`, a week at most.
    """

    def __init__(
        self,
        url: str,
        folder: str | os.PathLike[str],
        *args: Any,
        link_seconds: float = 3600.0,
        **options: Any,
    ) -> None:
        super().__init__(folder, *args, **options)
        self.bucket, self._prefix, self._endpoint, self._region = _parts(url)
        self._link_seconds = timedelta(seconds=link_seconds)
        self._pid = 0
        self._made: Minio | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def _client(self) -> Minio:
        self._begin()
        self._made = self._made or self._connect()
        return self._made

    def _threads(self) -> Executor:
        self._begin()
        self._pool = self._pool or ThreadPoolExecutor(_THREADS, thread_name_prefix="execution-arrow-s3")
        return self._pool

    def _begin(self) -> None:
        """Leave to a parent what is the parent's."""
        if self._pid != os.getpid():
            self._made, self._pool, self._pid = None, None, os.getpid()

    async def aclose(self) -> None:
        await super().aclose()
        if self._pool is not None and self._pid == os.getpid():
            self._pool.shutdown(wait=False)
            self._pool = None

    def _connect(self) -> Minio:
        try:
            import urllib3
            from minio import Minio
            from minio.credentials import providers
        except ImportError as error:
            raise MissingExtra("s3:// artifacts", "s3") from error
        soon = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=2), retries=urllib3.Retry(total=1))

        class Role(providers.IamAwsProvider):
            """The last that is asked; elsewhere than at Amazon nobody ever answers."""

            def retrieve(self) -> Credentials:
                try:
                    return super().retrieve()
                except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
                    raise ArtifactRetry(_NO_KEYS, ours=True) from error

        chain = providers.ChainedProvider(
            [providers.EnvAWSProvider(), providers.AWSConfigProvider(), Role(http_client=soon)]
        )
        at = urlsplit(self._endpoint)
        pool = urllib3.PoolManager(  # who asks us tries again later, so we do not try for long
            maxsize=32,
            timeout=urllib3.Timeout(connect=10, read=60),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        return Minio(
            at.netloc,
            credentials=chain,
            secure=at.scheme == "https",
            region=self._region,
            http_client=pool,
        )

    def _name(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _place(self, sink: Sink, stored: Stored) -> None:
        self._ask(
            lambda client: client.fput_object(
                self.bucket,
                self._name(stored.key),
                str(sink.path),
                content_type=stored.media_type,
                metadata={"sha256": stored.sha256},
                part_size=PART,
            )
        )

    def path(self, key: str) -> Path | None:
        """None: what is in a bucket is not on this machine. `link` and `read` lead to it."""
        return None

    async def link(self, key: str) -> str | None:
        """An address that is good for a while, for whoever has it."""
        if not KEY.fullmatch(key):
            return None
        return await self._asked(
            lambda client: client.presigned_get_object(self.bucket, self._name(key), self._link_seconds),
        )

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield a stored file in pieces. Raises `ArtifactGone` when it is not there."""
        if not KEY.fullmatch(key):
            raise ArtifactGone(f"{key!r} is not in {self.bucket}")
        answer = await self._asked(lambda client: self._opened(client, key))
        try:
            while piece := await self._asked(lambda _: answer.read(CHUNK)):
                yield piece
        finally:
            answer.close()
            answer.release_conn()

    def _opened(self, client: Minio, key: str) -> Any:
        return client.get_object(self.bucket, self._name(key))

    async def remove(self, key: str) -> bool:
        """Delete a stored file; whether it was there."""
        return bool(KEY.fullmatch(key)) and await self._beside(self._remove, self._name(key))

    def _remove(self, name: str) -> bool:
        try:
            self._ask(lambda client: client.stat_object(self.bucket, name))
        except ArtifactGone:
            return False
        self._ask(lambda client: client.remove_object(self.bucket, name))
        return True

    async def check(self) -> None:
        """Raises `ArtifactRetry` where the bucket does not answer or is not there."""
        await super().check()
        if not await self._asked(lambda client: client.bucket_exists(self.bucket)):
            raise ArtifactRetry(f"there is no bucket {self.bucket}: make it, or name another one", ours=True)

    def _sweep(self, before: float) -> int:
        return self._ask(lambda client: self._delete_old(client, datetime.fromtimestamp(before, UTC)))

    def _delete_old(self, client: Minio, before: datetime) -> int:
        """A page at a time, each right after it was seen: what is stored anew meanwhile is not old."""
        from minio.deleteobjects import DeleteObject

        seen = 0

        def old() -> Iterator[DeleteObject]:
            nonlocal seen
            for found in client.list_objects(self.bucket, self._name("sha256/"), recursive=True):
                if found.last_modified is not None and found.last_modified < before:
                    seen += 1
                    yield DeleteObject(found.object_name or "")

        failed = list(client.remove_objects(self.bucket, old()))
        if failed:
            text = (
                f"{self.bucket} kept {len(failed)} of {seen} results that are to be deleted: {failed[0].code}"
            )
            raise ArtifactRetry(f"{text}; its keys need s3:DeleteObject", ours=True)
        return seen

    async def _asked(self, question: Callable[[Minio], T]) -> T:
        return await self._beside(lambda: self._ask(question))

    def _ask(self, question: Callable[[Minio], T]) -> T:
        """Ask the store; what it says no to has our names."""
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            return question(self._client)
        except S3Error as error:
            if error.code in _GONE[:2]:
                raise ArtifactGone(f"{error.object_name!r} is not in {self.bucket}") from error
            hint = ": make the bucket, or name another one" if error.code == "NoSuchBucket" else ""
            raise ArtifactRetry(f"{self.bucket} answered {error.code}{hint}", ours=True) from error
        except (MinioException, HTTPError, ValueError) as error:
            raise ArtifactRetry(
                f"{self.bucket} cannot be reached: {type(error).__name__}", ours=True
            ) from error


def _parts(url: str) -> tuple[str, str, str, str]:
    """Bucket, prefix, endpoint and region. Raises `ValueError` for an address that is none."""
    found = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(found.query).items()}
    odd = sorted(set(options) - {"endpoint", "region"})
    if "@" in found.netloc:  # and not shown
        raise ValueError("s3://…@…: keys are no part of the address; set AWS_ACCESS_KEY_ID and its kin")
    if found.scheme != "s3" or not found.netloc or odd:
        shown, extra = url.partition("?")[0], f", and {', '.join(odd)} is no option of it" if odd else ""
        raise ValueError(f"{shown!r} is not s3://bucket/prefix?endpoint=https://host&region=name{extra}")
    region = options.get("region") or os.environ.get("AWS_REGION") or "us-east-1"
    endpoint = options.get("endpoint") or f"https://s3.{region}.amazonaws.com"
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError(f"{url!r}: endpoint is https://host or http://host:port")
    prefix = found.path.strip("/")
    return found.netloc, f"{prefix}/" if prefix else "", endpoint, region
