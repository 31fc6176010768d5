"""Directed worlds: each rare row of the transition table has a scene that leads there.

What is drawn at random meets the rows that need two or three coincidences once in ten thousand generations.
So every `EVERY`th seed plays one of these scenes, in turn: it pins the kinds, the faults and the knobs that
its rows need, and leaves the rest as it was drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from execution_arrow.delivery import WebhookPolicy
from tests.simulation.faults import CALLING, CANCELING, INSTANT, JOBS, LISTED, TOLD, apply_to, cumulated
from tests.simulation.wires import WIRES

if TYPE_CHECKING:
    from tests.simulation.knobs import Knobs

EVERY = 4
Odds = Mapping[str, Mapping[str, float]]  # place -> fault -> chance
Scene = Callable[["Knobs", random.Random], None]


def scene_of(seed: int) -> str:
    """The name of the scene that a seed plays, or ''."""
    return NAMES[seed // EVERY % len(NAMES)] if seed % EVERY == EVERY - 1 else ""


def direct(knobs: Knobs, rng: random.Random) -> None:
    """Pin what the seed's scene needs."""
    if knobs.scene:
        SCENES[knobs.scene](knobs, rng)


def _cast(knobs: Knobs, kinds: list[str], odds: Odds, **policy: Any) -> None:
    """These kinds with these faults alone, and policies that differ in all but what is given."""
    knobs.kinds = {kind: kind for kind in kinds}
    knobs.odds = {}
    for kind in kinds:
        can = apply_to(kind)
        for place, faults in odds.items():
            chances = {name: chance for name, chance in faults.items() if name in can.get(place, ())}
            knobs.odds[kind, place] = cumulated(chances)
    knobs.wanted, knobs.favored = {}, ()
    if policy:
        knobs.policies = [replace(old, **policy) for old in knobs.policies]


def _calm(knobs: Knobs) -> None:
    """No trouble of machines and stores."""
    for name in ("crashes", "pauses", "suspends", "stops", "power_losses", "rewinds", "ledger_rewinds"):
        setattr(knobs, name, 0)
    for name in ("outages", "store_before", "store_after", "ledger_before", "ledger_after", "cancels"):
        setattr(knobs, name, 0)
    knobs.latency, knobs.poor, knobs.frozen = 0.0, False, False


def slow_ledger(knobs: Knobs, rng: random.Random) -> None:
    """The hold's answer is overtaken by the end of its generation, and may still be a hold."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {}, generation_deadline=12.0)
    knobs.ledger_latency, knobs.ledger_before, knobs.ledger_after = 8.0, 0.4, 0.2
    knobs.serving = knobs.workers
    knobs.impatience, knobs.poor = 0.7, False


def forgotten(knobs: Knobs, rng: random.Random) -> None:
    """The job store is restored to the first seconds, the ledger remembers the ends; then hours pass."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {"life": {"job_moderated": 0.4}})  # some are paid, some are not
    knobs.rewinds, knobs.rewind_after, knobs.early = 1, (25.0,), True
    knobs.arrivals, knobs.deaf, knobs.look_every, knobs.lease = 0.0, 1.0, 10.0, 15.0
    knobs.workers, knobs.serving = 3, 1  # most are left to a worker that does not know of them yet
    knobs.hours, knobs.poor, knobs.free = 3, False, 0.0


def refused_after_a_cancel(knobs: Knobs, rng: random.Random) -> None:
    """The customer calls it off while the provider is about to refuse the request."""
    _calm(knobs)
    _cast(knobs, rng.sample((*JOBS, *INSTANT), 2), {"submit": {"caller": 0.9}})
    knobs.travel, knobs.cancels, knobs.serving = 4.0, 1.0, knobs.workers


def early_callbacks(knobs: Knobs, rng: random.Random) -> None:
    """The callback is faster than the answer to the submit, which comes late or not at all."""
    odds = {"hooks": {"hook_early": 0.9}, "life": {"deaf": 0.8},
            "poll": {"gone": 0.3, "poll_lost": 0.2, "poll_500": 0.2},
            "submit": {"slow_reply": 0.5, "lost_reply": 0.2}}  # fmt: skip
    kinds = ["byteplus", rng.choice([kind for kind in CALLING if kind != "byteplus"])]  # one is unsigned
    _cast(knobs, kinds, odds, attempt_deadline=40.0, generation_deadline=90.0)
    knobs.called_back, knobs.serving = True, knobs.workers


