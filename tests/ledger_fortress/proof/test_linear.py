"""Concurrent calls on one account look as if they had come one after the other, each within its own time."""

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from ledger_fortress import Ledger
from ledger_fortress.answers import Applied, Replayed
from ledger_fortress.commands import Charge, Command, Grant, Release, Reserve
from ledger_fortress.engine import run
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores import open_store
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.sqlite import SQLiteStore
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.proof.wgl import Call, State, linearizable, step
from tests.ledger_fortress.servers.conftest import PLACES
from tests.ledger_fortress.sizes import size
from tests.ledger_fortress.test_keyvalue import Optimistic

C = 1_000_000
THREADS, CALLS = 4, 15


def command(what: tuple[Any, ...]) -> Command:
    verb, key, *rest = what
    if verb == "grant":
        return Grant(account="a", key=key, amount=rest[0] * C)
    if verb == "reserve":
        return Reserve(account="a", key=key, amount=rest[0] * C, timeout=900 * C)
    if verb == "charge":
        return Charge(account="a", hold=key, amount=rest[0] * C)
    return Release(account="a", hold=key)


def wish(dice: random.Random, thread: int, number: int) -> tuple[Any, ...]:
    """Names from a small set that all threads share, so that calls meet; a quarter are reads."""
    shared = f"h{dice.randrange(8)}"
    kind = dice.randrange(8)
    if kind < 2:
        return ("read",)
    if kind == 2:
        return "grant", f"g{thread}.{number}", dice.randint(1, 4)
    if kind < 5:
        return "reserve", shared, 3
    return ("charge", shared, dice.randint(0, 3)) if kind < 7 else ("release", shared)


def said(answer: Any) -> str:
    if isinstance(answer, Replayed):
        return f"replayed:{said(answer.first)}"
    return "applied" if isinstance(answer, Applied) else str(answer.reason)


def history(stores: list[LedgerStore], seed: str, grouped: bool) -> list[Call]:
    """Several threads at once; `grouped` goes through a ledger's writer, otherwise each call is its own."""
    ledgers = [Ledger(store) for store in stores]
    start = threading.Barrier(THREADS)

    def work(thread: int) -> list[Call]:
        dice = random.Random(f"{seed}/{thread}")
        store, ledger = stores[thread % len(stores)], ledgers[thread % len(stores)]
        calls: list[Call] = []
        start.wait()
        for number in range(CALLS):
            what = wish(dice, thread, number)
            began = time.perf_counter()
            if what == ("read",):
                balance = ledger.balance("a")
                saw: Any = (balance.available.micros // C, balance.held.micros // C)
            elif grouped:
                saw = said(ledger.apply([command(what)])[0])
            else:
                saw = said(run(store, [command(what)], Policy())[0])
            calls.append(Call(began, time.perf_counter(), what, saw))
        return calls

    with ThreadPoolExecutor(THREADS) as pool:
        calls = [call for part in pool.map(work, range(THREADS)) for call in part]
    assert ledgers[0].audit().ok
    return calls


def overlaps(calls: list[Call]) -> int:
    ordered = sorted(calls)
    return sum(after.began < before.ended for before, after in pairwise(ordered))


KINDS = ("memory", "sqlite", "sqlite by four", "keyvalue", *sorted(PLACES))


@contextmanager
def stores_of(kind: str) -> Iterator[list[LedgerStore]]:
    """A fresh ledger of the kind: one store for all callers, or one each."""
    if kind == "memory":
        yield [MemoryStore()]
    elif kind == "keyvalue":
        yield [Optimistic(time.time)]
    elif kind in PLACES:
        with PLACES[kind]() as url:
            yield [open_store(url, migrate=True) for _ in range(2)]
    else:
        with quick_folder() as folder:
            yield [SQLiteStore(folder / "credits.db") for _ in range(1 if kind == "sqlite" else 4)]


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads that take turns five hundred times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("impatient")
def test_histories(figure: Callable[[str], None]) -> None:
    """One or several stores of each kind, with and without shared commits."""
    count, together, calls_made = size(100, 1_000), 0, 0
    seed = os.environ.get("N", "linear")
    for number in range(count):
        with stores_of(KINDS[number % len(KINDS)]) as stores:
            run(stores[0], [Grant(account="a", key="in", amount=6 * C, create=True)], Policy())
            calls = history(stores, f"{seed}/{number}", number // len(KINDS) % 2 == 0)
            together += overlaps(calls)
            calls_made += len(calls)
            begin, _ = step(State(), ("grant", "in", 6))
            assert linearizable(calls, begin), calls
            for store in stores:
                store.close()
    figure(f"ledger linearizability: {count} histories, {calls_made} calls, {together} overlapping the next")
    assert together > count // 3


GRANT = Call(0, 1, ("grant", "in", 4), "applied")
READ_OLD = Call(2, 3, ("read",), (0, 0))
X = Call(2, 5, ("reserve", "x", 3), "applied")
Y = X._replace(what=("reserve", "y", 3))


@pytest.mark.parametrize(
    ("calls", "holds"),
    [
        ([GRANT, Call(2, 3, ("read",), (4, 0))], True),
        ([GRANT, READ_OLD], False),  # a stale read
        ([GRANT, READ_OLD._replace(began=0.5)], True),  # the same, but it overlaps
        ([GRANT, X, Y], False),
        ([GRANT, X, Y._replace(saw="insufficient")], True),
        ([GRANT, X, X], False),
        ([GRANT, Call(2, 3, ("reserve", "x", 3), "insufficient")], False),  # refused for nothing
        (
            [
                GRANT,
                Call(2, 3, ("reserve", "x", 3), "applied"),
                Call(4, 9, ("charge", "x", 3), "applied"),
                Call(4, 9, ("release", "x"), "applied"),
            ],
            False,  # both ends of one hold
        ),
        ([GRANT, Call(2, 4, ("read",), (1, 3)), X._replace(began=4.5)], False),  # seen too early
    ],
)
def test_the_checker(calls: list[Call], holds: bool) -> None:
    """It accepts what may happen and rejects what may not."""
    assert linearizable(calls, State()) == holds
