"""`python -m tests.simulation`: simulate N generations, or replay one seed."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation import many
from tests.simulation.coverage import SOME
from tests.simulation.knobs import Knobs, draw
from tests.simulation.run import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--n", type=int, default=int(os.environ.get("N", "0")) or 20_000, help="generations")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run one seed and print its trace")
    parser.add_argument("--only", default="", help="print only the lines that hold one of these, by commas")
    parser.add_argument("--digest", type=int, metavar="SEED", help="print the hash of a seed's trace")
    parser.add_argument("--any", action="store_true", help="stop at the first failure; cover nothing")
    parser.add_argument(
        "--about", default="", help="first the worlds about these scenes or faults, by commas"
    )
    parser.add_argument("--table", action="store_true", help="print what was covered, also on success")
    given = parser.parse_args()
    if given.digest is not None:
        print(simulate(draw(given.digest, given.store)).digest)
        return 0
    if given.replay is not None:
        return replay(given.replay, given.store, _words(given.only))
    return simulate_many(given, covering=not given.any)


def replay(seed: int, store: str, only: list[str]) -> int:
    """Print what a seed is about, what happened, and what was broken."""
    knobs = draw(seed, store)
    print(about(knobs))
    outcome = simulate(knobs, keep_trace=True)
    for line in outcome.trace:
        if not only or any(word in line for word in only):
            print(line)
    print(outcome.error or f"every promise was kept; hash {outcome.digest}")
    return 1 if outcome.error else 0


def about(knobs: Knobs) -> str:
    """The knobs of a seed that are not at rest."""
    names = [name for name in Knobs.__slots__ if name not in ("odds", "policies", "kinds", "wanted")]
    lines = [f"{name} = {getattr(knobs, name)}" for name in names if getattr(knobs, name)]
    lines += [f"policy {number}: {policy}" for number, policy in enumerate(knobs.policies)]
    for (kind, place), table in knobs.odds.items():
        before, parts = 0.0, []
        for limit, name in table:
            parts.append(f"{name} {limit - before:.2f}")
            before = limit
        lines.append(f"{kind} {place}: {', '.join(parts)}")
    return "\n".join(lines)


def simulate_many(given: argparse.Namespace, *, covering: bool) -> int:
    store: str = given.store
    total = many.run(
        given.n, first=given.first, store=store, jobs=given.jobs, say=_progress,
        about=_words(given.about), stop_at=3 if covering else 1,
    )  # fmt: skip
    if covering and total.generations >= SOME:
        many.complete(total, first=given.first + total.seeds, store=store, jobs=given.jobs)
    sys.stderr.write("\n")
    for outcome in total.failures:
        print(many.told(outcome, store))
    for seed in total.unequal:
        print(
            f"seed {seed} ran differently in another process: compare two of --replay {seed} --store {store}"
        )
    missing = [] if total.failures or not covering else total.covered.missing(total.generations)
    if given.table or missing:
        print(total.covered.table())
    for line in missing:
        print(f"taken too rarely: {line}")
    return 1 if total.failures or total.unequal or missing else 0


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _progress(line: str) -> None:
    sys.stderr.write(f"\r{line}" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
