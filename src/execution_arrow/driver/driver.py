"""The asyncio driver: owns generations, folds what is heard, performs what is due.

There is no task per generation. A generation in memory is a `Session` and an alarm; a task exists only while
an effect is under way. A turn of a session is always: fold, commit, then start what has become due. Nothing
is started from a state that is not durable, and nothing is started by a worker whose lease may be over.

The task that has performed an effect takes the next turn itself and goes on with the first effect that
follows, so that a generation which never waits is one task from its hold to its settlement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from execution_arrow import facts as f
from execution_arrow.driver.alarms import Alarms
from execution_arrow.driver.aside import Aside
from execution_arrow.driver.committing import Committer
from execution_arrow.driver.inbox import readable
from execution_arrow.driver.lease import Lease
from execution_arrow.driver.perform import Performer
from execution_arrow.driver.planning import choose
from execution_arrow.driver.reporting import Observer, Reporter
from execution_arrow.driver.session import Change, Heard, Session, fold, mark_taken, new_jobs, read_row
from execution_arrow.effects import Effect, OpenHold, Settle, Submit
from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.state import Run
from execution_arrow.ports import Clock, Names, Router
from execution_arrow.stores.base import Committed, Fenced, JobTaken, Row

logger = logging.getLogger("execution_arrow")


class Driver:
    """Runs on one event loop, inside the caller's task group. `watch` is called after every change."""

    def __init__(
        self,
        *,
        committer: Committer,
        performer: Performer,
        router: Router,
        clock: Clock,
        names: Names,
        tasks: asyncio.TaskGroup,
        lease: Lease,
        effects: int,
        watch: Observer,
    ) -> None:
        self.committer, self._performer, self._router = committer, performer, router
        self._clock, self._names, self._tasks, self._lease = clock, names, tasks, lease
        self._report = Reporter(router, clock, performer.forget_reply, watch)
        self.sessions: dict[str, Session] = {}
        self._aside = Aside(clock)
        self._alarms = Alarms(clock, self.sessions, self.soon)
        self._quiet: dict[str, asyncio.Event] = {}
        self._outer, self._ledger = asyncio.Semaphore(effects), asyncio.Semaphore(effects)
        self._under_way: dict[asyncio.Task[None], None] = {}  # in the order of their start
        self._outside: dict[asyncio.Task[Any] | None, None] = {}  # those that wait for an effect

    # --- owning ---

    async def claim(self, ids: Sequence[str]) -> list[str]:
        """Take these, if nobody alive owns them; returns the ids that are ours now."""
        return (await self.look(ids, len(ids)))[0]

    async def look(self, ids: Sequence[str] = (), limit: int = 1) -> tuple[list[str], float | None]:
        """Claim, and say when there may be more to claim if nothing changes until then (unix seconds)."""
        claimed = await self._lease.claim(ids, limit, owning=bool(self.sessions))
        for row in claimed.rows:
            try:
                self._take_over(row)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is that row's alone
                self._aside.put(row, error)
        await self.committer.release(self._aside.handed_back(self.sessions))
        return [row.id for row in claimed.rows if row.id in self.sessions], claimed.next_at

    def _take_over(self, row: Row) -> None:
        if (old := self.sessions.get(row.id)) is not None:
            self._forget(old)  # our own lease had ended, unnoticed; what it still hears goes to the inbox
        self.adopt(read_row(row, readable(row.inbox), self._lease.term))

    def adopt(self, session: Session) -> None:
        """Drive a session from now on (its row carries our name)."""
        self.sessions[session.run.spec.id] = session
        self._lease.needed.set()
        self.soon(session)

    def hear(self, generation_id: str, heard: Heard) -> bool:
        """Give a fact to a session we own; False when we do not own it."""
        if (session := self.sessions.get(generation_id)) is None:
            return False
        if not heard.seq or all(item.seq != heard.seq for item in session.queue):
            session.queue.append(heard)
            self.soon(session)
        return True

    async def quiet(self, generation_id: str) -> None:
        """Wait until nothing of this generation is under way or due. Raises `StoreUnavailable`."""
        while (session := self.sessions.get(generation_id)) is not None and not self._is_quiet(
            session, self._clock.now()
        ):
            if (error := session.failure) is not None and not session.turning:
                raise StoreUnavailable(f"generation {generation_id}: {error}", maybe_applied=True) from error
            await self._quiet.setdefault(generation_id, asyncio.Event()).wait()

    async def release(self, generation_ids: Iterable[str]) -> None:
        """Hand generations back with the time when they need somebody again."""
        sessions = [self.sessions[name] for name in generation_ids if name in self.sessions]
        for session in sessions:
            self._forget(session)
        await self.committer.say_if_possible()
        await self.committer.release([(s.run.spec.id, s.next_at) for s in sessions])

    # --- turns ---

    def soon(self, session: Session) -> None:
        """Give the session a turn, unless it has one."""
        if not session.turning and not session.dropped:
            session.turning = True
            self._spawn(session, None)

    def _spawn(self, session: Session, effect: Effect | None) -> None:
        task = self._tasks.create_task(self._drive(session, effect))
        self._under_way[task] = None
        task.add_done_callback(self._under_way.pop)

    async def _drive(self, session: Session, effect: Effect | None) -> None:
        """Effects and turns, one after the other, until there is nothing to be done at once."""
        while True:
            if effect is not None:
                await self._perform(session, effect)
                if session.dropped or session.turning:  # whoever has the turn folds what was heard here
                    return
                session.turning = True
            effect = await self._turn(session)
            if effect is None:
                return

    async def _turn(self, session: Session) -> Effect | None:
        """Fold, commit, start what is due. One of the effects is returned: the caller performs it."""
        mine: Effect | None = None
        try:
            while not session.dropped:
                if session.term != (term := self._lease.term):
                    if not await self.committer.owns(session):
                        await self._lost(session, Change(session.run, session.agenda))
                        break
                    session.term = term
                change = fold(session, self._clock.now(), self._plan)
                if change.durable:
                    if not await self._commit(session, change):
                        continue
                else:
                    session.become(change)
                    self._report.alerts(change)
                if not session.queue:  # else it is folded first: what was answered is not asked again
                    mine = self._start(session)
                    break
            session.failure = None
            session.turning = False
            self._schedule(session)
        except StoreUnavailable as error:
            self.committer.outage.failed(f"generation={session.run.spec.id}", error)
            self._try_again(session, error, 1.0)
        except Exception as error:
            logger.exception("turn_failed generation=%s: it is tried again in a minute", session.run.spec.id)
            self._try_again(session, error, 60.0)
        finally:
            session.turning = False
            if session.dropped:
                self.committer.keep(session)
        return mine

    def _try_again(self, session: Session, error: Exception, seconds: float) -> None:
        session.failure = error
        if not session.dropped:
            self._alarms.set(session, self._clock.now() + seconds)
        self._tell_quiet(session)

    async def _commit(self, session: Session, change: Change) -> bool:
        """Write a change. False when it was not written and its facts are queued again, or handed over."""
        try:
            result = await self.committer.commit(session, change)
        except BaseException:
            session.queue[:0] = change.applied
            raise
        match result:
            case Committed():
                before, session.version = session.run, result.version
                session.become(change)
                self._report(before, change)
                return True
            case JobTaken():
                bound = new_jobs(session.run, change.run)
                taken = [(attempt, job) for _, _, job, attempt in bound if result.job == job]
                session.queue[:0] = mark_taken(change.applied, taken, result.attempt)
                return False
            case Fenced():
                await self._lost(session, change)
                return False

    async def _lost(self, session: Session, change: Change) -> None:
        """Somebody else owns the row: what we heard goes to the inbox, what we concluded is forgotten."""
        logger.warning("lease_lost generation=%s epoch=%d", session.run.spec.id, session.epoch)
        session.queue[:0] = change.applied
        replaced, generation_id = session.dropped, session.run.spec.id
        self._forget(session)
        await self.committer.hand_over(session)
        if not replaced:
            # In our name and unknown to us: its next claim starts from what is written, as a new epoch.
            await self.committer.release([(generation_id, self._clock.now())])

    def _plan(self, run: Run, candidates: Sequence[str]) -> f.Planned:
        epoch, keys = self.sessions[run.spec.id].epoch, self._performer.credentials
        return choose(run.spec, candidates, epoch, self._router, keys, self._names)

    # --- effects ---

    def _start(self, session: Session) -> Effect | None:
        """Begin every effect that is due: the first is the caller's to perform, the others get tasks."""
        if session.dropped or not self._lease.safe():
            return None
        effects = session.startable(self._clock.now())
        for effect in effects:
            session.inflight.add(effect)
            if isinstance(effect, Submit):
                session.submitted.add(effect.attempt)
        for effect in effects[1:]:
            self._spawn(session, effect)
        return effects[0] if effects else None

    async def _perform(self, session: Session, effect: Effect) -> None:
        self._outside[me := asyncio.current_task()] = None
        try:
            # Money does not queue behind providers that hang.
            async with self._ledger if isinstance(effect, OpenHold | Settle) else self._outer:
                may_send = partial(self._may_send, session, effect)
                found = await self._performer.perform(session.run, effect, may_send)
        finally:
            session.inflight.discard(effect)
            del self._outside[me]
        session.queue += [Heard(attempt=getattr(effect, "attempt", None), fact=fact) for fact in found]
        if session.dropped:
            await self.committer.hand_over(session)

    def _may_send(self, session: Session, effect: Effect) -> bool:
        return self._lease.safe() and session.may_send(effect, self._lease.term)

    # --- waiting ---

    def _schedule(self, session: Session) -> None:
        """Set the session's alarm, or let the session go when nobody is needed any more."""
        if session.dropped:
            return
        if session.next_at is None and not session.inflight:
            self._forget(session)  # the last commit has handed the row back
            return
        now = self._clock.now()
        if self._is_quiet(session, now):
            self._tell_quiet(session)
        at = session.wake_at()
        if at is not None and at <= now:  # due, and not begun where our lease may be over
            at = now + (0.0 if self._lease.safe() else 0.1)
        self._alarms.set(session, at)

    def _is_quiet(self, session: Session, now: float) -> bool:
        busy = session.inflight or session.queue or session.turning
        return not busy and (session.next_at is None or session.next_at > now)

    def _tell_quiet(self, session: Session) -> None:
        if (event := self._quiet.pop(session.run.spec.id, None)) is not None:
            event.set()

    def _forget(self, session: Session) -> None:
        session.dropped = True
        if not session.turning:  # else at the end of the turn
            self.committer.keep(session)
        if self.sessions.get(session.run.spec.id) is session:
            del self.sessions[session.run.spec.id]
            if not self.sessions:
                self._alarms.stop()
        self._tell_quiet(session)

    async def stop(self, grace: float) -> None:
        """Start nothing new, let what is under way finish for `grace` seconds, then hand everything back."""
        self._lease.stop_acting()
        self._alarms.end()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace)
        while any(session.turning for session in self.sessions.values()):
            await asyncio.sleep(0.005)
        for task in [task for task in self._under_way if task in self._outside]:
            task.cancel()  # the others write down what they heard, and end by themselves
        await self.release(list(self.sessions))
        await self._lease.give_back()
