"""The end of a run: everything in the product's rows against bills, ledger and files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Attempt, Phase, Run, State, Status
from execution_arrow.record import view
from execution_arrow.stores.base import JobStore
from ledger_fortress import Ledger
from tests.simulation.artifacts import Files
from tests.simulation.jobs import Books, Job, picture
from tests.simulation.oracle import Broken, Known, charge_of

# Lies after which a result may be another job's.
_EXCHANGED = {"reused_id", "foreign_result", "foreign_hook"}


class Judge:
    """`lies` are the providers' own contradictions: what they make unknowable is not held against us."""

    def __init__(
        self, store: JobStore, ledger: Ledger, books: Books, files: Files, ledger_rewound: bool
    ) -> None:
        self._store, self._ledger, self._books, self._files = store, ledger, books, files
        self._ledger_rewound = ledger_rewound
        self._resolved: Mapping[str, list[str]] = {}

    def everything(self, known: Mapping[str, Known], gone: Sequence[Known]) -> None:
        """Raise `Broken` for the first promise that was not kept."""
        attempts: set[str] = set()
        self._resolved = self._resolutions({seen.spec.account for seen in known.values()})
        for name, seen in known.items():
            row = self._store.load(name)
            if row is None:
                continue  # a restored store has never heard of it
            run = load_run(load_spec(row.spec), row.state)
            if run.spec != seen.spec and not run.spec.erased:
                raise Broken(f"20: the frozen part of {name} was changed")
            self._generation(run, seen)
            attempts |= {a.id for a in run.attempts}
        forgotten = {a for seen in (*known.values(), *gone) for a in seen.forgotten}
        for attempt in self._books.posts:
            if attempt not in attempts and attempt not in forgotten:
                raise Broken(f"9: the call of {attempt} is in no row, and no store has lost it")
        if not self._ledger.verify().ok:
            raise Broken(f"the ledger does not add up: {self._ledger.verify()}")

    def _generation(self, run: Run, seen: Known) -> None:
        where = run.spec.id
        if run.phase is not Phase.CLOSED:
            raise Broken(f"16: {where} never ended: {run.phase}, {[str(a.state) for a in run.attempts]}")
        for attempt in run.attempts:
            if not attempt.final:
                raise Broken(f"16: {where} {attempt.id} is {attempt.state} for ever")
            self._cost(run, attempt)
        self._money(run, seen)
        self._results(run)
        self._events(run)

    # --- money ---

    def _money(self, run: Run, seen: Known) -> None:
        spec, where = run.spec, run.spec.id
        hold = self._ledger.hold(spec.account, spec.id)
        if run.settlement is None:
            if run.error_code not in ("BSE1003", "BSE1004"):
                raise Broken(f"6: {where} is closed and owes nothing: {run.error_code}")
            if hold is not None and not self._ledger_rewound and not seen.rewound:
                raise Broken(f"6: {where} was refused its hold and has one: {hold}")
            return
        amount = run.settlement.amount
        if amount not in charge_of(run):
            raise Broken(f"7: {where} was charged {amount}, not one of {charge_of(run)}")
        if amount > spec.hold:
            raise Broken(f"7: {where} was charged {amount}, more than its hold of {spec.hold}")
        if run.settlement.stuck:
            if not self._ledger_rewound and not seen.rewound:
                raise Broken(f"6: {where} is stuck: {run.settlement.stuck}")
            return
        if self._ledger_rewound or seen.rewound or not spec.hold:
            return
        if len(ends := self._resolved.get(spec.id, [])) > 1:
            raise Broken(f"6: the hold of {where} was resolved {len(ends)} times: {', '.join(ends)}")
        state, moved = (hold.state, hold.charged.micros) if hold is not None else ("absent", 0)
        wanted = ("charged", amount) if amount else ("released", 0)
        if run.settlement.verb == "release" and run.started_at is None and state == "absent":
            return  # the hold was never opened, or nobody knows: a release harms neither
        if (state, moved) != wanted:
            raise Broken(f"6: {where} is settled as {wanted} and the ledger has {(state, moved)}")

    def _resolutions(self, accounts: Iterable[str]) -> Mapping[str, list[str]]:
        """What ended each hold, as the ledger's history has it: a state alone says what came last."""
        found: dict[str, list[str]] = {}
        for account in sorted(accounts):
            for entry in self._ledger.entries(account):
                if entry.hold is not None and entry.kind != "reserve":
                    found.setdefault(entry.hold, []).append(entry.kind)
        return found

    def _jobs(self, run: Run, attempt: Attempt) -> list[Job]:
        """The jobs that were made for an attempt.

        A job that a list showed for the very same input may be another attempt's: no list tells them apart,
        and neither can the customers. Then the bound one counts.
        """
        bound = self._books.jobs.get((attempt.provider, attempt.job or ""))
        made = self._books.by_attempt.get(attempt.id, [])
        if bound is None or bound in made:
            return made
        asked = run.route(attempt).payload.body
        same = asked is None or bound.body["input"] == asked["input"]  # None: the customer had it deleted
        return [bound] if same or bound.lies else made

    def _cost(self, run: Run, attempt: Attempt) -> None:
        """Invariant 9, attempt by attempt: the bill, or bounds where we say that we do not know."""
        jobs = self._jobs(run, attempt)
        if any(job.lies for job in (*jobs, *self._books.by_attempt.get(attempt.id, ()))):
            return
        bill = sum(self._books.bill(job) for job in jobs)
        cost, source = attempt.cost or 0, attempt.cost_source
        if source == "unknown":
            if not 0 <= bill <= cost:
                raise Broken(f"9: {attempt.id} may cost {cost}, its bill is {bill} ({attempt.state})")
        elif cost != bill:
            raise Broken(f"9: {attempt.id} cost {cost} ({source}), its bill is {bill} ({attempt.state})")

    # --- results ---

    def _results(self, run: Run) -> None:
        if run.verdict is not Status.SUCCEEDED:
            return
        winner = run.attempt(run.winner or "")
        assert winner is not None
        made = {
            hashlib.sha256(picture(job.id, index)).hexdigest()
            for job in self._jobs(run, winner)
            for index in range(job.count)
        }
        lied = any(job.lies & _EXCHANGED for job in self._books.of_provider(winner.provider))
        for file in winner.files:
            data = self._files.get(file.key)
            if data is None or hashlib.sha256(data).hexdigest() != file.sha256 or len(data) != file.size:
                raise Broken(f"8: {run.spec.id} has no file {file.key}")
            if file.sha256 not in made and not lied:
                raise Broken(f"8: {run.spec.id} was given {data[29:69]!r} of another job by {winner.id}")
        if len({file.index for file in winner.files}) != len(winner.files):
            raise Broken(f"8: {run.spec.id} has a result twice")

    def _events(self, run: Run) -> None:
        events = self._store.events(run.spec.id)
        if [event.no for event in events] != list(range(1, len(events) + 1)):
            raise Broken(f"15: the events of {run.spec.id} have gaps: {[event.no for event in events]}")
        ends = [event for event in events if event.type in ("generation.completed", "generation.failed",
                                                             "generation.canceled")]  # fmt: skip
        if len(ends) != 1:
            raise Broken(f"15: {run.spec.id} has {len(ends)} terminal events")

    def secrets(self, rows: list[Any]) -> None:
        """Invariant 18: no key in anything that was written."""
        for row in rows:
            if "very-secret-key" in row.state or "very-secret-key" in row.spec:
                raise Broken(f"18: a key is in the row of {row.id}")


def waste_is_told(run: Run) -> bool:
    """The public record can be made of every row."""
    return view(run, 1, None, lambda key: None).waste >= 0


__all__ = ["Judge", "State", "waste_is_told"]
