"""The public surface is small, sorted and approved: it changes in a listing or not at all."""

import importlib

import pytest

from tools.packages import PACKAGES
from tools.public_api import FOLDER, listing


@pytest.mark.parametrize("package", PACKAGES)
def test_at_most_a_dozen_names(package: str) -> None:
    """A surface that can be held in one's head."""
    names = importlib.import_module(package).__all__
    assert 1 <= len(names) <= 12


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_sorted_and_real(package: str) -> None:
    """Every name in `__all__` resolves, those that are loaded lazily too."""
    module = importlib.import_module(package)
    names = list(module.__all__)
    assert names == sorted(names, key=lambda name: (name.lower(), name)) or names == sorted(names)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_surface_is_the_approved_one(package: str) -> None:
    """After a wanted change: `python -m tools.public_api`, and the difference is what users will notice."""
    approved = FOLDER / f"{package}.txt"
    assert approved.exists(), "no approved listing yet: python -m tools.public_api"
    assert listing(package) == approved.read_text("utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_say_what_they_do(package: str) -> None:
    """Every public class and function has a docstring of its own."""
    module = importlib.import_module(package)
    silent = [
        name
        for name in module.__all__
        if callable(value := getattr(module, name)) and not (vars(value).get("__doc__") or "").strip()
    ]
    assert not silent
