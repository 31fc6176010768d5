"""A write-ahead log that is cut or has a bit flipped, anywhere.

The first half of a history is in the database file, the second in the WAL, and of each acknowledgement it is
known how long the WAL was when it came. Damage at a place may take what was acknowledged after that length,
and nothing else: SQLite's frames carry checksums that build on each other. What is left must be a ledger: it
opens, or refuses by name; every sum and every hash holds; who presents a receipt of a lost entry is told.
"""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger_fortress import Ledger, Refused
from ledger_fortress.answers import Reason, Receipt
from ledger_fortress.errors import LedgerError
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.sizes import size

WAL_HEADER = 32


class Kept(NamedTuple):
    """An acknowledgement, and the length of the WAL when it came: 0 for what the database file holds."""

    receipt: Receipt
    length: int


def live(ledger: Ledger, path: Path, rounds: range, in_wal: bool) -> list[Kept]:
    """A little of everything, acknowledged one by one."""
    kept: list[Kept] = []
    wal = path.with_name(path.name + "-wal")

    def keep(receipt: Receipt) -> None:
        kept.append(Kept(receipt, wal.stat().st_size if in_wal else 0))

    for n in rounds:
        account = f"a{n % 3}"
        keep(ledger.grant(account, 5, key=f"g{n}", priority=n % 2, create=True))
        keep(ledger.reserve(account, "3.5", key=f"h{n}", timeout=10_000))
        keep(ledger.charge(account, f"h{n}", 2) if n % 4 else ledger.release(account, f"h{n}"))
        if n % 4 == 1:
            keep(ledger.refund(account, f"h{n}", 1, key=f"r{n}"))
    return kept


def damage(wal: Path, dice: random.Random) -> tuple[str, int]:
    """Cut the file or flip one bit; what was done and where."""
    content = bytearray(wal.read_bytes())
    place = dice.randrange(len(content))
    if dice.random() < 0.05:
        place %= WAL_HEADER
    if dice.random() < 0.5:
        wal.write_bytes(content[:place])
        return "cut", place
    content[place] ^= 1 << dice.randrange(8)
    wal.write_bytes(content)
    return "flip", place


def spared(kind: str, place: int) -> int:
    """Up to which length of the WAL nothing is touched. Its header covers all of it."""
    return 0 if kind == "flip" and place < WAL_HEADER else place


def check(path: Path, clock: FakeClock, kept: list[Kept], safe: int) -> str:
    """The damaged ledger against the acknowledgements; what became of it in a word."""
    try:
        store = SQLiteStore(path, clock=clock)
    except LedgerError:
        return "refused"
    with Ledger(store) as ledger:
        proof = ledger.audit()
        assert proof.ok, proof.problems
        found = {(e.account, e.version): e.hash.hex() for a in ledger.accounts() for e in ledger.entries(a)}
        lost: list[Receipt] = []
        for receipt, length in kept:
            if found.get((receipt.account, receipt.version)) != receipt.hash:
                assert length > safe, f"{receipt} was safe: the WAL had {length} bytes, {safe} are untouched"
                lost.append(receipt)
        # What is lost is an end of the history, never a piece out of its middle.
        assert lost == [receipt for receipt, _ in kept[len(kept) - len(lost) :]]
        if not lost:
            return "whole"
        with pytest.raises(Refused) as told:
            ledger.reserve(lost[-1].account, 1, key="next", seen=lost[-1])
        assert told.value.reason in (Reason.REWOUND, Reason.UNKNOWN_ACCOUNT)
        assert ledger.audit().ok
        return "rewound"


def test_damaged_wal(figure: Callable[[str], None]) -> None:
    dice = random.Random(os.environ.get("N", "damage"))
    clock = FakeClock()
    outcomes: Counter[str] = Counter()
    cases = size(1_000, 100)
    with quick_folder() as folder:
        path = folder / "credits.db"
        with Ledger(SQLiteStore(path, clock=clock)) as ledger:
            kept = live(ledger, path, range(6), False)
        with Ledger(SQLiteStore(path, clock=clock)) as ledger:
            kept += live(ledger, path, range(6, 15), True)
            for suffix in ("", "-wal"):  # as a crash leaves them: closing would empty the WAL
                shutil.copy(f"{path}{suffix}", folder / f"crashed{suffix}")
        for number in range(cases):
            broken = folder / f"{number}.db"
            for suffix in ("", "-wal"):
                shutil.copy(folder / f"crashed{suffix}", f"{broken}{suffix}")
            kind, place = damage(Path(f"{broken}-wal"), dice)
            outcomes[f"{kind}: {check(broken, clock, kept, spared(kind, place))}"] += 1
            for left in folder.glob(f"{number}.db*"):
                left.unlink()
    figure(f"ledger WAL damage: {cases} places, {dict(sorted(outcomes.items()))}, no wrong sum")
    assert outcomes["cut: rewound"]
    assert outcomes["flip: rewound"]
