"""Histories that a finance person can read and check.

One operation per line, the expected outcome after an arrow; `#` begins a comment. Times are seconds from the
start, amounts are credits.

    grant a 10 key=in_1 expires=60      -> applied
    reserve a 4 key=gen_1 timeout=30    -> applied
    charge a gen_1 3                    -> applied
    charge a gen_1 2                    -> key_conflict
    tick 60
    balance a                           -> 0 available, 0 held, 0 debt
    hold a gen_1                        -> charged

Outcomes: `applied`, `replayed` (and `replayed refused`, where the first answer was a refusal), or the name of
a refusal. `balance`, `buckets`, `hold`, `kinds`, `member` and `alerts` read, `ack` acknowledges alerts,
`tick` lets time pass, `sweep` writes down what time has done, and `policy over_charge=cap` goes on under
another policy. `linked <name>: <operation>; <operation>` applies all of them or none; its outcome is that of
each. A limit or an alert of `none` is None.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ledger_fortress.answers import Answer, Applied, Receipt, Replayed
from ledger_fortress.commands import Command, Linked
from ledger_fortress.credits import Credits
from ledger_fortress.errors import LedgerError, Refused
from ledger_fortress.ledger import Ledger
from ledger_fortress.rules import Policy

START: Final = 1_700_000_000


class FakeClock:
    """Seconds since 1970 that pass only when told to."""

    def __init__(self, seconds: float = START) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def tick(self, seconds: float) -> None:
        self.seconds += seconds


class ScenarioFailed(AssertionError):
    """A line did not end as it says; the message names file, line, what was expected and what happened."""


def run_scenario(text: str, ledger: Ledger, clock: FakeClock, name: str = "scenario") -> int:
    """Run every line against the ledger, then verify it. Returns the number of operations."""
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        operation, arrow, expected = said.partition("->")
        words = shlex.split(operation)
        if words[0] == "policy":
            ledger = _under(ledger, words[1:])
            continue
        happened = _link(operation, ledger) if words[0] == "linked" else _perform(words, ledger, clock)
        count += 1
        if arrow and " ".join(expected.split()) != happened:
            raise ScenarioFailed(
                f"{name}:{number}: {operation.strip()}\n  expected {expected.strip()}\n  got {happened}"
            )
        if not arrow and words[0] not in ("tick", "sweep"):
            raise ScenarioFailed(f"{name}:{number}: say the expected outcome after ->; it is: {happened}")
    proof = ledger.audit()
    if not proof.ok:
        raise ScenarioFailed(f"{name}: {proof.problems[0]}")
    return count


def _perform(words: list[str], ledger: Ledger, clock: FakeClock) -> str:
    verb, *rest = words
    if verb == "tick":
        clock.tick(float(rest[0]))
        return "ticked"
    try:
        if verb in _READS:
            return _READS[verb](ledger, *rest)
        receipt = _send(ledger, verb, rest)
    except Refused as refused:
        return "replayed refused" if refused.replayed else refused.reason.value
    except (LedgerError, ValueError, TypeError) as error:
        return type(error).__name__
    return "replayed" if receipt.replayed else "applied"


def _send(ledger: Ledger, verb: str, words: list[str]) -> Any:
    places = [word for word in words if "=" not in word]
    named = dict(word.split("=", 1) for word in words if "=" in word)
    given = [None if place == "none" and verb in ("set_member", "set_alert") else place for place in places]
    return getattr(ledger, verb)(*given, **{key: _value(key, text) for key, text in named.items()})


class _Draft(Ledger):
    """A ledger whose verbs only say what they would send."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def _one(self, command: Command) -> Receipt:
        self.commands.append(command)
        return Receipt(command.account, 0, "")


def _link(operation: str, ledger: Ledger) -> str:
    name, _, members = operation.partition(":")
    draft = _Draft()
    for member in members.split(";"):
        verb, *words = shlex.split(member)
        _send(draft, verb, words)
    return " ".join(map(_outcome, ledger.apply([Linked(shlex.split(name)[1], tuple(draft.commands))])))


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Replayed):
        return "replayed" if isinstance(answer.first, Applied) else "replayed refused"
    return "applied" if isinstance(answer, Applied) else answer.reason.value


def _value(key: str, text: str) -> Any:
    if key in ("expires", "effective"):
        return datetime.fromtimestamp(START + float(text), UTC)
    if key in ("timeout", "window", "rollover_life"):
        return float(text)
    if key == "priority":
        return int(text)
    return text == "yes" if key == "create" else text


def _under(ledger: Ledger, words: list[str]) -> Ledger:
    """The same ledger under another policy."""
    chosen: dict[str, Any] = dict(word.split("=", 1) for word in words)
    if "key_horizon" in chosen:
        chosen["key_horizon"] = round(float(chosen["key_horizon"]) * 1_000_000)
    return Ledger(ledger._store, policy=Policy(**chosen))


def _short(amount: Credits) -> str:
    return format(amount.decimal.normalize(), "f")


def _balance(ledger: Ledger, account: str) -> str:
    now = ledger.balance(account)
    return f"{_short(now.available)} available, {_short(now.held)} held, {_short(now.debt)} debt"


def _buckets(ledger: Ledger, account: str) -> str:
    shown = [
        f"{bucket.source or '-'}:{_short(bucket.available)}+{_short(bucket.held)}"
        + (f"~{_short(bucket.waiting)}" if bucket.waiting else "")
        for bucket in ledger.balance(account).buckets
    ]
    return " ".join(shown) or "none"


def _hold(ledger: Ledger, account: str, key: str) -> str:
    hold = ledger.hold(account, key)
    if hold is None:
        return "none"
    return f"{hold.state}{' overdue' if hold.overdue else ''}"


def _sweep(ledger: Ledger) -> str:
    return f"{ledger.sweep()} entries"


def _kinds(ledger: Ledger, account: str) -> str:
    return " ".join(entry.kind for entry in ledger.entries(account))


def _member(ledger: Ledger, account: str, member: str) -> str:
    row = ledger.member(account, member)
    if row is None:
        return "none"
    limit = "none" if row.limit is None else _short(row.limit)
    return f"{_short(row.spent)} spent, {_short(row.held)} held, limit {limit}"


def _alerts(ledger: Ledger, account: str) -> str:
    return " ".join(str(alert.details.get("name", alert.kind)) for alert in ledger.alerts(account)) or "none"


def _ack(ledger: Ledger, account: str) -> str:
    return f"{ledger.ack(ledger.alerts(account))} alerts"


_READS: Final[dict[str, Callable[..., str]]] = {
    "balance": _balance,
    "buckets": _buckets,
    "hold": _hold,
    "sweep": _sweep,
    "kinds": _kinds,
    "member": _member,
    "alerts": _alerts,
    "ack": _ack,
}
