"""Who is asked next: the frozen order, past the breakers that are open right now."""

from __future__ import annotations

from collections.abc import Sequence

from execution_arrow.facts import Planned
from execution_arrow.machine.state import Spec
from execution_arrow.ports import Credentials, Names, Router


def choose(
    spec: Spec, candidates: Sequence[str], epoch: int, router: Router, credentials: Credentials, names: Names
) -> Planned:
    """The first candidate whose breaker lets it through; when none does, the first one all the same.

    Intelligence fails open: with every breaker open, the caller's order is better than no answer.
    """
    attempt_id = names.attempt()
    references = {name: credentials.reference(name, spec.account) for name in candidates}
    chosen = candidates[0]
    for name in candidates:
        if router.admit(
            spec.model, name, region=spec.region, account=references[name], work=spec.work, attempt=attempt_id
        ):
            chosen = name
            break
    return Planned(
        provider=chosen,
        id=attempt_id,
        token=names.token(),
        credentials=references[chosen],
        epoch=epoch,
    )
