"""What may go wrong at a provider, place by place, and how often each has happened to each kind.

A seed switches on a random part of it (`knobs`), each with a probability of its own, so that some seeds are
almost sunny and some have one fault everywhere: faults that are all on at once hide one another.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from tests.simulation.wires import WIRES
from tests.simulation.wires.base import REFUSALS

# On the way there: nothing, or something, arrived.
SUBMIT = {
    "not_sent": "certainly nothing left",
    "lost_request": "it left and never arrived; the sender waits in vain",
    "late_request": "it arrives long after the sender gave it up",
    "lost_reply": "the job was taken, the answer lost",
    "slow_reply": "the job was taken, the answer takes seconds",
    "error_500": "500, nothing taken",
    "error_500_taken": "500, and the job was taken all the same",
    "html": "HTML with 200, the job taken",
    "junk": "JSON of another shape with 200, the job taken",
    "caller": "refused: the request itself",
    "moderation": "refused: the content",
    "account": "refused: our account",
    "provider": "refused: not now, not here",
    "busy": "refused: come back in two seconds",
}
TAKEN = {"reused_id": "the answer names the job of an earlier submit"}
# The life of a job that was taken.
LIFE = {
    "job_fails": "failed",
    "job_account": "failed, because of our account",
    "job_moderated": "failed, because of the content",
    "job_expires": "dropped by the provider's own deadline",
    "foreign_cancel": "canceled at the provider's console",
    "never_ends": "runs for ever, a cancel works",
    "deaf": "takes a minute and ignores cancels",
    "empty": "succeeds without outputs, for good",
    "empty_first": "succeeds, its outputs appear later",
}
SLOW = {"slow_job": "takes longer than the sender waits"}  # of a synchronous answer: a reply that is lost
POLL = {
    "poll_lost": "the answer to a poll is lost",
    "poll_500": "500",
    "poll_html": "HTML with 200",
    "flap_404": "404, once",
    "gone": "404 from now on",
    "regress": "running, after it had ended",
    "false_success": "succeeded, though it failed or still runs; nothing can be fetched",
    "false_failure": "failed, though it goes on and succeeds",
    "odd_status": "a status that is in no table",
    "foreign_answer": "the answer is about another job",
}
CANCEL = {
    "cancel_lost": "the answer to a cancel is lost, the cancel was taken",
    "cancel_refused": "refused",
    "cancel_500": "500",
    "cancel_ignored": "acknowledged and not done",
}
LOOKUP = {
    "list_lost": "the list is not answered",
    "list_late": "the job is not in the list yet",
    "list_two": "two jobs that could be it",
    "list_html": "HTML with 200",
}
FILES = {
    "file_later": "a server error or a timeout: later",
    "file_gone": "404",
    "file_slow": "drips for a minute",
    "file_short": "ends early",
    "file_html": "HTML where a picture should be",
    "link_dies": "the address leads nowhere any more, for good; the job knows another one",
    "disk_full": "our own disk is full",
}
SPOOL = {"spool_torn": "the process dies while the answer is written", "spool_full": "no room to write it"}
HOOKS = {
    "hook_lost": "never",
    "hook_early": "before the answer to the submit",
    "hook_twice": "the same call again and again",
    "hook_late": "after the end",
    "hook_stale": "running, after it had ended",
    "hook_forged": "a false content without a signature",
    "hook_foreign": "the content of another job",
}

# Of a receiver of our own webhooks.
TELLING = {
    "told_unreachable": "nobody answers there",
    "told_refused": "its name leads into our own network",
    "told_lost": "the message never arrives; we wait in vain",
    "told_late": "it arrives when we have given it up",
    "told_slow": "the answer takes most of the time that it has",
    "told_hangs": "it has the message and never answers",
    "told_reset": "it has the message and hangs up",
    "told_cut": "it says 200 and hangs up in the middle of it",
    "told_endless": "it says 200 and talks for ever",
    "told_500": "500",
    "told_404": "404",
    "told_redirect": "302",
    "told_busy": "503, and when to come back",
    "told_gone": "410: nobody wants to hear any more",
}

KINDS = tuple(WIRES)
TOLD = "receiver"  # stands where a kind of provider stands
JOBS = tuple(kind for kind, wire in WIRES.items() if not wire.sync)
INSTANT = tuple(kind for kind, wire in WIRES.items() if wire.sync)
CALLING = tuple(kind for kind, wire in WIRES.items() if wire.calls_back)
LISTED = tuple(kind for kind, wire in WIRES.items() if wire.lists)
CANCELING = tuple(kind for kind, wire in WIRES.items() if wire.cancels)

ENDINGS = {  # of `LIFE`: the end that a job comes to
    "job_fails": "failed",
    "job_account": "account",
    "job_moderated": "moderated",
    "job_expires": "expired",
    "foreign_cancel": "canceled",
}


def apply_to(kind: str) -> dict[str, tuple[str, ...]]:
    """The faults that make sense at a kind, by place."""
    if kind == TOLD:
        return {"told": tuple(TELLING)}
    wire = WIRES[kind]
    places = {"submit": tuple(name for name in SUBMIT if name not in REFUSALS or name in wire.refuses)}
    empty = ("empty",) if wire.empty else ()
    if wire.sync:
        places["life"] = (*SLOW, *empty)
        files = (name for name in FILES if name != "link_dies")
        places["files"] = tuple(files if wire.links else ("disk_full", "file_later"))
        places["spool"] = tuple(SPOOL)
        return places
    ends = (name for name in LIFE if ENDINGS.get(name, wire.ends[0]) in wire.ends)
    places["taken"] = tuple(TAKEN)
    places["life"] = tuple(name for name in ends if wire.empty or not name.startswith("empty"))
    places["poll"] = tuple(POLL)
    renewed = wire.provider.semantics.renewed_for is not None
    places["files"] = tuple(name for name in FILES if name != "link_dies" or renewed)
    if wire.cancels:
        places["cancel"] = tuple(CANCEL)
    if wire.calls_back:
        places["hooks"] = tuple(HOOKS)
    if wire.lists:
        places["lookup"] = tuple(LOOKUP)
    return places


# Places whose faults are met in one world: those of a submit leave nothing for a job's, and so on.
_TOGETHER = (("submit",), ("poll", "taken"), ("life", "cancel"), ("files", "hooks", "lookup"))
_TOGETHER_SYNC = (("submit", "life", "spool"), ("files",))


def _parts(kind: str) -> list[tuple[tuple[str, str], ...]]:
    """What a world about this kind is to meet, world by world."""
    places = apply_to(kind)
    groups = _TOGETHER_SYNC if WIRES[kind].sync else _TOGETHER
    return [tuple((kind, fault) for place in group for fault in places.get(place, ())) for group in groups]


PARTS = tuple(part for kind in KINDS for part in _parts(kind))
CELLS = (*(cell for part in PARTS for cell in part), *((TOLD, fault) for fault in TELLING))
TURNS = (*PARTS, *(part for part in PARTS if part[0][1] in SUBMIT))  # there are many, and one try for each
WANTED, ENOUGH = 0.8, 8  # share of the moments that its faults are given, until each was met so often


@dataclass(slots=True)
class Dice:
    """Draws faults for one world, and counts what really happened."""

    rng: random.Random
    odds: Mapping[tuple[str, str], list[tuple[float, str]]]  # (kind, place) -> cumulated chances
    wanted: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)  # to be met, by (kind, place)
    drawn: Counter[tuple[str, str]] = field(default_factory=Counter)  # of the wanted
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    healed: bool = False

    def strike(self, kind: str, place: str) -> str:
        """The fault that this moment meets, or ''."""
        if self.healed:
            return ""
        if (kind, place) in self.wanted and self.rng.random() < WANTED:
            rare = [name for name in self.wanted[kind, place] if self.struck[kind, name] < ENOUGH]
            if rare:  # in turn: what was drawn may happen much later, or not be possible now
                fault = min(rare, key=lambda name: self.drawn[kind, name])
                self.drawn[kind, fault] += 1
                return fault
        table = self.odds.get((kind, place))
        if not table:
            return ""
        drawn = self.rng.random()
        for limit, name in table:
            if drawn < limit:
                return name
        return ""

    def happened(self, kind: str, fault: str) -> None:
        self.struck[kind, fault] += 1


def cumulated(chances: Mapping[str, float]) -> list[tuple[float, str]]:
    """What `Dice.strike` reads."""
    return list(zip(accumulate(chances.values()), chances, strict=True))


def by_place(cells: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """What `Dice.wanted` is made of."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind, fault in cells:
        place = next(place for place, names in apply_to(kind).items() if fault in names)
        found.setdefault((kind, place), []).append(fault)
    return found


def likelier(table: list[tuple[float, str]], fault: str, chance: float) -> list[tuple[float, str]]:
    """The same chances, and this one before them."""
    return [(chance, fault), *((chance + limit, name) for limit, name in table)]


def focus(turn: int) -> tuple[tuple[str, str], ...]:
    """The cells that a world is to take, whatever else it does: turn after turn, all of them."""
    return TURNS[turn % len(TURNS)]


def choose_odds(rng: random.Random, kinds: Iterable[str]) -> dict[tuple[str, str], list[tuple[float, str]]]:
    """A part of the faults, with chances from one in a hundred to one in three."""
    odds: dict[tuple[str, str], list[tuple[float, str]]] = {}
    share = rng.choice((0.0, 0.1, 0.3, 0.6, 1.0))
    for kind in kinds:
        for place, names in apply_to(kind).items():
            total, table = 0.0, []
            for name in names:
                if rng.random() < share:
                    total += rng.choice((0.01, 0.05, 0.15, 0.35)) / max(1.0, share * len(names) / 3)
                    table.append((total, name))
            if table:
                odds[kind, place] = table
    return odds
