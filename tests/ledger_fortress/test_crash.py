"""Every statement of every operation, as the last thing that a process or a connection did."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import Ledger, StoreUnavailable
from ledger_fortress.commands import Charge, Grant, Linked, Reserve
from ledger_fortress.protocol import Changes, Touch
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.breaking import Breaking
from tests.ledger_fortress.places import quick_folder

C = 1_000_000
OPERATIONS: dict[str, Callable[[Ledger], Any]] = {
    "open_account": lambda it: it.open_account("new", key="o"),
    "grant": lambda it: it.grant("new", 5, key="g", note="with a note", create=True),
    "reserve": lambda it: it.reserve("a", 3, key="h9"),
    "charge": lambda it: it.charge("a", "open", 1),
    "late_charge": lambda it: it.charge("a", "gone", 30, on_missing="debt"),
    "release": lambda it: it.release("a", "open"),
    "refund": lambda it: it.refund("a", "paid", 1, key="r"),
    "extend": lambda it: it.extend("a", "open", 5_000, key="e"),
    "member_and_alert": lambda it: it.reserve("pool", 3, key="h9", member="ann"),
    "transfer_and_alerts": lambda it: it.transfer("pool", "due", 4, key="t"),
    "dispute": lambda it: it.dispute("pool", 9, key="d9", grant="in"),
    "dispute_won": lambda it: it.dispute_won("a", "dp"),
    "expire": lambda it: it.expire("pool", "in"),
    "refused": lambda it: it.apply([Reserve(account="a", key="big", amount=99 * C, timeout=C)]),
    "timeout_and_reserve": lambda it: it.reserve("due", 3, key="h9"),
    "sweep": lambda it: it.sweep(),
    "batch": lambda it: it.apply(
        [
            Grant(account="b", key="g", amount=5 * C, create=True),
            Reserve(account="a", key="x", amount=C, timeout=C),
            Charge(account="a", hold="x"),
            Linked(
                "l",
                (Reserve(account="a", key="y", amount=C, timeout=C), Grant(account="b", key="z", amount=C)),
            ),
        ]
    ),
}


def fill(ledger: Ledger) -> None:
    """What the operations are about, on any store."""
    ledger.grant("a", 10, key="in", create=True)
    ledger.reserve("a", 2, key="open", timeout=1_000)
    ledger.reserve("a", 2, key="paid")
    ledger.charge("a", "paid")
    ledger.grant("due", 3, key="in", create=True)
    ledger.reserve("due", 3, key="late", timeout=10)
    ledger.dispute("a", 1, key="dp", grant="in")
    ledger.grant("pool", 9, key="in", create=True)
    ledger.set_member("pool", "ann", 5, key="m", window=60)
    ledger.set_alert("pool", "low", 7, key="l")


def prepare(path: Path, clock: FakeClock) -> None:
    with Ledger(SQLiteStore(path, clock=clock)) as ledger:
        fill(ledger)
    clock.tick(20)


def picture(path: Path, clock: FakeClock) -> Any:
    """Everything that is stored, after a full proof."""
    store = SQLiteStore(path, clock=clock)
    with Ledger(store) as ledger:
        proof = ledger.audit()
        assert proof.ok, proof.problems
        with store.scan() as scan:
            # Salts of notes are drawn anew each time, and the chain with them.
            rows = [entry[:13] for entry in scan.entries()]
            accounts = [account._replace(head=b"") for account in scan.accounts()]
            beside = sorted(scan.members()), sorted(scan.notices())
            return sorted(rows), sorted(accounts), sorted(scan.holds()), beside


def run(path: Path, clock: FakeClock, name: str) -> list[str]:
    """Run an operation on a counted connection; returns the first word of each of its statements."""
    with Ledger(SQLiteStore(path, clock=clock, factory=Breaking)) as ledger:
        ledger._store.transact(Touch(()), lambda loaded: Changes())  # opens the writing connection
        Breaking.arm(Breaking.stop_at, Breaking.after, Breaking.act)
        try:
            OPERATIONS[name](ledger)
        finally:
            Breaking.disarm()
    return list(Breaking.seen)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(autouse=True)
def _disarm() -> Any:
    Breaking.arm()
    Breaking.disarm()
    yield
    Breaking.arm()
    Breaking.disarm()


def moments(commit: bool) -> tuple[bool, ...]:
    """Before and after a statement; after one is before the next, so that is for commits alone, or for N."""
    return (False, True) if commit or "N" in os.environ else (False,)


def trial(folder: Path, name: str) -> tuple[Path, FakeClock, Any, Any, list[str]]:
    """A prepared file, what is in it before and after the operation, and the operation's statements."""
    clock = FakeClock()
    path = folder / "before.db"
    prepare(path, clock)
    done = folder / "done.db"
    shutil.copy(path, done)
    statements = run(done, clock, name)
    # A sweep finds its accounts with a read of its own, before its transaction.
    assert "COMMIT" in statements
    return path, clock, picture(path, clock), picture(done, clock), statements


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to kill a process at a statement")
@pytest.mark.parametrize("name", OPERATIONS)
def test_process_ends_at_every_statement(name: str, folder: Path) -> None:
    """Whole or absent; a repeat with the same key brings it to the same end."""
    path, clock, before, after, statements = trial(folder, name)
    assert before != after
    commit = statements.index("COMMIT") + 1
    for stop_at in range(1, len(statements) + 1):
        for late in moments(stop_at == commit):
            crashed = folder / f"{stop_at}{late}.db"
            shutil.copy(path, crashed)
            child = os.fork()
            if child == 0:
                try:
                    Breaking.stop_at, Breaking.after = stop_at, late
                    Breaking.act = lambda: os._exit(7)
                    run(crashed, clock, name)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            happened = stop_at > commit or (stop_at == commit and late)
            assert picture(crashed, clock) == (after if happened else before), (stop_at, late)
            Breaking.act = None
            run(crashed, clock, name)
            assert picture(crashed, clock) == after


@pytest.mark.parametrize("name", OPERATIONS)
def test_connection_breaks_at_every_statement(name: str, folder: Path) -> None:
    """The caller is told whether it may have happened, and the ledger works again at once."""
    path, clock, before, after, statements = trial(folder, name)
    commit = statements.index("COMMIT") + 1
    begin = max(n for n, word in enumerate(statements[:commit], 1) if word == "BEGIN")

    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    for stop_at in range(begin + 1, commit + 1):
        for late in moments(stop_at == commit):
            broken = folder / f"{stop_at}{late}.db"
            shutil.copy(path, broken)
            Breaking.stop_at, Breaking.after, Breaking.act = stop_at, late, fail
            with pytest.raises(StoreUnavailable) as told:
                run(broken, clock, name)
            assert told.value.maybe_applied == (stop_at == commit)
            happened = stop_at == commit and late
            assert picture(broken, clock) == (after if happened else before)
            Breaking.act = None
            run(broken, clock, name)
            assert picture(broken, clock) == after
