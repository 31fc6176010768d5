"""The scripts of the Redis store, in files."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files


@cache
def script(name: str) -> tuple[bytes, str]:
    """The script's text, and the SHA-1 by which a server knows it."""
    text = (files(__name__) / f"{name}.lua").read_bytes()
    return text, sha1(text, usedforsecurity=False).hexdigest()
