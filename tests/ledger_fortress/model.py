"""A second ledger, written from the description alone, as plainly as possible.

It shares nothing with the product but the commands it is given. It keeps every bucket for ever, sorts by
brute force, and lets time pass one event after another. Slow and obvious is the point.
"""

from typing import Any

from tests.ledger_fortress.model_parts import Account, Bucket, Hold, Parts
from tests.ledger_fortress.model_pools import Pools

NOT_KEPT = {
    *("unknown_account", "unknown_hold", "unknown_grant", "unknown_dispute", "unknown_target"),
    *("exceeds_hold", "exceeds_grant", "key_conflict", "dispute_open"),
}


class Model(Pools):
    """`do(command, now)` gives the expected answer: "applied", "replayed:…" or the name of a refusal."""

    def __init__(self, refund_life: int, over: str = "refuse", late: str = "refuse") -> None:
        self.accounts: dict[str, Account] = {}
        self.refund_life, self.over, self.late = refund_life, over, late
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
        self.watch(account)
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
        roll = (command.rollover, command.rollover_life) if command.rollover else None
        bucket = self.alike(account, command.source, command.priority, command.expires, starts, roll)
        bucket.free += command.amount
        account.grants[command.key] = bucket, command.amount
        self.repay(account)
        return "applied"

    def reserve(self, account: Account, command: Any, now: int) -> str:
        if command.key in account.holds:
            return gone(account.holds[command.key])
        if account.status != "open":
            return account.status
        if account.available < command.amount:
            return "insufficient"
        member = account.members.get(command.member)
        if member is not None:
            self.roll_window(member, now)
            if member.cap is not None and member.spent + member.held + command.amount > member.cap:
                return "member_limit"
            member.held += command.amount
        parts = self.spend(account, command.amount)
        for bucket, amount in parts:
            assert bucket is not None
            bucket.held += amount
        deadline = now + command.timeout
        account.holds[command.key] = Hold(
            command.amount, deadline, command.on_timeout, parts, born=self.tick()
        )
        if member is not None:
            account.holds[command.key].counted = member, member.token
        return "applied"

    def charge(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is not None and hold.state == "open":
            amount = hold.amount if command.amount is None else command.amount
            if amount > hold.amount:
                return self.overcharge(account, command.hold, hold, amount, now)
            self.end(account, hold, "charged", amount, now)
            return "applied"
        if hold is not None and hold.state not in ("released", "timed_out"):
            return gone(hold)
        amount = command.amount if command.amount is not None else hold.amount if hold else None
        choice = command.on_missing or (self.late if hold else "refuse")
        if choice != "debt" or amount is None:
            if hold and amount:
                account.told.append(("late_refused", command.hold))
            return gone(hold) if hold else "unknown_hold"
        if amount:
            account.told.append(("late_charge", command.hold))
        parts = self.collect(account, amount)
        hold = hold or Hold(amount, now, "report", [])
        self.count(hold, 0, amount)
        hold.state, hold.charged, hold.parts = "charged", amount, parts
        account.holds[command.hold] = hold
        return "applied"

    def overcharge(self, account: Account, key: str, hold: Hold, asked: int, now: int) -> str:
        if self.over == "refuse":
            return "exceeds_hold"
        extra = asked - hold.amount
        if self.over == "cap":
            extra = 0
        elif self.over == "available":
            extra = min(extra, account.available)
        self.end(account, hold, "charged", hold.amount, now)
        hold.parts = hold.parts + self.collect(account, extra)
        self.count(hold, 0, extra)
        hold.charged += extra
        if hold.charged < asked:
            account.told.append(("short_charge", key))
        return "applied"

    def collect(self, account: Account, amount: int) -> Parts:
        """What is available, and debt for the rest."""
        taken = min(amount, account.available)
        parts = self.spend(account, taken)
        if amount > taken:
            parts.append((None, amount - taken))
            account.debt += amount - taken
        return parts

    def release(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "open":
            return gone(hold) if hold else "unknown_hold"
        self.end(account, hold, "released", 0, now)
        return "applied"

    def refund(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "charged":
            return gone(hold) if hold else "unknown_hold"
        left = hold.charged - hold.refunded
        amount = left if command.amount is None else command.amount
        if not 0 < amount <= left:
            return "exceeds_charge"
        # What is still spent is the beginning of the charge; its end comes back first.
        still_spent = self.cut(hold.parts, left)
        self.count(hold, 0, -amount)
        hold.refunded += amount
        self.give_back(account, still_spent, amount, now, ("refund", 0, 0))
        return "applied"

    def extend(self, account: Account, command: Any, now: int) -> str:
        hold = account.holds.get(command.hold)
        if hold is None or hold.state != "open":
            return gone(hold) if hold else "unknown_hold"
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

    def spend(self, account: Account, amount: int) -> Parts:
        parts: Parts = []
        for bucket in sorted(account.buckets, key=Bucket.order):
            take = min(amount, 0 if bucket.starts else bucket.free)
            if take:
                bucket.free -= take
                amount -= take
                parts.append((bucket, take))
        assert amount == 0
        return parts

    def end(self, account: Account, hold: Hold, state: str, charged: int, now: int) -> None:
        self.count(hold, -hold.amount, charged)
        hold.state, hold.charged = state, charged
        for bucket, size in hold.parts:
            assert bucket is not None
            used = min(size, charged)
            charged -= used
            bucket.held -= size
            if bucket.expires > now:
                bucket.free += size - used
        self.repay(account)

    def cut(self, parts: Parts, length: int) -> Parts:
        kept = []
        for bucket, size in parts:
            size = min(size, length)
            length -= size
            kept.append((bucket, size))
        return kept

    def give_back(
        self, account: Account, parts: Parts, amount: int, now: int, owed_as: tuple[str | None, int, int]
    ) -> None:
        """The end of `parts` comes back first; what has expired or was owed gets a bucket of its own."""
        fresh: dict[tuple[str | None, int, int], Bucket] = {}
        for bucket, size in reversed(parts):
            back = min(size, amount)
            amount -= back
            if back == 0:
                continue
            if bucket is not None and bucket.expires > now:
                bucket.free += back
                continue
            source, priority, ends = (bucket.source, bucket.priority, 0) if bucket is not None else owed_as
            kind = source, priority, ends if ends > now else now + self.refund_life
            if kind not in fresh:
                fresh[kind] = Bucket(*kind, self.tick())
                account.buckets.append(fresh[kind])
            fresh[kind].free += back
        self.repay(account)

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
                for bucket in account.buckets:  # those that begin together pay debt in burn order
                    if bucket.starts and bucket.starts <= at:
                        bucket.starts = 0
                self.repay(account)
            else:
                self.expire_bucket(account, what)
            self.watch(account)

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
        sums = account.available, account.held, account.debt, account.status
        return sums, buckets, holds, self.members_seen(account, now), sorted(account.alerts.values())


def gone(hold: Hold) -> str:
    disputes = {"disputed": "dispute_open", "won": "dispute_won", "lost": "dispute_lost"}
    return disputes.get(hold.state, f"hold_{hold.state}")
