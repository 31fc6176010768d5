"""The four packages and where they lie, for the tools and the contract tests."""

from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "modules"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adaptive_island", "execution_arrow", "ledger_fortress", "rosetta_bridge")


def modules(package: str) -> dict[str, Path]:
    """Return every module of a package by dotted name, with its file."""
    source = ROOT / "src"
    found = {}
    for path in sorted((source / package).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found
