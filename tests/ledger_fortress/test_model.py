"""Both stores against the model: same answers, same balances, same chain, whatever comes in which order."""

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ledger_fortress import Ledger
from ledger_fortress.answers import Applied, Replayed
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

names = st.sampled_from(["a", "a", "a", "b", "nobody"])
amounts = st.integers(1, 12)
later = st.integers(1, 60)
which = st.integers(0, 1_000)
key_kinds = st.integers(0, 9)


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
        # In memory where that is possible: rules are tried here, and syncs say nothing about them.
        memory = Path("/dev/shm")
        self.folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        file = Path(self.folder.name) / "credits.db"
        policy = Policy(refund_life=LIFE)
        self.model = Model(LIFE)
        self.ledgers = [
            Ledger.open("memory:", clock=lambda: self.now, policy=policy),
            Ledger.open(f"sqlite:///{file}", clock=lambda: self.now, policy=policy),
        ]
        self.past: list[Any] = []
        self.waiting: list[Any] = []
        self.batch_size = 0
        self.send([Grant(account=name, key="first", amount=30, create=True) for name in ("a", "b")])

    def send(self, batch: list[Any]) -> None:
        expected = [self.model.do(command, self.now * SECOND) for command in batch]
        answers = [ledger.apply(batch) for ledger in self.ledgers]
        for given in answers:
            assert [said(answer) for answer in given] == expected
        assert answers[0] == answers[1]
        self.past.extend(batch)
        LedgersAgree.sent += len(batch)

    def give(self, command: Any) -> None:
        """Send at once, or collect for a batch."""
        self.waiting.append(command)
        if len(self.waiting) > self.batch_size:
            batch, self.waiting, self.batch_size = self.waiting, [], 0
            self.send(batch)

    def key(self, kind: int) -> str:
        """Nearly always a fresh one."""
        return "used" if kind == 0 else f"k{self.model.tick()}"

    def hold(self, account: str, number: int) -> str:
        """One of the last holds of the account, or one that is not there."""
        known = self.model.accounts.get(account)
        found = list(known.holds)[-6:] if known else []
        return found[number % len(found)] if found and number % 10 else "unknown"

    @rule(name=names, amount=st.integers(1, 25), kind=key_kinds, ends=later, priority=st.integers(0, 1))
    def grant_that_expires(self, name: str, amount: int, kind: int, ends: int, priority: int) -> None:
        expires = (self.now + ends - 5) * SECOND
        self.give(
            Grant(
                account=name,
                key=self.key(kind),
                amount=amount,
                expires=expires,
                priority=priority,
                source="gift",
            )
        )

    @rule(name=names, amount=st.integers(1, 25), kind=key_kinds, starts=later, lasts=st.none() | later)
    def grant_that_starts_later(
        self, name: str, amount: int, kind: int, starts: int, lasts: int | None
    ) -> None:
        at = (self.now + starts) * SECOND
        expires = NEVER if lasts is None else at + lasts * SECOND
        self.give(Grant(account=name, key=self.key(kind), amount=amount, effective=at, expires=expires))

    @rule(name=names, amount=st.integers(1, 25), kind=key_kinds, source=st.sampled_from([None, "plan"]))
    def grant(self, name: str, amount: int, kind: int, source: str | None) -> None:
        create = name != "nobody"
        self.give(Grant(account=name, key=self.key(kind), amount=amount, source=source, create=create))

    @rule(
        name=names,
        amount=amounts,
        kind=key_kinds,
        lasts=later | st.just(500),
        how=st.sampled_from(["release", "report"]),
    )
    def reserve(self, name: str, amount: int, kind: int, lasts: int, how: Any) -> None:
        key = self.key(kind)
        self.give(Reserve(account=name, key=key, amount=amount, timeout=lasts * SECOND, on_timeout=how))

    @rule(name=names, amount=amounts, number=which)
    def reserve_again(self, name: str, amount: int, number: int) -> None:
        self.give(Reserve(account=name, key=self.hold(name, number), amount=amount, timeout=SECOND))

    @rule(name=names, number=which, amount=st.none() | st.integers(0, 12), own=key_kinds)
    def charge(self, name: str, number: int, amount: int | None, own: int) -> None:
        key = self.key(own) if own < 3 else ""
        self.give(Charge(account=name, hold=self.hold(name, number), amount=amount, key=key))

    @rule(name=names, number=which, amount=st.none() | st.integers(0, 40), own=key_kinds)
    def charge_or_owe(self, name: str, number: int, amount: int | None, own: int) -> None:
        key = self.key(own) if own < 7 else ""
        hold = self.hold(name, number)
        self.give(Charge(account=name, hold=hold, amount=amount, key=key, on_missing="debt"))

    @rule(name=names, amount=st.integers(20, 90))
    def charge_for_nothing_held(self, name: str, amount: int) -> None:
        hold = f"lost{self.model.tick()}"
        self.give(Charge(account=name, hold=hold, amount=amount, on_missing="debt"))

    @rule(name=names, number=which, own=key_kinds)
    def release(self, name: str, number: int, own: int) -> None:
        key = self.key(own) if own < 3 else ""
        self.give(Release(account=name, hold=self.hold(name, number), key=key))

    @rule(name=names, number=which, amount=st.none() | amounts, kind=key_kinds)
    def refund(self, name: str, number: int, amount: int | None, kind: int) -> None:
        self.give(Refund(account=name, hold=self.hold(name, number), amount=amount, key=self.key(kind)))

    @rule(name=names, number=which, lasts=later, kind=key_kinds)
    def extend(self, name: str, number: int, lasts: int, kind: int) -> None:
        hold = self.hold(name, number)
        self.give(Extend(account=name, hold=hold, timeout=lasts * SECOND, key=self.key(kind)))

    @rule(name=names, verb=st.sampled_from([OpenAccount, Freeze]), kind=key_kinds)
    def mark(self, name: str, verb: Any, kind: int) -> None:
        self.give(verb(account=name, key=self.key(kind)))
        if verb is Freeze:
            self.give(Unfreeze(account=name, key=self.key(9)))

    @precondition(lambda self: self.now > START + 100)
    @rule(name=names, kind=key_kinds)
    def close(self, name: str, kind: int) -> None:
        self.give(Close(account=name, key=self.key(kind)))

    @rule(size=st.integers(1, 6))
    def collect(self, size: int) -> None:
        self.batch_size = size

    @rule(number=which)
    def again(self, number: int) -> None:
        if self.past:
            self.give(self.past[-1 - number % len(self.past)])

    @rule(seconds=st.sampled_from([1, 1, 5, 20, 40, 70]))
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


