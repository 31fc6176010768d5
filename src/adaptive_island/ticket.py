"""One attempt in the hands of the code that makes it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from .attempt import Fault, Outcome, is_money, is_time
from .lanes import Lane
from .order import Blocked

Settle = Callable[["Ticket", Outcome, Fault, int | None, float | None], None]


def uncounted(*_told: object) -> None:
    """Where a verdict goes on an attempt that could not be announced."""


class Ticket:
    """Permission to submit once, and the place to say how it went.

    `skip` is true where a breaker lets nothing through now: go on to the next provider; `reason` says why
    and `retry_after` in how many seconds to ask again (None where only a human can tell). Otherwise the
    attempt counts as in flight from now on. Give exactly one verdict; a second one changes nothing.
    Leaving the `with` block without a verdict leaves the attempt in flight (a long job: keep `id` and
    report it with `Island.record`), unless an exception leaves with it: then nobody knows what the
    provider did, and it is `unknown`, or, where the work was only canceled, censored.
    """

    __slots__ = ("_block", "_outcome", "_settle", "id", "lane", "skip", "started")

    def __init__(self, settle: Settle, id: str, lane: Lane, started: float, block: Blocked | None) -> None:
        self._settle = settle
        self._outcome: Outcome | None = None
        self.id, self.lane, self.started = id, lane, started
        self._block, self.skip = block, block is not None

    @property
    def model(self) -> str:
        """What was asked for."""
        return self.lane.model

    @property
    def provider(self) -> str:
        """Who is asked."""
        return self.lane.provider

    @property
    def region(self) -> str:
        """Where."""
        return self.lane.region

    @property
    def account(self) -> str:
        """With whose credentials."""
        return self.lane.account

    @property
    def work(self) -> str:
        """Its class of work."""
        return self.lane.work

    @property
    def reason(self) -> str:
        """Why to skip; empty where there is nothing to skip."""
        return f"breaker {self._block.state}: {self._block.cause.value}" if self._block else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds until a skipped caller may ask again; None where only a human can tell."""
        return self._block.retry_after if self._block else None

    def succeed(self, cost: int | None = None) -> None:
        """The provider delivered; `cost` is what it bills, in micro-credits."""
        self._tell(Outcome.USED, Fault.NONE, cost if cost is None or is_money(cost) else None)

    def fail(self, kind: Fault | str = Fault.PROVIDER, retry_after: float | None = None) -> None:
        """It surely did not work out. `kind` says whose fault it is: `provider`, `caller` (counts
        nowhere) or `account` (credentials, payment: opens the account's breaker). `retry_after`: what the
        provider asked for, in seconds; it is honoured and never shortened."""
        try:
            fault = Fault(kind)
        except Exception:  # noqa: BLE001  # the request path raises nothing
            fault = Fault.PROVIDER
        self._tell(Outcome.FAILED, fault, None, retry_after if is_time(retry_after) else None)

    def unknown(self) -> None:
        """Nobody knows whether the provider accepted it. Never fail over blindly on this; report the
        verdict with `Island.record` under the same id when it is known."""
        self._tell(Outcome.UNKNOWN, Fault.NONE)

    def cancel(self) -> None:
        """The caller changed its mind; says nothing about the provider."""
        self._tell(Outcome.CANCELED, Fault.NONE)

    def _tell(
        self, outcome: Outcome, fault: Fault, cost: int | None = None, retry_after: float | None = None
    ) -> None:
        if self._outcome is None or (self._outcome is Outcome.UNKNOWN and outcome is not Outcome.UNKNOWN):
            self._outcome = outcome
            self._settle(self, outcome, fault, cost, retry_after)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None or self._outcome is not None or self.skip:
            return
        if issubclass(kind, Exception):
            self.unknown()
        else:  # KeyboardInterrupt, CancelledError, GeneratorExit: ours, not theirs
            self.cancel()

    def __repr__(self) -> str:
        state = f"skip: {self.reason}" if self.skip else "submit"
        return f"<Ticket {self.id} {self.provider} {self.model}: {state}>"
