"""The published documents: schemas are current, and both validators judge every example alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter, ValidationError

from tools.packages import PACKAGES, ROOT
from tools.schemas import DIALECT, FOLDER, published, render

PUBLISHED = published()
EXAMPLES = sorted((FOLDER / "examples").glob("*/*.json"))


def schema(document: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{document}.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("package", PACKAGES)
def test_package_publishes_documents(package: str) -> None:
    """Every package with a `documents.py` publishes something from it, or has no such module."""
    home = ROOT / "src" / package
    if (home / "documents.py").exists():
        assert "PUBLISHED" in (home / "documents.py").read_text("utf-8")
    assert PUBLISHED, "no package publishes a document"


@pytest.mark.parametrize("document", PUBLISHED)
def test_schema_is_current(document: str) -> None:
    """After a wanted change: `make schemas`."""
    assert (FOLDER / f"{document}.json").read_text("utf-8") == render(document, PUBLISHED[document])


@pytest.mark.parametrize("document", PUBLISHED)
def test_schema_is_valid_and_versioned(document: str) -> None:
    """A schema obeys its dialect and says its version in its name."""
    Draft202012Validator.check_schema(schema(document))
    assert schema(document)["$schema"] == DIALECT
    assert document.rpartition(".v")[2].isdigit()


def test_no_schema_without_a_document() -> None:
    """A schema whose model is gone would be published for ever."""
    assert {path.stem for path in FOLDER.glob("*.json")} == set(PUBLISHED)
    assert {path.parent.name for path in EXAMPLES} == set(PUBLISHED)


@pytest.mark.parametrize("document", PUBLISHED)
def test_both_kinds_of_example_exist(document: str) -> None:
    """A schema that accepts anything would pass with valid examples alone."""
    kinds = {path.name.partition("-")[0] for path in (FOLDER / "examples" / document).glob("*.json")}
    assert kinds == {"valid", "invalid"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_validators_agree_with_the_example(example: Path) -> None:
    """pydantic, which we use, and jsonschema, which others use, give the same verdict, and the right one."""
    text = example.read_text("utf-8")
    document = example.parent.name
    validator = Draft202012Validator(schema(document), format_checker=FormatChecker())
    by_schema = not list(validator.iter_errors(json.loads(text)))
    try:
        TypeAdapter(PUBLISHED[document]).validate_json(text)
        by_model = True
    except ValidationError:
        by_model = False
    assert (by_schema, by_model) == ((True, True) if example.name.startswith("valid-") else (False, False))
