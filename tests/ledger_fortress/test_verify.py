"""What `verify` checks, what it leaves to `audit`, and what it believes when it is told to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_fortress import AsyncLedger, Ledger, Receipt
from ledger_fortress.cli import main as command
from ledger_fortress.protocol import partition
from ledger_fortress.state import Checkpoint
from ledger_fortress.testing import FakeClock
from ledger_fortress.views import Verification
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.test_audit import COLUMNS, longer_history, rehash

Sealed = tuple[Path, Checkpoint, Receipt]


@pytest.fixture
def sealed() -> Iterator[Sealed]:
    """Two accounts with a long history, a seal, then two more entries of `a` and a new account `c`."""
    with quick_folder() as folder:
        path, clock = folder / "credits.db", FakeClock()
        with Ledger.open(f"sqlite:///{path}", clock=clock) as ledger:
            longer_history(ledger, clock)
            ledger.seal()
            seal = ledger.seal()
            receipt = ledger.grant("a", 1, key="more")
            ledger.grant("a", 1, key="and more")
            ledger.grant("c", 1, key="in", create=True)
        yield path, seal, receipt


def changed(path: Path, *statements: str) -> Ledger:
    """The ledger after somebody has changed the file behind its back."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("DROP TRIGGER ledger_entry_no_update")
    raw.execute("DROP TRIGGER ledger_entry_no_delete")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        assert raw.execute(statement).rowcount > 0, statement
    raw.close()
    return Ledger.open(f"sqlite:///{path}")


def said(proof: Verification) -> str:
    return " | ".join(proof.problems)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_field_is_found_where_it_is(sealed: Sealed, column: str) -> None:
    change = f"UPDATE ledger_entry SET {column} = {COLUMNS[column]} WHERE account='a' AND version=4"
    with changed(sealed[0], change) as ledger:
        assert ledger.verify().problems[0].startswith("account 'a' version 4:")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM ledger_entry WHERE account='a' AND version=3", "version 4: follows version 2"),
        ("DELETE FROM ledger_entry WHERE account='c' AND version=2", "version is 2, its entries say 1"),
        ("DELETE FROM ledger_entry WHERE account='c'", "'c': stored without any entry"),
        ("DELETE FROM ledger_account WHERE account='c'", "'c': has entries but is not stored"),
        ("UPDATE ledger_account SET available = available + 1 WHERE account='c'", "stored available is"),
        ("UPDATE ledger_account SET head = zeroblob(32)", "stored head differs"),
        ("UPDATE ledger_account SET at = at + 1 WHERE account='c'", "stored at is"),
        ("UPDATE ledger_account SET buckets = '[]' WHERE account='c'", "stored buckets do not add up"),
        ("DELETE FROM ledger_entry WHERE account='b'", "account 'b' version 13: was sealed and is missing"),
    ],
)
def test_chain_sums_and_seals(sealed: Sealed, change: str, problem: str) -> None:
    with changed(sealed[0], change) as ledger:
        assert problem in said(ledger.verify())


@pytest.mark.parametrize("field", ["available", "held", "debt", "at"])
def test_a_rewritten_chain_still_has_to_add_up(sealed: Sealed, field: str) -> None:
    """The thief has computed every hash anew; the numbers still have to follow."""
    with quick_folder() as folder, Ledger.open(f"sqlite:///{folder}/copy.db", clock=FakeClock()) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        for number in range(3):
            ledger.reserve("a", 1, key=f"h{number}")
        change = -1 if field == "at" else 1
        wrong = {4: lambda e: e._replace(**{field: getattr(e, field) + change})}
        rehash(folder / "copy.db", lambda e: wrong.get(e.version, lambda e: e)(e))
        problem = "is dated before" if field == "at" else "balances do not follow"
        assert f"account 'a' version 4: {problem}" in said(ledger.verify())


def test_it_says_what_it_has_checked_and_the_audit_checks_the_rest(sealed: Sealed) -> None:
    with changed(sealed[0], "UPDATE ledger_hold SET state = 'open' WHERE key = 'h1'") as ledger:
        proof, audit = ledger.verify(), ledger.audit()
    assert (proof.ok, proof.checked, proof.since) == (True, ("chain", "sums", "seals"), None)
    assert str(proof) == f"{proof.entries} entries of 3 account(s): chain, sums and seals checked, no problem"
    assert "stored hold 'h1' differs" in said(audit)
    assert audit.checked == ("chain", "sums", "seals", "buckets", "holds", "members", "notices", "notes")
    assert (audit.entries, audit.accounts) == (proof.entries, proof.accounts)