TestLedgersAgree = LedgersAgree.TestCase
TestLedgersAgree.settings = settings(max_examples=int(os.environ.get("N", "20")), stateful_step_count=40)


def wander(machine: LedgersAgree, dice: random.Random) -> None:
    """One step that is likely to meet the steps before it, which a search for small examples rarely does."""
    name = dice.choice(["a", "a", "a", "a", "b", "b", "nobody"])
    kind, number, amount = dice.randrange(1, 30), dice.randrange(1_000), dice.randrange(1, 13)
    lasts = dice.choice([3, 10, 30, 60, 500])
    maybe = dice.choice([None, amount, amount])
    step = dice.randrange(32)
    if step < 3:
        machine.grant_that_expires(name, amount * 2, kind, dice.randrange(4, 40), dice.randrange(2))
    elif step < 4:
        machine.grant_that_starts_later(
            name, amount * 2, kind, dice.randrange(1, 40), dice.choice([None, lasts])
        )
    elif step < 5:
        machine.grant(name, amount * 2, kind, dice.choice([None, "plan"]))
    elif step < 12:
        machine.reserve(name, amount, kind, lasts, dice.choice(["release", "report"]))
    elif step < 16:
        machine.charge(name, number, dice.choice([None, amount, 0, 3]), dice.randrange(10))
    elif step < 18:
        machine.charge_or_owe(name, number, maybe, dice.randrange(10))
    elif step < 21:
        machine.release(name, number, dice.randrange(10))
    elif step < 24:
        machine.refund(name, number, maybe, kind)
    elif step < 29:
        machine.wait(dice.choice([1, 1, 5, 20]))
    else:
        rare: Any = (
            lambda: machine.charge_for_nothing_held(name, amount * 6),
            lambda: machine.extend(name, number, lasts, kind),
            lambda: machine.mark(name, dice.choice([OpenAccount, Freeze]), kind),
            lambda: machine.reserve_again(name, amount, number),
            lambda: machine.close(name, kind) if dice.random() < 0.4 else None,
            lambda: machine.collect(dice.randrange(1, 7)),
            lambda: machine.again(number),
            machine.sweep,
        )
        dice.choice(rare)()


def test_long_histories(figure: Callable[[str], None]) -> None:
    """Random steps by the thousand; the run counts only if every movement and kind of entry occurred."""
    LedgersAgree.legs, LedgersAgree.kinds, LedgersAgree.sent = Counter(), Counter(), 0
    for seed in range(int(os.environ.get("N", "20"))):
        dice = random.Random(seed)
        machine = LedgersAgree()
        machine.start()
        for _ in range(250):
            wander(machine, dice)
            if dice.random() < 0.2:
                machine.readers_see_the_model()
        machine.readers_see_the_model()
        machine.teardown()
    figure(f"ledger against the model: {LedgersAgree.sent} commands on two stores, {dict(LedgersAgree.legs)}")
    assert set(LedgersAgree.legs) == MOVEMENTS
    assert set(LedgersAgree.kinds) == ENTRIES
