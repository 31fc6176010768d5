"""Old entries move from Redis to a file, and nobody can tell, except by the server's memory."""

import asyncio
import io
import json
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_fortress import AsyncLedger, Ledger, LedgerError, StoreUnavailable
from ledger_fortress.answers import Applied
from ledger_fortress.cli import main
from ledger_fortress.commands import Reserve
from ledger_fortress.errors import MissingEntries
from ledger_fortress.grouping import Group, Job
from ledger_fortress.protocol import Changes, Decide, LedgerStore, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores import redis as redis_store
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.testing import FakeClock, LedgerStoreContract, run_scenario
from ledger_fortress.testing.scenario import START
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.proof.test_differential import agree
from tests.ledger_fortress.redis.servers import RedisServer
from tests.ledger_fortress.words import Words

OpenStore = Callable[[Callable[[], float]], LedgerStore]
DAY = timedelta(days=1)
SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))


class Eager(RedisStore):
    """Moves everything to the archive after each write: whatever is read later is read from there."""

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        changes = super().transact(touch, decide)
        if changes.entries:
            self.archive_before(2**53 - 1)
        return changes


@pytest.fixture
def quick() -> Iterator[Path]:
    """Where an archive is that is synced thousands of times."""
    with quick_folder() as folder:
        yield folder / "old.db"


class TestEager(LedgerStoreContract):
    @pytest.fixture
    def stores(self, url: str, quick: Path) -> Iterator[OpenStore]:
        with ExitStack() as opened:

            def open_it(clock: Callable[[], float]) -> LedgerStore:
                store = Eager(url, clock=clock, archive=quick)
                opened.callback(store.close)
                return store

            yield open_it


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path, url: str, quick: Path) -> None:
    clock = FakeClock()
    with Ledger(Eager(url, clock=clock, archive=quick)) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10


def test_it_cannot_be_told_from_memory(url: str, quick: Path, figure: Callable[[str], None]) -> None:
    clock = FakeClock()
    store = Eager(url, clock=clock, archive=quick)
    stores: list[LedgerStore] = [MemoryStore(clock), store]
    sent, _ = agree(stores, Words("archive", clock), Counter())
    figure(f"Redis with an archive against memory: {sent} commands, each archived at once")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "old.db"


@pytest.fixture
def ledger(url: str, file: Path, clock: FakeClock) -> Iterator[Ledger]:
    """Three days of work."""
    with Ledger.open(f"{url}?archive={file}", clock=clock) as opened:
        opened.grant("a", 1_000, key="in", create=True)
        for day in range(3):
            for number in range(60):
                opened.reserve("a", 2, key=f"d{day}.{number}", timeout=3_600)
                opened.charge("a", f"d{day}.{number}", 1)
            clock.tick(DAY.total_seconds())
        yield opened


def rows(server: RedisServer) -> list[bytes]:
    return list(server.client().hvals("{credits.0}:entry:a"))


def test_what_is_old_moves_and_nothing_changes(
    ledger: Ledger, server: RedisServer, clock: FakeClock, figure: Callable[[str], None]
) -> None:
    before = ledger.digest(), list(ledger.entries("a")), str(ledger.balance_at("a", 50))
    then = datetime.fromtimestamp(START + 3_600, UTC)
    ledger.seal()
    with_seals = ledger.digest()
    used = sum(map(len, rows(server)))
    told: list[int] = []
    assert ledger.archive(1.5 * DAY, progress=told.append) == 2 + 2 * 120
    assert told[-1] == 242
    per_row = used / 362
    left = (sum(map(len, rows(server))) - 120 * per_row) / 242
    figure(f"an archived entry keeps {left:.0f} of {per_row:.0f} bytes in Redis, apart from its key")
    assert len(rows(server)) == 2 + 360
    assert sum(len(row) > 300 for row in rows(server)) == 120
    assert ledger.seal().number == 3  # archiving has sealed
    assert (list(ledger.entries("a")), str(ledger.balance_at("a", 50))) == before[1:]
    assert with_seals != before[0] != ledger.digest()  # by the seals alone
    assert str(ledger.balance_at("a", then).available) == "940.000000"
    assert [entry.key for entry in ledger.statement("a", 1, 2)] == ["in", "d0.0"]
    assert ledger.verify().ok
    assert ledger.audit().ok
    assert ledger.archive(1.5 * DAY) == 0
    clock.tick(DAY.total_seconds())
    assert ledger.archive(1.5 * DAY) == 120