def test_rows_of_an_account_that_is_not_there_are_found(sealed: Sealed) -> None:
    hold = "'x','h','open',1,'report',1,1,1,0,0,NULL,0,'[]'"
    note = "'y',1,zeroblob(16),'text'"
    changes = f"INSERT INTO ledger_hold VALUES ({hold})", f"INSERT INTO ledger_note VALUES ({note})"
    with changed(sealed[0], *changes) as ledger:
        found = ledger.audit().problems
    assert [problem.partition(":")[0] for problem in found] == [
        "account 'x' version 1",
        "account 'y' version 1",
    ]


def test_since_a_seal_only_what_came_after_it_is_read(sealed: Sealed) -> None:
    path, seal, _ = sealed
    with Ledger.open(f"sqlite:///{path}") as ledger:
        for since in (seal, seal.hash.hex()):
            proof = ledger.verify(since=since)
            assert (proof.ok, proof.entries, proof.accounts) == (True, 2 + 2, 3)
            assert str(proof).startswith("4 entries of 3 account(s) since checkpoint 2: chain, sums")
        assert (ledger.verify("a", since=seal).entries, ledger.verify("c", since=seal).entries) == (2, 2)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE ledger_entry SET amount = 7 WHERE account='a' AND version=3", ""),  # before: believed
        ("DELETE FROM ledger_entry WHERE account='b' AND version < 13", ""),
        ("UPDATE ledger_entry SET amount = 7 WHERE key='and more'", "its fields do not give its hash"),
        (
            "UPDATE ledger_entry SET debt = 7 WHERE account='b' AND version=13",
            "'b' version 13: not the entry",
        ),
        (
            "UPDATE ledger_entry SET hash = zeroblob(32) WHERE account='b' AND version=13",
            "not the entry that",
        ),
        ("DELETE FROM ledger_entry WHERE account='b' AND version=13", "'b' version 13: not the entry that"),
        ("DELETE FROM ledger_entry WHERE key='and more'", "stored version is"),
        ("DELETE FROM ledger_account WHERE account='b'", "'b': is believed to be there and is not stored"),
        ("UPDATE ledger_account SET held = 5 WHERE account='b'", "stored held is 5"),
    ],
)
def test_since_a_seal_what_was_sealed_is_believed(sealed: Sealed, change: str, problem: str) -> None:
    path, seal, _ = sealed
    with changed(path, change) as ledger:
        proof = ledger.verify(since=seal)
        assert problem in said(proof)
        assert proof.ok is (problem == "")
        assert not ledger.verify().ok  # nothing is believed unless one asks for it


def test_since_a_seal_a_row_that_is_behind_its_entries_is_found(sealed: Sealed) -> None:
    """The account's row of before the last entry, put back: it fits the entries up to there."""
    path, seal, receipt = sealed
    columns = "version, head, at, available, held, debt"
    before = (
        f"UPDATE ledger_account SET ({columns}) = (SELECT version, hash, at, available, held, debt "
        f"FROM ledger_entry WHERE account='a' AND version={receipt.version}), "
        "buckets = replace(buckets, :now, :then) WHERE account='a'"
    )
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.verify(since=seal).ok
        (last,) = [entry for entry in ledger.entries("a") if entry.version == receipt.version + 1]
        raw = sqlite3.connect(path, isolation_level=None)
        (packed,) = raw.execute("SELECT buckets FROM ledger_account WHERE account='a'").fetchone()
        buckets = json.loads(packed)
        number = json.loads(last.body)["legs"][0][1]
        for bucket in buckets:
            bucket[5] -= last.amount if bucket[2] == number else 0
        then = json.dumps([b for b in buckets if b[5] or b[6]], separators=(",", ":"))
        raw.execute(before, {"now": packed, "then": then})
        raw.close()
        for since in (seal, receipt):
            assert said(ledger.verify(since=since)) == (
                f"account 'a' version {receipt.version}: has an entry {receipt.version + 1}, "
                "which its stored row does not know of"
            )
        assert not ledger.verify().ok


