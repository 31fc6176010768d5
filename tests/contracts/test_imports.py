"""What each package may import, when, and what it works without."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.packages import PACKAGES, ROOT, modules

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
HEAVY = {"pydantic", "jsonschema", "httpx", "yaml"}
EXTRAS = {
    "aiohttp",
    "ibis",
    "matplotlib",
    "pyarrow",
    "rich",
    "uvicorn",
    "PIL",
    "av",
    "replicate",
    "fal_client",
    "openai",
    "dashscope",
    "cloudflare",
    "byteplussdkarkruntime",
    "redis",
    "psycopg",
    "stripe",
    "boto3",
    "minio",
    "opentelemetry",
}

# What a decision must not touch. `make check` also looks at what cores import indirectly.
IMPURE = {
    *(
        "asyncio",
        "httpx",
        "logging",
        "multiprocessing",
        "os",
        "random",
        "secrets",
        "signal",
        "socket",
        "sqlite3",
    ),
    *("subprocess", "threading", "time", "urllib.request", "uuid"),
}
ASKING = re.compile(r"(now|utcnow|today|monotonic\w*|perf_counter\w*|time_ns|uuid[1-8])")

# The thin shells: everything else in src/ is a core. A new shell is a decision, and it is taken here.
SHELLS = {
    "adaptive_island": {"courier", "events", "runtime", "simulation", "stores"},
    "execution_arrow": {
        *("artifacts", "blocking", "cli", "credentials", "delivery", "driver", "egress", "inputs", "intake"),
        *("naming", "reports", "running", "sandbox", "signals", "spool", "stores", "transport", "webhooks"),
        "wiring",
    },
    "ledger_fortress": {"ledger", "stores", "testing", "writer"},
    "rosetta_bridge": {"layers", "loading", "proof"},
}

PROBE = """
import importlib, json, sys, time

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is blocked in this test", name=name)

package, blocked = sys.argv[1], set(json.loads(sys.argv[2]))
sys.meta_path.insert(0, Blocked())
before, began = set(sys.modules), time.perf_counter()
module = importlib.import_module(package)
seconds = time.perf_counter() - began
tops = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
for name in module.__all__:
    getattr(module, name)
print(json.dumps({"milliseconds": round(seconds * 1000, 1), "modules": tops}))
"""


def imported(package: str, blocked: set[str]) -> dict[str, object]:
    """Import a package in a fresh interpreter and return what that loaded and how long it took."""
    command = [sys.executable, "-c", PROBE, package, json.dumps(sorted(blocked))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "src", timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("package", PACKAGES)
def test_package_stands_alone(package: str, figure: Callable[[str], None]) -> None:
    """Importing a package and touching every public name needs none of the other three and no extra."""
    answer = imported(package, (set(PACKAGES) - {package}) | EXTRAS)
    figure(f"import {package}: {answer['milliseconds']} ms")


@pytest.mark.parametrize("package", PACKAGES)
def test_import_is_light(package: str) -> None:
    """The libraries that take long to import are loaded when they are first needed, not before."""
    assert not HEAVY & set(imported(package, set())["modules"])  # type: ignore[call-overload]


def absolute_imports(path: Path) -> set[str]:
    """Return what a file imports by absolute name, inside functions too, but not for types alone."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def touches(path: Path) -> set[str]:
    """Return what a module uses of the world: by import, or by asking an object for the time or a number."""
    names = absolute_imports(path)
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return {name for name in names if name in IMPURE or name.partition(".")[0] in IMPURE} | {
        asked for call in calls if ASKING.fullmatch((asked := ast.unparse(call.func)).rpartition(".")[2])
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_only_shells_touch_the_world(package: str) -> None:
    """Clock, chance, processes, network, threads and logs belong to the shells; each shell needs to be one.

    A core takes what it needs as an argument. A module that really is a shell is entered in SHELLS.
    """
    assert modules(package), f"src/{package} has no module"
    touching = {name: sorted(found) for name, path in modules(package).items() if (found := touches(path))}
    assert {
        name: found for name, found in touching.items() if name.split(".")[1] not in SHELLS[package]
    } == {}
    assert {name.split(".")[1] for name in touching} == SHELLS[package]


def test_only_the_wiring_knows_the_other_packages() -> None:
    """`execution_arrow` has ports for what it needs; the other three never import it or each other."""
    guilty = {}
    for package in PACKAGES:
        for module, path in modules(package).items():
            if module.split(".")[:2] == ["execution_arrow", "wiring"]:
                continue
            others = {name.partition(".")[0] for name in absolute_imports(path)} & (set(PACKAGES) - {package})
            if others:
                guilty[module] = sorted(others)
    assert not guilty


@pytest.mark.parametrize("command", SCRIPTS)
def test_command_line_exists(command: str) -> None:
    """What pyproject.toml installs as a program can be started."""
    module, _, function = SCRIPTS[command].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
