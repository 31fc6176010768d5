"""Results: the first usable success wins, everything after it is discarded and accounted."""

from __future__ import annotations

from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault
from execution_arrow.machine.common import backoff, bill, poll_pause, put
from execution_arrow.machine.state import Attempt, Phase, Run, State, Stop
from execution_arrow.machine.verdicts import decide_failed, decide_succeeded
from execution_arrow.values import replace

NOT_KEPT = "not_kept"


def win(run: Run, attempt: Attempt, fact: f.Succeeded | f.Completed, now: float) -> Run:
    """The first usable success. Everybody else is stopped; their results will be discarded."""
    rivals = []
    for other in run.attempts:
        if other.id == attempt.id or other.final:
            rivals.append(other)
        elif other.state is State.LIVE:
            rivals.append(
                replace(other, state=State.CLOSING, stop=Stop.LOST_RACE, closing_at=now, lapsed=True)
            )
        else:
            rivals.append(replace(other, stop=other.stop or Stop.LOST_RACE))
    run = replace(run, attempts=tuple(rivals), winner=attempt.id, phase=Phase.COLLECTING)
    return put(
        run,
        attempt,
        state=State.COLLECTING,
        stop=None,
        outputs=fact.outputs,
        job=attempt.job or getattr(fact, "job", None),
        **_to_copy(now),
        **bill(run, attempt, fact.cost),
    )


def discard(run: Run, attempt: Attempt, fact: f.Succeeded | f.Completed, now: float) -> Run:
    """A success nobody waits for any more: billed to us, never to the customer.

    Where the policy keeps such results they are copied first, as a winner's are.
    """
    changes: dict[str, Any] = {"outputs": fact.outputs, **bill(run, attempt, fact.cost)}
    if run.spec.policy.keep_discarded:
        stop = attempt.stop or Stop.LOST_RACE
        return put(run, attempt, state=State.COLLECTING, stop=stop, **changes, **_to_copy(now))
    return put(run, attempt, state=State.STORED, ended_at=now, **changes)


def empty(run: Run, attempt: Attempt, _: f.Fact, now: float) -> Run:
    pause = poll_pause(run, attempt, now)
    return put(run, attempt, empty_at=attempt.empty_at or now, seen_at=now, next_at=now + pause)


def _to_copy(now: float) -> dict[str, Any]:
    return {
        "files": (), "lost": (), "collecting_at": now, "next_at": now, "errors": 0, "ended_at": None,
        "dead": 0, "stale_at": None,
    }  # fmt: skip


def empty_for_good(run: Run, attempt: Attempt, fact: f.Fact, now: float) -> Run:
    return put(
        run,
        attempt,
        state=State.FAILED,
        ended_at=now,
        fault=Fault.PROVIDER,
        code="empty",
        message="the provider reported success without any output",
        **bill(run, attempt, getattr(fact, "cost", None), source="unknown"),
    )


def store(run: Run, attempt: Attempt, fact: f.ArtifactStored, now: float) -> Run:
    if any(file.index == fact.file.index for file in attempt.files):
        return run
    files = tuple(sorted((*attempt.files, fact.file), key=lambda file: file.index))
    return _collected(put(run, attempt, files=files, errors=0, dead=0), attempt.id, now)


def lose(run: Run, attempt: Attempt, fact: f.ArtifactLost, now: float) -> Run:
    lost = tuple(sorted({*attempt.lost, fact.index}))
    return _collected(put(run, attempt, lost=lost, message=fact.message), attempt.id, now)


def copy_later(run: Run, attempt: Attempt, fact: f.ArtifactFailed, now: float) -> Run:
    return put(
        run,
        attempt,
        next_at=now + backoff(attempt.errors),
        seen_at=now,
        errors=attempt.errors + 1,
        code=NOT_KEPT if fact.ours else "",
        message=fact.message,
        dead=attempt.dead if fact.edition is not None else 0,
    )


def ask_anew(run: Run, attempt: Attempt, fact: f.ArtifactLost | f.ArtifactFailed, now: float) -> Run:
    """An address leads nowhere. Once for each edition the job is asked for the next; it costs nothing."""
    if attempt.stale_at is not None or fact.edition != attempt.edition:
        return run
    return put(run, attempt, stale_at=now, next_at=now, errors=0, missing=(), message=fact.message)


def renew(run: Run, attempt: Attempt, fact: f.Succeeded, now: float) -> Run:
    """New addresses for what is not ours yet, and time for a look at each. What has none any more is lost."""
    told = {output.index: output for output in fact.outputs}
    have = {file.index for file in attempt.files} | set(attempt.lost)
    gone = (output.index for output in attempt.outputs if output.index not in {*have, *told})
    outputs = tuple(
        output if output.index in have else told.get(output.index, output) for output in attempt.outputs
    )
    pause = backoff(attempt.dead) if attempt.dead or outputs == attempt.outputs else 0.0
    return put(
        run,
        attempt,
        outputs=outputs,
        lost=tuple(sorted({*attempt.lost, *gone})),
        edition=attempt.edition + 1,
        dead=attempt.dead + 1,
        stale_at=None,
        next_at=now + pause,
        seen_at=0.0,
        errors=0,
        missing=(),
    )


def collect_over(run: Run, attempt: Attempt, _: f.Fact, now: float) -> Run:
    """Nothing more can be had: the time is over, or the job has no results any more."""
    have = {file.index for file in attempt.files}
    lost = tuple(output.index for output in attempt.outputs if output.index not in have)
    return _collected(put(run, attempt, lost=lost), attempt.id, now)


def _collected(run: Run, attempt_id: str, now: float) -> Run:
    """Close the collecting when every announced output is ours or lost."""
    attempt = run.attempt(attempt_id)
    assert attempt is not None
    if len(attempt.files) + len(attempt.lost) < len(attempt.outputs):
        return run
    if attempt.id != run.winner:  # a discarded one that is kept: whatever could be had of it
        return put(run, attempt, state=State.STORED, ended_at=now)
    if attempt.files:
        run = put(run, attempt, state=State.STORED, ended_at=now)
        return decide_succeeded(run, attempt, len(attempt.files), now)
    if attempt.code == NOT_KEPT:  # nobody else's result could be kept either, and it would be paid for
        run = replace(put(run, attempt, state=State.LOST, ended_at=now), winner=None)
        return decide_failed(run, now, "BSE5001", f"the results could not be kept: {attempt.message}")
    run = put(run, attempt, state=State.LOST, ended_at=now, fault=Fault.PROVIDER, code="outputs_lost")
    return _second_best(replace(run, winner=None, phase=Phase.RUNNING), now)


def _second_best(run: Run, now: float) -> Run:
    """A result that lost the race is paid for already: it is taken before anybody else is asked."""
    for attempt in run.attempts:
        beaten = attempt.state is State.STORED or attempt.state is State.COLLECTING
        if beaten and attempt.outputs:
            run = replace(run, winner=attempt.id, phase=Phase.COLLECTING)
            if attempt.state is State.COLLECTING or attempt.files:  # copied already, or in the middle of it
                return _collected(put(run, attempt, state=State.COLLECTING, stop=None), attempt.id, now)
            return put(run, attempt, state=State.COLLECTING, stop=None, **_to_copy(now))
    return run
