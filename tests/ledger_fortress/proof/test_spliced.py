"""Two true histories make no third one: the end of one does not fit the beginning of the other."""

from ledger_fortress import Ledger
from ledger_fortress.audit import replay
from ledger_fortress.entries import Entry
from ledger_fortress.testing import FakeClock


def history(source: str) -> list[Entry]:
    with Ledger.open("memory:", clock=FakeClock()) as ledger:
        ledger.open_account("a", key=f"opened by {source}")
        ledger.grant("a", 10, key="in")
        ledger.reserve("a", 3, key="h")
        ledger.charge("a", "h", 2)
        return list(ledger.entries("a"))


def test_a_spliced_history_is_found() -> None:
    """Every entry is intact, every number follows; only what an entry says of the one before it is wrong."""
    one, two = history("one"), history("two")
    assert not replay(one).problems
    for cut in range(1, len(one)):
        problems = replay([*one[:cut], *two[cut:]]).problems
        said = f"account 'a' version {cut + 1}: does not continue the chain of the entry before it"
        assert problems[0] == said
