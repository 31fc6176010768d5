"""Tampering is found, and the auditor borrows nothing from the rules."""

import ast
import json
import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import ledger_fortress
from ledger_fortress import Ledger
from ledger_fortress.audit import replay
from ledger_fortress.commands import Freeze
from ledger_fortress.entries import Entry, chain_hash, moment
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.places import quick_folder


def history(ledger: Ledger, clock: FakeClock) -> None:
    for name in ("a", "b"):
        ledger.grant(name, 10, key="in", source="plan", note="welcome", create=True)
        ledger.reserve(name, 3, key="h1")
        ledger.charge(name, "h1", 2)
        ledger.refund(name, "h1", 1, key="r1")
        ledger.reserve(name, 2, key="h2", timeout=10)
        clock.tick(20)
        ledger.charge(name, "h4", 12, on_missing="debt")
        ledger.grant(name, 20, key="in2")


def longer_history(ledger: Ledger, clock: FakeClock) -> None:
    """With everything that the short one has not."""
    history(ledger, clock)
    ledger.set_alert("a", "low", 15, key="low")
    ledger.set_member("a", "ann", 5, key="ann", window=60)
    ledger.reserve("a", 2, key="m1", member="ann")
    ledger.charge("a", "m1", 1)
    ledger.transfer("a", "b", 3, key="t1")
    ledger.dispute("a", 4, key="d1", grant="in2")
    later = clock.seconds + 50
    ledger.grant("b", 4, key="in3", expires=moment(round(later * 1e6)), rollover=1, rollover_life=100)
    ledger.expire("b", "in2")
    clock.tick(60)
    ledger.dispute_won("a", "d1")
    ledger.sweep()


@pytest.fixture
def file() -> Iterator[Path]:
    with quick_folder() as folder:
        path = folder / "credits.db"
        clock = FakeClock()
        with Ledger.open(f"sqlite:///{path}", clock=clock) as ledger:
            history(ledger, clock)
            proof = ledger.audit()
            assert proof.ok, proof.problems
            assert (proof.accounts, proof.entries) == (2, 18)
        yield path


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    clock = FakeClock()
    with Ledger.open(f"sqlite:///{tmp_path}/credits.db", clock=clock) as ledger:
        longer_history(ledger, clock)
        proof = ledger.audit()
        assert proof.ok, proof.problems
    return tmp_path / "credits.db"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE ledger_member SET spent = spent + 1", "stored member 'ann' differs"),
        ("UPDATE ledger_member SET cap = NULL", "stored member 'ann' differs"),
        ("DELETE FROM ledger_member", "member 'ann' of the entries is not stored"),
        ("UPDATE ledger_notice SET body = '{}'", "a stored notice differs"),
        (
            "UPDATE ledger_notice SET kind = 'late_charge' WHERE kind = 'low_balance'",
            "a stored notice differs",
        ),
        ("DELETE FROM ledger_notice WHERE kind = 'low_balance'", "its notice is not stored"),
        ("UPDATE ledger_account SET terms = '' WHERE account = 'a'", "stored terms differs"),
        ("UPDATE ledger_hold SET state = 'lost' WHERE key = 'd1'", "stored hold 'd1' differs"),
        ("UPDATE ledger_hold SET window = 0 WHERE key = 'm1'", "stored hold 'm1' differs"),
        ("UPDATE ledger_hold SET member = 'bob' WHERE key = 'm1'", "stored hold 'm1' differs"),
    ],
)
def test_tampering_beside_the_entries_is_found(long_file: Path, change: str, said: str) -> None:
    raw = sqlite3.connect(long_file, isolation_level=None)
    raw.execute("DROP TRIGGER ledger_notice_no_delete")
    assert raw.execute(change).rowcount > 0
    raw.close()
    with Ledger.open(f"sqlite:///{long_file}") as ledger:
        assert said in " | ".join(ledger.audit().problems)


