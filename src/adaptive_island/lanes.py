"""What stays the same from one attempt to the next: the names it goes by, checked once, and the keys made of
them.

Lanes are a cache. They may all be forgotten at any moment, and are made anew from the same names; what must
not be lost is elsewhere (flights by id, breakers by scope, tallies in the list that `Knowledge` keeps).

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .attempt import misnamed

if TYPE_CHECKING:
    from .breaker import Scope
    from .tally import Tally

Names = tuple[str, str, str, str, str]  # model, provider, region, account, class of work
Place = tuple[str, str]  # region, model


class Flight(NamedTuple):
    """An attempt on its way."""

    lane: Lane
    started: float
    unknown: bool = False


Flying = dict[str, Flight]  # by the attempt's id


class Lane:
    """A provider at one class of work, asked for one model in one region with one account.

    `flying` are the attempts under way in its place, by whatever provider; `tally` is where its next verdict
    is added, None where a new one has to be begun.
    """

    __slots__ = (
        "account",
        "flying",
        "model",
        "names",
        "place",
        "provider",
        "region",
        "scope",
        "tally",
        "work",
    )

    def __init__(self, names: Names, flying: Flying) -> None:
        self.names = names
        self.model, self.provider, self.region, self.account, self.work = names
        self.place: Place = (self.region, self.model)
        self.scope: Scope = (self.provider, self.account, self.model)
        self.flying = flying
        self.tally: Tally | None = None


class Lanes:
    """All lanes by their names, and the attempts under way by place. `get` is the table's own."""

    def __init__(self, most: int) -> None:
        self._table: dict[Names, Lane] = {}
        self._most = most
        self.places: dict[Place, Flying] = {}
        self.get = self._table.get

    def find(self, names: Names) -> Lane:
        """The lane of these names, made where it is missing. ValueError for names that cannot be any."""
        lane = self._table.get(names)
        if lane is None:
            model, provider, region, account, work = names
            if wrong := misnamed("id", model, provider, region, account, work):
                raise ValueError(wrong)
            if len(self._table) >= self._most:
                self._table.clear()
                for place in [place for place, flying in self.places.items() if not flying]:
                    del self.places[place]
            flying = self.places.setdefault((region, model), {})
            lane = self._table[names] = Lane(names, flying)
        return lane
