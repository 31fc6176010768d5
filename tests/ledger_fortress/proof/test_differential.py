"""The same commands to every store there is: the same answers, and the same state to the last byte.

Every verb is in the mix, alone, in batches and linked, with repeats, contradictions, time that passes and
sweeps. A digest covers all that is stored: entries with their hashes, accounts, holds, members and notices.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores import open_store
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.servers.conftest import PLACES
from tests.ledger_fortress.sizes import size
from tests.ledger_fortress.test_keyvalue import Optimistic
from tests.ledger_fortress.words import C, Words, digest, lists

SHIPPED = ("sqlite", "postgres", "redis")  # the others are these in another place
POLICY = Policy(refund_life=40 * C, over_charge="available")


@contextmanager
def store_of(kind: str, clock: FakeClock) -> Iterator[LedgerStore]:
    if kind == "keyvalue":
        yield Optimistic(clock)
    elif kind == "sqlite":
        with quick_folder() as folder:
            yield open_store(f"sqlite:///{folder}/credits.db", clock=clock)
    else:
        with PLACES[kind]() as url:
            yield open_store(url, clock=clock, migrate=True)


@pytest.mark.parametrize("other", ["sqlite", "keyvalue", *sorted(PLACES)])
def test_stores_agree(other: str, figure: Callable[[str], None]) -> None:
    """Each against the memory store, which is the reference."""
    kinds: Counter[str] = Counter()
    sent = digests = histories = 0
    while sent < size(10_000 if other in SHIPPED else 2_500, 4):
        clock = FakeClock()
        with store_of(other, clock) as store:
            words = Words(f"{os.environ.get('N', 'stores')}{histories or ''}", clock)
            more, seen = agree([MemoryStore(clock), store], words, kinds)
        sent, digests, histories = sent + more, digests + seen, histories + 1
    figure(f"ledger differential, memory and {other}: {sent} commands, {digests} digests, {dict(kinds)}")
    assert len(kinds) >= 20, kinds


def agree(stores: list[LedgerStore], words: Words, kinds: Counter[str]) -> tuple[int, int]:
    """One history of 2,500 commands to both; returns how many it was, and how often all was compared."""
    sent = digests = 0
    clock, dice = words.clock, words.dice
    ledgers = [Ledger(one, policy=POLICY) for one in stores]
    while sent < 2_500:
        batch = [words.item() for _ in range(dice.choice([1, 1, 1, 2, 5, 20]))]
        answers = [ledger.apply(batch) for ledger in ledgers]
        assert answers[0] == answers[1], batch
        sent += len(answers[0])
        if dice.random() < 0.3:
            clock.tick(dice.choice([1, 1, 5, 20]))
        if dice.random() < 0.05:
            assert ledgers[0].sweep() == ledgers[1].sweep()
        if dice.random() < 0.02:
            compare(stores)
            digests += 1
        if dice.random() < 0.01:
            marks = [notice[:3] for notice in stores[0].notices(None, (), True, 5)]
            told = [one.acknowledge([*marks, *marks, ("nobody", 1, 0)]) for one in stores]
            assert told == [len(marks)] * 2
            assert ledgers[0].seal() == ledgers[1].seal()
    compare(stores)
    last = stores[1].last_checkpoint()
    assert last is not None
    assert not stores[1].add_checkpoint(last)
    for ledger in ledgers:
        proof = ledger.audit()
        assert proof.ok, proof.problems
    for account in ledgers[1].accounts():
        kinds.update(entry.kind for entry in ledgers[1].entries(account))
    for ledger in ledgers:
        ledger.close()
    return sent, digests + 1


def compare(stores: list[LedgerStore]) -> None:
    assert digest(stores[0]) == digest(stores[1])
    assert lists(stores[0]) == lists(stores[1])
