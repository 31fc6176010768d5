"""`execution-arrow`: generations from the command line, a worker, and the provider sandbox.

    execution-arrow generate  bfl/flux-schnell generation_prompt="a lighthouse" --account acct_1
    execution-arrow generate  bfl/flux-schnell @request.json --account acct_1 --key order-118
    execution-arrow wait      gen_…
    execution-arrow list      --account acct_1 --status failed --json
    execution-arrow worker    --data postgresql://app@db/media --artifacts /mnt/media
    execution-arrow sandbox   --port 8600 --fault fal=lost_reply:0.1
    execution-arrow webhooks  add https://shop.example/hooks --account acct_1
    execution-arrow doctor

`--data` names the folder with `ledger.db`, `arrow.db` and `artifacts/`, or the database (`postgresql://…`,
with `--artifacts FOLDER` for the files). Keys of providers are read from the environment; `--sandbox URL`
asks a running sandbox instead.

Results go to standard output, with `--json` one published document per line; progress and errors go to
standard error. Exit codes: 0 it worked, 1 it was refused or failed, 2 the command was not understood, 3 it is
not finished yet, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from execution_arrow.cli import generations, reports, services, webhooks
from execution_arrow.cli.showing import print_error
from execution_arrow.errors import ArrowError, WaitTimeout


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except WaitTimeout as error:
        print_error(error, arguments.json)
        return 3
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ArrowError, OSError, ValueError) as error:
        print_error(error, arguments.json)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="execution-arrow", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", default="./media-data", metavar="FOLDER|URL", help="where all is kept")
    shared.add_argument(
        "--artifacts", metavar="FOLDER|s3://…", help="where files are kept; needed with a URL"
    )
    shared.add_argument("--scratch", metavar="FOLDER", help="on this machine, for a URL and a bucket")
    shared.add_argument("--json", action="store_true", help="print published documents, one per line")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[shared])
        command.set_defaults(run=run)
        return command

    generations.add_commands(add)
    reports.add_commands(add)
    services.add_commands(add)
    webhooks.add_commands(add)
    return parser
