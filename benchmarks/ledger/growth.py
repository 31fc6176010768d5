"""A ledger of a million entries: what an operation costs there, how fast it verifies, what memory it takes.

Run as a program, it works on a ledger in a process of its own and prints the most memory that it had.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from benchmarks.ledger.work import Ours, names
from ledger_fortress import Ledger
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.views import Verification


def grown(folder: Path, name: str, accounts: int, entries: int) -> Ours:
    """A ledger with so many entries, on so many accounts; filled in large commits."""
    ours = Ours(SQLiteStore(folder / f"{name}.db"), accounts, batch=4_096)
    pairs = max(0, entries - 4 * accounts) // 2
    ours.prepare(pairs)
    ours.pairs(pairs)
    ours.batch = 256
    return ours


def verified(ledger: Ledger, verb: Callable[[Ledger], Verification] = Ledger.verify) -> tuple[int, float]:
    """How many entries were verified (or audited), and in how many seconds."""
    began = time.perf_counter()
    proof = verb(ledger)
    seconds = time.perf_counter() - began
    if not proof.ok:
        raise RuntimeError(f"the benchmarked ledger does not verify: {proof.problems[0]}")
    return proof.entries, seconds


VERBS = {"work": None, "verify": Ledger.verify, "audit": Ledger.audit}


def work(path: Path, accounts: int, what: str) -> None:
    """What a service does with a ledger, and, if asked, what an auditor does."""
    ours = Ours(SQLiteStore(path), accounts, fresh=False)
    ours.prepare(
        2_048, ((name, f"~{what}{number:06d}") for number, name in enumerate(cycle(names(accounts))))
    )
    ours.pairs(2_048)
    for name in names(accounts)[:100]:
        ours.ledger.balance(name)
        ours.ledger.statement(name)
    ours.ledger.open_holds()
    verb = VERBS[what]
    if verb is not None:
        verified(ours.ledger, verb)
    ours.close()
    print(peak())


def peak() -> int:
    """The most memory that this process has had, in bytes.

    Linux counts what a process was before it became this program into getrusage, so its own record is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
