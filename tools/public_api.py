"""Write tests/public_api/<package>.txt, the approved public names: `python -m tools.public_api`.

A listing is read from the source, not from the imported objects, so that it reads the same under every
Python version. It names each entry of `__all__` with its signature, and for a class its public methods,
properties, fields and enum members. A change of the public surface then shows as a change of these files.
"""

import argparse
import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from tools.packages import PACKAGES, ROOT

__all__ = ["FOLDER", "listing"]

FOLDER = ROOT / "tests" / "public_api"
# Special methods that a user writes without naming them: construction, `with`, `for`, `in`, `[]`, truth.
PROTOCOL = {
    *("__init__", "__enter__", "__aenter__", "__iter__", "__aiter__", "__next__", "__len__", "__contains__"),
    *("__getitem__", "__bool__", "__call__", "__await__"),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def listing(package: str) -> str:
    """Return the public surface of a package, one line per name and member."""
    module = importlib.import_module(package)
    lines = [f"# {package}: regenerate with `python -m tools.public_api`"]
    for name in module.__all__:
        lines += describe(package, name, getattr(module, name))
    return "\n".join(lines) + "\n"


def describe(package: str, name: str, value: object) -> Iterator[str]:
    """Yield the lines of one public name."""
    if isinstance(value, type):
        node = definition(value)
        assert isinstance(node, ast.ClassDef)
        yield f"class {name}({', '.join(ast.unparse(base) for base in node.bases)})"
        yield from sorted(members(value))
    elif inspect.isfunction(value):
        node = definition(value)
        assert not isinstance(node, ast.ClassDef)
        yield signature(node, name)
    else:
        yield f"{name}: {type(value).__name__}"


def members(value: type) -> Iterator[str]:
    """Yield the public members of a class, with those of its bases in the same package."""
    seen: set[str] = set()
    home = value.__module__.partition(".")[0]
    for base in value.__mro__:
        if base.__module__.partition(".")[0] != home:
            continue
        node = definition(base)
        assert isinstance(node, ast.ClassDef)
        for statement in node.body:
            for name, line in member(statement):
                if name not in seen and (not name.startswith("_") or name in PROTOCOL):
                    yield f"    {line}"
                seen.add(name)


def member(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield name and line of what one statement of a class body defines; bodies are left out."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            marks = [ast.unparse(mark) for mark in statement.decorator_list]
            if "property" in marks or "cached_property" in marks or "functools.cached_property" in marks:
                returns = f" -> {ast.unparse(statement.returns)}" if statement.returns else ""
                yield statement.name, f"{statement.name}{returns}"
            else:
                yield statement.name, signature(statement, statement.name)
        case ast.AnnAssign(target=ast.Name(id=name)):
            optional = " = ..." if statement.value is not None else ""
            yield name, f"{name}: {ast.unparse(statement.annotation)}{optional}"
        case ast.Assign(targets=[ast.Name(id=name)]):
            yield name, f"{name} = {ast.unparse(statement.value)}"


def signature(node: Function, name: str) -> str:
    """Return `[async ]def name(arguments) -> result`."""
    prefix = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{prefix} {name}({ast.unparse(node.args)}){returns}"


def definition(value: type | FunctionType) -> ast.ClassDef | Function:
    """Find the statement that defines a class or function."""
    path = inspect.getsourcefile(value)
    assert path is not None, f"{value!r} has no source file"
    body = ast.parse(Path(path).read_text("utf-8")).body
    found: ast.stmt | None = None
    for part in value.__qualname__.split("."):
        found = next(
            node
            for node in body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == part
        )
        body = found.body
    assert isinstance(found, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return found


def main() -> int:
    """Write the listings of the named packages, or of all four."""
    parser = argparse.ArgumentParser(prog="python -m tools.public_api", description=__doc__)
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    FOLDER.mkdir(exist_ok=True)
    for package in parser.parse_args().packages:
        (FOLDER / f"{package}.txt").write_text(listing(package), "utf-8")
        print(f"written: {(FOLDER / package).relative_to(ROOT)}.txt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
