"""What each package weighs: `python -m tools.weights [--install]`.

For each of the four a fresh interpreter imports it and makes one first useful call; what it then has loaded
is what the package pulls in. Times are the least of five, in milliseconds of processor time, and say more
about the machine than about the code. `--install` also installs the wheel into an empty environment.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tools.packages import ROOT

USES = {
    "rosetta_bridge": "from rosetta_bridge import Catalog\n"
    "Catalog.shipped()['bfl/flux-schnell'].normalize({'generation_prompt': 'a lighthouse'})",
    "adaptive_island": "from adaptive_island import Island\n"
    "Island.open('memory:').rank('bfl/flux-schnell', ('fal', 'replicate'))",
    "ledger_fortress": "from ledger_fortress import Ledger\n"
    "Ledger.open('sqlite:///credits.db').grant('a', 1, key='k', create=True)",
    "execution_arrow": "from execution_arrow import Arrow\n"
    "arrow = Arrow.open('media-data')\n"
    "arrow.estimate('bfl/flux-schnell', {'generation_prompt': 'a lighthouse'})\narrow.close()",
}
PROBE = """
import json, sys, time
before, began = set(sys.modules), time.process_time()
exec(sys.argv[1], {})
seconds = time.process_time() - began
from importlib.metadata import packages_distributions
owners = packages_distributions()
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([seconds, sorted({owner for top in tops for owner in owners.get(top, ())})]))
"""
SIZES = """
import json
from importlib.metadata import distributions
sizes = {}
for one in distributions():
    files = [one.locate_file(file) for file in one.files or () if "__pycache__" not in str(file)]
    sizes[one.metadata["Name"]] = sum(path.stat().st_size for path in files if path.is_file())
print(json.dumps(sizes))
"""


def loaded(package: str, python: str = sys.executable, rounds: int = 5) -> tuple[float, list[str]]:
    """Milliseconds of import and first use, and the distributions of others that it loaded."""
    best, others = float("inf"), []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            seconds, others = json.loads(run(python, "-c", PROBE, USES[package], cwd=folder))
        best = min(best, seconds * 1000)
    return best, [name for name in others if name != "babysea-primitives"]


def installed() -> tuple[dict[str, int], dict[str, tuple[float, list[str]]]]:
    """Bytes of each distribution where the wheel alone is installed, and what each package loads there."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "-w", folder, str(ROOT), cwd=folder)
        venv.create(place / "env", with_pip=True)
        python = str(place / "env" / "bin" / "python")
        run(python, "-m", "pip", "install", "-qq", str(next(place.glob("*.whl"))), cwd=folder)
        sizes = json.loads(run(python, "-c", SIZES, cwd=folder))
        found = {package: loaded(package, python) for package in USES}
    return {name: size for name, size in sizes.items() if name not in ("pip", "setuptools")}, found


def run(*command: str, cwd: str) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.weights", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install the wheel, and tell sizes")
    sizes: dict[str, int] = {}
    if parser.parse_args().install:
        sizes, found = installed()
        print(f"installed: {len(sizes)} distributions, {sum(sizes.values()) / 1e6:.1f} MB")
        print("  " + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sorted(sizes.items())))
    else:
        found = {package: loaded(package) for package in USES}
    for package, (milliseconds, others) in found.items():
        own = sum(
            path.stat().st_size for path in (ROOT / "src" / package).rglob("*") if path.suffix != ".pyc"
        )
        pulled = f", {sum(sizes.get(name, 0) for name in others) / 1e6:.1f} MB" if sizes else ""
        print(f"{package}: {own / 1e6:.1f} MB, {milliseconds:.0f} ms, loads {len(others)} others{pulled}")
        print(f"  {', '.join(others) or 'nothing but the standard library'}")


if __name__ == "__main__":
    main()
