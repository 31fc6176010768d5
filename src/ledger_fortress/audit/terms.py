"""Alerts, rollovers and notices as their entries tell them."""

from __future__ import annotations

from typing import Any, Final

from ledger_fortress.entries import Entry
from ledger_fortress.state import Alert, Roll, Terms

from .chain import Wrong

_SILENT: Final = frozenset({"reserve", "charge", "release"})
_ODD: Final = frozenset({"notices", "late", "asked"})
"""The usual entry promises nothing and tells nobody: none of these fields, and no alert that watches."""


class Promises:
    """The thresholds that one account watches, and what it lets roll over."""

    __slots__ = ("alerts", "rolls")

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.rolls: dict[int, Roll] = {}

    def terms(self) -> Terms:
        """As they should be stored."""
        return Terms(tuple(self.alerts.values()), tuple(self.rolls.values()))

    def take(self, entry: Entry, body: dict[str, Any]) -> None:
        """Follow one entry, and check that it tells whom it must tell."""
        kind = entry.kind
        if kind in _SILENT and not self.alerts and not _ODD & body.keys():
            return
        if kind == "alert":
            self.alerts.pop(body["name"], None)
            if body["below"] is not None:
                self.alerts[body["name"]] = Alert(body["name"], body["below"], body["rearm"], 0)
        elif kind == "grant" and "rollover" in body:
            self._forget(entry.at)
            number, (cap, life) = body["legs"][0][1], body["rollover"]
            self.rolls[number] = Roll(number, body["expires"], cap, life)
        elif kind == "expire" and entry.key is None:
            self._roll(entry, body)
        expected = [] if kind not in ("charge", "refused") else _told(entry, body)
        if self.alerts:
            expected += self._watch(entry.available)
        if body.get("notices", []) != expected:
            raise Wrong("does not carry the notices that it should")

    def _watch(self, available: int) -> list[Any]:
        fired: list[Any] = []
        for name, alert in self.alerts.items():
            if alert.fired and available >= alert.rearm:
                self.alerts[name] = alert._replace(fired=0)
            elif not alert.fired and available < alert.below:
                self.alerts[name] = alert._replace(fired=1)
                fired.append(["low_balance", {"available": available, "below": alert.below, "name": name}])
        return fired

    def _roll(self, entry: Entry, body: dict[str, Any]) -> None:
        fresh = {number: expires for number, _, expires, _ in body.get("buckets", ())}
        expected = []
        for op, number, amount in body["legs"]:
            roll = self.rolls.get(number) if op == "lapse" else None
            if roll is not None:
                expected.append((min(roll.cap, amount), roll.expires + roll.life))
        if [(amount, fresh[n]) for op, n, amount in body["legs"] if op == "add"] != expected:
            raise Wrong("does not roll over what its grants say")
        if self.rolls:
            self._forget(entry.at)

    def _forget(self, at: int) -> None:
        self.rolls = {number: roll for number, roll in self.rolls.items() if roll.expires > at}


def _told(entry: Entry, body: dict[str, Any]) -> list[Any]:
    """The notices that a charge or a refusal must carry, whatever the balance is."""
    if entry.amount == 0 and "asked" not in body:
        return []
    about = {"amount": entry.amount, "hold": entry.hold}
    if entry.kind == "refused":
        late = body["verb"] == "charge" and body["reason"] in ("hold_released", "hold_timed_out")
        return [["late_refused", {**about, "reason": body["reason"]}]] if late else []
    if body.get("late"):
        return [["late_charge", {**about, "owed": entry.d_debt}]]
    if body.get("asked", 0) > entry.amount:
        return [["short_charge", {"asked": body["asked"], "charged": entry.amount, "hold": entry.hold}]]
    return []
