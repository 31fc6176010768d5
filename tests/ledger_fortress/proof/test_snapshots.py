"""A read of several rows sees one moment, whatever is written between its statements."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import Touch
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.breaking import Breaking
from tests.ledger_fortress.places import quick_folder

C = 1_000_000
TOUCH = Touch(("a", "b"), (("a", "h"), ("a", "h/settle")), (("a", "h"),))


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    Breaking.arm()
    Breaking.disarm()


def look(path: Path, clock: FakeClock, stop_at: int) -> int:
    """Read while a charge and a transfer commit before statement `stop_at`; returns how many there were."""
    with Ledger(SQLiteStore(path, clock=clock, factory=Breaking)) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        ledger.grant("b", 10, key="in", create=True)
        ledger.reserve("a", 4, key="h")
        store = ledger._store

        def meanwhile() -> None:
            Breaking.disarm()
            seen, Breaking.seen = Breaking.seen, []
            ledger.transfer("a", "b", 3, key="t")
            ledger.charge("a", "h")
            Breaking.seen = seen

        Breaking.arm(stop_at, False, meanwhile)
        loaded = store.read(TOUCH)
        Breaking.disarm()
        a, b = loaded.accounts["a"], loaded.accounts["b"]
        before = (a.available, a.held, b.available) == (6 * C, 4 * C, 10 * C)
        after = (a.available, a.held, b.available) == (3 * C, 0, 13 * C)
        assert before != after, (stop_at, a, b)
        assert loaded.holds["a", "h"].state == ("open" if before else "charged")
        assert (("a", "h/settle") in loaded.entries) == after
        return len(Breaking.seen)


def test_a_read_is_one_moment(folder: Path) -> None:
    """Another commit before every one of its statements."""
    clock = FakeClock()
    count = look(folder / "0.db", clock, 0)
    assert count > 4
    for stop_at in range(1, count + 1):
        look(folder / f"{stop_at}.db", clock, stop_at)
