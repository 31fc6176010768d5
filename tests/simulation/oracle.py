"""What must hold, judged from outside: after every change, at every paid call, and at the end.

The oracle believes nobody. It compares each change with the one before it, each call with what was durable
at that moment and with the ledger's own rows, and at the end everything with the providers' bills, the files
on the disk and the ledger. The numbers are those of the invariants in `docs/simulation.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from execution_arrow.machine import due
from execution_arrow.machine.agenda import agenda
from execution_arrow.machine.codec import dump_spec, dump_state, load_run, load_spec
from execution_arrow.machine.state import Attempt, Phase, Run, Spec, State, Status

_FROM_UNKNOWN = frozenset(State) - {State.SENDING}
_REVIVED = frozenset({State.COLLECTING, State.STORED})


class Broken(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Known:
    """What the oracle knows of one generation. `forgotten`: attempts that a restored store has lost."""

    run: Run
    spec: Spec  # as it was frozen
    reread: Spec | None = None  # the same, written and read again
    forgotten: set[str] = field(default_factory=set)
    rewound: bool = False


class Oracle:
    """Watches one world. `held(account, generation)` asks the ledger's rows whether a hold is open."""

    def __init__(self, held: Callable[[str, str], bool], sample: int) -> None:
        self._held, self._sample = held, sample
        self.known: dict[str, Known] = {}
        self.gone: list[Known] = []  # whose rows a restored store has lost
        self.owners: dict[str, str] = {}  # attempt -> generation
        self.posted: set[str] = set()
        self.changes = 0
        self.lenient = False  # the ledger was restored: a hold may have vanished under us

    # --- changes ---

    def see(self, run: Run, epoch: int) -> None:
        """A change is durable."""
        self.changes += 1
        known = self.known.get(run.spec.id)
        if known is None:
            known = self.known[run.spec.id] = Known(Run(spec=run.spec), run.spec)
        self._compare(known.run, run)
        known.run = run
        for attempt in run.attempts:
            self.owners.setdefault(attempt.id, run.spec.id)
        if self.changes % self._sample == 0:
            self._reload(known, run, epoch)

    def _compare(self, before: Run, after: Run) -> None:
        where = after.spec.id
        if before.spec is not after.spec and before.spec != after.spec and not after.spec.erased:
            raise Broken(f"20: {where} reads another catalogue, price or policy than the frozen one")
        if before.verdict is not None and after.verdict is not before.verdict:
            raise Broken(f"5: {where} was {before.verdict} and is {after.verdict}")
        if before.phase is Phase.CLOSED and after.phase is not Phase.CLOSED:
            raise Broken(f"5: {where} was closed and is {after.phase}")
        if before.settlement is not None and after.settlement is not None:
            first, now = before.settlement, after.settlement
            if (first.verb, first.amount) != (now.verb, now.amount):
                raise Broken(f"7: {where} owed {first} and owes {now}")
        if after.event_no < before.event_no:
            raise Broken(f"15: {where} numbered its events backwards")
        hedging = after.spec.policy.hedge_after is not None
        if sum(a.state is State.SENDING for a in after.attempts) > 1 + hedging:
            raise Broken(f"2: {where} sends two attempts at once")
        self._compare_winner(before, after)
        states = {attempt.id: attempt for attempt in before.attempts}
        if len(after.attempts) < len(before.attempts):
            raise Broken(f"13: {where} lost an attempt")
        for attempt in after.attempts:
            if (old := states.get(attempt.id)) is not None and old is not attempt:
                _compare_attempt(where, old, attempt, heir=after.winner == attempt.id != before.winner)

    def _compare_winner(self, before: Run, after: Run) -> None:
        if before.winner is None or before.winner == after.winner:
            return
        loser = after.attempt(before.winner)
        assert loser is not None
        if loser.state is not State.LOST:
            raise Broken(f"4: {after.spec.id} took the win from {before.winner}")

    def _reload(self, known: Known, run: Run, epoch: int) -> None:
        if known.reread is None or run.spec.erased:
            known.reread = load_spec(dump_spec(run.spec))
        again = load_run(known.reread, dump_state(run))
        times = [at for at, _ in agenda(run, epoch)]
        for now in (*times[:3], float("inf")):
            if due(again, now, epoch) != due(run, now, epoch):
                raise Broken(f"14: {run.spec.id} has other things to do after it was loaded again")

    # --- calls ---

    def post(self, attempt_id: str, provider: str) -> None:
        """A paid call leaves now."""
        if attempt_id in self.posted:
            raise Broken(f"1: {attempt_id} was sent a second time")
        self.posted.add(attempt_id)
        generation = self.owners.get(attempt_id)
        if generation is None:
            raise Broken(f"3: {attempt_id} is sent and was never durable")
        known = self.known.get(generation)
        if known is None or attempt_id in known.forgotten:
            return  # a restored store has lost it, and the process does not know that yet
        attempt = known.run.attempt(attempt_id)
        if attempt is None or attempt.provider != provider:
            raise Broken(f"3: {attempt_id} is sent and is not a durable attempt at {provider}")
        if known.rewound or self.lenient or not known.run.spec.hold:
            return  # a restored store may have forgotten that the hold is settled
        if not self._held(known.run.spec.account, generation):
            raise Broken(f"3: {attempt_id} is sent without an open hold ({known.run.phase})")

    # --- restored stores ---

    def rebase(self, generation: str, run: Run | None, *, rewound: bool) -> None:
        """The store knows this now: it was restored (`rewound`), or lost what nobody had asked it to keep."""
        known = self.known[generation]
        kept = {a.id for a in run.attempts} if run is not None else set()
        lost = {a.id for a in known.run.attempts} - kept
        told = known.run.verdict  # the disk may know more than the process that died before its answer
        if not rewound and (lost or run is None or told not in (None, run.verdict)):
            raise Broken(f"3: {generation} was not on the disk: {lost or known.run.phase}")
        known.forgotten |= lost
        known.rewound = known.rewound or rewound
        if run is None:
            self.gone.append(self.known.pop(generation))
        else:
            known.run = run


