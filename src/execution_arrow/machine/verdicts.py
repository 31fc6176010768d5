"""Verdicts: holds, what is owed, and the one consequence that no single fact has.

`decide` freezes the amount; nothing ever computes it again. `conclude` ends a running generation that
nobody works on and that nobody is left to be asked for.
"""

from __future__ import annotations

from execution_arrow import facts as f
from execution_arrow.facts import Fault
from execution_arrow.machine.agenda import STUCK_PAUSE, blocks, hopeful, next_plan
from execution_arrow.machine.common import backoff, billed
from execution_arrow.machine.state import Attempt, Phase, Run, Settlement, State, Status, Stop
from execution_arrow.values import replace


def stop_all(run: Run, why: Stop, now: float) -> Run:
    """Tell every attempt that can still be told. A POST on its way cannot be recalled, only flagged."""
    stopped = []
    for attempt in run.attempts:
        if attempt.state is State.LIVE:
            attempt = replace(attempt, state=State.CLOSING, stop=why, closing_at=now, lapsed=True)
        elif attempt.state in (State.SENDING, State.UNKNOWN):
            attempt = replace(attempt, stop=attempt.stop or why)
        stopped.append(attempt)
    return replace(run, attempts=tuple(stopped))


def cancel_new(run: Run, _: Attempt | None, fact: f.UserCancel, now: float) -> Run:
    return replace(run, cancel=True)


def cancel_running(run: Run, _: Attempt | None, fact: f.UserCancel, now: float) -> Run:
    accepted = [a for a in run.attempts if not a.final and a.job is not None and billed(run, a, "canceled")]
    run = stop_all(replace(run, cancel=True), Stop.USER, now)
    charged = accepted[-1] if accepted and run.spec.policy.charge_on_cancel else None
    return decide(run, Status.CANCELED, now, "", "canceled by the customer", charged)


def hold_opened(run: Run, _: Attempt | None, fact: f.HoldOpened, now: float) -> Run:
    run = replace(run, phase=Phase.RUNNING, started_at=now, errors=0, retry_at=0.0)
    return decide(run, Status.CANCELED, now, "", "canceled by the customer") if run.cancel else run


def hold_refused(run: Run, _: Attempt | None, fact: f.HoldRefused, now: float) -> Run:
    """Nothing was held, so nothing is owed. The idempotency key is given back by the store."""
    code = "BSE1004" if fact.reason == "insufficient" else "BSE1003"
    return replace(
        run,
        phase=Phase.CLOSED,
        verdict=Status.FAILED,
        error_code=code,
        error=f"the ledger refused the hold: {fact.reason}",
        decided_at=now,
        closed_at=now,
    )


def hold_closed(run: Run, _: Attempt | None, fact: f.HoldClosed, now: float) -> Run:
    """The hold of this generation has been settled already: one of the two stores lost its memory.

    Nothing is dispatched, the idempotency key stays taken, and a human looks (`reconcile`).
    """
    return replace(
        run,
        phase=Phase.CLOSED,
        verdict=Status.FAILED,
        error_code="BSE5000",
        error="the ledger has settled this generation's hold before: see `execution-arrow reconcile`",
        decided_at=now,
        closed_at=now,
        settlement=Settlement(verb="release", amount=0, stuck="hold_closed"),
        retry_at=now + STUCK_PAUSE,
    )


def hold_late(run: Run, _: Attempt | None, fact: f.HoldOpened, now: float) -> Run:
    """The ledger has an open hold that was settled by our books: what was owed is settled again."""
    assert run.settlement is not None
    return replace(run, settlement=replace(run.settlement, done=False), retry_at=now, errors=0)


def deadline(run: Run, _: Attempt | None, fact: f.TimeUp, now: float) -> Run:
    """The customer has waited long enough. Whether there is a hold or not: a release harms neither."""
    run = replace(run, overdue=True)
    if run.phase is Phase.NEW:
        return decide_failed(
            run, now, "BSE3002", "the ledger did not answer before the generation's deadline"
        )
    return run


