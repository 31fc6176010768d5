"""What one seed is about: drawn once, before anything runs, so that it can be printed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from execution_arrow.delivery import WebhookPolicy
from execution_arrow.policy import Policy
from tests.simulation.faults import (
    CANCEL,
    CELLS,
    HOOKS,
    KINDS,
    LOOKUP,
    TELLING,
    TOLD,
    by_place,
    choose_odds,
    cumulated,
    focus,
    likelier,
)
from tests.simulation.scenes import EVERY, direct, scene_of


@dataclass(slots=True, kw_only=True)
class Knobs:
    """One world. Shares are chances per moment or per customer, times are seconds."""

    seed: int
    store: str
    scene: str = ""  # the directed world that it plays, if any
    kinds: dict[str, str]  # provider -> kind
    favored: tuple[str, ...] = ()  # who is mostly asked first
    odds: dict[tuple[str, str], list[tuple[float, str]]]
    wanted: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # faults that it is to meet
    generations: int
    arrivals: float  # all customers come within
    workers: int
    serving: int  # how many of them claim by themselves
    lease: float
    look_every: float  # how often a worker looks for work and reads its inbox
    called_back: bool = False  # providers are given an address to call
    shuffle: float = 0.0
    latency: float = 0.0
    ledger_latency: float = 0.0  # beside it, each way
    prompt: bool = False  # both stores answer on the spot: nothing happens between question and answer
    run: tuple[float, float] = (0.2, 8.0)  # seconds that a job takes
    travel: float = 0.1  # seconds that a submit is under way, at most
    crashes: int = 0
    pauses: int = 0
    suspends: int = 0  # pauses that the monotonic clock does not count
    stops: int = 0  # graceful ends
    power_losses: int = 0
    rewinds: int = 0
    rewind_after: tuple[float, ...] = (0.2, 3.0, 10.0)  # seconds from copy to restore
    restarts: bool | None = None  # whether the processes are started anew then; None: either
    early: bool = False  # trouble begins in the second second
    hours: int = 0  # that pass when all is done: what the ledger refused is asked again
    ledger_rewinds: int = 0
    outages: int = 0
    store_before: float = 0.0
    store_after: float = 0.0
    ledger_before: float = 0.0
    ledger_after: float = 0.0
    deaf: float = 0.0  # share of lost hints
    skew: float = 0.0  # at most, to either side
    steps: int = 0  # of a wall clock
    new_editions: bool = False  # another catalogue and policy after a restart
    cancels: float = 0.0
    repeats: float = 0.0
    impatience: float = 0.0  # callers whose await is cancelled
    poor: bool = False  # accounts that cannot pay for everything
    frozen: bool = False  # an account is frozen in the middle
    free: float = 0.0  # requests without a price
    real_files: bool = False  # results lie in a folder, kept by the product's own artifact store
    asked: tuple[int, ...] = (1, 1, 1, 2, 4)  # results, one of these
    policies: list[Policy] = field(default_factory=list)
    receivers: int = 0  # addresses that are told of events
    hanging: int = 0  # of them, those that never answer
    punctual: float = 0.0  # seconds within which the healthy ones are told, where nothing else goes wrong
    operators: int = 0  # people who change addresses, or replay what was not delivered
    webhooks: WebhookPolicy = field(default_factory=WebhookPolicy)
    # What a healthy world never comes near: ten times what the busiest of thousands takes (`restless`).
    most_at_once: int = 25_000  # steps of the event loop at one moment
    most_steps: int = 400_000
    most_seconds: float = 120.0  # of processor time
    most_memory: int = 500  # megabytes more than before


POSTED = 0.15  # of the worlds: those with receivers
FOCUSED = 10**9  # from here on a seed is a small world about one fault of one kind


def wanted_of(seed: int) -> tuple[tuple[str, str], ...]:
    """The faults that a seed is to meet. The seeds that play a scene have no part in the turns."""
    return (CELLS[seed % len(CELLS)],) if seed >= FOCUSED else focus(seed - seed // EVERY)


def draw(seed: int, store: str = "memory", generations: int = 64) -> Knobs:
    """The world of this seed."""
    rng = random.Random(f"knobs-{seed}")
    wanted = wanted_of(seed)
    meant = [kind for kind, _ in wanted if kind != TOLD]
    kinds = list(dict.fromkeys(meant + rng.sample(KINDS, rng.choice((1, 2, 2, 3)))))
    workers = rng.choice((1, 1, 2, 2, 3))
    knobs = Knobs(
        seed=seed,
        store=store,
        scene="" if seed >= FOCUSED else scene_of(seed),
        kinds={kind: kind for kind in kinds},
        favored=tuple(dict.fromkeys(meant)),
        odds=choose_odds(rng, kinds),
        wanted=by_place(wanted),
        generations=24 if seed >= FOCUSED else generations,
        arrivals=rng.choice((0.0, 5.0, 20.0)),
        workers=workers,
        serving=rng.randint(0, workers),
        lease=rng.choice((6.0, 15.0)),
        look_every=rng.choice((4.0, 10.0, 20.0)),
        called_back=rng.random() < 0.5,
        policies=[_policy(rng) for _ in range(4)],
    )
    _machines(rng, knobs)
    _people(rng, knobs)
    _make_possible(knobs, wanted)
    _post(random.Random(f"post-{seed}"), knobs, wanted)
    direct(knobs, rng)
    knobs.real_files = rng.random() < 0.3
    knobs.prompt = not knobs.latency and rng.random() < 0.7
    return knobs


def _machines(rng: random.Random, knobs: Knobs) -> None:
    """Each kind of trouble is on in a part of the seeds; a quarter of the seeds have none."""
    if rng.random() < 0.25:
        return

    def some(share: float, *values: float) -> float:
        return rng.choice(values) if rng.random() < share else 0

    knobs.shuffle = some(0.5, 0.1, 0.5)
    knobs.latency = some(0.4, 0.01, 0.5)
    knobs.crashes = int(some(0.4, 1, 3, 8))
    knobs.pauses = int(some(0.35, 1, 3))
    knobs.suspends = int(some(0.2, 1, 2))
    knobs.stops = int(some(0.2, 1, 2))
    knobs.power_losses = int(some(0.2, 1, 2)) if knobs.store == "memory" else 0
    knobs.rewinds = int(some(0.15, 1))
    knobs.ledger_rewinds = int(some(0.15, 1))
    knobs.outages = int(some(0.2, 1, 3))
    knobs.store_before = some(0.3, 0.01, 0.1)
    knobs.store_after = some(0.3, 0.01, 0.1)
    knobs.ledger_before = some(0.3, 0.02, 0.2)
    knobs.ledger_after = some(0.3, 0.02, 0.2)
    knobs.deaf = some(0.3, 0.3, 1.0)
    knobs.skew = some(0.3, 1.0, 30.0, 600.0)
    knobs.steps = int(some(0.15, 1, 3))
    knobs.new_editions = rng.random() < 0.3


def _people(rng: random.Random, knobs: Knobs) -> None:
    if rng.random() < 0.2:
        return
    knobs.cancels = rng.choice((0.0, 0.1, 0.5))
    knobs.repeats = rng.choice((0.0, 0.1, 0.5))
    knobs.impatience = rng.choice((0.0, 0.0, 0.2, 0.7))
    knobs.poor = rng.random() < 0.05
    knobs.frozen = rng.random() < 0.05
    knobs.free = rng.choice((0.0, 0.0, 0.0, 0.3))


def _post(rng: random.Random, knobs: Knobs, wanted: Iterable[tuple[str, str]]) -> None:
    """Some worlds have receivers; each fault of theirs is met in some of those."""
    asked = [fault for kind, fault in wanted if kind == TOLD]
    if not asked and (rng.random() >= POSTED or knobs.seed >= FOCUSED):
        return
    met = asked or rng.sample(tuple(TELLING), rng.choice((0, 3, 5)))
    knobs.receivers = rng.choice((1, 2, 3))
    knobs.operators = rng.choice((0, 0, 1, 3))
    knobs.odds[TOLD, "told"] = cumulated(dict.fromkeys(met, rng.choice((0.02, 0.1, 0.6 / max(1, len(met))))))
    knobs.wanted.update(by_place((TOLD, fault) for fault in met))
    knobs.serving = max(1, knobs.serving)
    knobs.webhooks = WebhookPolicy(
        pauses=rng.choice(((0.5, 1.5, 3.0, 5.0), (0.5, 1.5, 3.0, 5.0, 10.0, 20.0, 40.0))),
        timeout=rng.choice((3.0, 10.0)),
        give_up_after=rng.choice((3, 8)),
        give_up_time=rng.choice((5.0, 20.0)),
        at_once=rng.choice((4, 64)),
        each=rng.choice((1, 4)),
        longest_wait=rng.choice((5.0, 3600.0)),
    )


def _make_possible(knobs: Knobs, wanted: Iterable[tuple[str, str]]) -> None:
    """Some faults need more than their own chance to be met."""
    for kind, fault in wanted:
        if fault in HOOKS:
            knobs.called_back = True
        elif fault in CANCEL:  # somebody has to cancel: the customers, or we because it takes too long
            knobs.cancels = max(knobs.cancels, 0.3)
            knobs.policies[0] = replace(knobs.policies[0], attempt_deadline=4.0)
        elif fault in LOOKUP:  # what is looked for is a submit without an answer
            table = knobs.odds.get((kind, "submit"), [])
            knobs.odds[kind, "submit"] = likelier(table, "error_500_taken", 0.3)


def _policy(rng: random.Random) -> Policy:
    return Policy(
        on_unknown=rng.choice(("failover", "failover", "wait", "fail")),
        unknown_patience=rng.choice((None, 0.0, 5.0)),
        max_unknown_per_generation=rng.choice((0, 1, 1, 2)),
        on_overdue=rng.choice(("failover", "failover", "wait")),
        attempt_deadline=rng.choice((4.0, 15.0, 40.0)),
        generation_deadline=rng.choice((None, None, 8.0, 90.0)),
        retry_here_within=rng.choice((0.0, 5.0)),
        retries_here=rng.choice((0, 2)),
        cancel_patience=rng.choice((1.0, 15.0)),
        empty_patience=rng.choice((0.0, 5.0, 20.0)),
        collect_deadline=rng.choice((5.0, 30.0)),
        write_off_after=rng.choice((20.0, 45.0, 90.0)),
        charge_on_cancel=rng.random() < 0.2,
        charge_on_moderation=rng.random() < 0.2,
        keep_discarded=rng.random() < 0.3,
        hedge_after=rng.choice((None, None, 0.0, 3.0)),
    )
