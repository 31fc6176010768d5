"""One seed: build a world, let it go wrong, heal it, and judge what is left."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from execution_arrow.driver.worker import Limits
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from ledger_fortress import Credits, Ledger
from ledger_fortress.protocol import Touch
from ledger_fortress.stores.memory import MemoryStore as LedgerMemory
from tests.simulation.artifacts import Folder
from tests.simulation.copies import restore, snapshot
from tests.simulation.customers import Customer, Order
from tests.simulation.faults import Dice
from tests.simulation.healing import Healing
from tests.simulation.inspector import Inspector
from tests.simulation.judge import Judge
from tests.simulation.knobs import Knobs
from tests.simulation.loop import CURRENT, START, WORLD, VirtualLoop
from tests.simulation.nodes import Died, Node, Site
from tests.simulation.operators import open_addresses, operate
from tests.simulation.oracle import Broken, Oracle
from tests.simulation.ports import InlineLedger
from tests.simulation.receivers import Receivers, check
from tests.simulation.restless import Exhausted, Stuck, bounded
from tests.simulation.storage import Disk, Weather
from tests.simulation.trouble import Trouble
from tests.simulation.world import World

SHM = Path("/dev/shm")
SPAN = 30.0  # seconds of faults after the last customer has come
ACCOUNTS = 3


@dataclass(slots=True)
class Outcome:
    """What a run came to. `trace` is kept when it was asked for; its hash always."""

    seed: int
    generations: int = 0
    digest: str = ""
    trace: list[str] = field(default_factory=list)
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0
    steps: int = 0
    steps_to_end: int = 0  # see `crashes`
    error: str = ""


class Simulation:
    """Everything of one seed."""

    loop_class: type[VirtualLoop] = VirtualLoop
    keeps_durable = False

    def __init__(self, knobs: Knobs, folder: Path) -> None:
        self.knobs = knobs
        self.rng = random.Random(f"run-{knobs.seed}")
        self.outcome = Outcome(knobs.seed)
        self.keep_trace, self._hash = False, hashlib.blake2b(digest_size=16)
        self.loop = self.loop_class(self.rng, shuffle=knobs.shuffle)
        dice = Dice(self.rng, knobs.odds, knobs.wanted)
        self.world = World(self.loop, self.rng, dice, knobs.kinds, self.tell, knobs.travel, knobs.run)
        self.books = LedgerMemory(clock=self._true_time)
        self.ledger = InlineLedger(self.books)
        self.oracle = Oracle(self._held, sample=16)
        self.world.on_post = self.oracle.post
        weather = Weather(
            self.rng,
            knobs.store_before,
            knobs.store_after,
            knobs.latency,
            prompt=knobs.prompt,
            deaf=knobs.deaf,
        )
        clock = self._true_time
        self.receivers = Receivers(self.world, knobs.webhooks.timeout)
        store = (
            SqliteStore(folder / "arrow.db", clock=clock) if knobs.store == "sqlite" else MemoryStore(clock)
        )
        self.site = Site(
            loop=self.loop,
            rng=self.rng,
            world=self.world,
            disk=Disk(store, weather, keep_durable=self.keeps_durable or knobs.power_losses > 0),
            ledger=self.ledger,
            ledger_weather=Weather(
                self.rng, knobs.ledger_before, knobs.ledger_after, knobs.latency, prompt=knobs.prompt
            ),
            ledger_latency=knobs.ledger_latency,
            oracle=self.oracle,
            folder=folder,
            limits=Limits(
                lease=knobs.lease,
                inbox_every=min(knobs.look_every, knobs.lease / 3),
                claim_every=knobs.look_every,
            ),
            policy=knobs.policies[0],
            called_back=knobs.called_back,
            favored=knobs.favored,
            files=folder / "artifacts" if knobs.real_files else {},
            receivers=self.receivers,
            webhooks=knobs.webhooks,
        )
        self.inspector = Inspector(store, self.receivers, knobs.webhooks, self.oracle.known, clock)
        self.site.disk.on_change = self._seen(self.inspector.see)
        self.receivers.on_send = self._seen(self.inspector.sent)
        self.receivers.on_arrival = self._seen(check)
        self.world.hooks.deliver = lambda url, headers, body: self.loop.spawn(
            WORLD, self._called_back(url, headers, body)
        )
        self.nodes: list[Node] = []
        self.orders: list[Order] = []
        self._made = 0

    def _seen(self, check: Callable[..., None]) -> Callable[..., None]:
        """What is found in the middle of the product is not the product's to swallow."""

        def seen(*args: Any) -> None:
            try:
                check(*args)
            except Exception as error:
                self.loop.failures.append({"message": "seen", "exception": error})

        return seen

    def _true_time(self) -> float:
        return START + self.loop.time()

    def _held(self, account: str, generation: str) -> bool:
        pair = account, generation
        hold = self.books.read(Touch((), holds=(pair,))).holds.get(pair)
        return hold is not None and hold.state == "open"

    def tell(self, what: str, about: str) -> None:
        """Write a line of the trace."""
        line = f"{self.loop.time():10.3f} {CURRENT.get(WORLD).name:6} {what:8} {about}"
        self._hash.update(line.encode())
        if self.keep_trace:
            self.outcome.trace.append(line)

    # --- processes ---

    def start(self, *, serving: bool) -> Node:
        skew = self.rng.uniform(-self.knobs.skew, self.knobs.skew)
        node = Node(self.site, f"w{self._made}", serving=serving, skew=skew)
        self._made += 1
        self.nodes.append(node)
        self.tell("start", f"{node.name} serving={serving} skew={skew:.1f}")
        return node

    def rebase(self, *, rewound: bool) -> None:
        """Tell the oracle what the store knows now."""
        store = self.site.disk.store
        for name in list(self.oracle.known):
            row = store.load(name)
            run = load_run(load_spec(row.spec), row.state) if row is not None else None
            self.oracle.rebase(name, run, rewound=rewound)
        self.inspector.rebase(rewound=rewound)

    def alive(self) -> list[Node]:
        return [node for node in self.nodes if node.usable]

    async def _called_back(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """A provider calls us: any process answers, and it calls again when nobody could."""
        provider, token = url.split("/")[-2:]
        for pause in (0.0, 1.0, 5.0, 20.0):
            await asyncio.sleep(pause)
            if not (nodes := self.alive()):
                continue
            try:
                reply = await self.rng.choice(nodes).call(
                    lambda arrow: arrow.handle_webhook(provider, token, headers, body)
                )
            except Died:
                continue
            self.tell("hook", f"{provider} {token} {reply.reason}")
            if reply.status < 500:
                return

    # --- the run ---

    def run(self) -> Outcome:
        try:
            self.loop.run(self._play(), most=self.knobs.most_steps, at_once=self.knobs.most_at_once)
            self._judge()
        finally:
            self.outcome.digest = self._hash.hexdigest()
            self.outcome.struck = self.world.dice.struck
            self.outcome.virtual, self.outcome.steps = self.loop.time(), self.loop.steps
            self.outcome.generations = len(self.oracle.known)
            self.site.disk.store.close()
        return self.outcome

    async def _play(self) -> None:
        for number in range(self.knobs.workers):
            self.start(serving=number < self.knobs.serving)
        for account in range(ACCOUNTS):
            amount = Credits.micro(200_000 if self.knobs.poor else 10**12)
            await self.ledger.grant(f"acct-{account}", amount, key="first", create=True)
        open_addresses(self)
        trouble = asyncio.ensure_future(Trouble(self).make())
        operators = [asyncio.ensure_future(operate(self)) for _ in range(self.knobs.operators)]
        customers = [asyncio.ensure_future(self._customer(n).live()) for n in range(self.knobs.generations)]
        await asyncio.sleep(self.knobs.arrivals + SPAN)
        await trouble
        for operator in operators:
            await operator
        healing = Healing(self)
        healing.begin()
        for customer in customers:
            await customer
        await healing.finish()

    def _customer(self, number: int) -> Customer:
        rng = self.rng
        order = Order(
            number=number,
            account=f"acct-{rng.randrange(ACCOUNTS)}",
            key=None if rng.random() < 0.1 else f"order-{number}",
            request={
                "prompt": f"picture {number if rng.random() < 0.9 else 0}",
                "n": rng.choice(self.knobs.asked),
                "price": 0 if rng.random() < self.knobs.free else rng.choice((1, 40_000, 99_999)),
            },
        )
        self.orders.append(order)
        return Customer(order, self.knobs, rng, self.loop, self.alive)

    def check_nodes(self) -> None:
        for node in self.nodes:
            if node.error is not None:
                raise Broken(f"worker {node.name} died of {node.error!r}") from node.error
        if self.loop.failures:
            failure = self.loop.failures[0]
            if isinstance(error := failure.get("exception"), Broken):
                raise error
            raise Broken(f"a callback failed: {failure}") from error

    def due(self, told: str) -> str:
        """What is due now of the generations that a message names: most likely it is due again and again."""
        found = []
        for node in self.alive():
            now = node.clock.now()
            for name, session in node.arrow._driver.sessions.items() if node.arrow._driver else ():
                if f" {name} " in told:
                    found += [f"{name} {effect}" for at, effect in session.agenda if at <= now]
        return "; ".join(found) or "nothing"

    def _judge(self) -> None:
        self.check_nodes()
        files = self.site.files
        judge = Judge(
            self.site.disk.store,
            Ledger(self.books),
            self.world.books,
            files if isinstance(files, dict) else Folder(files),
            self.oracle.lenient,
        )
        judge.everything(self.oracle.known, self.oracle.gone)
        judge.secrets(self.site.disk.store.page(None, None, None, 10_000))
        self.inspector.everything(self.knobs.punctual)


@contextmanager
def place() -> Iterator[Path]:
    """A folder in memory, where the system has such a thing."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=SHM if SHM.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Make = Callable[[Knobs, Path], "Simulation"]


def simulate(knobs: Knobs, make: Make = Simulation, *, keep_trace: bool = False) -> Outcome:
    """Run one seed. A broken promise is in `outcome.error`."""
    if not os.environ.get("SIMULATION_LOG"):
        logging.disable(logging.CRITICAL)
    with place() as folder:
        simulation = make(knobs, folder)
        simulation.keep_trace = keep_trace
        try:
            with bounded(knobs.most_seconds, knobs.most_memory):
                return simulation.run()
        except (Exception, Exhausted) as error:
            if isinstance(error, Exhausted):
                error = Stuck(str(error))
            simulation.outcome.error = f"{type(error).__name__}: {error}"
            if isinstance(error, Stuck):
                simulation.outcome.error += f"\n  due: {simulation.due(str(error))}"
            elif not isinstance(error, Broken):
                import traceback

                simulation.outcome.error += "\n" + "".join(traceback.format_exception(error)[-12:])
            return simulation.outcome
        finally:
            logging.disable(logging.NOTSET)


__all__ = ["Outcome", "Simulation", "restore", "simulate", "snapshot"]
