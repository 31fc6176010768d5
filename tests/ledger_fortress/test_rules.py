"""Corners of the rules that histories by chance rarely reach."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_fortress import Credits, Ledger, Reason, Refused
from ledger_fortress.answers import Applied, Refusal, Replayed
from ledger_fortress.commands import Charge, Clawback, Grant, Linked, Release, Reserve, SetAlert, Transfer
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import moment
from ledger_fortress.rules import Policy
from ledger_fortress.testing import FakeClock

C = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/credits.db"
    with Ledger.open(url, clock=clock) as opened:
        opened.grant("a", 10, key="in", create=True)
        opened.grant("b", 10, key="in", create=True)
        yield opened
        proof = opened.audit()
        assert proof.ok, proof.problems


def under(ledger: Ledger, **policy: object) -> Ledger:
    return Ledger(ledger._store, policy=Policy(**policy))  # type: ignore[arg-type]


def said(answer: object) -> object:
    return answer.reason if isinstance(answer, Refusal) else type(answer)


def test_a_late_charge_that_sinks_a_linked_batch_is_final_under_its_own_key(ledger: Ledger) -> None:
    """The settlement key belongs to the release; the verdict must not be written over it."""
    ledger.reserve("a", 2, key="h")
    ledger.release("a", "h")
    batch = Linked("l", (Reserve(account="b", key="h", amount=1, timeout=C), Charge(account="a", hold="h")))
    first = ledger.apply([batch])
    assert [said(answer) for answer in first] == [Reason.LINK_REFUSED, Reason.HOLD_RELEASED]
    assert isinstance(first[1], Refusal)
    assert first[1].key == "h/late"
    again = ledger.apply([batch])[1]
    assert isinstance(again, Replayed)
    assert again.first == first[1]
    assert [alert.kind for alert in ledger.alerts()] == ["late_refused"]


def test_reserved_released_and_charged_in_one_commit(ledger: Ledger) -> None:
    batch = [
        Reserve(account="a", key="h", amount=4 * C, timeout=C),
        Release(account="a", hold="h"),
        Charge(account="a", hold="h", on_missing="debt"),
        Charge(account="a", hold="h", on_missing="debt"),
    ]
    answers = ledger.apply(batch)
    assert [said(answer) for answer in answers] == [Applied, Applied, Applied, Replayed]
    assert ledger.apply(batch)[2] == answers[3]
    assert ledger.balance("a").available == Credits(6)


def test_a_transfer_to_an_account_that_is_ahead_in_time(ledger: Ledger, clock: FakeClock) -> None:
    """The clock went back between two accounts: what is over by the other's time cannot arrive there."""
    expires = moment(round((clock.seconds + 50) * C))
    ledger.grant("a", 5, key="soon", expires=expires)
    clock.tick(100)
    ledger.grant("b", 1, key="later")
    clock.tick(-100)
    with pytest.raises(Refused) as refused:
        ledger.transfer("a", "b", 1, key="t")
    assert refused.value.reason is Reason.GRANT_EXPIRED
    ledger.transfer("b", "a", 2, key="t2")  # the other way, and from ahead to behind
    clock.tick(60)
    ledger.transfer("a", "b", 3, key="t3")
    moved = [list(ledger.entries(name))[-1] for name in "ab"]
    assert [entry.kind for entry in moved] == ["transfer_out", "transfer_in"]
    assert [entry.at - round(clock.seconds * C) for entry in moved] == [0, 40 * C]


def test_a_transfer_writes_down_what_time_did_over_there(ledger: Ledger, clock: FakeClock) -> None:
    ledger.set_member("b", "ann", 5, key="m")
    ledger.reserve("b", 5, key="h", timeout=10, member="ann")
    clock.tick(20)
    ledger.transfer("a", "b", 1, key="t")
    assert [entry.kind for entry in ledger.entries("b")][-2:] == ["timeout", "transfer_in"]
    assert ledger.open_holds("b") == []
    assert ledger.reserve("b", 5, key="h2", member="ann").open


