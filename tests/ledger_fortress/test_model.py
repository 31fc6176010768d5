"""Both stores against the model: same answers, same balances, same chain, whatever comes in which order."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ledger_fortress import Ledger
from ledger_fortress.answers import Applied, Refusal, Replayed
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Close,
    Extend,
    Freeze,
    Grant,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    Unfreeze,
)
from ledger_fortress.protocol import Touch
from ledger_fortress.rules import Policy, matured
from ledger_fortress.state import NOTHING_DUE
from tests.ledger_fortress.model import Model

SECOND = 1_000_000
START = 1_700_000_000
LIFE = 40 * SECOND
MOVEMENTS = {"add", "plan", "wake", "hold", "use", "back", "take", "repay", "lapse", "owe", "late"}
ENTRIES = {
    *("open", "grant", "reserve", "charge", "release", "timeout", "refund", "expire", "activate", "extend"),
    *("freeze", "unfreeze", "close", "refused"),
}

amounts = st.integers(1, 12)
later = st.integers(1, 60)
KINDS = (
    ["grant"] * 5 + ["reserve"] * 8 + ["charge"] * 6 + ["refund"] * 5 + ["release"] * 3 + ["extend"] * 2
    + ["unfreeze"] * 3 + ["freeze", "open", "close"]
)  # fmt: skip


@st.composite
def commands(draw: st.DrawFn, model: Model, now: int) -> Any:
    """Mostly about what is there, with fresh keys; sometimes about what is not, with used ones."""
    account = draw(st.sampled_from(["a", "a", "a", "b", "nobody"]))
    known = model.accounts.get(account)
    at = now * SECOND
    fresh = f"n{model.tick()}"
    key = draw(st.sampled_from([fresh] * 9 + ["k1", "k2"]))
    kind = draw(st.sampled_from(KINDS))
    if kind == "close" and draw(st.integers(0, 5)):
        kind = "reserve"
    named = sorted(known.holds)[-8:] if known else []
    hold = draw(st.sampled_from([*named, *named, *named, "unknown"]))
    if kind == "grant":
        effective = at + draw(later) * SECOND if draw(st.integers(0, 3)) == 0 else 0
        ends = draw(st.one_of(st.none(), later, st.sampled_from([10, 20, -1])))
        expires = NEVER if ends is None else max(at + ends * SECOND, effective + SECOND)
        source = draw(st.sampled_from([None, "plan", "gift"]))
        return Grant(
            account=account,
            key=key,
            amount=draw(st.integers(1, 20)),
            source=source,
            priority=draw(st.integers(0, 1)),
            effective=effective,
            expires=expires,
            create=account != "nobody",
        )
    if kind == "reserve":
        how: Any = draw(st.sampled_from(["release", "report"]))
        name = draw(st.sampled_from([fresh] * 9 + [hold]))
        return Reserve(
            account=account, key=name, amount=draw(amounts), timeout=draw(later) * SECOND, on_timeout=how
        )
    if kind == "charge":
        amount = draw(st.one_of(st.none(), st.integers(0, 12), st.sampled_from([0, 60])))
        missing: Any = draw(st.sampled_from(["refuse", "debt"]))
        own = draw(st.sampled_from(["", "", key]))
        return Charge(account=account, hold=hold, amount=amount, on_missing=missing, key=own)
    if kind == "release":
        return Release(account=account, hold=hold, key=draw(st.sampled_from(["", "", key])))
    if kind == "refund":
        return Refund(account=account, hold=hold, amount=draw(st.one_of(st.none(), amounts)), key=key)
    if kind == "extend":
        return Extend(account=account, hold=hold, timeout=draw(later) * SECOND, key=key)
    plain: dict[str, Any] = {"open": OpenAccount, "freeze": Freeze, "unfreeze": Unfreeze, "close": Close}
    return plain[kind](account=account, key=key)


def said(answer: Any) -> str:
    """An answer in the model's words."""
    if isinstance(answer, Replayed):
        return f"replayed:{said(answer.first)}"
    return "applied" if isinstance(answer, Applied) else str(answer.reason)


