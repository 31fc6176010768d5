"""An island as a chooser, and the order that never changes."""

from __future__ import annotations

from adaptive_island.island import Island
from adaptive_island.policy import Policy
from adaptive_island.ticket import Ticket

EPOCH = 1_750_000_000.0
MODEL = "maker/model"


class Static:
    """The caller's order, for ever."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def asked(self, work: str, eligible: tuple[str, ...]) -> None:
        """It does not tell one kind of request from another."""

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        """Always the same."""
        return self.names

    def start(self, name: str, now: float) -> object | None:
        """Nobody is skipped."""
        return name

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        """Nothing is learned."""


class OfIsland:
    """An island as it would be used, on a virtual clock. `balanced` has the weights of the world."""

    def __init__(
        self, names: tuple[str, ...], seed: int, *, policy: Policy | None = None, order: str = "balanced"
    ) -> None:
        self.names, self.work, self._order = names, "", order
        self._now = EPOCH
        self.island = Island.open(
            "memory:", policy=policy, clock=lambda: self._now, hook=lambda _event: None, seed=seed
        )

    def asked(self, work: str, eligible: tuple[str, ...]) -> None:
        """The class of the next request, and who may be asked."""
        self.work, self.names = work, eligible

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        """What the island says."""
        self._now = EPOCH + now
        money = {name: round(dollars * 1e6) for name, dollars in costs.items()}
        return self.island.rank(MODEL, self.names, order=self._order, costs=money, work=self.work)

    def start(self, name: str, now: float) -> Ticket | None:
        """A ticket, or None where a breaker lets nothing through."""
        self._now = EPOCH + now
        ticket = self.island.attempt(MODEL, name, work=self.work)
        return None if ticket.skip else ticket

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        """A verdict."""
        self._now = EPOCH + now
        assert isinstance(started, Ticket)
        if success:
            started.succeed()
        else:
            started.fail()
