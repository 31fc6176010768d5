"""How a command opens its Arrow: where the data is, and whom it asks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from execution_arrow.arrow import AsyncArrow
from execution_arrow.credentials import EnvironmentCredentials, missing_keys
from execution_arrow.errors import MissingCredentials
from execution_arrow.providers import shipped


def add_places(command: argparse.ArgumentParser) -> None:
    """The options of a command that talks to providers."""
    command.add_argument("--sandbox", metavar="URL", help="ask a running `execution-arrow sandbox`, no keys")
    command.add_argument(
        "--base-url",
        action="append",
        default=[],
        metavar="PROVIDER=URL",
        help="another address of a provider",
    )


def opened(arguments: argparse.Namespace, **more: Any) -> AsyncArrow:
    """The Arrow of a command. Raises `ValueError` for an address that is none.

    Only a command that is `fresh` may begin a folder: whoever looks for something in a folder that is not
    there has mistaken its name, and is told so (`FileNotFoundError`).
    """
    if not getattr(arguments, "fresh", False):
        require_folder(arguments.data)
    if url := getattr(arguments, "sandbox", None):
        from execution_arrow.sandbox import options

        more |= options(url)
    if given := getattr(arguments, "base_url", None):
        more["base_urls"] = {**more.get("base_urls", {}), **dict(map(_address, given))}
    return AsyncArrow.open(arguments.data, artifacts=arguments.artifacts, scratch=arguments.scratch, **more)


def require_folder(where: str) -> None:
    if where != "memory:" and "://" not in where and not Path(where).is_dir():
        raise FileNotFoundError(f"no folder {where}: `--data` names the one that the service works on")


def require_a_key(providers: Iterable[str]) -> None:
    """Raises `MissingCredentials` with every variable that was looked for, where no provider has a key here.

    Nothing is held or sent then. A single missing key is no reason: others are asked.
    """
    known = [name for name in providers if name in shipped()]
    missing = missing_keys(EnvironmentCredentials(), known)
    if known and len(missing) == len(known):
        raise MissingCredentials(" or ".join(missing), " or ".join(missing.values()))


def _address(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not equals:
        raise ValueError(f"--base-url {text!r} is not PROVIDER=URL")
    return name, url