def test_a_linked_transfer_sees_what_the_batch_did(ledger: Ledger) -> None:
    """There and on in one batch: credits pass through an account that had fewer."""
    ledger.open_account("c", key="o")
    batch = Linked(
        "l",
        (
            Transfer(account="a", key="t1", to="b", amount=10 * C),
            Transfer(account="b", key="t2", to="c", amount=20 * C),
        ),
    )
    assert [said(answer) for answer in ledger.apply([batch])] == [Applied, Applied]
    assert ledger.balance("c").available == Credits(20)
    assert [entry.link for entry in ledger.entries("c")] == [None, "l:1:2"]


def test_slices_of_a_transfer_are_bounded(ledger: Ledger) -> None:
    grants = [Grant(account="a", key=f"g{n}", amount=1, source=f"s{n}", priority=-1) for n in range(65)]
    ledger.apply(grants)
    refusal, fits = ledger.apply(
        [
            Transfer(account="a", key="t1", to="b", amount=65),
            Transfer(account="a", key="t2", to="b", amount=64),
        ]
    )
    assert [said(refusal), said(fits)] == [Reason.TOO_MANY_BUCKETS, Applied]


def test_an_account_has_at_most_sixteen_alerts(ledger: Ledger) -> None:
    alerts = [SetAlert(account="a", key=f"k{n}", name=f"n{n}", below=1) for n in range(17)]
    answers = ledger.apply(alerts)
    assert [said(answer) for answer in answers[15:]] == [Applied, Reason.TOO_MANY_ALERTS]
    assert said(ledger.apply([SetAlert(account="a", key="again", name="n3", below=2)])[0]) is Applied


def test_debt_has_the_limit_of_all_amounts(ledger: Ledger) -> None:
    ledger.apply([Clawback(account="a", key="c", amount=LIMIT)])
    assert ledger.balance("a").debt.micros == LIMIT - 10 * C
    answer = ledger.apply([Clawback(account="a", key="c2", amount=11 * C)])[0]
    assert said(answer) is Reason.BALANCE_LIMIT
    lenient = under(ledger, over_charge="debt")
    lenient.reserve("b", 1, key="h")
    lenient.charge("b", "h", Credits.micro(LIMIT))
    assert lenient.balance("b").debt.micros == LIMIT - 10 * C


def test_an_over_charge_that_cannot_be_owed_leaves_the_hold_open(ledger: Ledger) -> None:
    lenient = under(ledger, over_charge="debt")
    lenient.reserve("a", 10, key="h")
    lenient.clawback("a", Credits.micro(LIMIT), key="c")
    with pytest.raises(Refused) as refused:
        lenient.charge("a", "h", 11)
    assert refused.value.reason is Reason.EXCEEDS_HOLD
    assert not lenient.charge("a", "h", 10).replayed


def test_a_rollover_into_the_past_goes_on_at_once(ledger: Ledger, clock: FakeClock) -> None:
    """Nobody looked for a long time: what rolled over has expired as well, each at its own instant."""
    ends = clock.seconds + 10
    expires = moment(round(ends * C))
    ledger.grant("a", 4, key="g", priority=-1, expires=expires, rollover=3, rollover_life=5)
    clock.tick(1_000)
    assert ledger.balance("a").available == Credits(10)
    assert ledger.sweep() == 2
    gone = list(ledger.entries("a"))[-2:]
    assert [(entry.at, entry.d_available) for entry in gone] == [
        (round(ends * C), -1 * C),
        (round((ends + 5) * C), -3 * C),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"over_charge": "ignore"},
        {"late_charge": "available"},
        {"refund_life": 0},
        {"refund_life": 1.5},
        {"key_horizon": -1},
        {"key_horizon": True},
    ],
)
def test_a_policy_that_means_nothing_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)  # type: ignore[arg-type]
