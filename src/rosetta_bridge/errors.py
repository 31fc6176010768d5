"""What can go wrong, each with a name and with what to do next.

Three kinds of reader: the caller whose request is wrong (`InvalidRequest`, `UnknownModel`), the service
that asks a provider for something it cannot do (`NotEligible`), and the author of a mapping file
(`InvalidCatalog`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

from .frozen import maker

# A hint, or a function with the arguments that it needs to find one.
Hint = str | tuple[Any, ...]


class _Issue:
    __slots__ = ("_hint", "code", "field", "message")


class Issue(_Issue):
    """One thing wrong with a request; a frozen value.

    `field` is the public field ("" for the request as a whole), `code` a stable word (`required`,
    `unknown_field`, `type`, `value`, `range`, `length`, `items`, `text`, `url`, `together`, `exclusive`,
    `order`, `too_large`, `too_deep`, `not_eligible`), `message` says what is wrong, `hint` what to do (""
    when the message says it).

    A hint that has to be looked for is looked for when it is read: that takes longer than refusing, and many
    a refusal is only counted.
    """

    __slots__ = ()
    field: str
    code: str
    message: str
    _hint: Hint

    def __init__(self, field: str, code: str, message: str, hint: str = "") -> None:
        for name, value in (("field", field), ("code", code), ("message", message), ("_hint", hint)):
            object.__setattr__(self, name, value)

    @property
    def hint(self) -> str:
        if isinstance(self._hint, str):
            return self._hint
        find, *about = self._hint
        found: str = find(*about)
        return found

    def __setattr__(self, name: str, _: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return self._told() == other._told() if isinstance(other, Issue) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.field, self.code, self.message))

    def __reduce__(self) -> tuple[type[Issue], tuple[str, str, str, str]]:
        return type(self), self._told()

    def __repr__(self) -> str:
        return "Issue(field={!r}, code={!r}, message={!r}, hint={!r})".format(*self._told())

    def __str__(self) -> str:
        where, hint = f"{self.field}: " if self.field else "", self.hint
        return f"{where}{self.message}" + (f" ({hint})" if hint else "")

    def _told(self) -> tuple[str, str, str, str]:
        return self.field, self.code, self.message, self.hint


# `Issue(...)` in a third of the time.
issue: Callable[[str, str, str, Hint], Issue] = maker(Issue, ("field", "code", "message", "_hint"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a catalogue file, by file, line (1-based; 0: the whole file) and path."""

    file: str
    line: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        return f"{where}:{path} {self.message}" + (f" ({self.hint})" if self.hint else "")


class RosettaError(Exception):
    """Base of every error of this package. `code` is BabySea's error code, None where it has none."""

    code: str | None = None
    retryable: bool = False


class InvalidRequest(RosettaError, ValueError):
    """The request is not one that this model takes; `issues` holds every reason, not only the first.

    `code` is BSE2010 when the request is too large, BSE2008 when nothing but ranges is wrong, else BSE2001.
    """

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues: tuple[Issue, ...] = tuple(issues)
        self.args = ()

    @property
    def code(self) -> str:  # type: ignore[override]
        kinds = {issue.code for issue in self.issues}
        return "BSE2010" if "too_large" in kinds else "BSE2008" if kinds == {"range"} else "BSE2001"

    def __str__(self) -> str:
        return "; ".join(map(str, self.issues))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.issues!r})"

    def __reduce__(self) -> tuple[type[InvalidRequest], tuple[tuple[Issue, ...]]]:
        return type(self), (self.issues,)


class UnknownModel(RosettaError, LookupError):
    """No model of this id or alias is in the catalogue; `meant` are the nearest ids."""

    code = "BSE2001"

    def __init__(self, model: str, meant: tuple[str, ...] = ()) -> None:
        self.model, self.meant = model, meant
        hint = f"did you mean {' or '.join(meant)}?" if meant else "`rosetta-bridge models` lists them"
        super().__init__(f"unknown model {model[:200]!r}: {hint}")

    def __reduce__(self) -> tuple[type[UnknownModel], tuple[str, tuple[str, ...]]]:
        return type(self), (self.model, self.meant)


class NotEligible(RosettaError):
    """This provider cannot honour this request; `reasons` holds every (field, reason), "" for no field."""

    code = "BSE2001"

    def __init__(self, provider: str, reasons: Iterable[tuple[str, str]]) -> None:
        self.provider = provider
        self.reasons: tuple[tuple[str, str], ...] = tuple(reasons)
        told = "; ".join(f"{field}: {why}" if field else why for field, why in self.reasons)
        super().__init__(f"{provider} cannot honour this request: {told}")

    def __reduce__(self) -> tuple[type[NotEligible], tuple[str, tuple[tuple[str, str], ...]]]:
        return type(self), (self.provider, self.reasons)


class InvalidCatalog(RosettaError, ValueError):
    """Catalogue files are wrong; `problems` holds all of it, each with file, line, path and hint."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[InvalidCatalog], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def nearest(word: str, options: Iterable[str], count: int = 1) -> tuple[str, ...]:
    """The options that look most like `word`, best first; empty when none is near."""
    from difflib import get_close_matches

    known = list(options)
    exact = [option for option in known if option.lower() == word[:200].lower()]
    return tuple(
        (exact + [m for m in get_close_matches(word[:200], known, count, 0.6) if m not in exact])[:count]
    )


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """ "did you mean X?" for the nearest option; else the options themselves when they are few; else ""."""
    known = sorted(map(str, options))
    if near := nearest(word, known):
        return f"did you mean {near[0]}?"
    return f"one of {', '.join(known)}" if 0 < len(known) <= 24 else ""
