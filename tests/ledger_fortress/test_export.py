"""Out as JSON Lines and in again: the same ledger, or nothing that can be seen."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_fortress import AsyncLedger, Ledger, Refused
from ledger_fortress.commands import Clawback, Dispute, SetAlert, SetMember, Transfer
from ledger_fortress.documents import parse_entry
from ledger_fortress.exporting import STEP, BadExport, digest_of, export_lines
from ledger_fortress.importing import import_lines
from ledger_fortress.protocol import Changes, Decide, LedgerStore, Touch
from ledger_fortress.stores import open_store
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing.scenario import START, FakeClock

C = 1_000_000


def fill(store: LedgerStore, clock: FakeClock) -> None:
    """A ledger with something in every table, and a few thousand entries."""
    ledger = Ledger(store)
    odd = 'ключ "1" \\ ☃'
    ledger.grant(odd, 50, key=odd, source=odd, note="заметка", create=True)
    ledger.grant("a", 5_000, key="in", note="first", create=True)
    ledger.grant("a", 10, key="gift", expires=datetime.fromtimestamp(START + 60, UTC), priority=-1)
    ledger.apply(
        [
            SetMember(account="a", key="m", member="ann", cap=100 * C, window=3_600 * C),
            SetAlert(account="a", key="al", name="low", below=4_900 * C, rearm=4_950 * C),
            Transfer(account="a", key="t", to=odd, amount=3 * C),
            Clawback(account=odd, key="cb", amount=2 * C, grant=odd),
            Dispute(account=odd, key="du", amount=70 * C),
        ]
    )
    ledger.reserve("a", 20, key="ann's", member="ann", timeout=30)
    with pytest.raises(Refused):
        ledger.reserve("a", 10_000, key="no")
    clock.tick(100)
    for step in range(700):
        ledger.reserve("a", "0.2", key=f"h{step}")
        if step % 3:
            ledger.charge("a", f"h{step}", "0.1")
    ledger.refund("a", "h1", key="r1")
    ledger.charge(odd, "lost", 90, on_missing="debt")
    ledger.seal()


@pytest.fixture(scope="module")
def full() -> MemoryStore:
    clock = FakeClock()
    store = MemoryStore(clock)
    fill(store, clock)
    return store


@pytest.fixture(scope="module")
def lines(full: MemoryStore) -> list[str]:
    return list(export_lines(full))


def stores(folder: Path) -> Iterable[LedgerStore]:
    clock = FakeClock(START + 100)
    yield MemoryStore(clock)
    yield open_store(f"sqlite:///{folder}/credits.db", clock=clock)


def test_a_copy_is_the_same_ledger(full: MemoryStore, lines: list[str], tmp_path: Path) -> None:
    """Digest, export, verification and what is answered to a repeated command."""
    for copy in stores(tmp_path):
        told: list[int] = []
        done = import_lines(copy, lines, told.append)
        assert done.digest == digest_of(full) == digest_of(copy) == json.loads(lines[-1])["digest"]
        count = sum(map(len, full._rows.entries.values()))
        assert (done.entries, done.fresh, done.accounts) == (count, count, 2)
        assert told == sorted(told)
        assert told[-1] == json.loads(lines[-1])["rows"] > STEP
        assert sorted(export_lines(copy)) == sorted(lines)
        ledger, first = Ledger(copy), Ledger(full)
        proof = ledger.audit()
        assert proof.ok, proof.problems
        assert ledger.balance("a") == first.balance("a")
        repeated = ledger.reserve("a", "0.2", key="h1")
        assert (repeated.replayed, repeated.open) == (True, False)
        assert repeated.hash == first.reserve("a", "0.2", key="h1").hash
        copy.close()


def test_an_export_is_made_of_published_documents(full: MemoryStore, lines: list[str]) -> None:
    entries = [line for line in lines if '"ledger-entry.v1"' in line]
    told = [parse_entry(line) for line in entries]
    assert sorted(told) == sorted(entry for rows in full._rows.entries.values() for entry in rows)


def test_one_account_alone(full: MemoryStore) -> None:
    copy = MemoryStore(FakeClock(START + 100))
    assert import_lines(copy, export_lines(full, "a")).accounts == 1
    assert Ledger(copy).accounts() == ["a"]
    assert digest_of(copy, "a") == digest_of(full, "a") != digest_of(full)
    assert Ledger(copy).audit().ok


def test_what_was_delivered_is_not_delivered_again(full: MemoryStore) -> None:
    """A notice that somebody acknowledged stays so; one that nobody did is still to be delivered."""
    clock = FakeClock()
    store = MemoryStore(clock)
    ledger = Ledger(store)
    ledger.grant("a", 10, key="in", create=True)
    ledger.apply([SetAlert(account="a", key=f"al{low}", name=f"low{low}", below=low * C) for low in (8, 4)])
    ledger.reserve("a", 3, key="h1")
    first = store.notices("a", (), True, 10)
    store.acknowledge([notice[:3] for notice in first])
    ledger.reserve("a", 4, key="h2")
    copy = MemoryStore(clock)
    import_lines(copy, export_lines(store))
    assert copy.notices("a", (), True, 10) == store.notices("a", (), True, 10)
    assert len(copy.notices("a", (), False, 10)) == 2
    assert len(copy.notices("a", (), True, 10)) == 1


def test_importing_again_changes_nothing(full: MemoryStore, lines: list[str]) -> None:
    copy = MemoryStore(FakeClock(START + 100))
    first = import_lines(copy, lines)
    assert import_lines(copy, lines).fresh == 0
    Ledger(copy).grant("a", 1, key="since")
    before = digest_of(copy)
    again = import_lines(copy, lines)
    assert (again.fresh, again.digest) == (0, first.digest)
    assert digest_of(copy) == before
    assert Ledger(copy).audit().ok


class Breaking:
    """A store that dies after so many commits."""

    def __init__(self, store: LedgerStore, commits: int) -> None:
        self._store = store
        self._left = commits

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        self._left -= 1
        if self._left < 0:
            raise OSError("gone")
        return self._store.transact(touch, decide)


def test_a_broken_import_cannot_be_seen_and_goes_on(
    full: MemoryStore, lines: list[str], tmp_path: Path
) -> None:
    """Wherever it breaks off: no account is there, nobody can write to it, and a second try ends well."""
    commits = 0
    while True:
        copy = MemoryStore(FakeClock(START + 100))
        try:
            import_lines(Breaking(copy, commits), lines)  # type: ignore[arg-type]
        except OSError:
            assert Ledger(copy).accounts() == []
            with pytest.raises(Refused, match="unknown_account"):
                Ledger(copy).reserve("a", 1, key="x")
            assert import_lines(copy, lines).accounts == 2
            assert digest_of(copy) == digest_of(full)
            commits += 1
        else:
            break
    assert commits >= 3


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_damage_is_found(lines: list[str], data: st.DataObject) -> None:
    """A line changed, dropped, doubled, swapped, or the file cut: refused by name, and nothing is visible."""
    damage = data.draw(st.sampled_from(["cut", "drop", "double", "swap", "flip"]))
    place = data.draw(st.integers(0, len(lines) - 1))
    broken = list(lines)
    if damage == "cut":
        del broken[place:]
    elif damage == "drop":
        del broken[place]
    elif damage == "double":
        broken.insert(place, broken[place])
    elif damage == "swap":
        other = data.draw(st.integers(0, len(lines) - 1).filter(lambda it: lines[it] != lines[place]))
        broken[place], broken[other] = broken[other], broken[place]
    else:
        at = data.draw(st.integers(0, len(broken[place]) - 2))
        broken[place] = f"{broken[place][:at]}{chr(ord(broken[place][at]) ^ 1)}{broken[place][at + 1 :]}"
    copy = MemoryStore(FakeClock(START + 100))
    try:
        import_lines(copy, broken)
    except BadExport:
        assert Ledger(copy).accounts() == []
    else:  # what means the same may be written in another way: a pending mark, the order of a table's rows
        assert digest_of(copy) == json.loads(lines[-1])["digest"]
        assert damage != "cut"


def test_another_history_is_refused(lines: list[str]) -> None:
    copy = MemoryStore(FakeClock(START + 100))
    Ledger(copy).grant("a", 1, key="mine", create=True)
    before = digest_of(copy)
    with pytest.raises(BadExport, match="another history"):
        import_lines(copy, lines)
    assert Ledger(copy).accounts() == ["a"]
    assert digest_of(copy, "a") == before


@pytest.mark.parametrize(
    "text", ["", "{}\n", "[]\n", "credits\n", '{"row":"head","format":"ledger-export.v9"}\n']
)
def test_what_is_no_export(text: str) -> None:
    with pytest.raises(BadExport):
        import_lines(MemoryStore(), text.splitlines(keepends=True))


def test_files_and_the_awaited_face(full: MemoryStore, tmp_path: Path) -> None:
    """From one ledger's file into another ledger, blocking and awaited."""
    path = tmp_path / "ledger.jsonl"
    with path.open("w", encoding="utf-8") as file:
        Ledger(full).export(file)

    async def main() -> str:
        async with AsyncLedger.open("memory:") as copy:
            with path.open(encoding="utf-8") as file:
                await copy.import_lines(file)
            await copy.export(again := io.StringIO())
            assert sorted(again.getvalue().splitlines()) == sorted(path.read_text("utf-8").splitlines())
            return await copy.digest()

    assert asyncio.run(main()) == Ledger(full).digest()