def callbacks_for_the_missing(knobs: Knobs, rng: random.Random) -> None:
    """A job that nobody can find any more calls back, unsigned."""
    _calm(knobs)
    odds = {"poll": {"gone": 0.8}, "hooks": {"hook_late": 0.5, "hook_twice": 0.4}, "life": {"deaf": 0.5}}
    _cast(knobs, ["byteplus"], odds, write_off_after=200.0)
    knobs.called_back, knobs.serving = True, knobs.workers


def zombies(knobs: Knobs, rng: random.Random) -> None:
    """A worker is stopped inside a submit; when it goes on with a refusal, others have given it up."""
    odds = {"submit": {"caller": 0.4, "provider": 0.1, "account": 0.1, "not_sent": 0.1}}
    _stop_and_go(knobs, rng.sample(JOBS, 2), odds, on_unknown="wait")


def zombies_with_results(knobs: Knobs, rng: random.Random) -> None:
    """The same, and the answer holds the results."""
    _stop_and_go(knobs, rng.sample(INSTANT, 2), {}, on_unknown=rng.choice(("wait", "wait", "failover")))


def _stop_and_go(knobs: Knobs, kinds: list[str], odds: Odds, on_unknown: str) -> None:
    _cast(knobs, kinds, odds, on_unknown=on_unknown, attempt_deadline=40.0, generation_deadline=90.0,
          write_off_after=200.0)  # fmt: skip
    knobs.workers = knobs.serving = 3
    knobs.pauses, knobs.lease, knobs.travel, knobs.arrivals = 14, 6.0, 8.0, 20.0


def flapping(knobs: Knobs, rng: random.Random) -> None:
    """ "No such job", three times, and then it runs after all."""
    _cast(knobs, rng.sample(JOBS, 2), {"poll": {"flap_404": 0.65}, "life": {"deaf": 0.6}},
          attempt_deadline=40.0, write_off_after=200.0, generation_deadline=90.0)  # fmt: skip


def unanswered_cancels(knobs: Knobs, rng: random.Random) -> None:
    """Overdue, and nobody answers the cancel before the next provider's turn has come."""
    kinds = rng.sample(CANCELING, 2)
    odds = {"life": {"never_ends": 0.9}, "cancel": {"cancel_lost": 0.7}}
    _cast(knobs, kinds, odds, on_overdue="failover", attempt_deadline=4.0, cancel_patience=1.0,
          generation_deadline=90.0)  # fmt: skip


def some_files(knobs: Knobs, rng: random.Random) -> None:
    """The time for the results is over when some of them are ours."""
    kinds = rng.sample([kind for kind, wire in WIRES.items() if wire.links and not wire.single], 2)
    _cast(knobs, kinds, {"files": {"file_later": 0.6}}, collect_deadline=5.0)
    knobs.asked = (1, 4, 4, 4)


def dead_links(knobs: Knobs, rng: random.Random) -> None:
    """Addresses die before the results are ours, and the job may be gone, too."""
    renewed = [kind for kind in JOBS if "link_dies" in apply_to(kind)["files"]]
    polls = ({"gone": 0.15}, {"false_failure": 0.1, "regress": 0.2}, {"odd_status": 0.2, "flap_404": 0.2})
    odds = {"files": {"link_dies": 0.3, "file_gone": 0.1}, "poll": rng.choice(polls)}
    _cast(knobs, rng.sample(renewed, 2), odds, collect_deadline=30.0, generation_deadline=90.0)
    knobs.asked = (1, 4, 4, 4)


def contradictions(knobs: Knobs, rng: random.Random) -> None:
    """A job is told to have failed, and calls back with its result, or with another end."""
    odds = {"poll": {"false_failure": 0.7}, "life": {"job_fails": 0.2, "job_expires": 0.2},
            "hooks": {"hook_stale": 0.4}}  # fmt: skip
    _cast(knobs, rng.sample(CALLING, 3), odds, generation_deadline=90.0)
    knobs.called_back = True


