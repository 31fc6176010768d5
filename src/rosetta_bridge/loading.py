"""The catalogue: models by id or alias, each read when it is first asked for."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

from .errors import InvalidCatalog, Problem, UnknownModel, did_you_mean, nearest
from .language.checks import check_mapping
from .language.contract import MODEL_ID, Contract, Retired, read_contract
from .language.fields import PROVIDERS
from .language.mapping import Mapping
from .language.reading import read_mapping
from .language.tables import check_tables
from .language.yaml12 import Doc, dotted, merge
from .language.yaml12 import Path as Path_
from .layers import Layers, refuse
from .model import Model
from .values import Override

SHIPPED: Final = Path(__file__).parent / "catalog"
_open: weakref.WeakSet[Catalog] = weakref.WeakSet()


def _renew_locks() -> None:
    for catalog in list(_open):
        catalog._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


class Catalog:
    """Models by id. Open it once and keep it: a model is read when it is first asked for, then never again.

    Made by `Catalog.shipped()` or `Catalog.open()`. Reading is safe from several threads and after a fork.
    It holds no open files, so it needs no closing, but it works as a context manager like its neighbours.
    """

    def __init__(
        self, directories: tuple[Path, ...], on: date | None = None, include: str = "confirmed"
    ) -> None:
        if include not in ("confirmed", "secondary"):
            raise ValueError(f"include is 'confirmed' or 'secondary', not {include!r}")
        self.on = on or date.today()  # noqa: DTZ011 - a retirement date has no time zone
        self.include = include
        self._layers = Layers(directories)
        self._models: dict[str, Model] = {}
        self._aliases: dict[str, str] | None = None
        self._providers: frozenset[str] | None = None
        self._digest = ""
        self._lock = threading.RLock()
        _open.add(self)

    @classmethod
    def shipped(cls, on: date | None = None, include: str = "confirmed") -> Catalog:
        """The catalogue of the package. `on` is its date (default today): retired routes leave on theirs.

        `include="secondary"` also uses routes whose evidence is secondary, which are off by default.
        """
        return cls((SHIPPED,), on, include)

    @classmethod
    def open(
        cls,
        *directories: str | Path,
        shipped: bool = True,
        on: date | None = None,
        include: str = "confirmed",
    ) -> Catalog:
        """The shipped catalogue with a team's directories laid over it, later ones on top.

        `shipped=False` takes theirs alone. Raises `InvalidCatalog` for a directory that is not there.
        """
        return cls((*((SHIPPED,) if shipped else ()), *map(Path, directories)), on, include)

    def _after_fork(self) -> None:
        """In a forked child: whoever held the lock is not there. What was read is whole, or absent."""
        self._lock = threading.RLock()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __contains__(self, model: object) -> bool:
        with self._lock:
            return isinstance(model, str) and self._resolve(model) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.models())

    def __len__(self) -> int:
        return len(self.models())

    def __getitem__(self, model: str) -> Model:
        """The model of an id or alias.

        Raises `UnknownModel` (a `LookupError`) with what was meant, `InvalidCatalog` when its files are
        wrong.
        """
        if not isinstance(model, str):
            raise UnknownModel(f"a {type(model).__name__}")
        if (found := self._models.get(model)) is not None:
            return found
        with self._lock:
            resolved = self._resolve(model)
            if resolved is None:
                raise UnknownModel(model, nearest(model, [*self.models(), *self._alias_index()], 3))
            if resolved not in self._models:
                self._models[resolved] = self._load(resolved)
            return self._models[resolved]

    def models(self) -> tuple[str, ...]:
        """Every id, sorted; also of models that have no provider under this date and `include`."""
        return self._layers.models()

    def aliases(self) -> dict[str, str]:
        """Alias to id. Reads every `model.yaml`."""
        with self._lock:
            return dict(self._alias_index())

    def providers(self) -> frozenset[str]:
        """The provider names that this catalogue knows, whether or not a model uses them."""
        if self._providers is None:
            self._providers = frozenset(PROVIDERS) | {
                Path(name).stem for name in self._layers.names("_providers/*.yaml")
            }
        return self._providers

    @property
    def digest(self) -> str:
        """`sha256:...` over path and content of every file of every layer; it is in every payload."""
        if not self._digest:
            with self._lock:
                self._digest = self._digest or self._layers.digest()
        return self._digest

    def origins(self, model: str) -> dict[str, dict[str, tuple[str, int]]]:
        """For each file that makes up a model, by provider ("" is the contract): where each of its keys
        stands, as file and line. Raises like `catalog[model]`."""
        contract = self[model].contract
        with self._lock:
            doc, _ = self._layers.read(f"{contract.id}/model.yaml")
            found = {"": _marks(doc)}
            for provider in contract.providers:
                base, _ = self._layers.chain(f"_providers/{provider}.yaml", "provider")
                file, _ = self._layers.chain(f"{contract.id}/{provider}.yaml", "mapping")
                found[provider] = _marks(merge(base.without("schema"), file))
        return found

    def problems(self) -> tuple[Problem, ...]:
        """Load everything and return all that is wrong, instead of raising at the first model."""
        found: dict[Problem, None] = {}
        for model in self.models():
            try:
                self[model]
            except InvalidCatalog as invalid:
                found.update(dict.fromkeys(invalid.problems))
        known = set(self.models())
        for name in sorted(self._layers.names("[!_]*/*/*.yaml")):
            if name.rpartition("/")[0] not in known:
                hint = "write model.yaml beside it, or correct the folder: <lab>/<model>, of a-z 0-9 . _ -"
                found[Problem(name, 0, "", "no model is in this folder", hint)] = None
        return tuple(found)

    def _resolve(self, model: str) -> str | None:
        if not MODEL_ID.match(model):
            return None
        return model if self._layers.has(f"{model}/model.yaml") else self._alias_index().get(model)

    def _alias_index(self) -> dict[str, str]:
        if self._aliases is None:
            index: dict[str, str] = {}
            models = self.models()
            for model in models:
                doc, _ = self._layers.read(f"{model}/model.yaml")
                aliases = doc.data.get("aliases")
                for alias in aliases if isinstance(aliases, list) else ():
                    if not isinstance(alias, str):
                        continue  # reading the model says so
                    if alias in index or alias in models:
                        raise refuse(doc, ("aliases",), f"the alias {alias} stands for another model already")
                    index[alias] = model
            self._aliases = index
        return self._aliases

    def _load(self, model: str) -> Model:
        doc, overrides = self._layers.read(f"{model}/model.yaml")
        contract = read_contract(model, doc)
        check_tables(contract, doc)
        self._check_successor(contract.retired, doc)
        problems = list(self._layers.strangers(model, contract.providers))
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
                problems += [problem for problem in invalid.problems if problem not in problems]
        if problems:
            raise InvalidCatalog(problems)
        digest, known = (lambda: self.digest), self.providers()
        return Model(
            contract, tuple(mappings), digest, known, self.on, self.include, tuple(dict.fromkeys(overrides))
        )

    def _mapping(
        self, model: str, provider: str, contract: Contract, doc: Doc
    ) -> tuple[Mapping, tuple[Override, ...]]:
        name, base = f"{model}/{provider}.yaml", f"_providers/{provider}.yaml"
        if not self._layers.has(name):
            raise refuse(
                doc, ("providers",), f"{provider} has no file {name}", "write it, or take the provider out"
            )
        if not self._layers.has(base):
            others = self.providers() - {provider}
            hint = f"write {base}, with a path" if provider in PROVIDERS else did_you_mean(provider, others)
            raise refuse(doc, ("providers",), f"{provider} has no base file {base}", hint)
        base_doc, more = self._layers.chain(base, "provider")
        file_doc, overrides = self._layers.chain(name, "mapping")
        tables = Doc({"tables": doc.data.get("tables") or {}}, doc.marks)
        mapping = read_mapping(provider, contract, merge(base_doc.without("schema"), file_doc), tables)
        return mapping, overrides + more

    def _check_successor(self, retired: Retired | None, doc: Doc) -> None:
        if retired is not None and retired.successor and self._resolve(retired.successor) is None:
            hint = did_you_mean(retired.successor, self.models())
            raise refuse(doc, ("retired", "successor"), f"unknown model {retired.successor!r}", hint)


def _marks(doc: Doc) -> dict[str, tuple[str, int]]:
    """Where each scalar, list and operator map of a document stands."""
    return {dotted(path): doc.mark(path) for path in _leaves(doc.data)}


def _leaves(data: Any, path: Path_ = ()) -> Iterator[Path_]:
    if not isinstance(data, dict) or not data or any(str(key).startswith("$") for key in data):
        yield path
        return
    for key, value in data.items():
        yield from _leaves(value, (*path, key))
