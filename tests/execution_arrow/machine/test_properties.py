"""Whatever is said in whatever order: the laws that no story may break.

A story is a random sequence of facts about random attempts, with time passing. It is safe or it is a
counter-example; there is no third thing. At the end the facts stop, only timers and the ledger go on, and
every generation must close by itself.
"""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from execution_arrow import facts as f
from execution_arrow.driver.fact_codec import decode, encode
from execution_arrow.effects import Cancel, Confirm, Copy, Lookup, Plan, Poll, Ring, Settle, Submit
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import due, next_at, step, told
from execution_arrow.machine.codec import dump_spec, dump_state, load_run, load_spec
from execution_arrow.machine.state import Phase, Run, State, Status
from execution_arrow.policy import Policy
from tests.execution_arrow.machine.build import EPOCH, T0, make_run, outputs, stored
from tools.chart import edges

FACTS = st.one_of(
    st.sampled_from(
        [
            f.NotSent(), f.Ambiguous(), f.OwnerLost(), f.Running(), f.Canceled(), f.Expired(),
            f.Missing(), f.PollFailed(), f.UnknownStatus(text="?"), f.CancelAcknowledged(),
            f.CancelAcknowledged(erases=True),
            f.CancelRefused(), f.CancelRefused(final=True), f.LookupNone(conclusive=True),
            f.LookupNone(conclusive=False), f.Settled(), f.HoldOpened(), f.EffectFailed(effect="x"),
            f.ArtifactFailed(index=0), f.ArtifactLost(index=0), f.ArtifactLost(index=1), stored(0), stored(1),
            f.Succeeded(outputs=()), f.Succeeded(outputs=outputs(1)), f.Succeeded(outputs=outputs(2), cost=7),
            f.Completed(outputs=outputs(1)), f.Completed(outputs=()),
        ]
    ),
    st.builds(f.Accepted, job=st.sampled_from(["j1", "j2", "j3"]), taken=st.booleans()),
    st.builds(
        f.CalledBack,
        job=st.sampled_from(["j1", "j2"]),
        sure=st.booleans(),
        taken=st.booleans(),
        told=st.sampled_from([None, f.Running(), f.Succeeded(outputs=outputs(1)), f.Canceled()]),
    ),
    st.builds(f.Unconfirmed, gone=st.booleans()),
    st.sampled_from([f.HoldClosed(), f.HoldRefused(reason="x"), f.SettleRefused(reason="x"), f.Erase()]),
    st.builds(f.LookupFound, job=st.sampled_from(["j1", "j2"])),
    st.builds(f.Refused, fault=st.sampled_from(list(Fault)), code=st.just("c"), retry_after=st.just(2.0)),
    st.builds(
        f.Failed, fault=st.sampled_from([Fault.PROVIDER, Fault.ACCOUNT, Fault.CALLER]), code=st.just("c")
    ),
    st.builds(f.TimeUp, timer=st.sampled_from(list(Timer))),
)  # fmt: skip
POLICIES = st.builds(
    Policy,
    on_unknown=st.sampled_from(["failover", "wait", "fail"]),
    on_overdue=st.sampled_from(["failover", "wait"]),
    unknown_patience=st.sampled_from([None, 0.0, 5.0]),
    charge_on_cancel=st.booleans(),
    charge_on_moderation=st.booleans(),
    keep_discarded=st.booleans(),
    hedge_after=st.sampled_from([None, 0.0, 15.0]),
)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(0, 4), FACTS),
        st.tuples(st.just("user"), st.just(0), st.just(f.UserCancel())),
        st.tuples(st.just("wait"), st.just(0), st.sampled_from([0.5, 3.0, 20.0, 70.0])),
        st.tuples(st.just("drive"), st.just(0), st.none()),
    ),
    max_size=40,
)


SILENCE = {
    Poll: f.PollFailed(),
    Confirm: f.Unconfirmed(gone=False),
    Lookup: f.LookupNone(conclusive=False),
    Cancel: f.CancelRefused(),
    Copy: f.ArtifactFailed(index=0),
}


ENDINGS = ("generation.completed", "generation.failed", "generation.canceled")
PHASE_MOVES, ATTEMPT_MOVES = edges(Phase), edges(State)  # what the published chart shows
# What leads out of doubt: certainty about the submit (11, 12), polls of a bound job, giving up (15).
OUT_OF_UNKNOWN = {"11", "12", "15", "17", "18", "19a", "20", "21", "22", "23", "24"}


def amounts(run: Run) -> set[int]:
    """What may be owed: nothing, a share of the winner's frozen price, or by policy a billed attempt's."""
    winner = run.attempt(run.winner) if run.winner is not None else None
    if run.verdict is Status.SUCCEEDED:
        share = run.route(winner).price * min(len(winner.files), run.spec.asked) // run.spec.asked
        return {min(run.spec.hold, max(1, share))}
    policy = run.spec.policy
    if policy.charge_on_cancel or policy.charge_on_moderation:
        return {0, *(route.price for route in run.spec.routes.values())}
    return {0}