def turned_up(knobs: Knobs, rng: random.Random) -> None:
    """A submit arrives long after it was written off or believed not to have arrived, and calls back."""
    kinds = rng.choice((["dock", "fal"], rng.sample(CALLING, 2)))  # dock's list proves absence
    _cast(knobs, kinds, {"submit": {"late_request": 0.5, "lost_request": 0.3}}, unknown_patience=0.0,
          write_off_after=200.0 if "dock" in kinds else 20.0)  # fmt: skip
    knobs.called_back = True


def nothing_made(knobs: Knobs, rng: random.Random) -> None:
    """Synchronous answers without a result."""
    _calm(knobs)
    _cast(knobs, [kind for kind in INSTANT if WIRES[kind].empty], {"life": {"empty": 0.5}})


def restored_in_the_middle(knobs: Knobs, rng: random.Random) -> None:
    """The job store forgets which job an attempt has, while somebody asks about that job."""
    _calm(knobs)
    odds = {"submit": {"error_500_taken": 0.9}, "lookup": {"list_late": 0.7}}
    _cast(knobs, rng.sample(LISTED, 2), odds, on_unknown="wait", attempt_deadline=40.0,
          generation_deadline=90.0, write_off_after=200.0)  # fmt: skip
    knobs.rewinds, knobs.rewind_after, knobs.restarts, knobs.early = 1, (3.0, 5.0), False, True
    knobs.arrivals, knobs.travel, knobs.run = 0.0, 0.5, (5.0, 9.0)
    knobs.workers = knobs.serving = 1  # nobody else looks first


def slow_receivers(knobs: Knobs, rng: random.Random) -> None:
    """Two addresses never answer, the others do: those are told at once."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {})
    knobs.skew, knobs.steps, knobs.deaf, knobs.operators = 0.0, 0, 0.0, 0
    knobs.workers = knobs.serving = rng.choice((1, 2))
    knobs.receivers, knobs.hanging, knobs.punctual = 4, 2, 6.0
    knobs.webhooks = WebhookPolicy(pauses=(0.5, 1.5, 3.0), at_once=8, each=2, give_up_time=1000.0)


def couriers_that_die(knobs: Knobs, rng: random.Random) -> None:
    """Killed when a receiver has the message, and nobody has written down that it has."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {})
    knobs.crashes, knobs.stops = 10, 2
    _tell(knobs, rng, {"told_slow": 0.6, "told_hangs": 0.1, "told_reset": 0.1})


def couriers_that_stop(knobs: Knobs, rng: random.Random) -> None:
    """Stopped for longer than a delivery is theirs, and then going on with what others have delivered."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {})
    knobs.pauses, knobs.suspends = 12, 2
    _tell(knobs, rng, {"told_slow": 0.6, "told_busy": 0.1})


def given_up(knobs: Knobs, rng: random.Random) -> None:
    """Addresses fail until nothing is sent there any more, and somebody switches them on again."""
    _calm(knobs)
    _cast(knobs, rng.sample(JOBS, 2), {})
    _tell(knobs, rng, {rng.choice(("told_500", "told_busy", "told_lost")): 0.7, "told_gone": 0.01})
    knobs.operators = 4
    knobs.webhooks = replace(knobs.webhooks, give_up_after=6, give_up_time=rng.choice((3.0, 10.0)), each=1)


def _tell(knobs: Knobs, rng: random.Random, faults: Mapping[str, float]) -> None:
    """Two receivers with these faults alone, and three couriers."""
    knobs.odds[TOLD, "told"] = cumulated(faults)
    knobs.receivers, knobs.workers, knobs.serving = 2, 3, 3
    pauses = rng.choice(((0.5, 1.5, 3.0, 5.0), (0.5, 1.5, 3.0, 5.0, 10.0, 20.0)))
    knobs.webhooks = WebhookPolicy(pauses=pauses, timeout=3.0, give_up_time=20.0)


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        slow_ledger, forgotten, refused_after_a_cancel, early_callbacks, callbacks_for_the_missing, zombies,
        zombies_with_results, flapping, unanswered_cancels, some_files, dead_links, contradictions, turned_up,
        nothing_made, restored_in_the_middle,
        slow_receivers, couriers_that_die, couriers_that_stop, given_up,
    )
}  # fmt: skip
NAMES = tuple(SCENES)
