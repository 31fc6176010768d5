"""The island: what a service holds on to.

`rank` answers from what was decided before, as long as that still holds; everything else happens under
one short lock, decides in pure functions and never waits for anything outside the process. Whatever goes
wrong on the request path, the caller's own order is the answer, and the operator hears about it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .attempt import Attempt, Fault, Outcome, flaw, misnamed
from .breaker import Signal
from .decide import Explanation, Question, asked, explained
from .engine import Engine, Told, new
from .events import BreakerChanged, Herald, Hook, LogHook
from .exchange import Exchange, read_rankings
from .health import Health, report
from .lanes import Lane
from .memo import Memo
from .order import Blocked, Order, Source, account_of, checked, str_of
from .policy import Policy
from .runtime import Lock, Names, clocks, guard_fork, lock, random_source
from .stores import open_store
from .stores.base import RankingCache, Store, ranking_key
from .stores.memory import MemoryRankings
from .ticket import Ticket, uncounted


class Island:
    """Which provider, in which order, right now. Open one with `Island.open`; it is safe for threads.

    `rankings` is the cache of published rankings: write `ranking.v1` documents there, then `refresh`.
    """

    def __init__(
        self,
        policy: Policy,
        clock: Callable[[], float] | None,
        hook: Hook,
        seed: int | None,
        store: Store | None,
    ) -> None:
        self.policy = policy
        self._lock = lock()
        self._names = Names()
        self._memo = Memo(policy.orders_most)
        # Nothing that was kept may outlive a clock set back.
        self._now, self._tick = clocks(clock, self._memo.clear)
        self._herald = Herald(hook, self._now)
        self._kept = self._memo.table  # at hand where it must be fast
        self._engine = Engine(policy, random_source(seed), shared=store is not None)
        self._lanes = self._engine.lanes
        self.rankings: RankingCache = store or MemoryRankings(self._now, policy.models_most)
        self._exchange: Exchange | None = None
        if store is not None:
            mine = self._memo, lambda: self._lock, self._herald, self._now
            self._exchange = Exchange(store, self._engine, *mine)
        self._wake: Callable[[], object] = self._exchange.start if self._exchange else bool
        guard_fork(self)

    @classmethod
    def open(
        cls,
        url: str = "memory:",
        *,
        policy: Policy | None = None,
        clock: Callable[[], float] | None = None,
        hook: Hook | None = None,
        seed: int | None = None,
        migrate: bool = False,
    ) -> Island:
        """An island over the store at `url`; `memory:` keeps everything in this process.

        `sqlite:///path`, `postgresql://…` and `redis://…` share what is learned between processes: one
        daemon thread exchanges it each second, and a store that is down costs nothing but news. `migrate`
        makes PostgreSQL's tables where they are missing. `clock` gives unix seconds (default: the wall
        clock at opening, carried on by a monotonic one), `hook` receives events (default: logging),
        `seed` fixes the jitter. Raises `UnknownStore` for any other URL and `MissingExtra`.
        """
        policy = policy or Policy()
        store = None if url in ("memory:", "memory://") else open_store(url, policy, migrate=migrate)
        return cls(policy, clock, LogHook() if hook is None else hook, seed, store)

    def rank(
        self,
        model: str,
        allowed: Sequence[str],
        *,
        order: str | Sequence[str] = "fastest",
        region: str = "us",
        costs: Mapping[str, int] | None = None,
        work: str = "",
        sticky: str | None = None,
        account: str | tuple[str, ...] = "",
    ) -> Order:
        """The order in which to try `allowed` (given in the caller's fallback order); a pure read.

        `order`: a named one (`fastest`, `cheapest`, `reliable`, `balanced`, the policy's own), or a sequence
        or comma list as sequence and filter. `costs`: this request's, in micro-credits. `work`: its class.
        `sticky`: a provider to keep while near the best. `account`: the credentials' reference, or a tuple
        with one for each of `allowed`. ValueError for an empty or non-text `allowed`, and nothing else."""
        try:
            now = self._tick()
            kept = self._kept[model, allowed, order, region, work, sticky, account]
            while kept is not None:
                until, paid, result, kept = kept
                if now < until and paid == costs:
                    return result
        except Exception:  # noqa: BLE001  # nothing remembered, or nothing that can be: decide
            pass
        names = checked(allowed)
        try:
            self._wake()
            question = asked(names, allowed, model, order, region, costs, work, sticky, account)
            with self._lock:
                now = self._now()
                decision, known, blocks = self._engine.decide(question, now)
                if decision.names and known.own and (costs is None or question.costs == costs):
                    self._remember(question, costs is not None, decision.order, blocks)
            return decision.order
        except Exception as error:  # noqa: BLE001  # intelligence fails open
            self._herald.fell_open("rank", error)
            return Order(names, str_of(model), Source.CALLER, f"could not rank: {type(error).__name__}")

    def explain(
        self,
        model: str,
        allowed: Sequence[str],
        *,
        order: str | Sequence[str] = "fastest",
        region: str = "us",
        costs: Mapping[str, int] | None = None,
        work: str = "",
        sticky: str | None = None,
        account: str | tuple[str, ...] = "",
    ) -> tuple[Explanation, ...]:
        """The same question as `rank`, answered with one line per provider: the ordered ones first, then
        what an explicit order left out (position 0)."""
        names = checked(allowed)
        question = asked(names, allowed, model, order, region, costs, work, sticky, account)
        with self._lock:
            decision, known, blocks = self._engine.decide(question, self._now())
            rest = (name for name in names if name not in decision.order)
            return tuple(
                explained(
                    decision,
                    known,
                    question.costs,
                    name,
                    last_seen=self._engine.knowledge.last(region, model, name),
                    blocked=blocks.get(name),
                    state=self._engine.circuits.state(name, account_of(names, question.account, name), model),
                )
                for name in (*decision.order, *rest)
            )

    def attempt(
        self,
        model: str,
        provider: str,
        *,
        region: str = "us",
        account: str = "",
        work: str = "",
        id: str | None = None,
    ) -> Ticket:
        """Announce one submission, and learn whether to skip it. Never raises.

        Checks the breakers anew (a ranking may be a second old), takes the half-open probe where one is
        due, and counts the attempt as in flight from now on. `id` is the caller's own name for it.
        """
        name = id if isinstance(id, str) and id else self._names.next()
        names = (model, provider, region, account, work)
        try:
            if id is not None and (wrong := misnamed(name, *names)):
                raise ValueError(wrong)
            self._wake()
            with self._lock:
                lane = self._lanes.get(names) or self._lanes.find(names)
                started = self._now()
                block, changes = self._engine.admit(name, lane, started)
                if changes:
                    self._forget(changes)
            if changes:
                self._herald.tell(changes)
        except Exception as error:  # noqa: BLE001  # intelligence fails open
            self._herald.fell_open("attempt", error)
            return Ticket(uncounted, name, Lane(names, {}), 0.0, None)
        return Ticket(self._settle, name, lane, started, block)

    def record(self, attempt: Attempt) -> None:
        """Take a report about an attempt from anywhere. Never raises.

        Idempotent by `attempt.id`: the first verdict counts and later reports change nothing. A report
        that makes no sense is dropped, counted in `health().counts` and named in one event.
        """
        try:
            if wrong := flaw(attempt):
                raise ValueError(wrong)
            self._wake()
            with self._lock:
                changes = self._engine.report(attempt, self._now())
                self._forget(changes, attempt.model)
            self._herald.tell(changes)
        except Exception as error:  # noqa: BLE001  # intelligence fails open
            self._herald.fell_open("record", error)

    def isolate(self, provider: str, *, account: str | None = None, model: str | None = None) -> None:
        """Take a provider out by hand until `restore`; None means all accounts, all models. Learned
        orders move it to the tail, `attempt` skips it, no panic overrules it."""
        self._steer(Signal.ISOLATE, provider, account, model)

    def restore(self, provider: str, *, account: str | None = None, model: str | None = None) -> None:
        """Close the breakers of a provider by hand, isolated or open, with all narrower ones."""
        self._steer(Signal.RESTORE, provider, account, model)

    def refresh(self) -> None:
        """Exchange with the store and read the published rankings now, in this thread. Never raises."""
        try:
            if self._exchange is not None:
                return self._exchange.refresh()
            read_rankings(self._engine, self._memo, self.rankings, self._lock, self._herald)
        except Exception as error:  # noqa: BLE001  # a cache that is down changes nothing
            self._herald.fell_open("refresh", error)

    def publish(self, model: str, *, region: str = "us", order: str = "balanced") -> None:
        """Write what is known about a model to the cache as a `ranking.v1` document, for others to read.

        Scores are the expected index under the named order without the cost of any request. Nothing is
        written where nothing is known. Never raises.
        """
        try:
            key = ranking_key(region, model)
            with self._lock:
                document = self._engine.ranking(model, region, self.policy.orders[order], self._now())
            if document is not None:
                self.rankings.write(key, document, self.policy.ranking_age)
        except Exception as error:  # noqa: BLE001  # a cache that is down changes nothing
            self._herald.fell_open("publish", error)

    def health(self) -> Health:
        """How the providers are by what this island knows, and how the island is."""
        with self._lock:
            return report(self._engine, self._exchange, self._herald, self._now())

    def close(self) -> None:
        """Tell the store what it does not know yet, for a second at most. The island stays usable, alone."""
        if self._exchange is not None:
            self._exchange.close()

    def __enter__(self) -> Island:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def fork_locks(self) -> list[Lock]:
        """What to hold while the process is forked."""
        return [self._lock] if self._exchange is None else [self._exchange.one, self._lock]

    def after_fork(self) -> None:
        """In a forked child: what is known is a copy, the locks and the names are its own."""
        self._lock = lock()
        self._names.renew()
        if self._exchange is not None:
            self._exchange.after_fork()

    def _settle(
        self, ticket: Ticket, outcome: Outcome, fault: Fault, cost: int | None, retry_after: float | None
    ) -> None:
        """A verdict from a ticket."""
        try:
            with self._lock:
                now, lane = self._now(), ticket.lane
                seconds = now - ticket.started
                told = new(Told, (outcome, fault, seconds if seconds > 0.0 else 0.0, cost, retry_after, now))
                changes = self._engine.take(ticket.id, lane, told, now)
                if changes or self._kept:
                    self._forget(changes, lane.model)
            if changes:
                self._herald.tell(changes)
        except Exception as error:  # noqa: BLE001  # intelligence fails open
            self._herald.fell_open("record", error)

    def _forget(self, changes: Sequence[BreakerChanged], *models: str) -> None:
        self._memo.forget(*models, *[change.model for change in changes])

    def _steer(self, signal: Signal, provider: str, account: str | None, model: str | None) -> None:
        with self._lock:
            changes = self._engine.steer(signal, provider, account, model, self._now())
            self._forget(changes)
        self._herald.tell(changes)

    def _remember(self, q: Question, priced: bool, order: Order, blocks: Mapping[str, Blocked]) -> None:
        """Keep an order for as long as nothing can change it but a report."""
        waits = [block.retry_after for block in blocks.values() if block.retry_after is not None]
        now, key = self._tick(), (q.model, q.allowed, q.order, q.region, q.work, q.sticky, q.account)
        until = now + min([self.policy.refresh, *waits])
        self._memo.keep(key, q.costs if priced else None, order, now, until)
