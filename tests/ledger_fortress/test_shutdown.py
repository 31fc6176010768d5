"""A process that is told to end while fifty calls are under way: what was acknowledged is there, once."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from tools.packages import ROOT

PRELUDE = """
import asyncio, os, signal, sys, threading
from ledger_fortress import AsyncLedger, Ledger, LedgerError
url = sys.argv[1]

def told(key):
    os.write(1, f"{key}\\n".encode())
"""

TASKS = """
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncLedger.open(url) as ledger:
        await ledger.grant("a", 100_000, key="in", create=True)

        async def work(number):
            turn = 0
            while not stop.is_set():
                turn += 1
                await ledger.reserve("a", 1, key=f"t{number}.{turn}", timeout=900)
                told(f"t{number}.{turn}")

        await asyncio.gather(*(work(number) for number in range(50)))
asyncio.run(main())
"""

THREADS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ledger = Ledger.open(url)  # never closed: the program's end finishes what was begun
ledger.grant("a", 100_000, key="in", create=True)

def work(number):
    for turn in range(100_000):
        try:
            ledger.reserve("a", 1, key=f"t{number}.{turn}", timeout=900)
        except LedgerError:
            return  # closed
        told(f"t{number}.{turn}")

for number in range(50):
    threading.Thread(target=work, args=(number,), daemon=True).start()
while True:
    signal.pause()
"""

ABRUPT = TASKS.replace("asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)", "pass")


@pytest.mark.parametrize(
    ("program", "code"),
    [(TASKS, 0), (THREADS, 0), (ABRUPT, -signal.SIGTERM)],
    ids=["tasks that finish", "threads at the program's end", "tasks that are cut off"],
)
def test_sigterm_with_fifty_in_flight(tmp_path: Path, program: str, code: int) -> None:
    url = f"sqlite:///{tmp_path}/credits.db"
    text = textwrap.dedent(PRELUDE + program)
    child = subprocess.Popen(
        [sys.executable, "-c", text, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT / "src",
    )
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(200)]
    child.send_signal(signal.SIGTERM)
    rest, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    acknowledged += [line for line in rest.splitlines() if line.strip()]
    with Ledger.open(url) as ledger:
        held = {hold.key for hold in ledger.open_holds("a")}
        assert set(filter(None, acknowledged)) <= held
        assert len(set(acknowledged)) >= 200
        assert len(held) - len(set(acknowledged)) <= 50  # committed, and their answers were on their way
        assert ledger.audit().ok
