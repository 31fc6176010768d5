"""Mistakes planted in the shipped mapping files die when the file is loaded or when it is proved."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

from rosetta_bridge import Catalog, InvalidCatalog
from rosetta_bridge.proof.natives import native_folder
from rosetta_bridge.proof.prove import prove
from tests.rosetta_bridge.catalog.mutants import Mutant, mapping_files, mutants

SHARE = 0.95
COUNT = max(120, int(os.environ.get("N", "0")) // 50)


def survives(mutant: Mutant, layer: Path) -> bool:
    target = layer / mutant.file
    target.parent.mkdir(parents=True)
    target.write_text(mutant.text, encoding="utf-8")
    model = "/".join(mutant.file.split("/")[:2])
    try:
        return prove(Catalog.open(layer, include="secondary"), native_folder(), [model], whole=60).holds
    except InvalidCatalog:
        return False


def test_planted_mistakes_die(tmp_path: Path) -> None:
    every = [mutant for file in mapping_files() for mutant in mutants(file)]
    chosen = Random(0).sample(every, min(COUNT, len(every)))
    alive = [m for i, m in enumerate(chosen) if survives(m, tmp_path / str(i))]
    told = "\n".join(f"{m.mistake}: {m.file} {m.place}" for m in alive)
    assert len(alive) <= (1 - SHARE) * len(chosen), f"{Counter(m.mistake for m in alive)}\n{told}"