def test_old_keys_and_receipts_are_known(ledger: Ledger, file: Path, url: str, clock: FakeClock) -> None:
    first = ledger.reserve("a", 2, key="d0.0", timeout=3_600)
    ledger.reserve("a", 2, key="open", timeout=10 * 86_400)
    clock.tick(1)
    assert ledger.archive(timedelta(0)) == 363
    again = ledger.reserve("a", 2, key="d0.0", timeout=3_600)
    assert (again.hash, again.replayed, again.open) == (first.hash, True, False)
    assert ledger.charge("a", "d0.0", 1).replayed
    assert not ledger.reserve("a", 1, key="new", seen=first).replayed  # no rewind
    ledger.charge("a", "open", 2)
    ledger.refund("a", "d0.1", key="r")
    ledger.clawback("a", 3, key="c", grant="in")
    assert ledger.audit().ok


def test_a_copy_has_all_of_it(ledger: Ledger) -> None:
    ledger.archive(DAY)
    out = io.StringIO()
    ledger.export(out)
    with Ledger.open("memory:") as copy:
        assert copy.import_lines(out.getvalue().splitlines()).digest == ledger.digest() == copy.digest()


def test_without_the_archive_old_things_are_refused_and_new_ones_go_on(ledger: Ledger, url: str) -> None:
    """It never takes an old key for a new one."""
    ledger.archive(timedelta(0))
    with Ledger.open(url) as other:
        with pytest.raises(LedgerError, match="open the ledger with it"):
            other.reserve("a", 2, key="d0.0", timeout=3_600)
        with pytest.raises(LedgerError, match="open the ledger with it"):
            other.verify()
        with pytest.raises(LedgerError, match="without an archive"):
            other.archive(DAY)
        assert other.reserve("a", 1, key="fresh").open
        assert str(other.balance("a").held) == "1.000000"
    assert ledger.audit().ok