def test_since_a_seal_what_is_written_meanwhile_is_left_alone() -> None:
    """Entries that are younger than the picture are no problem."""
    with Ledger.open("memory:") as ledger:
        ledger.grant("a", 1, key="in", create=True)
        seal = ledger.seal()
        store, once = ledger._store, iter((True,))
        entries = store.entries

        def busy(account: str, after: int, limit: int) -> list[Any]:
            if next(once, False):
                ledger.grant("a", 1, key="meanwhile")
            return entries(account, after, limit)

        store.entries = busy  # type: ignore[method-assign]
        assert ledger.verify(since=seal).problems == ()
        assert len(list(ledger.entries("a"))) == 3


def test_a_seal_that_was_cut_off_is_not_believed(sealed: Sealed) -> None:
    path, seal, _ = sealed
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("DROP TRIGGER ledger_checkpoint_no_delete")
    raw.execute("DELETE FROM ledger_checkpoint WHERE number = 2")
    raw.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        proof = ledger.verify(since=seal)
        assert proof.problems == (
            f"no checkpoint has the hash {seal.hash.hex()}: it was cut off, or is another ledger's",
        )
        assert proof.entries == ledger.verify().entries  # everything was read


def test_what_a_later_seal_says_is_held_against_the_entries(sealed: Sealed) -> None:
    path, seal, _ = sealed
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.seal()
        assert ledger.verify(since=seal).ok
    with changed(path, "DELETE FROM ledger_entry WHERE account='c' AND version=2") as ledger:
        assert "'c' version 2: was sealed and is missing" in said(ledger.verify(since=seal))


def test_since_receipts_other_accounts_are_read_whole(sealed: Sealed) -> None:
    path, _, receipt = sealed
    with Ledger.open(f"sqlite:///{path}") as ledger:
        whole = ledger.verify().entries
        proof = ledger.verify(since=receipt)
        assert (proof.ok, proof.since) == (True, "1 receipt")
        assert proof.entries == whole - receipt.version
        assert ledger.verify("a", since=[receipt]).entries == 1
        assert ledger.verify("b", since=[receipt]).since == "0 receipts"
        forged = Receipt("a", receipt.version, "00" * 32)
        assert "not the entry that is believed" in said(ledger.verify(since=forged))
        ahead = Receipt("a", 1_000, "00" * 32)
        assert "version 1000: not the entry that is believed" in said(ledger.verify(since=ahead))
        for wrong in ("abc", "00", "zz" * 32):
            with pytest.raises(ValueError, match="64 hexadecimal digits"):
                ledger.verify(since=wrong)
        with pytest.raises(TypeError, match="since is a Checkpoint, its hash, or receipts, not int"):
            ledger.verify(since=[7])  # type: ignore[list-item]


def test_awaited(sealed: Sealed) -> None:
    path, seal, _ = sealed

    async def main() -> None:
        async with AsyncLedger.open(f"sqlite:///{path}") as ledger:
            assert (await ledger.verify(since=seal)).entries == 4
            assert (await ledger.audit()).ok

    asyncio.run(main())


def test_from_a_terminal(sealed: Sealed, capsys: pytest.CaptureFixture[str]) -> None:
    url, seal = f"sqlite:///{sealed[0]}", sealed[1]
    assert command(["verify", url, "--since", seal.hash.hex()]) == 0
    assert "checkpoint 2" in capsys.readouterr().out
    assert command(["verify", url, "--since", "00" * 32]) == 1
    assert command(["verify", url, "--since", "today"]) == 2
    assert command(["audit", url]) == 0
    assert "chain, sums, seals, buckets, holds, members, notices, notes" in capsys.readouterr().out


_TABLES = st.lists(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9))), min_size=6, max_size=6)


@given(_TABLES)
def test_partition_is_a_picture_account_by_account(tables: list[list[tuple[str, int]]]) -> None:
    tables = [sorted(rows) for rows in tables]
    seen: list[str] = []
    for name, part in partition(*tables):
        seen.append(name)
        rows: list[Any] = [part.entries(), part.accounts(), part.holds()]
        rows += [part.notes(), part.members(), part.notices()]
        assert [list(row) for row in rows] == [[row for row in table if row[0] == name] for table in tables]
    assert seen == [
        name for name, _ in groupby(sorted(row for table in tables for row in table), itemgetter(0))
    ]
