"""`adaptive-island`: what an island makes of an attempt log.

    adaptive-island health  attempts.jsonl
    adaptive-island explain redis://cache/0 bytedance/seedream-4.5 byteplus replicate fal
    adaptive-island learn   sqlite:///island.db --write redis://cache/0
    adaptive-island replay  attempts.jsonl --order fastest --order balanced
    adaptive-island export  postgresql://host/app > attempts.jsonl
    adaptive-island plot    attempts.jsonl bytedance/seedream-4.5 ranking.svg
    adaptive-island simulate --regime S3 --plot regret.svg

A source is a file of `attempt.v1` documents, one JSON object per line in any order, `-` for standard input,
or the URL of a store; `learn` also takes a pattern of Parquet files (`'logs/*.parquet'`). Exit codes: 0 yes,
1 no (a document is not valid, a source cannot be read), 2 the command line itself is wrong. `--json` prints
JSON on standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from adaptive_island.errors import IslandError
from adaptive_island.simulation import REGIMES, SETS

from . import learning, looking, pictures, replaying, simulating


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except BrokenPipeError:
        sys.stderr.close()
    except (IslandError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adaptive-island", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("source", help="a file of attempt.v1 lines, -, or the URL of a store")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
        return command

    add("check", looking.check, "say which lines of a log are no valid attempt.v1 documents")
    add("health", looking.health, "live through a log and show how the providers are at its end")
    explain = add("explain", looking.explain, "live through a log and explain a model's order")
    explain.add_argument("model")
    explain.add_argument("providers", nargs="+", help="eligible providers in fallback order")
    explain.add_argument("--region", default="us")
    explain.add_argument("--order", default="balanced")
    explain.add_argument("--work", default="")
    explain.add_argument("--account", default="")
    _add_learning(add)
    text = "play 72 virtual hours over providers that change, and count the regret beside the best order"
    _add_simulate(commands.add_parser("simulate", help=text, description=text))
    return parser


_Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def _add_learning(add: _Add) -> None:
    learn = add("learn", learning.learn, "live through a log and print the ranking.v1 documents it teaches")
    learn.add_argument("model", nargs="?", help="one model (all)")
    learn.add_argument("--region", help="one region (all)")
    learn.add_argument("--order", default="balanced")
    learn.add_argument("--write", metavar="URL", help="publish them in this store")
    replay = add("replay", replaying.replay, "say how other orders would have done, as far as a log can tell")
    replay.add_argument("--order", action="append", help="may be repeated (all named ones)")
    replay.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="change the policy")
    export = add("export", learning.export, "print the log of a store as attempt.v1 lines")
    export.add_argument("--parquet", metavar="FILE", help="write a Parquet file instead")
    export.add_argument("--after", type=float, default=0.0, metavar="UNIX_SECONDS")
    plot = add("plot", pictures.plot, "draw a model's ranking over time, and how long its successes took")
    plot.add_argument("model")
    plot.add_argument("file", help="an .svg or .png")
    plot.add_argument("--region", default="us")
    plot.add_argument("--order", default="balanced")
    add("migrate", learning.migrate, "make the tables of a store where they are missing")


def _add_simulate(command: argparse.ArgumentParser) -> None:
    command.add_argument("--providers", type=int, choices=list(SETS), default=5)
    command.add_argument("--regime", choices=list(REGIMES), default="S1")
    command.add_argument("--world", metavar="FILE", help="providers and changes of your own, as JSON")
    command.add_argument("--rate", default="low", help="low, high, or requests a second")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--order", default="balanced")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", help="change the policy"
    )
    command.add_argument("--plot", metavar="FILE", help="draw the regret over time, .svg or .png")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=simulating.simulate)
