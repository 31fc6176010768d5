"""Real sockets: uvicorn servers in one background thread, each of which can be closed and opened again.

A provider that is down keeps its port reserved by a socket that is bound and does not listen, so that a
caller is refused and nobody else gets the number meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from execution_arrow.errors import MissingExtra
from execution_arrow.sandbox.asgi import HANG_UP, Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
_DRAWERS = 2  # threads that draw files: a demonstration must not take the whole machine
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close with RST


class Servers:
    """One port per application. `start` returns when all listen; `close` when all are gone.

    `tls` is a pair of file names, certificate chain and key. Raises `errors.MissingExtra` without uvicorn.
    """

    def __init__(self, apps: Mapping[str, Application], *, host: str, tls: tuple[str, str] | None) -> None:
        self._apps, self._host, self._tls = apps, host, tls
        self._sockets: dict[str, socket.socket] = {}
        self._running: dict[str, _Running] = {}
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self.ports: dict[str, int] = {}

    def start(self, ports: Mapping[str, int], *, closed: set[str]) -> None:
        """Listen on the given ports (0: any free one), except those that begin closed."""
        _uvicorn()
        try:
            for name in self._apps:
                self._sockets[name] = _bound(self._host, ports.get(name, 0))
                self.ports[name] = self._sockets[name].getsockname()[1]
        except OSError:
            for bound in self._sockets.values():
                bound.close()
            raise
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_DRAWERS, thread_name_prefix="sandbox"))
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()
        try:
            for name in self._apps.keys() - closed:
                self.open(name)
        except BaseException:  # such as a certificate that cannot be read: leave no thread and no port behind
            self.close()
            raise

    def open(self, name: str) -> None:
        """Listen again. Does nothing where the port is open."""
        self._run(self._open(name))

    def shut(self, name: str) -> None:
        """Stop listening and drop the connections; callers are refused from now on."""
        self._run(self._shut(name, reserve=True))

    def close(self) -> None:
        self._run(self._shut_all())
        self._run(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    async def _open(self, name: str) -> None:
        if name not in self._running:
            running = _Running(self._apps[name], self._sockets[name], self._tls)
            await running.started()
            self._running[name] = running
            del self._sockets[name]  # it belongs to the server now

    async def _shut_all(self) -> None:
        await asyncio.gather(*(self._shut(name, reserve=False) for name in self._apps))

    async def _shut(self, name: str, *, reserve: bool) -> None:
        running = self._running.pop(name, None)
        if running is not None:
            await running.stop()
        if reserve and name not in self._sockets:
            self._sockets[name] = _bound(self._host, self.ports[name])
        elif not reserve and name in self._sockets:
            self._sockets.pop(name).close()


class _Running:
    """One uvicorn server with the transports of its connections."""

    def __init__(self, app: Application, bound: socket.socket, tls: tuple[str, str] | None) -> None:
        uvicorn = _uvicorn()
        self._transports: dict[Any, asyncio.Transport] = {}
        config = uvicorn.Config(
            self._wrapped(app), http=_protocol(self._transports), ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=600,
            ssl_certfile=tls[0] if tls else None, ssl_keyfile=tls[1] if tls else None,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._task = asyncio.ensure_future(self._server.serve(sockets=[bound]))

    async def started(self) -> None:
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        for listening in self._server.servers:
            listening.close()
        for transport in list(self._transports.values()):
            transport.abort()
        self._task.cancel()  # its own way out waits for connections, and they are gone
        await asyncio.gather(self._task, return_exceptions=True)

    def _wrapped(self, app: Application) -> Application:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            def hang_up(*, reset: bool) -> None:
                transport = self._transports.get(tuple(scope["client"] or ()))
                if transport is not None:
                    _drop(transport, reset=reset)

            await app(
                {**scope, "extensions": {**scope.get("extensions", {}), HANG_UP: hang_up}}, receive, send
            )

        return serve


def _protocol(transports: dict[Any, asyncio.Transport]) -> type[asyncio.Protocol]:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Tracked(H11Protocol):  # type: ignore[misc, unused-ignore]
        """Remembers each connection's transport, because an ASGI app cannot drop a connection."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.client, None)
            super().connection_lost(exc)

    return Tracked


def _drop(transport: asyncio.Transport, *, reset: bool) -> None:
    connection = transport.get_extra_info("socket")
    if reset and connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


async def _cancel_the_rest() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    # The threads are not waited for: a long clip that one of them draws would hold its caller up for ever.
    await asyncio.gather(*tasks, return_exceptions=True)


def _uvicorn() -> Any:
    try:
        import uvicorn
    except ImportError as missing:
        raise MissingExtra("serving the sandbox on sockets", "sandbox") from missing
    return uvicorn
