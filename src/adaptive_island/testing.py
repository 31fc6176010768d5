"""Public helpers for tests: of code that uses an island, and of a store that somebody wrote.

Subclass `StoreContract` in a pytest module and give it a `store` fixture with an empty store, and one named
`other` with a second connection to the same place. Nothing here needs pytest itself.
"""

from __future__ import annotations

from dataclasses import replace

from .attempt import Attempt, Fault, Outcome
from .cells import Bucket
from .stores.base import Circuit, Report, Store, ranking_key


class FakeClock:
    """A clock that goes only when told to; give it to `Island.open(clock=…)`."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let time pass; returns the new time."""
        self.now += seconds
        return self.now


class Events(list[object]):
    """A hook that keeps every event; give it to `Island.open(hook=…)`."""

    def __call__(self, event: object) -> None:
        self.append(event)


AT = 1_750_000_000.0
FAST, EVERYWHERE = Bucket("1200", 100, "us", "lab/model"), Bucket("1200", 100, "us", "")
CELL = ("fal", "1080p/8s")


def report_of(id: str = "a1", won: float = 1.0, **changes: object) -> Report:
    """A report that adds to one cell of a model and to the provider's."""
    attempt = Attempt(
        id=id, model="lab/model", provider="fal", outcome=Outcome.USED, work="1080p/8s", seconds=2.5,
        cost=40_000, at=AT,
    )  # fmt: skip
    sums = [1.5, won, 1.0, 0.25, 0.0625, 0.0, 40_000.0, 1.0]
    return Report(replace(attempt, **changes), ((FAST, CELL, sums), (EVERYWHERE, ("fal", ""), sums)))  # type: ignore[arg-type]


class StoreContract:
    """Every promise of `stores.base.Store`. Each test starts from an empty store."""

    def test_what_is_pushed_is_pulled(self, store: Store, other: Store) -> None:
        store.push([report_of("a1"), report_of("a2", 0.5)], [])
        news = other.pull("", "")
        sums = {(bucket, cell): list(values) for bucket, cell, values in news.sums}
        expected = [3.0, 1.5, 2.0, 0.5, 0.125, 0.0, 80_000.0, 2.0]
        assert sums == {(FAST, CELL): expected, (EVERYWHERE, ("fal", "")): expected}

    def test_an_attempt_counts_once_whoever_tells_it(self, store: Store, other: Store) -> None:
        store.push([report_of("a1"), report_of("a1")], [])
        other.push([report_of("a1", 0.0), report_of("a2")], [])
        ((_bucket, _cell, values),) = [found for found in store.pull("", "").sums if found[0] == FAST]
        assert list(values)[:2] == [3.0, 2.0]
        assert sorted(attempt.id for attempt in store.log()) == ["a1", "a2"]

    def test_a_reader_hears_what_changed_since(self, store: Store, other: Store) -> None:
        store.push([report_of("a1")], [])
        first = other.pull("", "")
        assert first.life
        assert other.pull(first.life, first.cursor).sums == []
        elsewhere = FAST._replace(model="lab/other")
        store.push([Report(report_of("a2").attempt, ((elsewhere, CELL, [1.0] * 8),))], [])
        second = other.pull(first.life, first.cursor)
        assert [bucket for bucket, _cell, _values in second.sums] == [elsewhere]

    def test_a_reader_of_another_life_hears_everything(self, store: Store, other: Store) -> None:
        store.push([report_of("a1")], [])
        life, cursor = other.pull("", "")[:2]
        for wrong in (("another", cursor), (life, ""), (life, "nonsense"), (life, "999999999999")):
            assert len(store.pull(*wrong).sums) == 2, wrong

    def test_an_empty_store_says_so(self, store: Store) -> None:
        news = store.pull("", "")
        assert (list(news.sums), list(news.circuits), list(store.log()), dict(store.read())) == (
            [],
            [],
            [],
            {},
        )

    def test_the_last_word_on_a_breaker_is_kept(self, store: Store, other: Store) -> None:
        told = Circuit("fal", "key", "lab/model", "open", AT, AT + 30.0, "failures", 1)
        store.push([], [told])
        first = other.pull("", "")
        assert first.circuits == [told]
        closed = told._replace(state="closed", since=AT + 40.25, cause="")
        other.push([report_of()], [closed])
        assert store.pull(first.life, first.cursor).circuits == [closed]
        latest = store.pull("", "")
        assert store.pull(latest.life, latest.cursor).circuits == []

    def test_who_has_not_heard_a_humans_word_changes_nothing(self, store: Store, other: Store) -> None:
        word = AT + 5.123456
        restored = Circuit("fal", "key", "lab/model", "closed", word, 0.0, "restored", 0, 0.0, word)
        store.push([], [restored])
        other.push([], [Circuit("fal", "key", "lab/model", "open", AT + 9.0, AT + 39.0, "failures", 1)])
        assert other.pull("", "").circuits == [restored]
        knowing = restored._replace(state="open", since=AT + 9.0, until=AT + 39.0, cause="failures")
        other.push([], [knowing])
        assert store.pull("", "").circuits == [knowing]

    def test_an_attempt_is_logged_as_it_was_told(self, store: Store) -> None:
        odd = report_of(
            "\u540d '\"%s", outcome=Outcome.FAILED, fault=Fault.ACCOUNT, cost=None, retry_after=7.5,
            region="", account="key/1", seconds=0.0, at=AT + 0.125,
        )  # fmt: skip
        store.push([report_of("a1"), odd], [])
        assert sorted(store.log(), key=lambda attempt: attempt.at) == [report_of("a1").attempt, odd.attempt]
        assert list(store.log(AT)) == [odd.attempt]

    def test_a_ranking_is_kept_for_its_time(self, store: Store, other: Store) -> None:
        key = ranking_key("us", "lab/model:with colon")
        store.write(key, "{1}", 3_600.0)
        store.write(key, "{2}", 3_600.0)
        (document,) = [text for found, text in other.read().items() if found == key]
        assert (document.decode() if isinstance(document, bytes) else document) == "{2}"
        store.write(key, "{3}", 0.001)
        while store.read():  # a thousandth of a second passes
            pass

    def test_a_closed_store_opens_again(self, store: Store) -> None:
        store.push([report_of("a1")], [])
        store.close()
        store.close()
        assert len(store.pull("", "").sums) == 2
