"""`rank` against a selector that parses its cached ranking on every call.

Both answer the same 200 random questions (a model out of 40, 8 providers in random order), one in ten of the
island's breakers is open, and costs are given with every question; one question in 200 has costs that nobody
asked with before, so that the island has to decide it anew. (By default it remembers a decision for a second;
here for an hour, so that the share of new decisions is the stated one and not an accident of the machine.)
What one such decision costs, and one after a verdict on its model, is printed beside it. Asking about one of
10,000 known models costs what asking about one of one does. An attempt with its verdict, and the check of a
breaker alone, are compared with a call through the `circuitbreaker` library in the same process.

Run: python -m benchmarks.island
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from adaptive_island import Attempt, Island, Outcome, Policy
from benchmarks.harness import Report, interleave
from benchmarks.peers.island_selector import CachedSelector

MODELS, PROVIDERS, QUESTIONS, ROUNDS = 40, 8, 200, 21
ATTEMPTS = (
    4_000  # in one round, so that it has its share of what is put off (verdicts are added up by the dozen)
)
SWEEPS = 50  # of all questions, in one round
TARGET = 15.0
FLAT = 1.5  # the tables are larger, and so are the misses of the processor's cache
PEER = "selector"  # benchmarks/peers/island_selector.py, frozen, its cache a dict in memory
NAMES = [f"provider{n}" for n in range(PROVIDERS)]

Question = tuple[str, tuple[str, ...], dict[str, int]]


def island_of(rng: random.Random, models: list[str]) -> Island:
    """An island that knows all models, with one in ten breakers open for an hour (a 429 asked for it)."""
    island = Island.open("memory:", policy=Policy(refresh=3_600.0), hook=lambda event: None, seed=1)
    for model in models:
        for name in NAMES:
            for n in range(20):
                seconds = rng.lognormvariate(2, 0.4)
                _report(island, f"{model}/{name}/{n}", model, name, seconds=seconds)
    pairs = [(model, name) for model in models for name in NAMES]
    for n, (model, name) in enumerate(rng.sample(pairs, len(pairs) // 10)):
        _report(island, f"open{n}", model, name, Outcome.FAILED, retry_after=3_600.0)
    return island


def rankings_of(rng: random.Random, models: list[str]) -> dict[str, str]:
    """Published rankings of all models, for the peer."""
    return {
        f"predictive:ranking:us:{model}": json.dumps(
            {
                "providers_ranked": rng.sample(NAMES, PROVIDERS),
                "scores": {name: round(rng.random(), 4) for name in NAMES},
                "attempts_total": 160,
                "window_hours": 24,
                "computed_at": "2026-11-20T00:00:00Z",
            }
        )
        for model in models
    }


def questions_of(rng: random.Random, models: list[str]) -> list[Question]:
    """Random models, providers in random order, random costs."""
    questions = []
    for _ in range(QUESTIONS):
        allowed = tuple(rng.sample(NAMES, PROVIDERS))
        costs = {name: rng.randrange(20_000, 60_000) for name in allowed}
        questions.append((rng.choice(models), allowed, costs))
    return questions


def _report(
    island: Island,
    name: str,
    model: str,
    provider: str,
    outcome: Outcome = Outcome.USED,
    *,
    seconds: float = 1.0,
    retry_after: float | None = None,
) -> None:
    island.record(
        Attempt(
            id=name,
            model=model,
            provider=provider,
            outcome=outcome,
            seconds=seconds,
            retry_after=retry_after,
        )
    )


def candidates(models: list[str]) -> dict[str, Callable[[], None]]:
    """What is timed: each answers every question SWEEPS times."""
    rng = random.Random(20)
    island, other = island_of(rng, models), island_of(rng, models)
    selector = CachedSelector(rankings_of(rng, models))
    questions = questions_of(rng, models) * SWEEPS
    rng.shuffle(questions)
    state = {"n": 0}

    def rank() -> None:
        for sweep in range(SWEEPS):
            part = questions[sweep * QUESTIONS : (sweep + 1) * QUESTIONS]
            for model, allowed, costs in part[1:]:
                island.rank(model, allowed, costs=costs)
            state["n"] += 1
            model, allowed, costs = part[0]
            island.rank(model, allowed, costs={**costs, allowed[0]: state["n"]})

    def decide() -> None:
        for model, allowed, costs in questions[:QUESTIONS]:
            state["n"] += 1
            other.rank(model, allowed, costs={**costs, allowed[0]: state["n"]})

    def learn() -> None:
        for model, allowed, costs in questions[:QUESTIONS]:
            state["n"] += 1
            _report(other, f"v{state['n']}", model, allowed[0], seconds=7.0)
            other.rank(model, allowed, costs=costs)

    def select() -> None:
        for model, allowed, _costs in questions:
            selector.rank(model=model, region="us", fallback=allowed)

    return {"rank": rank, PEER: select, "decide": decide, "learn": learn}


def attempts() -> dict[str, Callable[[], None]]:
    """An attempt with its verdict, a check alone, and a call that the `circuitbreaker` library guards."""
    from circuitbreaker import CircuitBreaker

    rng = random.Random(21)
    models = [f"maker/model-{n}" for n in range(MODELS)]
    island = island_of(rng, models)
    asked = [(rng.choice(models), rng.choice(NAMES)) for _ in range(ATTEMPTS)]
    # The account's breaker of another provider is open, so that the check has to look.
    circuits, now = island._engine.circuits, island._now()
    guarded = CircuitBreaker(failure_threshold=5, recovery_timeout=30, name="peer")(lambda: None)

    def attempt() -> None:
        for model, name in asked:
            island.attempt(model, name).succeed(cost=40_000)

    def check() -> None:
        for model, name in asked:
            circuits.blocked(name, "", model, now)

    def library() -> None:
        for _ in asked:
            guarded()

    return {"attempt": attempt, "check": check, "circuitbreaker": library}


def crowds() -> dict[str, Callable[[], None]]:
    """The same question, 200 times, to an island that knows one model, and to one that knows 10,000."""
    few, many = (island_that_knows(count) for count in (1, 10_000))
    allowed, costs = tuple(NAMES), dict.fromkeys(NAMES, 30000)

    def ask(island: Island, models: int) -> Callable[[], None]:
        name = f"maker/model-{models - 1}"

        def run() -> None:
            for _ in range(QUESTIONS):
                island.rank(name, allowed, costs=costs)

        return run

    return {"one": ask(few, 1), "ten thousand": ask(many, 10_000)}


def island_that_knows(models: int) -> Island:
    """An island with a verdict from every provider on each of so many models."""
    island = Island.open("memory:", policy=Policy(refresh=3_600.0), hook=lambda event: None, seed=1)
    for number in range(models):
        for name in NAMES:
            _report(island, f"m{number}/{name}", f"maker/model-{number}", name, seconds=5.0)
    return island


def first_rank() -> float:
    """Seconds from nothing imported to the first order, in a fresh interpreter; median of 7."""
    code = (
        "import time; t = time.perf_counter();"
        "from adaptive_island import Island;"
        "Island.open('memory:').rank('m', ('a', 'b'), costs={'a': 1, 'b': 1});"
        "print(time.perf_counter() - t)"
    )
    run = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(7)
    )


def main() -> None:
    """Print all lines; exit non-zero where the target does not hold."""
    models = [f"maker/model-{n}" for n in range(MODELS)]
    everything = QUESTIONS * SWEEPS
    operations = {"rank": everything, PEER: everything, "decide": QUESTIONS, "learn": QUESTIONS}
    # Processor time of this process: what other programs do meanwhile is not in it.
    rounds = interleave(candidates(models), rounds=ROUNDS, operations=operations, timer=time.process_time)
    report = Report("island")
    report.faster(
        "rank over a selector that parses its cached ranking",
        rounds.compare("rank", PEER),
        TARGET,
        new_questions=1 / QUESTIONS,
    )
    guarded = interleave(attempts(), rounds=ROUNDS, operations=ATTEMPTS, timer=time.process_time)
    for ours, most in (("attempt", 12.0), ("check", 1.0)):
        ratio = guarded.median(ours) / guarded.median("circuitbreaker")
        worst = 1.0 / guarded.compare(ours, "circuitbreaker").lowest
        name = f"{ours}, time beside a call through circuitbreaker"
        report.at_most(name, ratio, most, peer="circuitbreaker", unit="ratio", worst_round=worst)
    flat = interleave(crowds(), rounds=ROUNDS, operations=QUESTIONS, timer=time.process_time)
    ratio = flat.median("ten thousand") / flat.median("one")
    report.at_most("rank among 10,000 models beside 1", ratio, FLAT, peer=None, unit="ratio")
    report.context("rank", rounds.median("rank") * 1e9, unit="ns")
    report.context("selector", rounds.median(PEER) * 1e9, unit="ns")
    report.context("rank, a question not asked before", rounds.median("decide") * 1e9, unit="ns")
    report.context("record, then rank its model", rounds.median("learn") * 1e9, unit="ns")
    report.context("import and first rank", first_rank() * 1e3, unit="ms")
    report.finish()


if __name__ == "__main__":
    main()
