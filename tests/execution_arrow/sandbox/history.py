"""A busy history whose trace two runs can compare."""

from __future__ import annotations

from execution_arrow.sandbox.engine import Engine
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.prices import RULES
from execution_arrow.sandbox.work import Order, Output

PICTURE = Output(kind="image", width=1024, height=1024, format="jpeg")


def run(seed: int) -> str:
    """A busy history: every provider, faults by chance, cancels; returns its trace."""
    made = Engine(seed=seed)
    for provider in sorted(RULES):
        made.faults.add(provider, Fault("job_fails", probability=0.2))
        made.faults.add(provider, Fault("lost_reply", probability=0.2))
    for number in range(200):
        provider, now = sorted(RULES)[number % len(RULES)], number * 0.05
        call = made.receive(provider, "POST", "/", reference=f"a{number}", now=now)
        fault = made.strike(provider, "submit", "m", call)
        job = made.accept(
            Order(provider=provider, model="m", kind="image", outputs=(PICTURE,)), fault, call=call, now=now
        )
        if number % 7 == 0:
            made.cancel(provider, job.id, now=now + 0.2)
    return made.trace(60.0)
