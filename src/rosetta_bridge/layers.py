"""Directories laid over each other, and how a file in them comes to its final form.

The shipped catalogue lies at the bottom, a team's directories above it in the order given. A file is found
by its relative path in the highest layer that has it; with `extends: shipped` it is laid over the file of
the layers below, without it it replaces that file. Either way the digest of what it overrides is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from os import fstat
from os.path import isfile, join, realpath
from pathlib import Path
from posixpath import normpath
from typing import Any, Final

from .errors import InvalidCatalog, Problem, did_you_mean
from .language.contract import MODEL_ID
from .language.yaml12 import Doc, merge, parse
from .values import Override

MAX_EXTENDS: Final = 8
MAX_READ: Final = 1024 * 1024
SCHEMAS: Final = {"mapping": "mapping.v1", "family": "family.v1", "provider": "provider.v1"}


Found = tuple[Doc, tuple[Override, ...]]


def refuse(doc: Doc, path: tuple[str | int, ...], message: str, hint: str = "") -> InvalidCatalog:
    return InvalidCatalog([doc.problem(path, message, hint)])


class Layers:
    """Finds, reads and merges files; each is read once. Not for threads: the catalogue has the lock."""

    def __init__(self, directories: tuple[Path, ...]) -> None:
        for directory in directories:
            if not directory.is_dir():
                hint = "give the directory that holds <lab>/<model>/model.yaml"
                raise InvalidCatalog([Problem(str(directory), 0, "", "no such directory", hint)])
        self.roots = tuple(directory.resolve() for directory in directories)
        self._found: dict[tuple[str, int], int] = {}
        self._docs: dict[tuple[int, str], Doc] = {}

    def has(self, name: str) -> bool:
        return self._layer_of(name, len(self.roots)) is not None

    def models(self) -> tuple[str, ...]:
        """Every `<lab>/<model>` with a model.yaml in some layer, sorted."""
        found = {
            f.parent.relative_to(root).as_posix() for root in self.roots for f in root.glob("*/*/model.yaml")
        }
        return tuple(sorted(name for name in found if MODEL_ID.match(name)))

    def names(self, pattern: str) -> set[str]:
        """Relative paths of the files of all layers that match."""
        return {f.relative_to(root).as_posix() for root in self.roots for f in root.glob(pattern)}

    def digest(self) -> str:
        """`sha256:...` over the relative path and content of every file of every layer."""
        total = hashlib.sha256()
        for index, root in enumerate(self.roots):
            for name in sorted(file.relative_to(root).as_posix() for file in root.rglob("*.yaml")):
                total.update(f"{index}\0{name}\0{_sha256(root / name)}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def read(self, name: str, below: int | None = None) -> Found:
        """A file by relative path through the layers (those under `below`), with what it overrides."""
        index = self._layer_of(name, len(self.roots) if below is None else below)
        if index is None:
            raise InvalidCatalog([Problem(name, 0, "", "no such file in the catalogue")])
        doc, under = self._file(index, name), self._layer_of(name, index)
        overrides: tuple[Override, ...] = ()
        if under is not None:
            overrides = (Override(name, str(self.roots[under]), _sha256(self.roots[under] / name)),)
        if doc.data.get("extends") != "shipped":
            return doc, overrides
        if under is None:
            raise refuse(
                doc, ("extends",), "`extends: shipped`, but no layer below has this file", "check the path"
            )
        base, more = self.read(name, index)
        return merge(base, doc.without("extends")), overrides + more

    def chain(self, name: str, kind: str, trail: tuple[str, ...] = ()) -> Found:
        """The file with everything that it extends laid below it, outermost family first."""
        doc, overrides = self.read(name)
        if (schema := doc.data.get("schema")) != SCHEMAS[kind]:
            raise refuse(doc, ("schema",), f"expected `schema: {SCHEMAS[kind]}`, found {schema!r:.60}")
        if (parent := doc.data.get("extends")) is None:
            return doc, overrides
        target = self._target(name, parent, doc)
        if target in (*trail, name):
            circle = " -> ".join((*trail, name, target))
            raise refuse(doc, ("extends",), f"`extends` goes in a circle: {circle}")
        if len(trail) >= MAX_EXTENDS:
            raise refuse(doc, ("extends",), f"`extends` is deeper than {MAX_EXTENDS} files")
        base, more = self.chain(target, "family", (*trail, name))
        return merge(base.without("schema"), doc.without("extends")), overrides + more

    def _layer_of(self, name: str, below: int) -> int | None:
        """The highest layer under `below` that has the file."""
        index = self._found.get((name, below))  # what was there is read at most once, so it may be gone
        if index is None:
            index = next((i for i in range(below - 1, -1, -1) if isfile(join(self.roots[i], name))), None)
            if index is not None:
                self._found[name, below] = index
        return index

    def _file(self, index: int, name: str) -> Doc:
        if (index, name) not in self._docs:
            root = str(self.roots[index])
            path = realpath(join(root, name))
            shown = name if index == 0 else join(root, name)
            if not path.startswith(join(root, "")):
                raise InvalidCatalog(
                    [Problem(shown, 0, "", "a link that leaves the catalogue", "copy the file")]
                )
            with open(path, "rb") as file:
                text = file.read(min(fstat(file.fileno()).st_size, MAX_READ))  # no more room than it takes
            self._docs[index, name] = parse(text, shown)
        return self._docs[index, name]

    def _target(self, name: str, parent: Any, doc: Doc) -> str:
        at, hint = ("extends",), "as in ../../_families/name.yaml, or `shipped`"
        if (
            not isinstance(parent, str)
            or not parent.endswith(".yaml")
            or parent.startswith("/")
            or "\\" in parent
        ):
            raise refuse(doc, at, f"`extends` names a file of the catalogue, not {parent!r:.80}", hint)
        target = normpath(f"{name}/../{parent}")
        if target.startswith(("..", "/")):
            raise refuse(doc, at, f"{parent} leaves the catalogue", hint)
        if not self.has(target):
            families = (family.split("/")[-1] for family in self.names("_families/*.yaml"))
            raise refuse(doc, at, f"no such file: {target}", did_you_mean(target.split("/")[-1], families))
        return target

    def strangers(self, model: str, providers: tuple[str, ...]) -> Iterator[Problem]:
        """Files in a model's folder that nothing reads: a misspelt provider is a mapping that never runs."""
        known = {f"{model}/model.yaml", *(f"{model}/{provider}.yaml" for provider in providers)}
        hint = f"add it to `providers` in {model}/model.yaml"
        for name in sorted(self.names(f"{model}/*.y*ml") - known):
            yield Problem(name, 0, "", "no provider of the model reads this file", hint)


def _sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