def decide(
    run: Run,
    verdict: Status,
    now: float,
    code: str,
    message: str,
    charged: Attempt | None = None,
    share: int = 0,
) -> Run:
    """Fix the verdict and what is owed for it. The amount is frozen here and never computed again."""
    owed = Settlement(verb="release", amount=0)
    if charged is not None:
        price = run.route(charged).price
        part = price * share // run.spec.asked if share else price
        amount = min(run.spec.hold, max(1, part)) if price else 0
        if amount:
            owed = Settlement(verb="charge", amount=amount)
    return replace(
        run,
        phase=Phase.SETTLING,
        verdict=verdict,
        error_code=code,
        error=message,
        decided_at=now,
        settlement=owed,
        retry_at=now,
        errors=0,
    )


def decide_failed(run: Run, now: float, code: str, message: str, charged: Attempt | None = None) -> Run:
    return decide(stop_all(run, Stop.OVERDUE, now), Status.FAILED, now, code, message, charged)


def decide_succeeded(run: Run, winner: Attempt, stored: int, now: float) -> Run:
    return decide(run, Status.SUCCEEDED, now, "", "", winner, min(stored, run.spec.asked))


def settled(run: Run, _: Attempt | None, fact: f.Settled, now: float) -> Run:
    assert run.settlement is not None
    moved = replace(run.settlement, done=True, stuck="")
    return replace(run, phase=Phase.CLOSED, closed_at=run.closed_at or now, settlement=moved)


def stuck(run: Run, _: Attempt | None, fact: f.SettleRefused, now: float) -> Run:
    """The ledger said no. The result is not withheld; a human looks (`reconcile`).

    It is asked again every hour: an account that was opened or a store that was repaired heals by itself.
    """
    assert run.settlement is not None
    return replace(
        run,
        phase=Phase.CLOSED,
        closed_at=run.closed_at or now,
        settlement=replace(run.settlement, stuck=fact.reason),
        retry_at=now + STUCK_PAUSE,
    )


def ask_ledger_later(run: Run, _: Attempt | None, fact: f.Fact, now: float) -> Run:
    return replace(run, retry_at=now + STUCK_PAUSE)


def erase(run: Run, _: Attempt | None, fact: f.Erase, now: float) -> Run:
    """Marked now, done by `forget` as soon as nobody is watched any more."""
    return replace(run, erase=True)


def forget(run: Run) -> Run:
    """Blank what the customer wrote, and what a provider may have quoted of it. Money and ids stay."""
    if not run.erase or not run.done:
        return run
    if run.spec.erased and not any(a.message or a.outputs for a in run.attempts):  # nothing came after it
        return run
    routes = {
        name: replace(route, payload=replace(route.payload, body=None, fetches=()))
        for name, route in run.spec.routes.items()
    }
    attempts = tuple(replace(attempt, message="", outputs=()) for attempt in run.attempts)
    spec = replace(run.spec, request={}, routes=routes, erased=True)
    return replace(run, spec=spec, attempts=attempts, error="")


def announce(run: Run, _: Attempt | None, fact: f.TimeUp, now: float) -> Run:
    return replace(run, announced=True)


def try_later(run: Run, _: Attempt | None, fact: f.EffectFailed, now: float) -> Run:
    return replace(run, retry_at=now + backoff(run.errors), errors=run.errors + 1)


def conclude(run: Run, now: float) -> Run:
    """A running generation that nobody works on, and nobody is left to be asked for, has failed."""
    if run.phase is not Phase.RUNNING:
        return run
    if not run.overdue:
        if next_plan(run) is not None or any(blocks(a) for a in run.attempts):
            return run
        if any(hopeful(run, attempt) for attempt in run.attempts):
            return run
    code, message = _explain_failure(run)
    return decide_failed(run, now, code, message)


def _explain_failure(run: Run) -> tuple[str, str]:
    if run.overdue:
        return "BSE3002", "no provider finished before the generation's deadline"
    for attempt in run.attempts:
        if attempt.fault is Fault.CALLER:
            return caller_code(attempt), attempt.message or attempt.code
    tried = "; ".join(f"{a.provider}: {a.code or a.state}" for a in run.attempts)
    return "BSE3003", f"all providers failed ({tried})" if tried else "no provider could be asked"


# Reasons of `errors.InputGone` in the words of the public contract.
_INPUTS = {"input_gone": "BSE2009", "input_too_large": "BSE2007", "input_not_media": "BSE2004"}


def caller_code(fact: f.Refused | f.Failed | Attempt) -> str:
    return "BSE2006" if fact.moderation else _INPUTS.get(fact.code or "", "BSE2001")