def test_interrupted_anywhere_it_goes_on(
    ledger: Ledger, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the file, before the server; and in the middle of the pages."""
    whole = ledger._store
    assert isinstance(whole, RedisStore)
    monkeypatch.setattr(redis_store, "ARCHIVE_PAGE", 25)
    save, dice = whole._save, random.Random(3)
    moved, breaks = 0, 0

    def sometimes(todo: object) -> bool:
        if dice.random() < 0.5:
            raise StoreUnavailable("the connection broke")
        return bool(save(todo))  # type: ignore[arg-type]

    monkeypatch.setattr(whole, "_save", sometimes)
    while moved == 0:
        try:
            moved = whole.archive_before(2**53 - 1)
        except StoreUnavailable:
            breaks += 1
            assert breaks < 99
        if not [row for row in rows(server) if len(row) > 300]:
            break
    monkeypatch.undo()
    assert breaks > 3
    assert ledger.archive(timedelta(0)) == 0
    assert ledger.audit().ok


@pytest.mark.parametrize("damage", ["changed", "missing", "no entry", "gone", "no database"])
def test_a_damaged_archive_is_noticed(ledger: Ledger, file: Path, damage: str) -> None:
    ledger.archive(timedelta(0))
    if damage == "gone":
        file.unlink()
    elif damage == "no database":
        file.write_bytes(b"x" * 4_096)
    else:
        with sqlite3.connect(file) as raw:
            if damage == "changed":
                raw.execute(
                    "UPDATE archived SET row = replace(row, 'd0.7', 'd0.8') WHERE row LIKE '%\"d0.7\"%'"
                )
            elif damage == "missing":
                raw.execute("DELETE FROM archived WHERE version = 20")
            else:
                raw.execute("UPDATE archived SET row = '[1]'")
        raw.close()
    if damage == "changed":  # only the hash of all fields can tell, which verify computes
        assert not ledger.verify().ok
        return
    error = StoreUnavailable if damage == "no database" else LedgerError
    for ask in (ledger.verify, lambda: ledger.balance_at("a", 30), lambda: ledger.digest()):
        with pytest.raises(error, match=r"archive.* .*old\.db"):
            ask()
    if damage != "missing":
        with pytest.raises(error, match=r"old\.db"):
            ledger.reserve("a", 2, key="d0.9", timeout=3_600)


def test_the_archive_of_another_ledger_is_refused(url: str, file: Path, clock: FakeClock) -> None:
    """As after a rewind that went on differently: nothing leaves the server."""
    for name in ("one", "two"):
        with Ledger.open(f"{url}?name={name}&archive={file}", clock=clock) as ledger:
            ledger.grant("a", 5, key=name, create=True)
            clock.tick(1)
            if name == "one":
                ledger.archive(timedelta(0))
                continue
            with pytest.raises(LedgerError, match="another entry than the store"):
                ledger.archive(timedelta(0))
            assert ledger.audit().ok


def test_two_archives_never_share_an_account(ledger: Ledger, url: str, tmp_path: Path) -> None:
    """The second file would lack what the first has, and the first what the second has."""
    assert ledger.archive(1.5 * DAY) == 242
    late = FakeClock(START + 9 * 86_400)
    with (
        Ledger.open(f"{url}?archive={tmp_path}/other.db", clock=late) as other,
        pytest.raises(LedgerError, match="open the ledger with the archive that it was moved to"),
    ):
        other.archive(timedelta(0))
    assert ledger.audit().ok


def test_what_was_changed_in_the_archive_keeps_its_original(ledger: Ledger, file: Path, url: str) -> None:
    """Interrupted after the file, the entry is damaged there, and archiving begins anew."""
    store = ledger._store
    assert isinstance(store, RedisStore)
    archive = store._server.archive
    assert archive is not None
    archive.add(store.entries("a", 0, 10))
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE archived SET row = replace(row, 'd0.0', 'd9.9') WHERE version = 3")
    raw.close()
    with pytest.raises(LedgerError, match="it was changed there"):
        ledger.archive(timedelta(0))
    with Ledger.open(url) as other:
        assert other.audit().ok, "everything is still in the server"


def test_a_repeat_that_needs_the_archive_fails_alone(ledger: Ledger, url: str) -> None:
    """Others whose commands share its commit are not told of it."""
    ledger.archive(timedelta(0))
    store = RedisStore(url)
    group = Group(store)
    jobs = [
        Job([Reserve(account="a", key=key, amount=2, timeout=3_600_000_000)], Policy())
        for key in ("one", "d0.0", "two")
    ]
    assert all(group.offer(job) for job in jobs)
    group.resolve(group.take_batch())
    store.close()
    assert [type(job.error) for job in jobs] == [type(None), MissingEntries, type(None)]
    assert [type(job.answers[0]) for job in jobs[::2]] == [Applied, Applied]


def test_from_a_terminal(
    ledger: Ledger, url: str, file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The server's clock is years after the test's: all of it is old."""
    assert main(["archive", f"{url}?archive={file}", "--older-than", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"moved": 362}
    assert main(["verify", f"{url}?archive={file}"]) == 0
    assert main(["verify", url]) == 2
    assert "open the ledger with it" in capsys.readouterr().err
    assert main(["archive", url, "--older-than", "30"]) == 2
    with Ledger.open(f"sqlite:///{tmp_path}/credits.db"):
        pass
    assert main(["archive", f"sqlite:///{tmp_path}/credits.db", "--older-than", "30"]) == 2
    assert "only a ledger in Redis" in capsys.readouterr().err


def test_only_redis_needs_one(tmp_path: Path) -> None:
    for url in ("memory:", f"sqlite:///{tmp_path}/credits.db"):
        with Ledger.open(url) as ledger, pytest.raises(LedgerError, match="only a ledger in Redis"):
            ledger.archive(DAY)


def test_awaited(url: str, file: Path) -> None:
    async def main() -> int:
        async with AsyncLedger.open(f"{url}?archive={file}") as ledger:
            await ledger.grant("a", 5, key="in", create=True)
            with pytest.raises(ValueError, match="a time ago"):
                await ledger.archive(-DAY)
            await asyncio.sleep(0.002)
            return await ledger.archive(timedelta(0))

    assert asyncio.run(main()) == 2
    assert os.path.getsize(file)
