"""Build the wheel and try it as a stranger would: `make wheel`.

The wheel goes into an empty environment outside the checkout, with its required dependencies alone. There
every package is imported, each command line must answer `--help`, and the shipped catalogue must load.
Every file of the sources must be in the wheel.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

from tools.packages import PACKAGES, ROOT

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
USE = """
import sys
for name in {packages!r}:
    __import__(name)
    home = sys.modules[name].__file__
    assert {checkout!r} not in home, f"{{name}} was imported from the checkout: {{home}}"
from rosetta_bridge import Catalog
models = Catalog.shipped().models()
assert models, "the shipped catalogue is empty"
for model in models:
    Catalog.shipped()[model]
print(f"{{len(models)}} models in the shipped catalogue")
"""


def main() -> int:
    """Build, unpack, install and use the wheel; the first thing that is wrong ends the run."""
    with tempfile.TemporaryDirectory(prefix="babysea-wheel-") as folder:
        place = Path(folder)
        run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--wheel-dir", place, ROOT, cwd=place)
        (wheel,) = place.glob("*.whl")
        missing = absent_files(wheel)
        if missing:
            print("not in the wheel:", *missing, sep="\n  ")
            return 1
        venv.create(place / "env", with_pip=True)
        programs = place / "env" / "bin"
        run(
            programs / "python",
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            wheel,
            cwd=place,
        )
        run(programs / "python", "-c", USE.format(packages=PACKAGES, checkout=str(ROOT)), cwd=place)
        for script in SCRIPTS:
            run(programs / script, "--help", cwd=place, quiet=True)
        print(f"{wheel.name}: {wheel.stat().st_size // 1024} kB, all packages, data files and commands work")
    return 0


def absent_files(wheel: Path) -> list[str]:
    """Return the source files that the wheel lacks; byte code is not one."""
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    wanted = (
        path.relative_to(source) for name in PACKAGES for path in (source / name).rglob("*") if path.is_file()
    )
    return sorted(str(path) for path in wanted if "__pycache__" not in path.parts and str(path) not in packed)


def run(*command: str | Path, cwd: Path, quiet: bool = False) -> None:
    """Run a command outside the checkout; its failure is ours."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=quiet, text=True)
    if done.returncode:
        raise SystemExit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stderr or ''}")


if __name__ == "__main__":
    sys.exit(main())
