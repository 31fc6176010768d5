"""What a command may contain, checked when it is made, so that a rule never meets anything else."""

from __future__ import annotations

from json.encoder import encode_basestring as quoted
from typing import Final

from .credits import LIMIT

MAX_NAME: Final = 200
SETTLE: Final = "/settle"
MAX_NOTE: Final = 2_000
MAX_INTERVAL: Final = 10 * 366 * 86_400 * 1_000_000
MAX_PRIORITY: Final = 1_000_000
NEVER: Final = LIMIT
"""The instant that no clock reaches (in the year 2255): an expiry of `NEVER` means that there is none."""


def or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def check_name(what: str, value: str) -> None:
    if type(value) is not str:
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    if not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise ValueError(f"{what} must be 1 to {MAX_NAME} printable characters, got {value[:60]!r}")


def check_key_given(verb: str, key: str) -> None:
    if not key:
        raise ValueError(f"{verb} needs a key of its own: there may be several for one hold")


def check_room_to_settle(key: str) -> None:
    if len(key) + len(SETTLE) > MAX_NAME:
        raise ValueError(f"a hold's key has at most {MAX_NAME - len(SETTLE)} characters")


def check_amount(amount: int, *, zero: bool = False) -> None:
    if type(amount) is not int:
        raise TypeError(f"a command's amount is an int of micro-credits, not {type(amount).__name__}")
    if amount < 0 or amount > LIMIT or (amount == 0 and not zero):
        least = 0 if zero else 1
        raise ValueError(f"amount must be from {least} to {LIMIT} micro-credits (2^53 - 1), got {amount}")


def check_interval(timeout: int, what: str = "timeout", *, zero: bool = False) -> None:
    if type(timeout) is not int:
        raise TypeError(f"a command's {what} is an int of microseconds, not {type(timeout).__name__}")
    if not (0 < timeout <= MAX_INTERVAL or (zero and timeout == 0)):
        raise ValueError(f"{what} must be more than 0 and at most ten years, got {timeout} microseconds")


def check_instants(effective: int, expires: int) -> None:
    for what, instant in (("effective", effective), ("expires", expires)):
        if type(instant) is not int or not 0 <= instant <= NEVER:
            raise ValueError(f"{what} must be an instant from 1970 to 2255, got {instant!r}")
    if effective >= expires:
        raise ValueError("a grant must become effective before it expires")


def check_note(note: str, salt: bytes | None) -> None:
    if type(note) is not str or len(note) > MAX_NOTE:
        raise ValueError(f"a note is a text of at most {MAX_NOTE} characters")
    note.encode()  # a lone surrogate cannot be stored; UnicodeEncodeError is a ValueError and names it
    if salt is not None and len(salt) != 16:
        raise ValueError(f"a note's salt has 16 bytes, got {len(salt)}")
