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
from ledger_fortress.audit.moves import KINDS, MOVES
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Clawback,
    Close,
    Dispute,
    DisputeLost,
    DisputeWon,
    Expire,
    Extend,
    Freeze,
    Grant,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
    Unfreeze,
)
from ledger_fortress.entries import micros_since_epoch
from ledger_fortress.protocol import Touch
from ledger_fortress.rules import Policy, matured
from ledger_fortress.state import NOTHING_DUE
from tests.ledger_fortress.model import Model
from tests.ledger_fortress.sizes import size

SECOND = 1_000_000
START = 1_700_000_000
LIFE = 40 * SECOND
MOVEMENTS = set(MOVES)
ENTRIES = set(KINDS)
NOTICES = {"low_balance", "late_charge", "late_refused", "short_charge"}

MEMBERS = ("ann", "bob")
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
    views = [view for name in MEMBERS if (view := ledger.member(account, name)) is not None]
    members = {
        view.member: (
            None if view.limit is None else view.limit.micros,
            view.spent.micros,
            view.held.micros,
            micros_since_epoch(view.since),
        )
        for view in views
    }
    alerts = sorted((a.name, a.below, a.rearm, bool(a.fired)) for a in state.terms.alerts)
    return (state.available, state.held, state.debt, state.status), buckets, kept, members, alerts


class LedgersAgree(RuleBasedStateMachine):
    """Every command goes to the model, the memory store and a SQLite file."""

    legs: ClassVar[Counter[str]] = Counter()
    kinds: ClassVar[Counter[str]] = Counter()
    notices: ClassVar[Counter[str]] = Counter()
    sent = 0
    alone = False  # without the SQLite file

    @initialize(
        over=st.sampled_from(["refuse", "cap", "available", "debt"]), late=st.sampled_from(["refuse", "debt"])
    )
    def start(self, over: Any = "refuse", late: Any = "refuse") -> None:
        self.now = START
        # In memory where that is possible: rules are tried here, and syncs say nothing about them.
        memory = Path("/dev/shm")
        self.folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        file = Path(self.folder.name) / "credits.db"
        policy = Policy(refund_life=LIFE, over_charge=over, late_charge=late)
        self.model = Model(LIFE, over, late)
        urls = ("memory:",) if self.alone else ("memory:", f"sqlite:///{file}")
        self.ledgers = [Ledger.open(url, clock=lambda: self.now, policy=policy) for url in urls]
        self.past: list[Any] = []
        self.waiting: list[Any] = []
        self.batch_size = 0
        self.send([Grant(account=name, key="first", amount=30, create=True) for name in ("a", "b")])

    def send(self, batch: list[Any]) -> None:
        expected = [self.model.do(command, self.now * SECOND) for command in batch]
        answers = [ledger.apply(batch) for ledger in self.ledgers]
        for given in answers:
            assert [said(answer) for answer in given] == expected
        assert answers[0] == answers[-1]
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

    @rule(name=names, amount=st.integers(1, 25), ends=later, cap=amounts, life=later, effective=st.booleans())
    def grant_that_rolls_over(
        self, name: str, amount: int, ends: int, cap: int, life: int, effective: bool
    ) -> None:
        expires = (self.now + ends + 1) * SECOND
        self.give(
            Grant(
                account=name,
                key=self.key(9),
                amount=amount,
                effective=(self.now + ends) * SECOND if effective else 0,
                expires=expires,
                rollover=cap,
                rollover_life=life * SECOND,
            )
        )

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
        who=st.sampled_from([None, "ann", "ann", "bob"]),
    )
    def reserve(
        self, name: str, amount: int, kind: int, lasts: int, how: Any, who: str | None = None
    ) -> None:
        key = self.key(kind)
        self.give(
            Reserve(account=name, key=key, amount=amount, timeout=lasts * SECOND, on_timeout=how, member=who)
        )

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

    def granted(self, account: str, number: int) -> str:
        """The key of one of the last grants of the account, or one that is not there."""
        known = self.model.accounts.get(account)
        found = list(known.grants)[-6:] if known else []
        return found[number % len(found)] if found and number % 10 else "unknown"

    @rule(name=names, number=which)
    def end_a_grant(self, name: str, number: int) -> None:
        self.give(Expire(account=name, grant=self.granted(name, number)))

    @rule(name=names, amount=amounts, kind=key_kinds)
    def transfer(self, name: str, amount: int, kind: int) -> None:
        to = {"a": "b", "b": "a", "nobody": "a"}[name] if kind else "nowhere"
        self.give(Transfer(account=name, to=to, amount=amount, key=self.key(kind)))

    @rule(
        name=names,
        amount=amounts,
        number=which,
        kind=key_kinds,
        verb=st.sampled_from([Clawback, Dispute, Dispute]),
    )
    def take_back(self, name: str, amount: int, number: int, kind: int, verb: Any) -> None:
        grant = self.granted(name, number) if number % 4 else None
        key = self.key(kind) if number % 9 else self.hold(name, number)
        self.give(verb(account=name, key=key, amount=amount, grant=grant))

    @rule(name=names, number=which, verb=st.sampled_from([DisputeWon, DisputeLost]), own=key_kinds)
    def decide_dispute(self, name: str, number: int, verb: Any, own: int) -> None:
        known = self.model.accounts.get(name)
        open_ones = [k for k, h in known.holds.items() if h.state == "disputed"] if known else []
        row = open_ones[number % len(open_ones)] if open_ones and number % 5 else self.hold(name, number)
        self.give(verb(account=name, hold=row, key=self.key(own) if own < 3 else ""))

    @rule(
        name=names,
        who=st.sampled_from(MEMBERS),
        cap=st.none() | st.integers(0, 20),
        window=st.sampled_from([0, 30, 30, 60]),
    )
    def limit(self, name: str, who: str, cap: int | None, window: int) -> None:
        self.give(SetMember(account=name, key=self.key(9), member=who, cap=cap, window=window * SECOND))

    @rule(
        name=names, alert=st.sampled_from(["low", "lower"]), below=st.none() | amounts, more=st.integers(0, 9)
    )
    def alert(self, name: str, alert: str, below: int | None, more: int) -> None:
        rearm = None if below is None or more == 0 else below + more
        self.give(SetAlert(account=name, key=self.key(9), name=alert, below=below, rearm=rearm))

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
        assert len({ledger.sweep() for ledger in self.ledgers}) == 1

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
        for name, account in self.model.accounts.items():
            self.model.pass_time(account, self.now * SECOND)
            for ledger in self.ledgers:
                ledger.sweep()
                told = [
                    (notice.kind, json.loads(notice.body)["name" if notice.kind == "low_balance" else "hold"])
                    for notice in sorted(ledger._store.notices(name, (), False, 10_000))
                ]
                assert told == account.told
            LedgersAgree.notices.update(kind for kind, _ in account.told)
        for entry in (
            entry for name in self.ledgers[0].accounts() for entry in self.ledgers[0].entries(name)
        ):
            LedgersAgree.kinds[entry.kind] += 1
            LedgersAgree.legs.update(leg[0] for leg in json.loads(entry.body)["legs"])
        for ledger in self.ledgers:
            proof = ledger.audit()
            assert proof.ok, proof.problems
            heads.append(
                [(e.account, e.version, e.hash) for n in ledger.accounts() for e in ledger.entries(n)]
            )
            ledger.close()
        assert heads[0] == heads[-1]
        self.folder.cleanup()


