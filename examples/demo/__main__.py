"""`python -m examples.demo [--plain] [--quick] [--out FOLDER] [--live [PROVIDER ...]]`

The exit code is 0 only when everything that was promised on the screen was also seen, 1 when something was
not, 2 when the demonstration could not run, 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.demo.live import live
from examples.demo.proofs import prove
from examples.demo.report import save, sections
from examples.demo.screen import open_screen
from examples.demo.stage import perform
from examples.demo.stories import QUICK, SHOW
from execution_arrow.errors import ArrowError

RECORD = "demo.json"
OURS = {"arrow", "artifacts", "ledger", "log", "spool"}  # what a run leaves in `data`


def main(argv: Sequence[str] | None = None) -> int:
    """Perform, report, and say by the exit code whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="The main job, end to end.")
    parser.add_argument("--plain", action="store_true", help="lines instead of a table that is redrawn")
    parser.add_argument("--quick", action="store_true", help="shorter waits and one generation less")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="the folder for everything")
    parser.add_argument(
        "--live", nargs="*", metavar="PROVIDER", help="one cheap picture from real providers, with your keys"
    )
    given = parser.parse_args(argv)
    try:
        if given.live is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            return live(given.live, given.out / "live")
        folder = fresh(given.out)
        screen = open_screen(given.plain)
        with screen:
            evidence = asyncio.run(perform(folder, QUICK if given.quick else SHOW, screen))
    except KeyboardInterrupt:
        print(f"\ninterrupted; what was done is in {given.out / 'data'}", file=sys.stderr)
        return 130
    except (ArrowError, OSError) as error:
        print(f"the demonstration could not run: {error}", file=sys.stderr)
        return 2
    proofs = prove(evidence)
    for section in sections(evidence, proofs, given.out):
        screen.section(section)
    save(evidence, proofs, folder / RECORD)
    broken = [proof for proof in proofs if not proof.kept]
    if broken:
        screen.verdict(f"{len(broken)} of {len(proofs)} promises were NOT kept: see above", ok=False)
        return 1
    screen.verdict(
        f"all {len(proofs)} promises kept in {evidence.seconds:.0f} s. Look at the pictures and clips in "
        f"{given.out}; the record of the run is {given.out / RECORD}",
        ok=True,
    )
    return 0


def fresh(folder: Path) -> Path:
    """The folder without what an earlier run left in it; other files stay. Logs go into it too."""
    data, record = folder / "data", folder / RECORD
    foreign = [path.name for path in data.glob("*") if path.name.partition(".")[0] not in OURS]
    if foreign:
        raise FileExistsError(f"{data} also holds {foreign[0]!r}: choose another folder with --out")
    if record.exists():
        for name in json.loads(record.read_text("utf-8"))["files"]:
            (folder / name).unlink(missing_ok=True)
        record.unlink()
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    logging.basicConfig(
        filename=data / "log.txt", level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return folder


if __name__ == "__main__":
    sys.exit(main())
