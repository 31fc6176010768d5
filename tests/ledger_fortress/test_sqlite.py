"""What the SQLite store promises beyond the contract: one writer, forks, old files, laws in the schema."""

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import Ledger, LedgerError, Refused, StoreBusy, StoreUnavailable
from ledger_fortress.commands import SetAlert
from ledger_fortress.errors import SchemaOutdated, WriterElsewhere
from ledger_fortress.stores import sqlite_file
from ledger_fortress.stores.sqlite import SEVERAL_WRITERS, SQLiteStore
from ledger_fortress.stores.sqlite_file import several_writers_are_safe
from tests.ledger_fortress.sizes import size

SPAWN = multiprocessing.get_context("spawn")


def url_of(path: Path, query: str = "") -> str:
    return f"sqlite:///{path}/credits.db{query}"


def script(text: str, *args: str) -> "subprocess.Popen[str]":
    """A process of its own that runs Python text and can be talked to."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", text, *args]
    return subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


WRITER = """
import sys
from ledger_fortress import Ledger
ledger = Ledger.open(sys.argv[1])
ledger.grant("a", 1, key=f"from child", create=True)
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
    ],
)
def test_builds_with_the_fix(version: tuple[int, ...], safe: bool) -> None:
    assert several_writers_are_safe(version) == safe


def test_one_writing_process_with_an_older_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process to write is told why; it may read; it takes over when the first is killed."""
    monkeypatch.setattr(sqlite_file, "several_writers_are_safe", lambda: False)
    child = script(
        "import ledger_fortress.stores.sqlite_file as f; f.several_writers_are_safe = lambda: False\n"
        + WRITER,
        url_of(tmp_path),
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        with Ledger.open(url_of(tmp_path)) as ledger:
            assert str(ledger.balance("a").available) == "1.000000"
            with pytest.raises(WriterElsewhere, match="update SQLite") as told:
                ledger.reserve("a", 1, key="h")
            assert not told.value.maybe_applied
            child.kill()
            child.wait()
            assert ledger.reserve("a", 1, key="h").open
            assert ledger.audit().ok
    finally:
        child.kill()
        child.communicate()


def test_closing_gives_the_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "several_writers_are_safe", lambda: False)
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 1, key="here", create=True)
    child = script(WRITER, url_of(tmp_path))
    answer, _ = child.communicate("\n", timeout=30)
    assert answer == "written\n"


def hammer(url: str, worker: int, rounds: int) -> int:
    """Reserve 1 as often as it goes; returns how often it went."""
    held = 0
    with Ledger.open(url) as ledger:
        for number in range(rounds):
            try:
                ledger.reserve("hot", 1, key=f"w{worker}n{number}")
                held += 1
            except Refused as refused:
                assert refused.reason == "insufficient"  # noqa: PT017
    return held


def test_two_processes_never_overdraw(tmp_path: Path) -> None:
    """Two processes, two threads each, more takers than credits: exactly the credits are held."""
    rounds = size(30, 1_000)
    url = url_of(tmp_path, f"?{SEVERAL_WRITERS}=1")
    with Ledger.open(url) as ledger:
        ledger.grant("hot", 2 * rounds, key="in", create=True)
        with SPAWN.Pool(2) as pool, ThreadPoolExecutor(2) as threads:
            far = [pool.apply_async(hammer, (url, worker, rounds)) for worker in (0, 1)]
            near = [threads.submit(hammer, url, worker, rounds) for worker in (2, 3)]
            held = sum(job.get(60) for job in far) + sum(job.result(60) for job in near)
        assert held == 2 * rounds
        balance = ledger.balance("hot")
        assert (balance.available.micros, balance.held.micros) == (0, 2 * rounds * 1_000_000)
        proof = ledger.audit()
        assert proof.ok, proof.problems
        assert proof.entries == 2 + 4 * rounds


def test_threads_share_one_writer(tmp_path: Path) -> None:
    """Several ledgers of a process on one file use one writing connection, however the path is spelled."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    with Ledger.open(url_of(tmp_path)) as first, Ledger.open(url_of(link)) as second:
        assert first._store._shared is second._store._shared  # type: ignore[attr-defined]
        first.grant("hot", 50, key="in", create=True)
        with ThreadPoolExecutor(8) as pool:
            held = list(pool.map(lambda worker: hammer(url_of(tmp_path), worker, 10), range(8)))
        assert sum(held) == 50
        assert second.audit().ok


