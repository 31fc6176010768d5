"""Islands over one store: they converge, count nothing twice, and share what they know of breakers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from adaptive_island import Attempt, Fault, Island, Outcome, Policy
from adaptive_island.stores import Circuit, News, Store, open_store
from adaptive_island.testing import Events, FakeClock
from tests.adaptive_island.kit import MODEL, THREE
from tests.ledger_fortress.redis.servers import RedisServer

QUIET = Policy(share_every=3_600.0, rankings_every=1e-9)  # rounds happen when a test says `refresh`


class Island2(Island):
    """An island with its clock and events at hand."""

    clock: FakeClock
    events: Events


def island_at(url: str, clock: FakeClock, policy: Policy = QUIET) -> Island2:
    events = Events()
    island = Island2.open(url, policy=policy, clock=clock, hook=events, seed=1, migrate=True)
    assert isinstance(island, Island2)
    island.clock, island.events = clock, events
    return island


@pytest.fixture
def pair(url: str) -> Iterator[tuple[Island2, Island2]]:
    clock = FakeClock()
    one, two = island_at(url, clock), island_at(url, clock)
    yield one, two
    one.close()
    two.close()


def tell(
    island: Island2, name: str, provider: str = "fal", outcome: Outcome = Outcome.USED, **more: Any
) -> None:
    more.setdefault("seconds", 5.0)
    island.record(
        Attempt(id=name, model=MODEL, provider=provider, outcome=outcome, at=island.clock.now, **more)
    )


def seen(island: Island, provider: str = "fal") -> tuple[float, float | None]:
    (line,) = (line for line in island.explain(MODEL, THREE) if line.provider == provider)
    return line.attempts, line.success


def test_what_one_learns_all_know(pair: tuple[Island2, Island2]) -> None:
    one, two = pair
    for n in range(12):
        tell(one, f"a{n}", "byteplus", Outcome.FAILED)
        tell(one, f"b{n}", "fal", seconds=2.0)
        tell(two, f"c{n}", "replicate", seconds=90.0)
    one.refresh()
    two.refresh()
    one.refresh()
    assert one.rank(MODEL, THREE) == two.rank(MODEL, THREE)
    assert one.rank(MODEL, THREE)[0] == "fal"
    for name in THREE:
        assert seen(one, name) == pytest.approx(seen(two, name))


def test_nothing_is_missing_or_doubled_at_any_moment(pair: tuple[Island2, Island2]) -> None:
    """Before, during and after a round an island counts what it reported exactly once."""
    one, two = pair
    for n in range(1, 6):
        tell(one, f"a{n}")
        assert seen(one)[0] == pytest.approx(n)
        one.refresh()
        assert seen(one)[0] == pytest.approx(n)
        two.refresh()
        assert seen(two)[0] == pytest.approx(n)


def test_a_report_that_two_processes_heard_counts_once(pair: tuple[Island2, Island2]) -> None:
    for island in pair:
        tell(island, "same")
    for island in (*pair, *pair):
        island.refresh()
    assert [seen(island)[0] for island in pair] == pytest.approx([1.0, 1.0])
    assert [attempt.id for attempt in store_of(pair[0]).log()] == ["same"]


def test_a_late_starter_knows_what_was_learned(url: str, pair: tuple[Island2, Island2]) -> None:
    one, _two = pair
    for n in range(10):
        tell(one, f"a{n}", "byteplus", Outcome.FAILED)
        tell(one, f"b{n}", "fal")
    one.refresh()
    late = island_at(url, one.clock)
    late.refresh()
    assert late.rank(MODEL, THREE)[-1] == "byteplus"
    late.close()


def test_a_breaker_that_opens_opens_for_all(pair: tuple[Island2, Island2]) -> None:
    one, two = pair
    tell(one, "b", "fal")  # somebody to go to: a lone provider's breaker is ignored
    for n in range(4):
        one.clock.advance(1.0)
        tell(one, f"a{n}", "byteplus", Outcome.FAILED, fault=Fault.PROVIDER, seconds=0.5)
    one.refresh()
    assert not two.attempt(MODEL, "byteplus", id="t1").skip
    two.refresh()
    assert two.attempt(MODEL, "byteplus", id="t2").skip
    assert [event.after for event in two.events if hasattr(event, "after")] == ["open"]


def test_one_probe_and_its_good_news_are_shared(pair: tuple[Island2, Island2]) -> None:
    one, two = pair
    tell(one, "a", "byteplus", Outcome.FAILED, retry_after=30.0, seconds=0.5)
    one.refresh()
    two.refresh()
    one.clock.advance(40.0)
    probe = one.attempt(MODEL, "byteplus", id="probe")
    assert not probe.skip
    one.refresh()
    two.refresh()
    assert two.attempt(MODEL, "byteplus", id="second").skip, "somebody else holds the probe"
    one.clock.advance(5.0)
    probe.succeed()
    one.refresh()
    two.refresh()
    assert not two.attempt(MODEL, "byteplus", id="third").skip


def test_isolation_holds_everywhere_until_a_human_restores(pair: tuple[Island2, Island2]) -> None:
    one, two = pair
    one.isolate("fal")
    two.clock.advance(1.0)
    for n in range(4):  # it did not hear of it yet, and has something younger to say about the same place
        two.clock.advance(0.01)
        tell(two, f"x{n}", "fal", Outcome.FAILED, fault=Fault.PROVIDER, seconds=0.001)
    for island in (one, two, one, two):
        island.refresh()
    two.clock.advance(100_000.0)
    assert one.attempt(MODEL, "fal", id="t1").skip
    assert two.attempt(MODEL, "fal", id="t2").skip
    two.restore("fal")
    for island in (two, one):
        island.refresh()
    assert not one.attempt(MODEL, "fal", id="t3").skip
    assert not two.attempt(MODEL, "fal", id="t4").skip


def test_a_humans_word_is_the_younger_one(pair: tuple[Island2, Island2]) -> None:
    """A breaker that trips before it hears of the isolation, and a clock that is behind, change nothing."""
    one, two = pair
    one.isolate("fal", account="", model=MODEL)
    two.clock.advance(1.0)
    for n in range(4):
        tell(two, f"x{n}", "fal", Outcome.FAILED, fault=Fault.PROVIDER, seconds=0.0)
    for island in (one, two, one, two, one, two):
        island.refresh()
    two.clock.advance(100_000.0)
    assert [island.attempt(MODEL, "fal", id=f"t{n}").skip for n, island in enumerate(pair)] == [True, True]
    two.clock.advance(-100_030.0)
    two.restore("fal", account="", model=MODEL)
    for island in (two, one, two):
        island.refresh()
    assert [island.attempt(MODEL, "fal", id=f"u{n}").skip for n, island in enumerate(pair)] == [False, False]


def test_who_missed_a_restore_isolates_nobody_anew(pair: tuple[Island2, Island2]) -> None:
    """The word on the restoring was overwritten by what the breaker did next, before `two` heard it."""
    one, two = pair
    one.isolate("fal", account="", model=MODEL)
    one.refresh()
    two.refresh()
    one.clock.advance(1.0)
    one.restore("fal", account="", model=MODEL)
    one.refresh()
    one.clock.advance(1.0)
    for n in range(4):
        tell(one, f"x{n}", "fal", Outcome.FAILED, fault=Fault.PROVIDER, seconds=0.0)
    for island in (one, two, one, two, one):
        island.refresh()
    one.clock.advance(100.0)  # long after the opening
    assert not one.attempt(MODEL, "fal", id="t1").skip
    one.refresh()
    two.refresh()
    assert "isolated" not in two.attempt(MODEL, "fal", id="t2").reason


def test_who_begins_anew_takes_back_no_humans_word(url: str, pair: tuple[Island2, Island2]) -> None:
    """A process that opens a breaker before it heard of anything overwrites no restoring, no isolation."""
    one, two = pair
    for name in ("fal", "byteplus"):
        one.isolate(name, account="", model=MODEL)
    one.refresh()
    two.refresh()
    one.clock.advance(1.0)
    one.restore("fal", account="", model=MODEL)
    one.refresh()
    late = island_at(url, one.clock)
    one.clock.advance(1.0)
    for n in range(8):
        provider = ("fal", "byteplus")[n % 2]
        tell(late, f"x{n}", provider, Outcome.FAILED, fault=Fault.PROVIDER, seconds=0.0)
    for island in (late, late, two, one, late, two, one):
        island.refresh()
    one.clock.advance(5.0)
    for island in (one, two, late):
        states = {line.provider: line.breaker for line in island.explain(MODEL, THREE)}
        assert states == {"fal": "open", "byteplus": "isolated", "replicate": "closed"}
    late.close()


@pytest.mark.parametrize("name", ["a\0", "a\ud800"], ids=["nul", "surrogate"])
def test_one_name_that_cannot_be_kept_is_in_nobodys_way(pair: tuple[Island2, Island2], name: str) -> None:
    one, two = pair
    tell(one, name)
    assert not one.attempt(MODEL, "fal", account=name).skip
    tell(one, "good")
    one.refresh()
    two.refresh()
    assert one.health().counts == {"record": 1, "attempt": 1}
    assert seen(two)[0] == pytest.approx(1.0)


def test_rankings_are_read_from_the_store(pair: tuple[Island2, Island2]) -> None:
    one, two = pair
    for n in range(10):
        tell(one, f"a{n}", "fal", seconds=1.0)
        tell(one, f"b{n}", "byteplus", seconds=80.0)
    one.publish(MODEL)
    two.refresh()
    assert two.health().rankings == 1


def test_a_store_that_forgot_everything_is_filled_anew(redis_server: RedisServer) -> None:
    one = island_at(redis_server.url, FakeClock())
    tell(one, "a1")
    one.refresh()
    with redis_server.client() as client:
        client.flushall()
    tell(one, "a2")
    one.refresh()
    assert seen(one)[0] == pytest.approx(1.0)  # what the store had is lost, nothing else
    one.close()


@pytest.mark.parametrize("busy", [False, True])
def test_a_store_that_forgot_everything_hears_of_isolations_again(
    redis_server: RedisServer, busy: bool
) -> None:
    """Or a process that starts later would call whom a human took out."""
    with redis_server.client() as client:
        client.flushall()
    one = island_at(redis_server.url, FakeClock())
    one.isolate("fal")
    one.refresh()
    with redis_server.client() as client:
        client.flushall()
    if busy:
        tell(one, "a")
    for _ in range(2):
        one.refresh()
    late = island_at(redis_server.url, one.clock)
    late.refresh()
    assert late.attempt(MODEL, "fal", id="t").skip
    late.restore("fal")
    for island in (late, one, late):
        island.refresh()
    assert not late.attempt(MODEL, "fal", id="u").skip
    assert not one.attempt(MODEL, "fal", id="v").skip
    one.close()
    late.close()


def store_of(island: Island) -> Store:
    found = island.rankings
    assert hasattr(found, "push")
    return found  # type: ignore[return-value]


class Lying:
    """A store that answers whatever it is told to answer."""

    where = "lying:"

    def __init__(self, news: News | Exception, documents: Any = None) -> None:
        self.news, self.documents, self.pushes = news, documents or {}, 0

    def push(self, reports: Any, circuits: Any) -> None:
        self.pushes += 1
        if isinstance(self.news, Exception):
            raise self.news

    def pull(self, life: str, cursor: str) -> News:
        if isinstance(self.news, Exception):
            raise self.news
        return self.news

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        return iter(())

    def read(self) -> Any:
        return self.documents

    def write(self, key: str, document: str, seconds: float) -> None:
        raise OSError("disk full")

    def after_fork(self) -> None: ...
    def close(self) -> None: ...


def over(store: Lying, clock: FakeClock) -> Island2:
    island = Island2(QUIET, clock, events := Events(), 1, store)
    island.clock, island.events = clock, events
    return island


GARBAGE = News(
    "life",
    "1",
    [
        (("1200", 1, "us", MODEL), ("fal", ""), [math.nan] * 8),  # type: ignore[list-item]
        (("1200", 1, "us", MODEL), ("fal", ""), [1.0]),  # type: ignore[list-item]
        (("nobody's", 1, "us", MODEL), ("fal", ""), [1.0] * 8),  # type: ignore[list-item]
    ],
    [
        Circuit("fal", "", MODEL, "ajar", 1.0, 2.0, "failures", 1),
        Circuit("fal", "", MODEL, "open", math.inf, 2.0, "failures", 1),
        Circuit("fal", "", MODEL, "open", 9e12, 9e12, "failures", 1),
        Circuit(None, 3, [], "open", 1.0, 2.0, "failures", 1),  # type: ignore[arg-type]
    ],
)


def test_garbage_is_not_believed() -> None:
    from adaptive_island.cells import Bucket

    news = GARBAGE._replace(sums=[(Bucket(*bucket), cell, sums) for bucket, cell, sums in GARBAGE.sums])
    island = over(Lying(news, {"predictive:ranking:us:m": b"{", "x": "y"}), FakeClock())
    island.refresh()
    assert island.rank(MODEL, THREE) == THREE
    assert not island.attempt(MODEL, "fal", id="t").skip
    assert island.health().counts["unbelievable"] == 7


def test_nobody_is_believed_for_ever() -> None:
    """An opening without end, or with numbers that are none, keeps no provider out and stops no round."""
    clock = FakeClock()
    endless = Circuit("fal", "", MODEL, "open", clock.now, 1e300, "failures", 1)
    leased = Circuit("byteplus", "", MODEL, "half_open", clock.now, clock.now, "failures", 1, 1e300)
    endless_times = Circuit("fal", "", MODEL, "open", clock.now, 9.0, "failures", math.inf)  # type: ignore[arg-type]
    island = over(Lying(News("life", "1", (), [endless, leased, endless_times])), clock)
    island.refresh()
    assert island.health().counts == {"unbelievable": 1}
    clock.advance(100_000.0)
    assert not island.attempt(MODEL, "fal", id="a").skip
    assert not island.attempt(MODEL, "byteplus", id="b").skip


class Counting(Lying):
    """Remembers how many reports each push had."""

    def __init__(self, news: News | Exception) -> None:
        super().__init__(news)
        self.sizes: list[int] = []

    def push(self, reports: Any, circuits: Any) -> None:
        self.sizes.append(len(reports))
        super().push(reports, circuits)


def test_what_has_piled_up_is_told_in_parts() -> None:
    """A store that is down is told no more than the first of them; one that is back gets all."""
    store = Counting(OSError("gone"))
    island = over(store, FakeClock())
    for n in range(4_100):
        tell(island, f"a{n}")
    island.refresh()
    assert store.sizes == [2_000]
    store.news = News("life", "1")
    island.refresh()
    assert store.sizes == [2_000, 2_000, 2_000, 100]
    island.refresh()
    assert len(store.sizes) == 4


def test_a_store_that_is_down_costs_nothing_but_news() -> None:
    """Loud once; what could not be told is told when it is back, and meanwhile counts here."""
    store = Lying(OSError("gone"))
    island = over(store, FakeClock())
    for n in range(5):
        tell(island, f"a{n}")
        island.clock.advance(1.0)
        island.refresh()
    assert seen(island)[0] == pytest.approx(5.0, rel=0.01)
    health = island.health()
    assert (health.store_age, health.counts["store"]) == (None, 5)
    assert "gone" in health.last_error
    store.news = News("life", "1")
    island.refresh()
    assert island.health().store_age == 0.0


def test_what_waits_for_a_store_is_bounded() -> None:
    policy = Policy(share_every=3_600.0, attempts_most=100)
    store = Lying(OSError("gone"))
    clock = FakeClock()
    island = Island2(policy, clock, Events(), 1, store)
    island.clock = clock
    for n in range(1_000):
        tell(island, f"a{n}")
        if n % 30 == 0:
            island.refresh()
    assert 0 < island.health().counts["reports_dropped"] <= 950


def test_publishing_into_a_broken_cache_raises_nothing() -> None:
    island = over(Lying(News("", "")), FakeClock())
    tell(island, "a")
    island.publish(MODEL)
    assert island.health().counts["publish"] == 1


def test_a_url_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(ValueError, match="names no file"):
        open_store("sqlite:///")
