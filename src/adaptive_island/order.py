"""From scores and breakers to an order of providers.

A learned order is a permutation of what the caller allowed: providers whose breaker is open go to the
tail, and nobody is dropped. An explicit order is the caller's word, sequence and filter in one, and is
never rearranged. Near-ties keep the base order (a valid cached ranking, else the caller's), because a
difference within the band is noise and changing providers for noise costs warm caches and trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .breaker import HARD, Cause, State


class Source(StrEnum):
    """Whose order it is."""

    LEARNED = "learned"  # from attempts this island knows of
    CACHED = "cached"  # from a published ranking
    EXPLICIT = "explicit"  # the request named the providers
    CALLER = "caller"  # the order of `allowed`: nothing is known yet, or something went wrong


class Order(tuple[str, ...]):
    """Providers, best first: an immutable sequence with its reasons.

    `model` is the model it is for, `source` whose order it is, `reason` one sentence, `dropped` the names
    that an explicit order left out: first the allowed providers it does not name, then the named ones
    that are not allowed. Compares equal to a tuple of the same names.
    """

    model: str
    source: Source
    reason: str
    dropped: tuple[str, ...]

    def __new__(
        cls,
        providers: Iterable[str],
        model: str = "",
        source: Source = Source.CALLER,
        reason: str = "",
        dropped: tuple[str, ...] = (),
    ) -> Order:
        """Build an order; islands do this."""
        self = tuple.__new__(cls, providers)
        own = self.__dict__  # __setattr__ refuses
        own["model"], own["source"], own["reason"], own["dropped"] = model, source, reason, dropped
        return self

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"an Order is immutable; cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an Order is immutable; cannot delete {name}")

    def __repr__(self) -> str:
        return f"Order({tuple(self)!r}, source={self.source.value!r}, reason={self.reason!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Order, (tuple(self), self.model, self.source, self.reason, self.dropped)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a provider should not be called now; `retry_after` in seconds, None where only a human can tell."""

    cause: Cause
    state: State
    retry_after: float | None


def checked(allowed: Sequence[str]) -> tuple[str, ...]:
    """The allowed providers without duplicates, or the one error that `rank` raises."""
    try:
        names = None if isinstance(allowed, (str, bytes)) else tuple(dict.fromkeys(allowed))
    except Exception:  # noqa: BLE001
        names = None
    if not names or (set(map(type, names)) != {str} and not all(isinstance(n, str) for n in names)):
        what = "an empty one" if names == () else f"{type(allowed).__name__} of something else"
        raise ValueError(f"allowed must be a sequence of at least one provider name, not {what}")
    return names


def account_of(names: Sequence[str], account: str | Sequence[str], name: str) -> str:
    """The reference of one provider's credentials; nothing where none was given for it."""
    return account if isinstance(account, str) else dict(zip(names, account, strict=False)).get(name, "")


def str_of(name: object) -> str:
    """A name as text; nothing where it is none."""
    return name if isinstance(name, str) else ""


def explicit(order: object, allowed: Sequence[str]) -> tuple[str, ...] | None:
    """The providers that `order` names, or None where it is the name of a learned order."""
    if isinstance(order, str):
        if "," in order:
            return tuple(dict.fromkeys(name for part in order.split(",") if (name := part.strip())))
        return (order,) if order in allowed else None
    if isinstance(order, Sequence) and not isinstance(order, (bytes, bytearray)):
        return tuple(dict.fromkeys(name for name in order if isinstance(name, str)))
    return None


def follow(model: str, names: Sequence[str], allowed: Sequence[str]) -> Order:
    """The explicit order: what is named and allowed, in the named sequence."""
    kept = tuple(name for name in names if name in allowed)
    unnamed = tuple(name for name in allowed if name not in names)
    dropped = unnamed + tuple(name for name in names if name not in allowed)
    reason = "the request names its providers" if kept else "none of the providers named is allowed"
    return Order(kept, model, Source.EXPLICIT, reason, dropped)


def based(ranked: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """A published ranking as an order of all allowed providers: the unranked follow in the caller's order."""
    if not ranked:
        return tuple(allowed)
    first = tuple(dict.fromkeys(name for name in ranked if name in allowed))
    return first + tuple(name for name in allowed if name not in first)


def panics(blocked: int, total: int, share: float) -> bool:
    """Whether so many are open that the breakers say more about us than about the providers, and are
    ignored.

    From `share` of the providers on, but of two providers the healthy one is enough: with one of two open
    there is somewhere to go.
    """
    return blocked == total > 0 if total < 3 else blocked >= share * total


def soft(blocks: Iterable[Blocked]) -> bool:
    """Whether every one of these blocks may be ignored in a panic (nobody asked us to stay away)."""
    return all(block.cause not in HARD for block in blocks)


def banded(names: Sequence[str], scores: Sequence[float], band: float) -> list[str]:
    """Names by falling score; whoever is within `band` of the best that is left yields to the earlier name.

    `names` come in base order, scores are finite.
    """
    left = sorted(range(len(names)), key=scores.__getitem__, reverse=True)
    result = []
    while len(left) > 1:
        place = chosen = 0
        least = scores[left[0]] - band
        for place in range(1, len(left)):
            if scores[left[place]] < least:
                break
            if left[place] < left[chosen]:
                chosen = place
        result.append(names[left.pop(chosen)])
    result.append(names[left[0]])
    return result


def arranged(
    names: Sequence[str],
    scores: Sequence[float],
    *,
    band: float,
    sticky: str | None = None,
    shut: Sequence[str] = (),
) -> list[str]:
    """The learned order of `names` (in base order): by score, `sticky` first while it is within the band
    of the best, those in `shut` at the tail in the same order among themselves."""
    ranked = banded(names, scores, band)
    if shut:
        closed = [name for name in ranked if name not in shut]
        ranked = closed + [name for name in ranked if name in shut]
    if sticky is not None and ranked[0] != sticky and sticky in ranked and sticky not in shut:
        by_name = {name: score for name, score in zip(names, scores, strict=True) if name not in shut}
        if by_name[sticky] >= max(by_name.values()) - band:
            ranked.remove(sticky)
            ranked.insert(0, sticky)
    return ranked
