"""The model's rarer verbs: taking back, moving, limiting, alerting."""

from __future__ import annotations

from typing import Any

from tests.ledger_fortress.model_parts import Account, Bucket, Hold, Member, Parts

FOREVER = 2**53 - 1


class Pools:
    """Mixed into `Model`."""

    accounts: dict[str, Account]

    def tick(self) -> int:
        raise NotImplementedError

    def spend(self, account: Account, amount: int) -> Parts:
        raise NotImplementedError

    def collect(self, account: Account, amount: int) -> Parts:
        raise NotImplementedError

    def repay(self, account: Account) -> None:
        raise NotImplementedError

    def pass_time(self, account: Account, now: int) -> None:
        raise NotImplementedError

    def give_back(self, account: Account, parts: Parts, amount: int, now: int, owed_as: Any) -> None:
        raise NotImplementedError

    def expire(self, account: Account, command: Any, now: int) -> str:
        if command.grant not in account.grants:
            return "unknown_grant"
        bucket, amount = account.grants[command.grant]
        bucket.free -= min(bucket.free, amount)
        return "applied"

    def transfer(self, account: Account, command: Any, now: int) -> str:
        if account.status != "open":
            return account.status
        if account.available < command.amount:
            return "insufficient"
        if command.to not in self.accounts:
            return "unknown_target"
        far = self.accounts[command.to]
        self.pass_time(far, now)
        if far.status == "closed":
            return "target_closed"
        for bucket, amount in self.spend(account, command.amount):
            assert bucket is not None
            self.alike(far, bucket.source, bucket.priority, bucket.expires, 0, None).free += amount
        self.repay(far)
        self.watch(far)
        return "applied"

    def clawback(self, account: Account, command: Any, now: int) -> str:
        taken = self.take_back(account, command)
        return taken if isinstance(taken, str) else "applied"

    def dispute(self, account: Account, command: Any, now: int) -> str:
        if command.key in account.holds:
            return {"open": "hold_open", "charged": "hold_charged"}[account.holds[command.key].state]
        taken = self.take_back(account, command)
        if isinstance(taken, str):
            return taken
        parts, owed_as = taken
        first = parts[0][0] if command.grant is not None else None
        begins = first.starts if first is not None and first.starts else now
        row = Hold(command.amount, begins, "report", parts, "disputed", command.amount, 0)
        row.owed_as = owed_as
        account.holds[command.key] = row
        return "applied"

    def dispute_won(self, account: Account, command: Any, now: int) -> str:
        row = account.holds.get(command.hold)
        if row is None or row.state != "disputed":
            return f"dispute_{row.state}" if row and row.state in ("won", "lost") else "unknown_dispute"
        row.state, row.refunded = "won", row.amount
        self.give_back(account, row.parts, row.amount, now, row.owed_as)
        return "applied"

    def dispute_lost(self, account: Account, command: Any, now: int) -> str:
        row = account.holds.get(command.hold)
        if row is None or row.state != "disputed":
            return f"dispute_{row.state}" if row and row.state in ("won", "lost") else "unknown_dispute"
        row.state = "lost"
        return "applied"

    def take_back(self, account: Account, command: Any) -> str | tuple[Parts, tuple[str | None, int, int]]:
        amount, parts = command.amount, []
        owed_as = command.verb, 0, FOREVER
        if command.grant is not None:
            if command.grant not in account.grants:
                return "unknown_grant"
            bucket, granted = account.grants[command.grant]
            if amount > granted:
                return "exceeds_grant"
            owed_as = bucket.source, bucket.priority, bucket.expires
            part = min(bucket.free, amount)
            bucket.free -= part
            if part:
                parts.append((bucket, part))
            amount -= part
        return parts + self.collect(account, amount), owed_as

    def set_member(self, account: Account, command: Any, now: int) -> str:
        if account.status == "closed":
            return "closed"
        known = account.members.get(command.member)
        if known is None or known.window != command.window:
            known = account.members[command.member] = Member(None, command.window, now, self.tick())
        self.roll_window(known, now)
        known.cap = command.cap
        return "applied"

    def roll_window(self, member: Member, now: int) -> None:
        while member.window and now >= member.start + member.window:
            member.start += member.window
            member.spent = member.held = 0
            member.token = self.tick()

    def count(self, hold: Hold, held: int, spent: int) -> None:
        """Only in the window in which the hold was reserved."""
        if hold.counted is not None and hold.counted[0].token == hold.counted[1]:
            hold.counted[0].held += held
            hold.counted[0].spent += spent

    def members_seen(self, account: Account, now: int) -> Any:
        for member in account.members.values():
            self.roll_window(member, now)
        return {name: (m.cap, m.spent, m.held, m.start) for name, m in account.members.items()}

    def set_alert(self, account: Account, command: Any, now: int) -> str:
        if account.status == "closed":
            return "closed"
        account.alerts.pop(command.name, None)
        if command.below is not None:
            rearm = command.below if command.rearm is None else command.rearm
            account.alerts[command.name] = command.name, command.below, rearm, False
        return "applied"

    def watch(self, account: Account) -> None:
        for name, below, rearm, fired in list(account.alerts.values()):
            if fired and account.available >= rearm:
                fired = False
            elif not fired and account.available < below:
                fired = True
                account.told.append(("low_balance", name))
            account.alerts[name] = name, below, rearm, fired

    def alike(
        self,
        account: Account,
        source: str | None,
        priority: int,
        expires: int,
        starts: int,
        roll: tuple[int, int] | None,
    ) -> Bucket:
        """The bucket that is just like it and rolls nothing over, or a new one."""
        for bucket in account.buckets:
            same = (bucket.source, bucket.priority, bucket.expires, bucket.starts) == (
                source, priority, expires, starts,
            )  # fmt: skip
            if same and (bucket.free or bucket.held) and bucket.roll is None and roll is None:
                return bucket
        account.buckets.append(Bucket(source, priority, expires, self.tick(), starts, roll=roll))
        return account.buckets[-1]

    def expire_bucket(self, account: Account, bucket: Bucket) -> None:
        rest, bucket.free = bucket.free, 0
        if bucket.roll is not None:
            most, life = bucket.roll
            account.buckets.append(
                Bucket(bucket.source, bucket.priority, bucket.expires + life, self.tick(), 0, min(rest, most))
            )
            bucket.roll = None