def seen(ledger: Ledger, account: str) -> Any:
    """What a reader of the store sees now, in the model's words."""
    store = ledger._store
    entries = list(ledger.entries(account))
    names = {entry.hold for entry in entries if entry.hold is not None}
    loaded = store.read(Touch((account,), holds=tuple((account, name) for name in names)))
    state, changed = matured(loaded.accounts[account], loaded.due.get(account, NOTHING_DUE), loaded.now)
    rows = {name: changed.get(name) or loaded.holds.get((account, name)) for name in names}
    kept = {
        n: (h.state, h.amount, h.charged, h.refunded, h.deadline) for n, h in rows.items() if h is not None
    }
    buckets = [(b.source, b.priority, b.effective, b.expires, b.available, b.held) for b in state.buckets]
    return (state.available, state.held, state.debt, state.status), buckets, kept


class LedgersAgree(RuleBasedStateMachine):
    """Every command goes to the model, the memory store and a SQLite file."""

    legs: ClassVar[Counter[str]] = Counter()
    kinds: ClassVar[Counter[str]] = Counter()
    sent = 0

    @initialize()
    def start(self) -> None:
        self.now = START
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "credits.db"
        policy = Policy(refund_life=LIFE)
        self.model = Model(LIFE)
        self.ledgers = [
            Ledger.open("memory:", clock=lambda: self.now, policy=policy),
            Ledger.open(f"sqlite:///{file}", clock=lambda: self.now, policy=policy),
        ]
        self.past: list[Any] = []
        self.send([Grant(account=name, key="first", amount=30, create=True) for name in ("a", "b")])

    def send(self, batch: list[Any]) -> None:
        expected = [self.model.do(command, self.now * SECOND) for command in batch]
        answers = [ledger.apply(batch) for ledger in self.ledgers]
        for given in answers:
            assert [said(answer) for answer in given] == expected
            for answer in given:
                assert isinstance(answer, Refusal) or answer.receipt.account in self.model.accounts
        assert answers[0] == answers[1]
        self.past.extend(batch)
        LedgersAgree.sent += len(batch)

    @rule(data=st.data())
    def one(self, data: st.DataObject) -> None:
        self.send([data.draw(commands(self.model, self.now))])

    @rule(data=st.data(), size=st.integers(2, 6))
    def batch(self, data: st.DataObject, size: int) -> None:
        self.send([data.draw(commands(self.model, self.now)) for _ in range(size)])

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        if self.past:
            self.send([data.draw(st.sampled_from(self.past))])

    @rule(seconds=st.integers(0, 30))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        assert self.ledgers[0].sweep() == self.ledgers[1].sweep()

    @invariant()
    def readers_see_the_model(self) -> None:
        for name in self.model.accounts:
            expected = self.model.picture(name, self.now * SECOND)
            for ledger in self.ledgers:
                assert seen(ledger, name) == expected

    def teardown(self) -> None:
        if not hasattr(self, "ledgers"):
            return
        heads = []
        for entry in (
            entry for name in self.ledgers[0].accounts() for entry in self.ledgers[0].entries(name)
        ):
            LedgersAgree.kinds[entry.kind] += 1
            LedgersAgree.legs.update(leg[0] for leg in json.loads(entry.body)["legs"])
        for ledger in self.ledgers:
            proof = ledger.verify()
            assert proof.ok, proof.problems
            heads.append(
                [(e.account, e.version, e.hash) for n in ledger.accounts() for e in ledger.entries(n)]
            )
            ledger.close()
        assert heads[0] == heads[1]
        self.folder.cleanup()


def test_ledgers_agree(figure: Callable[[str], None]) -> None:
    """The run counts only if every movement of credits was taken, and every kind of entry written."""
    LedgersAgree.legs, LedgersAgree.kinds, LedgersAgree.sent = Counter(), Counter(), 0
    size = int(os.environ.get("N", "60"))
    run_state_machine_as_test(LedgersAgree, settings=settings(max_examples=size, stateful_step_count=50))
    figure(f"ledger against the model: {LedgersAgree.sent} commands on two stores")
    assert set(LedgersAgree.legs) == MOVEMENTS
    assert set(LedgersAgree.kinds) == ENTRIES
