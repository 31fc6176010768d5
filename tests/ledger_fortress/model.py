"""A second ledger, written from the description alone, as plainly as possible.

It shares nothing with the product but the commands it is given. It keeps every bucket for ever, sorts by
brute force, and lets time pass one event after another. Slow and obvious is the point.
"""

from dataclasses import dataclass, field
from typing import Any

FOREVER = 2**53 - 1


@dataclass
class Bucket:
    source: str | None
    priority: int
    expires: int
    age: int
    starts: int = 0
    free: int = 0
    held: int = 0

    def order(self) -> tuple[int, int, int]:
        return self.priority, self.expires, self.age


@dataclass
class Hold:
    amount: int
    deadline: int
    on_timeout: str
    parts: list[tuple[Bucket | None, int]]
    state: str = "open"
    charged: int = 0
    refunded: int = 0
    born: int = 0


@dataclass
class Account:
    status: str = "open"
    debt: int = 0
    buckets: list[Bucket] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    answers: dict[str, tuple[Any, str]] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return sum(bucket.free for bucket in self.buckets if not bucket.starts)

    @property
    def held(self) -> int:
        return sum(bucket.held for bucket in self.buckets)


NOT_KEPT = {"unknown_account", "unknown_hold", "exceeds_hold", "key_conflict"}


