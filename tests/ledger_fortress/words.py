"""Commands of every verb, drawn so that they meet each other; and what two stores are compared by."""

import random
from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

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
    Item,
    Linked,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
    Unfreeze,
)
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.testing import FakeClock

C = 1_000_000
ACCOUNTS = ("a", "a", "b", "ключ ☃", "nobody")


class Words:
    """Draws commands that are likely to meet the ones before them."""

    def __init__(self, seed: str, clock: FakeClock) -> None:
        self.dice = random.Random(seed)
        self.clock = clock
        self.serial = 0
        self.names: dict[tuple[str, str], list[str]] = defaultdict(lambda: ["unknown"])
        self.past: list[Item] = []

    def fresh(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial}"

    def name(self, kind: str, account: str) -> str:
        """Of a grant, hold or dispute that the account may have; now and then of another account's."""
        owner = account if self.dice.random() < 0.95 else "b"
        return self.dice.choice(self.names[kind, owner][-6:])

    def own(self, kind: str, account: str) -> str:
        """A new name that other accounts have too: names belong to accounts."""
        return f"{kind}{len(self.names[kind, account])}"

    def item(self) -> Item:
        choice = self.dice.random()
        if choice < 0.08 and self.past:
            return self.dice.choice(self.past[-60:])
        if choice < 0.14:
            first, second = self.command(), self.command()
            if (first.account, first.key) != (second.account, second.key):
                return self.keep(Linked(self.fresh("link"), (first, second)))
            return self.keep(first)
        return self.keep(self.command())

    def keep(self, item: Item) -> Item:
        self.past.append(item)
        return item

    def command(self) -> Any:
        dice = self.dice
        account, amount = dice.choice(ACCOUNTS), dice.randint(1, 12) * C
        now = int(self.clock.seconds) * C
        verb = dice.choices(list(MAKERS), list(WEIGHTS))[0]
        return MAKERS[verb](self, account, amount, now)

    def grant(self, account: str, amount: int, now: int) -> Any:
        dice = self.dice
        key = self.own("grant", account)
        self.names["grant", account].append(key)
        effective = now + dice.randint(1, 30) * C if dice.random() < 0.2 else 0
        expires = (effective or now) + dice.randint(1, 60) * C if dice.random() < 0.6 else NEVER
        rolls = expires != NEVER and dice.random() < 0.3
        return Grant(
            account=account,
            key=key,
            amount=amount * 3,
            source=dice.choice([None, "plan", 'g"ift']),
            priority=dice.randint(-1, 2),
            effective=effective,
            expires=expires,
            create=account != "nobody",
            rollover=2 * C if rolls else 0,
            rollover_life=20 * C if rolls else 0,
            note="a note" if dice.random() < 0.2 else None,
            salt=b"s" * 16,
        )

    def reserve(self, account: str, amount: int, now: int) -> Any:
        dice = self.dice
        key = self.own("hold", account) if dice.random() < 0.9 else self.name("hold", account)
        self.names["hold", account].append(key)
        how: Any = dice.choice(["release", "report"])
        member = dice.choice([None, None, "ann", "bob"])
        timeout = dice.choice([3, 20, 60]) * C
        return Reserve(
            account=account, key=key, amount=amount, timeout=timeout, on_timeout=how, member=member
        )

    def charge(self, account: str, amount: int, now: int) -> Any:
        how: Any = self.dice.choice([None, None, "debt", "refuse"])
        some = self.dice.choice([None, amount, 0])
        return Charge(account=account, hold=self.name("hold", account), amount=some, on_missing=how)

    def dispute(self, account: str, amount: int, now: int) -> Any:
        key = self.own("dispute", account)
        self.names["dispute", account].append(key)
        grant = self.dice.choice([None, self.name("grant", account)])
        return Dispute(account=account, key=key, amount=amount, grant=grant)

    def clawback(self, account: str, amount: int, now: int) -> Any:
        grant = self.dice.choice([None, self.name("grant", account)])
        return Clawback(account=account, key=self.fresh("c"), amount=amount, grant=grant)

    def decided(self, account: str, amount: int, now: int) -> Any:
        verb: Any = self.dice.choice([DisputeWon, DisputeLost])
        return verb(account=account, key=self.fresh("k"), hold=self.name("dispute", account))

    def transfer(self, account: str, amount: int, now: int) -> Any:
        to = self.dice.choice([name for name in ACCOUNTS if name != account])
        return Transfer(account=account, key=self.fresh("t"), to=to, amount=amount)

    def refund(self, account: str, amount: int, now: int) -> Any:
        some = self.dice.choice([None, amount])
        return Refund(account=account, key=self.fresh("r"), hold=self.name("hold", account), amount=some)

    def extend(self, account: str, amount: int, now: int) -> Any:
        return Extend(account=account, key=self.fresh("e"), hold=self.name("hold", account), timeout=amount)

    def release(self, account: str, amount: int, now: int) -> Any:
        return Release(account=account, hold=self.name("hold", account))

    def expire(self, account: str, amount: int, now: int) -> Any:
        return Expire(account=account, grant=self.name("grant", account))

    def member(self, account: str, amount: int, now: int) -> Any:
        dice = self.dice
        cap, window = dice.choice([None, amount * 3]), dice.choice([0, 25 * C])
        member = dice.choice(["ann", "bob"])
        return SetMember(account=account, key=self.fresh("m"), member=member, cap=cap, window=window)

    def alert(self, account: str, amount: int, now: int) -> Any:
        below = self.dice.choice([None, amount, 3 * amount])
        return SetAlert(account=account, key=self.fresh("l"), name=self.dice.choice("xy"), below=below)

    def mark(self, account: str, amount: int, now: int) -> Any:
        kinds = [OpenAccount, Freeze, *[Unfreeze] * 9]
        if self.serial > 3_000:
            kinds.append(Close)
        verb: Any = self.dice.choice(kinds)
        return verb(account=account, key=self.fresh("s"))


MAKERS: dict[str, Callable[[Words, str, int, int], Any]] = {
    name: getattr(Words, name)
    for name in (
        *("grant", "reserve", "charge", "release", "refund", "extend", "expire", "transfer"),
        *("clawback", "dispute", "decided", "member", "alert", "mark"),
    )
}
WEIGHTS = (7, 10, 8, 4, 4, 2, 1, 2, 1, 1, 2, 2, 1, 3)


def digest(store: LedgerStore) -> str:
    """Of everything stored, in an order of its own."""
    total = sha256()
    with store.scan() as scan:
        for rows in (
            scan.entries(),
            scan.accounts(),
            scan.holds(),
            scan.notes(),
            scan.members(),
            scan.notices(),
        ):
            for row in sorted(repr(tuple(row)) for row in rows):
                total.update(row.encode())
    return total.hexdigest()


def lists(store: LedgerStore) -> list[Any]:
    """What a store lists, in its order."""
    notices = store.notices(None, (), False, 10_000)
    kinds = sorted({notice.kind for notice in notices})
    asked = [
        (who, what, how, most)
        for who in (None, "a", "nobody")
        for what in ((), tuple(kinds[:1]), ("none",))
        for how in (False, True)
        for most in (3, 10_000)
    ]
    return [
        store.due(9),
        store.open_holds(None),
        store.open_holds("a"),
        store.accounts("", 9),
        store.accounts("a", 1),
        store.checkpoints(0, 99),
        store.checkpoints(1, 1),
        store.last_checkpoint(),
        *(store.notices(*one) for one in asked),
    ]