def test_busy_has_a_name_and_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer that never ends: refused in the end, nothing applied, and fine afterwards."""
    monkeypatch.setattr(sqlite_file.patiently, "__defaults__", (0.2,))
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 1, key="in", create=True)
        other = sqlite3.connect(tmp_path / "credits.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy) as told:
            ledger.reserve("a", 1, key="h")
        assert not told.value.maybe_applied
        assert told.value.retryable
        assert ledger.hold("a", "h") is None
        other.close()
        assert not ledger.reserve("a", 1, key="h").replayed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_the_file_anew(tmp_path: Path) -> None:
    """The child reads and, with a fixed build, writes; the parent's connections stay the parent's."""
    url = url_of(tmp_path, f"?{SEVERAL_WRITERS}=1")
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        inherited = ledger._store._shared  # type: ignore[attr-defined]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                ledger.balance("a")
                ledger.reserve("a", 1, key="child")
                own = ledger._store._shared  # type: ignore[attr-defined]
                code = 0 if own is not inherited and not own.inherited else 2
                ledger.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not ledger.reserve("a", 1, key="parent").replayed
        assert ledger.balance("a").held.micros == 2_000_000
        assert ledger.audit().ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_another_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an older build the lock is the parent's: the child may not write on it, nor give it away."""
    monkeypatch.setattr(sqlite_file, "several_writers_are_safe", lambda: False)
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                ledger.reserve("a", 1, key="child")
            except WriterElsewhere:
                code = 0
                ledger.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stranger = script(WRITER.replace("import sys", "import sys, ledger_fortress.stores.sqlite_file as f\n"
                          "f.several_writers_are_safe = lambda: False"), url_of(tmp_path))  # fmt: skip
        stranger.communicate("\n", timeout=30)
        assert stranger.returncode != 0
        ledger.reserve("a", 1, key="parent")


def test_a_thread_forks_while_another_writes(tmp_path: Path) -> None:
    """Locks held by other threads at the moment of the fork do not hang the child."""
    url = url_of(tmp_path, f"?{SEVERAL_WRITERS}=1")
    stop = threading.Event()
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10_000, key="in", create=True)

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                ledger.reserve("a", "0.01", key=f"n{number}")

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(5):
                child = os.fork()
                if child == 0:
                    try:
                        Ledger.open(url).reserve("a", 1, key=f"child{number}")
                        os._exit(0)
                    finally:
                        os._exit(1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            stop.set()
            thread.join()
        assert ledger.audit().ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_the_middle_is_refused(tmp_path: Path) -> None:
    """A child that inherited an open file would believe to hold its parent's locks: it says so instead."""
    url = url_of(tmp_path)
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        with ledger._store.scan() as scan:
            assert next(iter(scan.entries())).version == 1
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    ledger.balance("a")
                except StoreUnavailable as told:
                    code = 0 if "spawn" in str(told) else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ledger.audit().ok


def test_an_outdated_file_is_left_alone(tmp_path: Path) -> None:
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 1, key="in", create=True)
    raw = sqlite3.connect(tmp_path / "credits.db", isolation_level=None)
    raw.execute("UPDATE ledger_meta SET value = '0' WHERE name = 'schema'")
    with pytest.raises(SchemaOutdated, match=r"ledger-fortress migrate sqlite:///.*credits\.db"):
        Ledger.open(url_of(tmp_path))
    with pytest.raises(SchemaOutdated, match="update the package"):
        Ledger.open(url_of(tmp_path), migrate=True)
    raw.execute("UPDATE ledger_meta SET value = '2' WHERE name = 'schema'")
    raw.close()
    with Ledger.open(url_of(tmp_path)) as ledger:
        assert ledger.audit().entries == 2