class Checked:
    """Applies facts and checks every law after each."""

    def __init__(self, run: Run) -> None:
        self.run, self.now, self.attempts = run, T0, 0
        self.final: Status | None = None
        self.winners: list[str] = []
        self.events: list[int] = []
        self.endings = 0

    def tell(self, fact: f.Fact, attempt: str | None = None) -> None:
        before = self.run
        result = step(before, fact, self.now, attempt)
        self.run = result.run
        if not result.durable:
            assert (before.phase, before.winner, before.verdict, before.settlement) == (
                self.run.phase, self.run.winner, self.run.verdict, self.run.settlement,
            ), result.row  # fmt: skip
        self.events.extend(event.no for event in result.events)
        self.endings += sum(event.type in ENDINGS for event in result.events)
        assert before.phase is self.run.phase or (before.phase, self.run.phase) in PHASE_MOVES, result.row
        for attempt_before in before.attempts:
            after = self.run.attempt(attempt_before.id)
            move = (attempt_before.state, after.state)
            assert move[0] is move[1] or move in ATTEMPT_MOVES, (move, result.row)
            if attempt_before.state is State.UNKNOWN and after.state is not State.UNKNOWN:
                assert result.row in OUT_OF_UNKNOWN, result.row
        self._check(before)
        if (content := told(self.run, fact, attempt)) is not None:
            self.tell(content, attempt)

    def _check(self, before: Run) -> None:
        run = self.run
        if run.phase is Phase.CLOSED:
            assert self.final in (None, run.status)  # a public end never changes
            self.final = run.status
        if run.winner is not None and (not self.winners or self.winners[-1] != run.winner):
            # The place is given again only after its holder lost all outputs (row 35).
            assert not self.winners or run.attempt(self.winners[-1]).state is State.LOST
            self.winners.append(run.winner)
        if before.settlement is not None:
            assert (run.settlement.verb, run.settlement.amount) == (
                before.settlement.verb, before.settlement.amount,
            )  # what is owed is never computed again  # fmt: skip
        if run.settlement is not None:
            assert run.settlement.amount in amounts(run)
        if run.verdict is Status.SUCCEEDED:
            winner = run.attempt(run.winner)
            assert winner.state is State.STORED
            assert winner.files
            assert run.spec.erased or len(winner.files) + len(winner.lost) == len(winner.outputs)
        bound = [(a.provider, a.job) for a in run.attempts if a.job is not None]
        assert len(bound) == len(set(bound))  # a job is one attempt's
        assert self.endings <= 1
        assert run.spec == before.spec or run.spec.erased  # frozen
        for attempt in before.attempts:
            after = run.attempt(attempt.id)
            assert attempt.job is None or after.job == attempt.job  # a bound job stays bound
            if attempt.state is State.UNKNOWN and after.state is State.REJECTED:
                assert attempt.job is None or after.ended_at is not None
        assert self.events == list(range(1, len(self.events) + 1))  # gap-free
        loaded = load_run(load_spec(dump_spec(run.spec)), dump_state(run))
        assert loaded == run
        assert due(loaded, self.now, EPOCH) == due(run, self.now, EPOCH)

    def drive(self) -> None:
        """Do what is due and needs no answer from outside: timers and plans."""
        for _ in range(50):
            moves = [e for e in due(self.run, self.now, EPOCH) if isinstance(e, Ring | Plan)]
            if not moves:
                return
            move = moves[0]
            if isinstance(move, Ring):
                self.tell(f.TimeUp(timer=move.timer), move.attempt)
            else:
                assert self.run.winner is None
                assert not any(a.fault is Fault.CALLER for a in self.run.attempts)
                sending = [a for a in self.run.attempts if a.state is State.SENDING]
                assert not sending  # at most one call on its way
                self.attempts += 1
                self.tell(
                    f.Planned(provider=move.candidates[0], id=f"a{self.attempts}", token="t", epoch=EPOCH)
                )
        raise AssertionError("timers and plans never come to rest")


@settings(max_examples=int(os.environ.get("N") or 400))
@given(policy=POLICIES, moves=MOVES, asked=st.sampled_from([1, 2]))
def test_no_story_breaks_a_law_and_every_story_ends(policy: Policy, moves: list[tuple], asked: int):
    world = Checked(make_run(policy=policy, asked=asked))
    for kind, which, what in moves:
        if kind == "wait":
            world.now += what
        elif kind == "drive":
            world.drive()
        elif kind == "user":
            world.tell(what)
        else:
            attempts = world.run.attempts
            about_attempt = not isinstance(what, f.Settled | f.HoldOpened | f.EffectFailed)
            target = attempts[which].id if about_attempt and which < len(attempts) else None
            world.tell(what, target)
    _end(world)


def _end(world: Checked) -> None:
    """The world falls silent: the ledger answers, of everybody else we hear that they do not; time passes."""
    for _ in range(400):
        world.drive()
        effects = due(world.run, world.now, EPOCH)
        if world.run.done:
            break
        if world.run.phase is Phase.NEW:
            world.tell(f.HoldOpened())
        elif world.run.phase is Phase.SETTLING:
            world.tell(f.Settled())
        elif submits := [effect for effect in effects if isinstance(effect, Submit)]:
            world.tell(f.Ambiguous(message="silence"), submits[0].attempt)
        elif looks := [effect for effect in effects if type(effect) in SILENCE]:
            world.tell(SILENCE[type(looks[0])], looks[0].attempt)
        else:
            world.now += 30.0 if world.run.phase is not Phase.CLOSED else 3600.0
    assert world.run.done, "a generation was left hanging"
    if world.run.settlement is not None and not world.run.settlement.done:  # stuck; then the ledger is healed
        world.now += 3600.0
        assert [type(effect) for effect in due(world.run, world.now, EPOCH)] == [Settle]
        world.tell(f.Settled())
    assert next_at(world.run, EPOCH) is None
    assert due(world.run, world.now + 1e9, EPOCH) == ()  # an idle generation needs nothing, for ever


@settings(max_examples=200)
@given(fact=FACTS)
def test_every_fact_survives_the_store(fact: f.Fact):
    assert decode(encode(fact)) == fact
