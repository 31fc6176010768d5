"""Any router, so that nothing it does is in anybody's way: intelligence fails open.

A router that raises, or answers with what is no order of the providers it was given, costs its opinion and
nothing else: the caller's own order is used, everybody is admitted, the verdict goes unlearned. That is said
once per verb, then every five minutes with a count.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from execution_arrow.ports import Clock, Ranked, Router, Verdict

logger = logging.getLogger("execution_arrow")

EVERY = 300.0  # seconds between two warnings about one verb


class FailOpen:
    """`Router` over a router that may break its word."""

    def __init__(self, router: Router, clock: Clock) -> None:
        self._router, self._clock = router, clock
        self._failures: dict[str, int] = {}
        self._said: dict[str, float] = {}

    def rank(
        self,
        model: str,
        allowed: Sequence[str],
        *,
        order: str | Sequence[str],
        region: str,
        costs: Mapping[str, int],
        work: str,
        sticky: str | None,
        accounts: tuple[str, ...],
    ) -> Ranked:
        """As asked; else the caller's explicit order, or `allowed` as it is."""
        try:
            ranked = self._router.rank(
                model, allowed, order=order, region=region, costs=costs, work=work, sticky=sticky,
                accounts=accounts,
            )  # fmt: skip
            return _checked(ranked, allowed, may_be_empty=not isinstance(order, str))
        except Exception as error:  # noqa: BLE001 - whatever it is, the request goes on
            self._failed("rank", error)
            return _callers(allowed, None if isinstance(order, str) else order)

    def admit(self, model: str, provider: str, *, region: str, account: str, work: str, attempt: str) -> bool:
        try:
            return self._router.admit(
                model, provider, region=region, account=account, work=work, attempt=attempt
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("admit", error)
            return True

    def record(self, verdict: Verdict) -> None:
        try:
            self._router.record(verdict)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed("record", error)

    def _failed(self, verb: str, error: Exception) -> None:
        self._failures[verb] = self._failures.get(verb, 0) + 1
        now = self._clock.monotonic()
        if now - self._said.get(verb, float("-inf")) >= EVERY:
            self._said[verb] = now
            logger.warning(
                "router_failed verb=%s failures=%d: generations go on without it; mend %s.%s",
                verb, self._failures[verb], type(self._router).__qualname__, verb, exc_info=error,
            )  # fmt: skip


def _checked(ranked: Ranked, allowed: Sequence[str], may_be_empty: bool) -> Ranked:
    """Raises `ValueError` for providers that nobody allowed, for one named twice, and for none at all."""
    names = ranked.providers
    if len(set(names)) != len(names) or not set(names) <= set(allowed) or not (names or may_be_empty):
        raise ValueError(f"{names!r} is no order of {tuple(allowed)!r}")
    return ranked


def _callers(allowed: Sequence[str], explicit: Sequence[str] | None) -> Ranked:
    """The caller's own order. An explicit one is sequence and filter, and says what fell out."""
    wanted = allowed if explicit is None else dict.fromkeys(explicit)
    providers = tuple(name for name in wanted if name in allowed)
    dropped = tuple(name for name in wanted if name not in providers)
    return Ranked(
        providers=providers, source="caller", reason="the router failed: the caller's order", dropped=dropped
    )
