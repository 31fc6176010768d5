"""What an island tells its operator.

Every event is a value. By default they go to the standard logger `adaptive_island`: each change of a
breaker as one WARNING (INFO when it closes), and each kind of failing open once, then at most every five
minutes with the number of times it happened since: loud once, never silent, never a flood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REPEAT = 300.0  # seconds between two warnings about the same trouble


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """A breaker went from one state to another; `account` and `model` are `*` where it stands for all of
    them."""

    at: float
    provider: str
    account: str
    model: str
    before: str
    after: str
    cause: str
    until: float


@dataclass(frozen=True, slots=True)
class FellOpen:
    """Something went wrong and the caller was served regardless; `what` is its kind, `count` how often so
    far."""

    at: float
    what: str
    detail: str
    count: int


Event = BreakerChanged | FellOpen
Hook = Callable[[Event], None]


class LogHook:
    """The default consumer: standard logging, loud once."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, int]] = {}

    def __call__(self, event: Event) -> None:
        """Write one line, or count what was said less than five minutes ago."""
        from logging import INFO, WARNING, getLogger

        logger = getLogger("adaptive_island")
        if isinstance(event, BreakerChanged):
            level = INFO if event.after == "closed" else WARNING
            logger.log(
                level,
                "breaker_%s provider=%s account=%s model=%s cause=%s open_s=%.0f",
                *(event.after, event.provider, event.account, event.model, event.cause),
                max(0.0, event.until - event.at),
            )
            return
        last, counted = self._said.get(event.what, (-REPEAT, 0))
        if not 0 <= event.at - last < REPEAT:
            self._said[event.what] = (event.at, event.count)
            logger.warning("fell_open what=%s times=%d %s", event.what, event.count - counted, event.detail)


def described(error: Exception) -> str:
    """An error in one line, even one that cannot be printed."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except Exception:  # noqa: BLE001
        return type(error).__name__


class Herald:
    """Hands events to the hook, which can break nothing: what it raises is counted and forgotten."""

    def __init__(self, hook: Hook, now: Callable[[], float]) -> None:
        self._hook = hook
        self._now = now
        self.counts: Counter[str] = Counter()
        self.last_error = ""

    def fell_open(self, what: str, error: Exception) -> None:
        """Something of kind `what` went wrong and the caller was served regardless."""
        detail = described(error)
        self.last_error = f"{what}: {detail}"
        self.counts[what] += 1
        self.tell([FellOpen(self._now(), what, detail, self.counts[what])])

    def tell(self, events: Sequence[Event]) -> None:
        """Hand over events in order."""
        for event in events:
            try:
                self._hook(event)
            except Exception as error:  # noqa: BLE001
                self.last_error = f"hook: {described(error)}"
                self.counts["hook"] += 1
