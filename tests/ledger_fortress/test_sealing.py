"""Checkpoints: what was sealed must be found again."""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.sealing import every_checkpoint, seal
from ledger_fortress.state import Checkpoint
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two accounts, sealed, then one more entry of `a`, a third account, sealed again, and one entry more."""
    path = tmp_path / "credits.db"
    with Ledger.open(f"sqlite:///{path}", clock=FakeClock()) as ledger:
        for name in ("b", "a"):
            ledger.grant(name, 5, key="in", create=True)
        assert (ledger.seal().number, ledger.seal().number) == (1, 2)
        ledger.grant("a", 1, key="more")
        ledger.open_account("c", key="o")
        ledger.seal()
        ledger.grant("c", 1, key="in")
        assert ledger.audit().ok
    return path


def problems(path: Path, *statements: str) -> str:
    raw = sqlite3.connect(path, isolation_level=None)
    for trigger in ("entry_no_delete", "checkpoint_no_update", "checkpoint_no_delete"):
        raw.execute(f"DROP TRIGGER ledger_{trigger}")
    for statement in statements:
        assert raw.execute(statement).rowcount > 0
    raw.close()
    with Ledger.open(f"sqlite:///{path}") as ledger:
        return " | ".join(ledger.audit().problems)


def test_heads_are_those_that_changed(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        first, second, third = every_checkpoint(ledger._store, size=1)
        entries = {name: list(ledger.entries(name)) for name in ("a", "b", "c")}
    assert json.loads(first.heads) == [[name, 2, entries[name][1].hash.hex()] for name in ("a", "b")]
    assert (first.accounts, second.accounts, third.accounts) == (2, 2, 3)
    assert json.loads(second.heads) == []
    assert [head[:2] for head in json.loads(third.heads)] == [["a", 3], ["c", 1]]
    assert (second.prev_hash, third.prev_hash) == (first.hash, second.hash)


def test_hash_is_what_the_description_says(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        last = list(every_checkpoint(ledger._store))[-1]
    fields = [last.prev_hash.hex(), "3", str(last.at), "3", last.heads]
    raw = b"".join(str(len(field)).encode() + b":" + field.encode() for field in fields)
    assert last.hash == sha256(b"\x01" + raw).digest()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE ledger_checkpoint SET at = at + 1 WHERE number = 2"], "checkpoint 2: does not continue"),
        (["DELETE FROM ledger_checkpoint WHERE number = 2"], "checkpoint 3: does not continue"),
        (["UPDATE ledger_checkpoint SET heads = '[]' WHERE number = 1"], "checkpoint 1: does not continue"),
        (["UPDATE ledger_checkpoint SET accounts = 4 WHERE number = 3"], "counts 4 accounts, not 3"),
        (
            [
                "DELETE FROM ledger_entry WHERE account = 'b'",
                "DELETE FROM ledger_account WHERE account = 'b'",
            ],
            "account 'b' version 2: was sealed and is missing",
        ),
        (
            ["DELETE FROM ledger_entry WHERE account='a' AND version=3"],
            "'a' version 3: was sealed and is missing",
        ),
    ],
)
def test_what_was_sealed_must_be_there(path: Path, statements: list[str], said: str) -> None:
    assert said in problems(path, *statements)


def test_one_account_alone_is_held_to_its_own_seals(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.audit("a").ok
        assert ledger.audit("c").ok


def test_two_who_seal_at_once_make_two_checkpoints() -> None:
    """The number is taken by the first; the second looks again."""

    class Slow(MemoryStore):
        beaten = 0

        def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
            if self.beaten == 0:
                self.beaten = 1
                assert seal(self, 7).number == 1
            return super().add_checkpoint(checkpoint)

    store: LedgerStore = Slow(FakeClock())
    assert seal(store, 5).number == 2
    assert [checkpoint.at for checkpoint in every_checkpoint(store)] == [7, 7]
    assert Ledger(store).audit().ok
