"""A job store that was restored from a copy: it says again what a worker owned then."""

from __future__ import annotations

from execution_arrow.driver.lease import TIDY_EVERY, Lease, StoreClock
from execution_arrow.stores.access import Inline
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing.contract import NOW, created_by, loaded
from tests.execution_arrow.driver.test_driver import run


class Clock:
    """Both clocks at once, moved by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@run
async def test_a_row_in_our_name_that_we_do_not_know_is_handed_back_without_a_reason_to_doubt():
    clock = Clock()
    store = MemoryStore(clock.now)
    lease = Lease(Inline(store), StoreClock(clock), "w1", 15.0)
    await lease.keep()
    store.apply([created_by("gen_1", owner="w1", next_at=NOW + 60), created_by("gen_2", owner="w1")])
    await lease.tidy(["gen_2"])
    assert loaded(store, "gen_1").owner == "w1"  # nothing speaks for it yet
    clock.at += TIDY_EVERY
    await lease.keep()
    await lease.tidy(["gen_2"])
    assert (loaded(store, "gen_1").owner, loaded(store, "gen_2").owner) == (None, "w1")
