"""Mistakes of the kind that people make in mapping files, one at a time, in the shipped files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rosetta_bridge.language.yaml12 import parse

CATALOG = Path(__file__).parents[3] / "src" / "rosetta_bridge" / "catalog"
KEY_OF_TABLE = "$by"


class Mutant(NamedTuple):
    file: str  # below the catalogue's root
    mistake: str
    place: str
    data: dict[str, Any]

    @property
    def text(self) -> str:
        """The file's new text, made for the few that are chosen: writing all takes longer than the proofs."""
        return yaml.dump(self.data, Dumper=Plain, sort_keys=False, width=1000)


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def mapping_files() -> list[Path]:
    return sorted(p for p in CATALOG.glob("[!_]*/*/*.yaml") if p.name != "model.yaml")


def mutants(file: Path) -> Iterator[Mutant]:
    """Every mutant of one mapping file."""
    data = parse(file.read_bytes(), str(file)).data
    name = file.relative_to(CATALOG).as_posix()
    for mistake, place, changed in changes(data):
        yield Mutant(name, mistake, place, changed)


def changes(data: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in bodies(data):
        for key in reach(data, path):
            yield (
                "target renamed",
                f"{path} {key}",
                edited(data, path, lambda d, k=key: swap_key(d, k, f"{k}_x")),
            )
            yield "field dropped", f"{path} {key}", edited(data, path, lambda d, k=key: d.pop(k))
            value = reach(data, path)[key]
            for mistake, other in wrong_values(value):
                yield mistake, f"{path} {key}", edited(data, path, lambda d, k=key, v=other: d.update({k: v}))
    for path in [(), *((("routes", name)) for name in data.get("routes") or {})]:
        for field in reach(data, (*path, "accepts")) or {}:
            yield (
                "limit forgotten",
                f"{path} {field}",
                edited(data, (*path, "accepts"), lambda d, k=field: d.pop(k)),
            )
    routes = {
        n: r["model"] for n, r in (data.get("routes") or {}).items() if isinstance(r, dict) and "model" in r
    }
    for one, model in routes.items():
        for other in {m for m in routes.values() if m != model}:
            path = ("routes", one)
            yield "wrong endpoint", f"{one} {other}", edited(data, path, lambda d, m=other: d.update(model=m))


def wrong_values(value: Any) -> Iterator[tuple[str, Any]]:
    if (
        isinstance(value, str)
        and (bare := re.fullmatch(r"[^{]*(\{[^{}]+\})[^{]*", value))
        and bare[1] != value
    ):
        yield "unit forgotten", bare[1]
    if isinstance(value, str) and "}x{" in value:
        yield "wrong separator", value.replace("}x{", "}{")
    if isinstance(value, str) and re.fullmatch(
        r"\$generation_(duration|output_number|seed|num_inference_steps)", value
    ):
        yield "number as text", "{" + value[1:] + "}"
    if value == "$generation_input_file":
        yield "only the first file", ["$generation_input_file.first"]
    if isinstance(value, dict) and {"width", "height"} <= set(value):
        yield "sides exchanged", {"width": value["height"], "height": value["width"]}
    if isinstance(value, dict) and KEY_OF_TABLE in value:
        rows = [k for k, v in value.items() if k != KEY_OF_TABLE and not str(v).startswith("$")]
        cells = [value[k] for k in rows]
        if len(rows) > 1 and any(c != cells[0] for c in cells):
            mistake = "scale reversed" if set(rows) == {True, False} else "rows shifted"
            yield mistake, {**value, **dict(zip(rows, cells[1:] + cells[:1], strict=True))}


def bodies(data: dict[str, Any]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("body",)] if "body" in data else []
    for name, route in (data.get("routes") or {}).items():
        if "body" in (route or {}):
            found.append(("routes", name, "body"))
    return found


def reach(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = (data or {}).get(key)
    return data


def edited(data: dict[str, Any], path: tuple[str, ...], change: Any) -> dict[str, Any]:
    copy = deepcopy(data)
    change(reach(copy, path))
    return copy


def swap_key(node: dict[str, Any], old: str, new: str) -> None:
    items = [(new if key == old else key, value) for key, value in node.items()]
    node.clear()
    node.update(items)