def forged(path: Path, kind: str, change: Callable[[dict[str, Any]], Any]) -> str:
    """What the replay says after a clever thief has changed the body of account a's entries of this kind."""

    def forge(entry: Entry) -> Entry:
        if entry.kind != kind:
            return entry
        body = json.loads(entry.body)
        change(body)
        return entry._replace(body=json.dumps(body, sort_keys=True, separators=(",", ":")))

    rehash(path, forge)
    with Ledger.open(f"sqlite:///{path}") as ledger:
        return " | ".join(ledger.audit().problems)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("transfer_out", lambda body: body.update(to="c"), "account 'c' has no such transfer"),
        ("transfer_out", lambda body: body.update(version=1), "account 'b' has no such transfer"),
        ("member", lambda body: body.update(cap=1), "goes beyond the limit of member 'ann'"),
        ("member", lambda body: body.update(start=1), "into a window that is not his"),
        ("reserve", lambda body: body.pop("window", None), "counts in window 0 of member 'ann'"),
        ("alert", lambda body: body.update(below=1), "does not carry the notices"),
        ("charge", lambda body: body.pop("notices", None), "does not carry the notices"),
        ("charge", lambda body: body.pop("late", None), "settles hold 'h4', which is unknown"),
        ("dispute", lambda body: body["legs"].pop(), "its legs do not add up"),
        (
            "dispute_won",
            lambda body: body.update(buckets=[[3, 0, 0, None]] * 2),
            "makes bucket 3 a second time",
        ),
    ],
)
def test_a_forged_body_does_not_replay(
    long_file: Path, kind: str, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    assert said in forged(long_file, kind, change)


def problems(path: Path, *statements: str) -> tuple[str, ...]:
    """What verify says after somebody has changed the file behind the ledger's back."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("DROP TRIGGER ledger_entry_no_update")
    raw.execute("DROP TRIGGER ledger_entry_no_delete")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        assert raw.execute(statement).rowcount > 0, statement
    raw.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        proof = ledger.audit()
        one = ledger.audit("b")
    assert proof.ok == (proof.problems == ())
    assert set(one.problems) <= set(proof.problems) or not one.problems
    return proof.problems


COLUMNS = {
    "kind": "'release'",
    "key": "'x'",
    "hold": "'x'",
    "at": "at + 1",
    "amount": "amount + 1",
    "d_available": "d_available + 1",
    "d_held": "d_held + 1",
    "d_debt": "d_debt + 1",
    "available": "available + 1",
    "held": "held + 1",
    "debt": "debt + 1",
    "body": "replace(body, '1', '2')",
    "fingerprint": "x'00112233445566778899aabbccddeeff'",
    "link": "'l:0:2'",
    "note_hash": f"x'{'00' * 32}'",
    "prev_hash": f"x'{'00' * 32}'",
    "hash": f"x'{'00' * 32}'",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_field_is_found_where_it_is(file: Path, column: str) -> None:
    found = problems(
        file, f"UPDATE ledger_entry SET {column} = {COLUMNS[column]} WHERE account='a' AND version=4"
    )
    assert found[0].startswith("account 'a' version 4:")


def test_every_column_is_covered() -> None:
    assert set(COLUMNS) | {"account", "version"} == set(Entry._fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["DELETE FROM ledger_entry WHERE account='a' AND version=3"], "version 4: follows version 2"),
        (
            ["DELETE FROM ledger_entry WHERE account='a' AND version=9"],
            "stored version is 9, its entries say 8",
        ),
        (["DELETE FROM ledger_entry WHERE account='a'"], "stored without any entry"),
        (["DELETE FROM ledger_account WHERE account='a'"], "has entries but is not stored"),
        (["UPDATE ledger_account SET available = available + 1, debt = 0"], "stored available is"),
        (["UPDATE ledger_account SET held = 5 WHERE account='a'"], "stored held is 5"),
        (["UPDATE ledger_account SET status = 'closed'"], "stored status is 'closed'"),
        (["UPDATE ledger_account SET head = zeroblob(32)"], "stored head differs"),
        (["UPDATE ledger_account SET buckets = '[]' WHERE account='a'"], "stored buckets differs"),
        (
            ["UPDATE ledger_hold SET charged = charged + 1, refunded = 0 WHERE key='h1'"],
            "stored hold 'h1' differs",
        ),
        (["UPDATE ledger_hold SET state = 'open' WHERE key='h1'"], "stored hold 'h1' differs"),
        (["UPDATE ledger_hold SET slices = '[]' WHERE key='h1'"], "stored hold 'h1' differs"),
        (["DELETE FROM ledger_hold WHERE key='h1'"], "hold 'h1' of the entries is not stored"),
        (
            ["UPDATE ledger_note SET text = 'unwelcome' WHERE account='a'"],
            "version 2: the note is not the one that was written",
        ),
        (
            ["UPDATE ledger_note SET salt = zeroblob(16) WHERE account='a'"],
            "version 2: the note is not the one that was written",
        ),
        (["UPDATE ledger_entry SET body = 'x' WHERE account='a' AND version=2"], "account 'a' version 2"),
        (["UPDATE ledger_entry SET version = 100 WHERE account='a' AND version=9"], "follows version 8"),
    ],
)
def test_tampering_is_found(file: Path, change: list[str], said: str) -> None:
    found = problems(file, *change)
    assert said in " | ".join(found), found


def test_an_erased_note_is_no_tampering(file: Path) -> None:
    """Free text may be erased for good; the chain keeps its salted hash alone."""
    assert problems(file, "DELETE FROM ledger_note") == ()


def rehash(path: Path, change: Callable[[Entry], Entry]) -> None:
    """A clever thief changes account a's entries and computes every later hash anew."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("DROP TRIGGER ledger_entry_no_update")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    columns = ", ".join(Entry._fields)
    rows = raw.execute(f"SELECT {columns} FROM ledger_entry WHERE account='a' ORDER BY version").fetchall()
    head = bytes(32)
    for row in rows:
        e = change(Entry._make(row))
        numbers = ",".join(str(number) for number in (e[1], *e[5:13]))
        texts = (e.fingerprint or b"").hex(), e.link or "", (e.note_hash or b"").hex()
        digest = chain_hash(head, e.account, e.kind, e.key or "", e.hold or "", numbers, e.body, *texts)
        e = e._replace(prev_hash=head, hash=digest)
        head = digest
        assignments = ", ".join(f"{name} = ?" for name in Entry._fields)
        raw.execute(f"UPDATE ledger_entry SET {assignments} WHERE account='a' AND version=?", (*e, e.version))
    raw.execute("UPDATE ledger_account SET head = ? WHERE account='a'", (head,))
    raw.close()


def test_a_rewritten_chain_still_has_to_add_up(file: Path) -> None:
    """The forged grant has perfect hashes, and its legs do not fit; the head no longer fits any receipt."""
    with Ledger.open(f"sqlite:///{file}") as ledger:
        receipt = ledger.apply([Freeze(account="a", key="late")])[0].receipt  # type: ignore[union-attr]

    def richer(entry: Entry) -> Entry:
        return entry._replace(amount=entry.amount + 5) if entry.kind == "grant" else entry

    rehash(file, richer)
    with Ledger.open(f"sqlite:///{file}") as ledger:
        assert "not to its amount" in " ".join(ledger.audit("a").problems)
        assert next(e for e in ledger.entries("a") if e.version == receipt.version).hash.hex() != receipt.hash


def test_hash_is_what_the_description_says(file: Path) -> None:
    """Written out by hand once, so that other languages can check it."""
    with Ledger.open(f"sqlite:///{file}") as ledger:
        entry = list(ledger.entries("a"))[1]
    fields = [
        "",
        "a",
        "grant",
        "in",
        "",
        f"2,{entry.at},10000000,10000000,0,0,10000000,0,0",
        '{"effective":null,"expires":null,"legs":[["add",2048,10000000]],"priority":0,"source":"plan"}',
        entry.fingerprint.hex() if entry.fingerprint else "",
        "",
        entry.note_hash.hex() if entry.note_hash else "",
    ]
    fields[0] = entry.prev_hash.hex()
    raw = b"\x01" + b"".join(str(len(field)).encode() + b":" + field.encode() for field in fields)
    assert entry.hash == sha256(raw).digest()


def test_bodies_are_canonical(file: Path) -> None:
    """Those that are put together by hand for speed are what a JSON encoder would write."""
    with Ledger.open(f"sqlite:///{file}") as ledger:
        for entry in ledger.entries("a"):
            again = json.dumps(
                json.loads(entry.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )
            assert entry.body == again


def test_every_prefix_replays_to_its_own_balance() -> None:
    clock = FakeClock()
    with Ledger.open("memory:", clock=clock) as ledger:
        history(ledger, clock)
        entries = list(ledger.entries("a"))
        for length in range(1, len(entries) + 1):
            books = replay(entries[:length])
            last = entries[length - 1]
            account = books.accounts["a"]
            assert books.problems == ()
            assert (account.available, account.held, account.debt) == (last.available, last.held, last.debt)
            shown = ledger.balance_at("a", length)
            assert shown.available.micros == last.available
            assert sum(b.available.micros for b in shown.buckets) == last.available


def test_the_auditor_imports_no_rules() -> None:
    folder = Path(ledger_fortress.__file__).parent / "audit"
    imported: set[Any] = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    assert not [name for name in imported if name and ("rules" in name or "engine" in name)]
