"""The sandbox as a whole: engine, providers, servers and the files they make."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from execution_arrow.sandbox import page
from execution_arrow.sandbox.asgi import App, InProcess
from execution_arrow.sandbox.clock import Clock, RealClock
from execution_arrow.sandbox.desk import Desk
from execution_arrow.sandbox.desks import DESKS, ROOTS, environment
from execution_arrow.sandbox.engine import Engine
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.files import Files
from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.pointing import pointing
from execution_arrow.sandbox.prices import PriceList, Rate
from execution_arrow.sandbox.server import Servers
from execution_arrow.sandbox.webhooks import Courier, Delivery
from execution_arrow.sandbox.wire import Answer, Reply, Request, Wait, reply
from execution_arrow.sandbox.work import Bill, Job, Received, Timing

PROVIDERS = tuple(sorted({desk.name for desk in DESKS.values()}))
_MAIN = ""


class Sandbox:
    """Local servers that speak the providers' wire protocols, with faults on demand and a bill book.

    Use it as a context manager (`with` or `async with`); it listens on `host` from entry to exit. Each
    provider has a port of its own, because official clients need a provider at the root of a host; the main
    port serves the result files, the page with calls and bills, and every provider under `/<provider>`.
    `separate=False` opens the main port only. Without entering it, `transport()` reaches the same providers
    in process.

    `faults` is per provider; `models` adds native model ids (`{"replicate": {"acme/x": "image"}}`, their
    input is not checked); `prices` are micro-credits per file or a `Rate`; `tls` names certificate and key
    files. Raises `errors.MissingExtra` on entry without uvicorn, `OSError` when a port is taken.
    """

    def __init__(
        self,
        *,
        faults: Mapping[str, Iterable[Fault | str]] | None = None,
        seed: int = 0,
        timing: Timing | None = None,
        prices: Mapping[str, Mapping[str, Rate | int]] | None = None,
        models: Mapping[str, Mapping[str, str]] | None = None,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        separate: bool = True,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self._engine = Engine(seed=seed, timing=timing, prices=PriceList(prices))
        self._clock = clock or RealClock()
        self._lock = threading.RLock()
        self._host, self._port, self._separate, self._tls = host, port, separate, tls
        self._servers: Servers | None = None
        known = {
            name: {model: Model(kind=kind) for model, kind in more.items()}
            for name, more in (models or {}).items()
        }
        self._files = Files(lambda: self.url, self._find, self._clock.now)
        self._courier = Courier(self._clock, self._latest)
        self._desks = {
            name: desk(
                self._engine, file_url=self._files.url, render=self._files.render, models=known.get(desk.name)
            )
            for name, desk in DESKS.items()
        }
        self._apps = {name: self._app(name) for name in (_MAIN, *DESKS)}
        for provider, several in (faults or {}).items():
            for fault in several:
                self.fault(provider, fault)

    # --- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen. Entering the context manager does it."""
        if self._servers is not None:
            raise RuntimeError("this sandbox is already listening")
        names = self._apps if self._separate else (_MAIN,)
        servers = Servers({name: self._apps[name] for name in names}, host=self._host, tls=self._tls)
        servers.start({_MAIN: self._port}, closed=self._closed())
        self._servers = servers

    def close(self) -> None:
        """Stop listening. The books stay readable."""
        servers, self._servers = self._servers, None
        if servers is not None:
            servers.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # --- addresses ----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The main address: page, files, and the providers under `/<provider>`."""
        return self._origin(_MAIN)

    def base_url(self, provider: str) -> str:
        """What takes the place of the provider's own base URL in a client, path included.

        For instance `https://queue.fal.run` (and `fal-run` for `https://fal.run`),
        `https://ark.ap-southeast.bytepluses.com/api/v3`, `https://api.openai.com/v1`.
        """
        if provider not in DESKS:
            raise ValueError(f"the sandbox has no {provider!r}; it has {', '.join(DESKS)}")
        alone = self._separate or self._servers is None
        return (self._origin(provider) if alone else f"{self.url}/{provider}") + ROOTS.get(provider, "")

    def environment(self) -> dict[str, str]:
        """The variables that official clients read; keys are made up, any value is accepted."""
        return environment(self.base_url)

    def options(self) -> dict[str, Any]:
        """Arguments of `Arrow.open` that make it ask this sandbox: `Arrow.open(folder, **box.options())`."""
        return pointing({name: self.base_url(name) for name in PROVIDERS}, self.url)

    def transport(self) -> InProcess:
        """A `ports.Transport` to the same providers without sockets, at the addresses of `base_url`."""
        return InProcess(self._listening_at, self._courier.close)

    def _listening_at(self, origin: str) -> App | None:
        return next((app for name, app in self._apps.items() if self._origin(name) == origin), None)

    def _origin(self, name: str) -> str:
        scheme = "https" if self._tls else "http"
        if self._servers is None:
            return f"{scheme}://{name or 'main'}.sandbox.invalid"
        host = "localhost" if self._tls else f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self._servers.ports.get(name, 0)}"

    # --- faults -------------------------------------------------------------------------------------------

    def fault(self, provider: str, fault: Fault | str) -> None:
        """Let something go wrong from now on: a `Fault`, or a kind's name. `down` closes the port."""
        if provider not in PROVIDERS:
            raise ValueError(f"the sandbox has no {provider!r}; it has {', '.join(PROVIDERS)}")
        with self._lock:
            self._engine.faults.add(provider, Fault(fault) if isinstance(fault, str) else fault)
        self._mind_ports()

    def heal(self, provider: str | None = None, kind: str | None = None) -> None:
        """End the faults: of one provider or all, of one kind or all. What they did to jobs stays."""
        with self._lock:
            for name in PROVIDERS if provider is None else (provider,):
                self._engine.faults.heal(name, kind)
        self._mind_ports()

    def _closed(self) -> set[str]:
        return {name for name, desk in self._desks.items() if self._engine.faults.outage(desk.name)}

    def _mind_ports(self) -> None:
        if self._servers is None or not self._separate:
            return
        closed = self._closed()
        for name in self._desks:
            self._servers.shut(name) if name in closed else self._servers.open(name)

    # --- books --------------------------------------------------------------------------------------------

    def bills(self, provider: str | None = None) -> tuple[Bill, ...]:
        """What each job that has ended costs, free ones with amount 0, in the order of their ends."""
        with self._lock:
            return self._engine.bills(self._clock.now(), provider)

    def calls(self, provider: str | None = None) -> tuple[Received, ...]:
        """Every call that arrived, in order."""
        with self._lock:
            return self._engine.calls(provider)

    def jobs(self, provider: str | None = None) -> tuple[Job, ...]:
        """Every job that was accepted, in order; `job.state(now)` tells its state."""
        with self._lock:
            return self._engine.jobs(provider)

    def deliveries(self) -> tuple[Delivery, ...]:
        """Every try to deliver a webhook, in order."""
        return tuple(self._courier.deliveries)

    # --- answering ----------------------------------------------------------------------------------------

    def _app(self, name: str) -> App:
        return App(
            lambda request: self._respond(name, request),
            self._clock,
            later=self._later,
            answered=self._answered,
        )

    def _respond(self, name: str, request: Request) -> tuple[int | None, Answer]:
        if name == _MAIN or request.path == "/" or request.path.startswith("/files/"):
            head, _, rest = request.path.lstrip("/").partition("/")
            if head not in DESKS:
                return None, self._own(request)
            name, request = head, replace(request, path=f"/{rest}", base=f"{request.base}/{head}")
        desk = self._desks[name]
        with self._lock:
            now = self._clock.now()
            call = self._received(desk.name, request, now)
            answer = desk.handle(replace(request, call=call), now)
            self._mind_callbacks(desk, replace(request, call=call))
            return call, answer

    def _mind_callbacks(self, desk: Desk, request: Request) -> None:
        seen = self._engine.call(request.call)
        if seen.job is None:
            return
        if seen.on == "cancel":
            self._courier.poke(seen.provider, seen.job)
        elif seen.on == "submit" and seen.webhook is not None:
            job = self._engine.job(seen.provider, seen.job)
            if job is not None:
                self._courier.follow(job, lambda now_job, now: desk.notice(request, now_job, now))

    def _find(self, provider: str, job: str) -> Job | None:
        with self._lock:
            return self._engine.job(provider, job, erased=True)  # files outlive the record

    def _latest(self, job: Job) -> Job:
        with self._lock:
            return self._engine.latest(job)

    def _received(self, provider: str, request: Request, now: float) -> int:
        reference = request.headers.get("x-client-request-id")
        return self._engine.receive(provider, request.method, request.path, reference=reference, now=now)

    def _later(self, wait: Wait) -> Answer:
        with self._lock:
            return wait.then(self._clock.now())

    def _answered(self, call: int, status: int) -> None:
        with self._lock:
            self._engine.note(call, status=status)

    # --- its own pages ------------------------------------------------------------------------------------

    def _own(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return reply(405, {"detail": "the sandbox's own pages are read with GET"})
        match request.path.strip("/").split("/"):
            case ["files", provider, job, name]:
                return self._files.fetch(provider, job, name, request.parameter("told"))
            case [""]:
                with self._lock:
                    return page.page(
                        self._engine, {name: self.base_url(name) for name in DESKS}, self._clock.now()
                    )
            case ["book.json"]:
                with self._lock:
                    return page.book(self._engine, self._clock.now())
        return reply(404, {"detail": f"no {request.path}; there are /, /book.json, /files/ and /<provider>"})