def _compare_attempt(where: str, old: Attempt, new: Attempt, *, heir: bool) -> None:
    """`heir`: the winner's results were lost, and this one, discarded before, has won now."""
    who = f"{where} {new.id}"
    if old.token != new.token or old.provider != new.provider or old.credentials != new.credentials:
        raise Broken(f"20: {who} became another one")
    if old.job is not None and new.job != old.job:
        raise Broken(f"10: {who} had the job {old.job} and has {new.job}")
    if old.state is new.state:
        return
    turned_up = old.job is None and new.job is not None  # of a submit that nobody could say anything about
    if old.final and new.state not in _REVIVED and not turned_up:
        raise Broken(f"row 38: {who} had ended as {old.state} and is {new.state}")
    if old.state is State.STORED and not heir:
        raise Broken(f"row 18: {who} was stored and is {new.state}")
    if old.state is State.UNKNOWN and new.state not in _FROM_UNKNOWN:
        raise Broken(f"11: {who} was unknown and is {new.state}")


def charge_of(run: Run) -> set[int]:
    """What a generation may have been charged, computed anew from its frozen quotes (invariant 7)."""
    policy, spec = run.spec.policy, run.spec
    if run.verdict is Status.SUCCEEDED:
        winner = run.attempt(run.winner or "")
        if winner is None or winner.state is not State.STORED or not winner.files:
            raise Broken(f"8: {spec.id} succeeded without a stored result")
        price = spec.routes[winner.provider].price
        share = price * min(len(winner.files), spec.asked) // spec.asked
        return {min(spec.hold, max(1, share)) if price else 0}
    allowed = {0}
    if run.verdict is Status.CANCELED and policy.charge_on_cancel:
        allowed |= {min(spec.hold, spec.routes[a.provider].price) for a in run.attempts if a.job is not None}
    if run.verdict is Status.FAILED and policy.charge_on_moderation:
        allowed |= {min(spec.hold, spec.routes[a.provider].price) for a in run.attempts if a.moderation}
    return allowed