def test_the_schema_repeats_the_laws(tmp_path: Path) -> None:
    """Another program on the same file meets them too."""
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 1, key="in", create=True)
        ledger.apply([SetAlert(account="a", key="low", name="low", below=2_000_000)])
    raw = sqlite3.connect(tmp_path / "credits.db", isolation_level=None)
    for statement in (
        "UPDATE ledger_entry SET amount = 2",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_account SET available = -1",
        "UPDATE ledger_account SET available = 9007199254740992",
        "UPDATE ledger_account SET available = 'much'",
        "UPDATE ledger_account SET debt = 1",
        "UPDATE ledger_account SET version = 0",
        "INSERT INTO ledger_hold VALUES ('a', 'h', 'open', 0, 'report', 1, 0, 5, 5, 6, NULL, 0, '[]')",
        "DELETE FROM ledger_notice",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(statement)
    raw.close()


def test_writes_are_synced(tmp_path: Path) -> None:
    """Committed means on the disk: WAL and synchronous=FULL on the connection that writes."""
    with (
        Ledger.open(url_of(tmp_path)) as ledger,
        ledger._store._shared.writing() as connection,  # type: ignore[attr-defined]
    ):
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("mysql://localhost", ValueError, "sqlite:///path"),
        ("credits.db", ValueError, "sqlite:///path"),
        ("memory:mine", ValueError, "has no name"),
        ("sqlite://credits.db", ValueError, "sqlite:///relative.db"),
        ("sqlite:///", ValueError, "sqlite:///relative.db"),
        ("sqlite:///credits.db?wal=off", ValueError, "unknown option 'wal'"),
        ("sqlite:////nowhere/at/all/credits.db", FileNotFoundError, "create it first"),
    ],
)
def test_urls_that_open_nothing(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Ledger.open(url)


def test_what_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "credits.db"
    file.write_text("dear diary " * 100)
    with pytest.raises(LedgerError, match="cannot be used as a ledger"):
        Ledger.open(url_of(tmp_path))
    assert file.read_text().startswith("dear diary")


def test_closed_is_closed(tmp_path: Path) -> None:
    ledger = Ledger.open(url_of(tmp_path))
    ledger.close()
    ledger.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        ledger.balance("a")


def test_a_second_opener_may_race_the_first(tmp_path: Path) -> None:
    """Eight threads and two processes make the same new file: one ledger comes of it."""
    url = url_of(tmp_path, f"?{SEVERAL_WRITERS}=1")

    def enter(worker: int) -> Any:
        with Ledger.open(url) as ledger:
            return ledger.grant("a", 1, key=f"k{worker}", create=True).version

    with SPAWN.Pool(2) as pool, ThreadPoolExecutor(8) as threads:
        far = [pool.apply_async(hammer, (url, worker, 1)) for worker in (0, 1)]
        versions = sorted(threads.map(enter, range(8)))
        for job in far:
            with pytest.raises(AssertionError):  # unknown_account: nobody grants to "hot" here
                job.get(60)
    assert versions == list(range(2, 10))


def test_a_read_error_is_named(tmp_path: Path) -> None:
    with Ledger.open(url_of(tmp_path)) as ledger:
        ledger.grant("a", 1, key="in", create=True)
        raw = sqlite3.connect(tmp_path / "credits.db", isolation_level=None)
        raw.execute("ALTER TABLE ledger_hold RENAME TO hidden")
        with pytest.raises(StoreUnavailable, match="no such table"):
            ledger.hold("a", "h")
        with pytest.raises(StoreUnavailable, match="no such table") as told:
            ledger.reserve("a", 1, key="h")
        assert not told.value.maybe_applied
        raw.execute("ALTER TABLE hidden RENAME TO ledger_hold")
        raw.close()
        assert ledger.reserve("a", 1, key="h").open


def test_stores_are_reference_counted(tmp_path: Path) -> None:
    first, second = (SQLiteStore(tmp_path / "credits.db") for _ in range(2))
    first.close()
    assert second.accounts("", 10) == []
    second.close()
    assert os.path.realpath(tmp_path / "credits.db") not in sqlite_file._registry


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_removed_or_replaced_is_not_written_on(tmp_path: Path, how: str) -> None:
    """What is written to a file without a name is gone with the process; a copy is not the ledger."""
    path, kept = tmp_path / "credits.db", tmp_path / "kept"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.grant("a", "5", key="one", create=True)
        path.rename(kept)
        if how == "replaced":
            shutil.copy(kept, path)
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            ledger.grant("a", "5", key="two")
        assert path.exists() == (how == "replaced")  # no empty one was made
        kept.rename(path)  # the same file is back
        ledger.grant("a", "5", key="two")
        assert str(ledger.balance("a").available) == "10.000000"