class Model:
    """`do(command, now)` gives the expected answer: "applied", "replayed:…" or the name of a refusal."""

    def __init__(self, refund_life: int) -> None:
        self.accounts: dict[str, Account] = {}
        self.refund_life = refund_life
        self.clock = 0

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def do(self, command: Any, now: int) -> str:
        account = self.accounts.get(command.account)
        key = command.key
        if account is not None:
            self.pass_time(account, now)
            own = command.verb == "charge" and key == f"{command.hold}/settle"
            settled = account.answers.get(key) if own else None
            if settled and settled[0].verb == "release" and settled[1] == "applied":
                key = f"{command.hold}/late"  # a late charge, no second settlement
            if key in account.answers:
                content, answer = account.answers[key]
                return f"replayed:{answer}" if content == command else "key_conflict"
        elif command.verb == "open_account" or (command.verb == "grant" and command.create):
            account = Account()
        else:
            return "unknown_account"
        answer = getattr(self, command.verb)(account, command, now)
        if command.account in self.accounts or answer == "applied":
            self.accounts[command.account] = account
            if answer not in NOT_KEPT:
                account.answers[key] = command, answer
        elif command.verb == "grant":  # a refused grant has still opened the account
            self.accounts[command.account] = account
            account.answers[key] = command, answer
        return str(answer)

    def open_account(self, account: Account, command: Any, now: int) -> str:
        return "account_exists" if command.account in self.accounts else "applied"

    def grant(self, account: Account, command: Any, now: int) -> str:
        if account.status == "closed":
            return "closed"
        if command.expires <= now:
            return "grant_expired"
        starts = command.effective if command.effective > now else 0
        wanted = command.source, command.priority, command.expires, starts
        for bucket in account.buckets:
            alike = (bucket.source, bucket.priority, bucket.expires, bucket.starts) == wanted
            if alike and (bucket.free or bucket.held):
                bucket.free += command.amount
                break
        else:
            account.buckets.append(
                Bucket(command.source, command.priority, command.expires, self.tick(), starts, command.amount)
            )
        self.repay(account)
        return "applied"

    def reserve(self, account: Account, command: Any, now: int) -> str:
        if command.key in account.holds:
            return f"hold_{account.holds[command.key].state}"
        if account.status != "open":
            return account.status
        if account.available < command.amount:
            return "insufficient"
        parts = self.spend(account, command.amount)
        for bucket, amount in parts:
            assert bucket is not None
            bucket.held += amount
        deadline = now + command.timeout
        account.holds[command.key] = Hold(
            command.amount, deadline, command.on_timeout, parts, born=self.tick()
        )
        return "applied"

    def charge(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is not None and hold.state == "open":
            amount = hold.amount if command.amount is None else command.amount
            if amount > hold.amount:
                return "exceeds_hold"
            self.end(account, hold, "charged", amount, now)
            return "applied"
        if hold is not None and hold.state == "charged":
            return "hold_charged"
        amount = command.amount if command.amount is not None else hold.amount if hold else None
        if command.on_missing != "debt" or amount is None:
            return f"hold_{hold.state}" if hold else "unknown_hold"
        taken = min(amount, account.available)
        parts = self.spend(account, taken)
        if amount > taken:
            parts.append((None, amount - taken))
            account.debt += amount - taken
        hold = hold or Hold(amount, now, "report", [])
        hold.state, hold.charged, hold.parts = "charged", amount, parts
        account.holds[command.hold] = hold
        return "applied"

    def release(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "open":
            return f"hold_{hold.state}" if hold else "unknown_hold"
        self.end(account, hold, "released", 0, now)
        return "applied"

    def refund(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "charged":
            return f"hold_{hold.state}" if hold else "unknown_hold"
        left = hold.charged - hold.refunded
        amount = left if command.amount is None else command.amount
        if not 0 < amount <= left:
            return "exceeds_charge"
        # What is still spent is the beginning of the charge; its end comes back first.
        fresh: dict[tuple[str | None, int], Bucket] = {}
        still_spent = self.cut(hold.parts, left)
        for bucket, size in reversed(still_spent):
            back = min(size, amount)
            amount -= back
            hold.refunded += back
            if back:
                self.give_back(account, bucket, back, now, fresh)
        self.repay(account)
        return "applied"

    def extend(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "open":
            return f"hold_{hold.state}" if hold else "unknown_hold"
        hold.deadline = max(hold.deadline, now + command.timeout)
        return "applied"

    def freeze(self, account: Account, command: Any, now: int) -> str:
        return self.mark(account, "frozen")

    def unfreeze(self, account: Account, command: Any, now: int) -> str:
        return self.mark(account, "open")

    def close(self, account: Account, command: Any, now: int) -> str:
        if account.held:
            return "still_held"
        account.status = "closed"
        return "applied"

    def mark(self, account: Account, status: str) -> str:
        if account.status == "closed":
            return "closed"
        account.status = status
        return "applied"

    def spend(self, account: Account, amount: int) -> list[tuple[Bucket | None, int]]:
        parts: list[tuple[Bucket | None, int]] = []
        for bucket in sorted(account.buckets, key=Bucket.order):
            take = min(amount, 0 if bucket.starts else bucket.free)
            if take:
                bucket.free -= take
                amount -= take
                parts.append((bucket, take))
        assert amount == 0
        return parts

    def end(self, account: Account, hold: Hold, state: str, charged: int, now: int) -> None:
        hold.state, hold.charged = state, charged
        for bucket, size in hold.parts:
            assert bucket is not None
            used = min(size, charged)
            charged -= used
            bucket.held -= size
            if bucket.expires > now:
                bucket.free += size - used
        self.repay(account)

    def cut(self, parts: list[tuple[Bucket | None, int]], length: int) -> list[tuple[Bucket | None, int]]:
        kept = []
        for bucket, size in parts:
            size = min(size, length)
            length -= size
            kept.append((bucket, size))
        return kept

    def give_back(
        self,
        account: Account,
        bucket: Bucket | None,
        amount: int,
        now: int,
        fresh: dict[tuple[str | None, int], Bucket],
    ) -> None:
        if bucket is not None and bucket.expires > now:
            bucket.free += amount
            return
        kind = (bucket.source, bucket.priority) if bucket is not None else ("refund", 0)
        if kind not in fresh:
            fresh[kind] = Bucket(*kind, now + self.refund_life, self.tick())
            account.buckets.append(fresh[kind])
        fresh[kind].free += amount

    def repay(self, account: Account) -> None:
        for bucket in sorted(account.buckets, key=Bucket.order):
            if not bucket.starts:
                paid = min(bucket.free, account.debt)
                bucket.free -= paid
                account.debt -= paid

    def pass_time(self, account: Account, now: int) -> None:
        """One event after the other, earliest first: a grant starts, a grant ends, a hold runs out."""
        while True:
            events = [
                *((b.starts, 0, b.age, b) for b in account.buckets if b.starts and b.starts <= now),
                *((b.expires, 1, b.age, b) for b in account.buckets if b.free and b.expires <= now),
                *(
                    (h.deadline, 2, h.born, h)
                    for h in account.holds.values()
                    if h.state == "open" and h.on_timeout == "release" and h.deadline <= now
                ),
            ]
            if not events:
                return
            at, kind, _, what = min(events, key=lambda event: event[:3])
            if isinstance(what, Hold):
                self.end(account, what, "timed_out", 0, at)
            elif kind == 0:
                what.starts = 0
                self.repay(account)
            else:
                what.free = 0

    def picture(self, name: str, now: int) -> Any:
        """What a reader should see: balances, buckets in burn order, holds by key."""
        account = self.accounts[name]
        self.pass_time(account, now)
        buckets = [
            (b.source, b.priority, b.starts, b.expires, b.free, b.held)
            for b in sorted(account.buckets, key=Bucket.order)
            if b.free or b.held
        ]
        holds = {k: (h.state, h.amount, h.charged, h.refunded, h.deadline) for k, h in account.holds.items()}
        return (account.available, account.held, account.debt, account.status), buckets, holds
