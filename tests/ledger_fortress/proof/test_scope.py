"""Every short history there is: all sequences of a small alphabet, against the independent model."""

from collections.abc import Callable
from itertools import product
from typing import Any

from ledger_fortress import Ledger
from ledger_fortress.commands import Charge, Close, Extend, Freeze, Grant, Refund, Release, Reserve
from ledger_fortress.engine import run
from ledger_fortress.rules import Policy
from ledger_fortress.stores.memory import MemoryStore
from tests.ledger_fortress.model import Model
from tests.ledger_fortress.sizes import size
from tests.ledger_fortress.test_model import said, seen

SECOND = 1_000_000
START = 1_700_000_000
LIFE = 40 * SECOND
POLICY = Policy(refund_life=LIFE)

FIRST = Grant(account="a", key="first", amount=3, priority=1, create=True)
LETTERS: tuple[Any, ...] = (
    Grant(account="a", key="g", amount=2, expires=(START + 7) * SECOND),
    Reserve(account="a", key="x", amount=2, timeout=5 * SECOND),
    Reserve(account="a", key="y", amount=2, timeout=5 * SECOND, on_timeout="report"),
    Charge(account="a", hold="x", amount=1),
    Charge(account="a", hold="x", on_missing="debt"),
    Charge(account="a", hold="y", amount=2, on_missing="debt"),
    Release(account="a", hold="x"),
    Refund(account="a", hold="x", key="r"),
    5,  # seconds that pass
)
RARE: tuple[Any, ...] = (
    *LETTERS,
    Charge(account="a", hold="y", amount=4, on_missing="debt"),
    Reserve(account="a", key="x", amount=1, timeout=5 * SECOND),
    Refund(account="a", hold="y", amount=1, key="r"),
    Extend(account="a", hold="x", timeout=9 * SECOND, key="e"),
    Grant(account="a", key="w", amount=2, effective=(START + 5) * SECOND),
    Freeze(account="a", key="f"),
    Close(account="a", key="c"),
)


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


def live(history: tuple[Any, ...]) -> tuple[MemoryStore, Clock, Model]:
    """Send one history to both; every answer must agree."""
    clock = Clock()
    store, model = MemoryStore(clock), Model(LIFE)
    for letter in (FIRST, *history):
        if isinstance(letter, int):
            clock.now += letter
            continue
        expected = model.do(letter, clock.now * SECOND)
        given = said(run(store, [letter], POLICY)[0])
        assert given == expected, (history, letter)
    return store, clock, model


def test_every_short_history(figure: Callable[[str], None]) -> None:
    """Answers at every step, the whole state at the end, and a full audit of every eighth."""
    deep = min(5, size(4, 20_000))
    done = 0
    for letters, length in ((LETTERS, deep), (RARE, deep - 1)):
        for number, history in enumerate(product(letters, repeat=length)):
            store, clock, model = live(history)
            ledger = Ledger(store)
            assert seen(ledger, "a") == model.picture("a", clock.now * SECOND), history
            if number % 8 == 0:
                proof = ledger.audit()
                assert proof.ok, (history, proof.problems)
            done += 1
    figure(
        f"ledger small scope: {done} histories, all of length {deep} over {len(LETTERS)} letters "
        f"and of length {deep - 1} over {len(RARE)}"
    )
