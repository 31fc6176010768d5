"""Is a history of overlapping calls on one account linearizable?

Wing and Gong's search with Lowe's memory: pick any call that began before every unfinished call ended, let a
sequential ledger do it, and go on if that answers as was observed; a set of done calls in a state that was
seen before is not tried again. The sequential ledger is the few lines of `step`, on immutable states.
"""

from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call: when it began and ended, what was asked, what was observed."""

    began: float
    ended: float
    what: tuple[Any, ...]
    saw: Any


class State(NamedTuple):
    """One account: what is free, open holds as (key, amount), answers as (key, (content, answer))."""

    free: int = 0
    holds: frozenset[tuple[str, int]] = frozenset()
    ended: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[tuple[str, tuple[Any, str]]] = frozenset()


def step(state: State, what: tuple[Any, ...]) -> tuple[State, Any]:
    """What a ledger that does one thing at a time answers."""
    if what[0] == "read":
        return state, (state.free, sum(amount for _, amount in state.holds))
    verb, key, *rest = what
    name = f"{key}/settle" if verb in ("charge", "release") else key
    known = dict(state.keys).get(name)
    if known is not None and verb == "charge" and known[0][0] == "release" and known[1] == "applied":
        name = f"{key}/late"  # no second settlement: a late charge
        known = dict(state.keys).get(name)
    if known is not None:
        return state, f"replayed:{known[1]}" if known[0] == what else "key_conflict"
    after, answer, recorded = _judge(state, verb, key, rest)
    if recorded:
        after = after._replace(keys=after.keys | {(name, (what, answer))})
    return after, answer


def _judge(state: State, verb: str, key: str, rest: list[Any]) -> tuple[State, str, bool]:
    holds = dict(state.holds)
    if verb == "grant":
        return state._replace(free=state.free + rest[0]), "applied", True
    if verb == "reserve":
        if rest[0] > state.free:
            return state, "insufficient", True
        opened = state.holds | {(key, rest[0])}
        return state._replace(free=state.free - rest[0], holds=opened), "applied", True
    if key not in holds:
        ended = dict(state.ended).get(key)
        return state, f"hold_{ended}" if ended else "unknown_hold", ended is not None
    amount = holds[key]
    used = min(rest[0], amount) if verb == "charge" else 0
    if verb == "charge" and rest[0] > amount:
        return state, "exceeds_hold", False
    after = state._replace(
        free=state.free + amount - used,
        holds=state.holds - {(key, amount)},
        ended=state.ended | {(key, "charged" if verb == "charge" else "released")},
    )
    return after, "applied", True


def linearizable(calls: list[Call], start: State) -> bool:
    """Whether some order of the calls explains every answer and lets no call come before one it follows."""
    calls = sorted(calls)
    everything = (1 << len(calls)) - 1
    seen = {(0, start)}
    stack = [(0, start)]
    while stack:
        done, state = stack.pop()
        if done == everything:
            return True
        left = [(n, call) for n, call in enumerate(calls) if not done >> n & 1]
        first_end = min(call.ended for _, call in left)
        for number, call in left:
            if call.began > first_end:
                break
            after, answer = step(state, call.what)
            following = done | 1 << number, after
            if answer == call.saw and following not in seen:
                seen.add(following)
                stack.append(following)
    return False