TestLedgersAgree = LedgersAgree.TestCase
TestLedgersAgree.settings = settings(max_examples=size(20, 2_000), stateful_step_count=40)


def wander(machine: LedgersAgree, dice: random.Random) -> None:
    """One step that is likely to meet the steps before it, which a search for small examples rarely does."""
    name = dice.choice(["a", "a", "a", "a", "b", "b", "nobody"])
    kind, number, amount = dice.randrange(1, 30), dice.randrange(1_000), dice.randrange(1, 13)
    lasts = dice.choice([3, 10, 30, 60, 500])
    maybe = dice.choice([None, amount, amount])
    step = dice.randrange(36)
    if step < 3:
        machine.grant_that_expires(name, amount * 2, kind, dice.randrange(4, 40), dice.randrange(2))
    elif step < 4:
        machine.grant_that_starts_later(
            name, amount * 2, kind, dice.randrange(1, 40), dice.choice([None, lasts])
        )
    elif step < 5:
        machine.grant(name, amount * 2, kind, dice.choice([None, "plan"]))
    elif step < 12:
        who = dice.choice([None, "ann", "bob"])
        machine.reserve(name, amount, kind, lasts, dice.choice(["release", "report"]), who)
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
            lambda: machine.grant_that_rolls_over(name, amount * 2, lasts, amount, lasts, number % 5 == 0),
            lambda: machine.end_a_grant(name, number),
            lambda: machine.transfer(name, amount, kind % 10),
            lambda: machine.take_back(name, amount, number, kind, dice.choice([Clawback, Dispute, Dispute])),
            lambda: machine.decide_dispute(name, number, dice.choice([DisputeWon, DisputeLost]), kind),
            lambda: machine.decide_dispute(name, number, dice.choice([DisputeWon, DisputeLost]), kind),
            lambda: machine.limit(
                name, dice.choice(MEMBERS), dice.choice([None, 8, 15]), dice.choice([0, 30])
            ),
            lambda: machine.alert(name, dice.choice(["low", "lower"]), maybe, number % 4),
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
    """Random steps by the thousand; the run counts only if every movement and kind of entry occurred.

    Every fourth history goes to the SQLite store too; that it answers like the memory store with all the
    others' words is what the differential test is about. Every other three histories go in batches of five.
    """
    LedgersAgree.legs, LedgersAgree.kinds, LedgersAgree.sent = Counter(), Counter(), 0
    LedgersAgree.notices = Counter()
    seed = 0
    while LedgersAgree.sent < size(50_000, 1):
        dice = random.Random(f"{os.environ.get('N', '')}{seed}")
        machine = LedgersAgree()
        policies = ("refuse", "cap", "available", "debt")
        machine.alone = seed % 4 > 0
        machine.start(policies[seed // 4 % 4], ("refuse", "debt")[seed // 16 % 2])
        for _ in range(250):
            if seed // 3 % 2:
                machine.batch_size = machine.batch_size or 4
            wander(machine, dice)
            if dice.random() < 0.05:
                machine.readers_see_the_model()
        machine.readers_see_the_model()
        machine.teardown()
        seed += 1
    figure(f"ledger against the model: {LedgersAgree.sent} commands, {dict(LedgersAgree.legs)}")
    assert set(LedgersAgree.legs) == MOVEMENTS
    assert set(LedgersAgree.kinds) == ENTRIES
    assert set(LedgersAgree.notices) == NOTICES
