"""The only module that reads files: layers of directories become models, one at a time and when asked for.

The shipped catalogue lies at the bottom, a team's directories above it in the order given. A file is found by its
relative path in the highest layer that has it; with `extends: shipped` it is laid over the file of the layers below,
without it it replaces that file. Either way the digest of what it overrides is recorded.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path as FilePath
from posixpath import normpath
from typing import Any, Final

from .contract import MODEL_ID, Contract, Reporter, read_contract
from .errors import InvalidCatalog, Problem, UnknownModel, did_you_mean, nearest
from .fields import PROVIDERS
from .mapping import Mapping, read_mapping
from .model import Model
from .yaml12 import Doc, merge, parse

SHIPPED: Final = FilePath(__file__).parent / "catalog"
MAX_EXTENDS: Final = 8
_SCHEMAS = {"mapping": "mapping.v1", "family": "family.v1", "provider": "provider.v1", "model": "model.v1"}


class Catalog:
    """Models by id. Open it once and keep it: files are read when a model is first asked for, then never again.

    Made by `Catalog.shipped()` or `Catalog.open()`. Reading is safe from several threads. It holds no open files, so it
    needs no closing, but works as a context manager like its neighbours.
    """

    def __init__(
        self, layers: tuple[FilePath, ...], on: date | None = None, include: str = "confirmed"
    ) -> None:
        if include not in ("confirmed", "secondary"):
            raise ValueError(f"include is 'confirmed' or 'secondary', not {include!r}")
        for layer in layers:
            if not layer.is_dir():
                raise InvalidCatalog(
                    [
                        Problem(
                            str(layer),
                            0,
                            "",
                            "no such directory",
                            "give the directory that holds <lab>/<model>/",
                        )
                    ]
                )
        self.layers = tuple(layer.resolve() for layer in layers)
        self.on = on or date.today()  # noqa: DTZ011 - a retirement date has no time zone
        self.include = include
        self._models: dict[str, Model] = {}
        self._docs: dict[tuple[int, str], Doc] = {}
        self._lock = threading.RLock()
        self._aliases: dict[str, str] | None = None
        self._files: dict[str, bytes] = {}
        self._digest = ""

    @classmethod
    def shipped(cls, on: date | None = None, include: str = "confirmed") -> Catalog:
        """The catalogue that comes with the package. `on` is its date (default today): retired routes leave on it.

        `include="secondary"` also uses routes whose evidence is secondary, which are off by default.
        """
        return cls((SHIPPED,), on, include)

    @classmethod
    def open(
        cls,
        *directories: str | FilePath,
        shipped: bool = True,
        on: date | None = None,
        include: str = "confirmed",
    ) -> Catalog:
        """The shipped catalogue with a team's directories laid over it, later ones on top; `shipped=False`: theirs alone."""
        return cls((*((SHIPPED,) if shipped else ()), *map(FilePath, directories)), on, include)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __contains__(self, model: object) -> bool:
        return isinstance(model, str) and self._resolve(model) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.models())

    def __len__(self) -> int:
        return len(self.models())

    def __getitem__(self, model: str) -> Model:
        """The model of an id or alias. Raises `UnknownModel` (a `LookupError`), or `InvalidCatalog` for broken files."""
        if (found := self._models.get(model)) is not None:
            return found
        with self._lock:
            resolved = self._resolve(model) if isinstance(model, str) else None
            if resolved is None:
                raise UnknownModel(str(model), nearest(str(model), [*self.models(), *self._alias_index()], 3))
            if resolved not in self._models:
                self._models[resolved] = self._load(resolved)
            return self._models[resolved]

    def models(self) -> tuple[str, ...]:
        """Every id, sorted, also of models that have no provider under this catalogue's date and `include`."""
        found = set()
        for layer in self.layers:
            for file in layer.glob("*/*/model.yaml"):
                name = file.parent.relative_to(layer).as_posix()
                if MODEL_ID.match(name):
                    found.add(name)
        return tuple(sorted(found))

    @property
    def digest(self) -> str:
        """`sha256:...` over the relative path and content of every file of every layer."""
        if not self._digest:
            total = hashlib.sha256()
            for index, layer in enumerate(self.layers):
                for name in sorted(file.relative_to(layer).as_posix() for file in layer.rglob("*.yaml")):
                    content = hashlib.sha256((layer / name).read_bytes()).hexdigest()
                    total.update(f"{index}\0{name}\0{content}\n".encode())
            self._digest = f"sha256:{total.hexdigest()}"
        return self._digest

    def aliases(self) -> dict[str, str]:
        """Alias to id."""
        return dict(self._alias_index())

    # Finding files ---------------------------------------------------------------------------------------------------

    def _resolve(self, model: str) -> str | None:
        if not MODEL_ID.match(model):
            return None
        if any((layer / model / "model.yaml").is_file() for layer in self.layers):
            return model
        return self._alias_index().get(model)

    def _alias_index(self) -> dict[str, str]:
        if self._aliases is None:
            index: dict[str, str] = {}
            for model in self.models():
                doc, _ = self._merged(f"{model}/model.yaml")
                for alias in doc.data.get("aliases") or ():
                    if alias in index or alias in self.models():
                        raise InvalidCatalog(
                            [doc.problem(("aliases",), f"the alias {alias} stands for another model already")]
                        )
                    index[alias] = model
            self._aliases = index
        return self._aliases

    def _layer_of(self, name: str, below: int) -> int | None:
        """The highest layer under `below` that has the file."""
        return next((i for i in range(below - 1, -1, -1) if (self.layers[i] / name).is_file()), None)

    def _file(self, index: int, name: str) -> Doc:
        if (index, name) not in self._docs:
            path = (self.layers[index] / name).resolve()
            if not path.is_relative_to(self.layers[index]):
                raise InvalidCatalog(
                    [Problem(name, 0, "", "the file is a link that leaves the catalogue", "copy it instead")]
                )
            if path.stat().st_size > 16 * 1024 * 1024:  # do not even read what cannot be a mapping
                raise InvalidCatalog([Problem(name, 0, "", f"the file has {path.stat().st_size} bytes")])
            shown = name if index == 0 else str(self.layers[index] / name)
            self._docs[index, name] = parse(path.read_bytes(), shown)
        return self._docs[index, name]

    def _merged(
        self, name: str, below: int | None = None, depth: int = 0
    ) -> tuple[Doc, tuple[tuple[str, str, str], ...]]:
        """A file by relative path through the layers; with what it overrides as (path, its layer, digest)."""
        index = self._layer_of(name, len(self.layers) if below is None else below)
        if index is None:
            raise InvalidCatalog([Problem(name, 0, "", "no such file in the catalogue")])
        doc, under = self._file(index, name), self._layer_of(name, index)
        overrides: tuple[tuple[str, str, str], ...] = ()
        if under is not None:
            content = (self.layers[under] / name).read_bytes()
            overrides = ((name, str(self.layers[under]), f"sha256:{hashlib.sha256(content).hexdigest()}"),)
        if doc.data.get("extends") != "shipped":
            return doc, overrides
        if under is None:
            raise InvalidCatalog(
                [
                    doc.problem(
                        ("extends",), "`extends: shipped`, but no layer below has this file", "check the path"
                    )
                ]
            )
        base, more = self._merged(name, index, depth + 1)
        return merge(base, doc.without("extends")), overrides + more

    def _chain(
        self, name: str, kind: str, trail: tuple[str, ...] = ()
    ) -> tuple[Doc, tuple[tuple[str, str, str], ...]]:
        """The file with everything it extends below it, outermost family first."""
        doc, overrides = self._merged(name)
        schema = doc.data.get("schema")
        if schema != _SCHEMAS[kind]:
            raise InvalidCatalog(
                [doc.problem(("schema",), f"expected `schema: {_SCHEMAS[kind]}`, found {schema!r}")]
            )
        parent = doc.data.get("extends")
        if parent is None:
            return doc, overrides
        target = self._target(name, parent, doc)
        if target in (*trail, name):
            raise InvalidCatalog(
                [doc.problem(("extends",), f"`extends` in a circle: {' -> '.join((*trail, name, target))}")]
            )
        if len(trail) >= MAX_EXTENDS:
            raise InvalidCatalog([doc.problem(("extends",), f"`extends` is deeper than {MAX_EXTENDS} files")])
        base, more = self._chain(target, "family", (*trail, name))
        return merge(base.without("schema"), doc.without("extends")), overrides + more

    def _target(self, name: str, parent: Any, doc: Doc) -> str:
        if (
            not isinstance(parent, str)
            or not parent.endswith(".yaml")
            or parent.startswith("/")
            or "\\" in parent
        ):
            raise InvalidCatalog([doc.problem(("extends",), f"`extends` names a file below the catalogue root, not {parent!r}",
                                              "as in ../../_families/name.yaml, or `shipped`")])  # fmt: skip
        target = normpath(f"{name}/../{parent}")
        if target.startswith("..") or target.startswith("/"):
            raise InvalidCatalog([doc.problem(("extends",), f"{parent} leaves the catalogue")])
        if self._layer_of(target, len(self.layers)) is None:
            families = (f.name for layer in self.layers for f in layer.glob("_families/*.yaml"))
            raise InvalidCatalog(
                [
                    doc.problem(
                        ("extends",), f"no such file: {target}", did_you_mean(target.split("/")[-1], families)
                    )
                ]
            )
        return target

    # Loading ---------------------------------------------------------------------------------------------------------

    def _load(self, model: str) -> Model:
        from .checks import check_mapping, check_tables

        doc, overrides = self._merged(f"{model}/model.yaml")
        contract = read_contract(model, doc)
        check_tables(contract, doc)
        self._check_successor(contract.retired, doc)
        problems: list[Problem] = self._strangers(model, contract, doc)
        mappings: list[Mapping] = []
        for provider in contract.providers:
            try:
                mapping, more = self._mapping(model, provider, contract, doc)
                check_mapping(contract, mapping)
                for route in mapping.routes:
                    self._check_successor(route.retired, route.source)
                mappings.append(mapping)
                overrides += more
            except InvalidCatalog as invalid:
                problems += invalid.problems
        if problems:
            raise InvalidCatalog(problems)
        return Model(
            contract, tuple(mappings), lambda: self.digest, self.providers(), self.on, self.include, overrides
        )

    def _mapping(
        self, model: str, provider: str, contract: Contract, doc: Doc
    ) -> tuple[Mapping, tuple[tuple[str, str, str], ...]]:
        name, base = f"{model}/{provider}.yaml", f"_providers/{provider}.yaml"
        if self._layer_of(name, len(self.layers)) is None:
            raise InvalidCatalog(
                [
                    doc.problem(
                        ("providers",), f"{provider} has no file {name}", "write it, or take the provider out"
                    )
                ]
            )
        if self._layer_of(base, len(self.layers)) is None:
            known = sorted(self.providers())
            raise InvalidCatalog(
                [
                    doc.problem(
                        ("providers",), f"{provider} has no base file {base}", did_you_mean(provider, known)
                    )
                ]
            )
        base_doc, more = self._chain(base, "provider")
        file_doc, overrides = self._chain(name, "mapping")
        tables = Doc({"tables": doc.data.get("tables") or {}}, doc.marks)
        merged = merge(base_doc.without("schema"), file_doc)
        return read_mapping(provider, contract, merged, tables), overrides + more

    def _strangers(self, model: str, contract: Contract, doc: Doc) -> list[Problem]:
        """Files in the model's folder that nothing reads: a misspelt provider is a mapping that never runs."""
        files = {f.name for layer in self.layers for f in (layer / model).glob("*.y*ml")}
        known = {"model.yaml", *(f"{provider}.yaml" for provider in contract.providers)}
        return [
            Problem(
                f"{model}/{name}",
                0,
                "",
                "no provider of the model reads this file",
                f"add it to `providers` in {model}/model.yaml",
            )
            for name in sorted(files - known)
        ]

    def _check_successor(self, retired: Any, doc: Doc) -> None:
        if retired is not None and retired.successor and self._resolve(retired.successor) is None:
            report = Reporter(doc)
            report(
                ("retired", "successor"),
                f"unknown model {retired.successor!r}",
                did_you_mean(retired.successor, self.models()),
            )
            report.stop()

    def providers(self) -> frozenset[str]:
        """The provider names that this catalogue knows."""
        bases = {f.stem for layer in self.layers for f in layer.glob("_providers/*.yaml")}
        return frozenset(bases) | frozenset(PROVIDERS)
