"""YAML files read by the 1.2 core rules, with a line for every node, and nothing that could surprise.

PyYAML's resolvers follow YAML 1.1: an unquoted `16:9` becomes 969 and `no` becomes False. We take its
parser's events only (C when libyaml is there) and resolve plain scalars ourselves. What two readers of YAML
would understand differently (`on`, `16:9`, `007`, `1_000`) is refused, not guessed. Aliases, tags and merge
keys are refused too: inheritance is `extends`, which says where a value comes from; and without aliases
there are no alias bombs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from rosetta_bridge.errors import InvalidCatalog, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

Path = tuple[str | int, ...]
Mark = tuple[str, int]  # file, 1-based line

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)\.[0-9]*|(0|[1-9][0-9]*))([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMERIC = frozenset("+-.0123456789")  # every number begins with one of these
_SWITCHES = ("on", "off", "yes", "no")
_REFUSED = (
    (re.compile(r"[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?\Z"), "is a base-60 number for some YAML readers"),
    (re.compile(r"[-+]?0[0-9_]+\Z"), "has a leading zero, which some YAML readers take as octal"),
    (re.compile(r"(?i)[-+]?0[xob][0-9a-f_]+\Z"), "is a number in another base for some YAML readers"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_.]*\Z"), "is a number for some YAML readers"),
    (re.compile(r"(?i)[-+]?\.(inf|nan)\Z"), "is not a number that JSON can carry"),
)


@dataclass(frozen=True, slots=True)
class Doc:
    """Plain data, and for each path into it the file and line it came from (None where that is not known)."""

    data: dict[Any, Any]
    marks: Callable[[Path], Mark | None]

    def mark(self, path: Path) -> Mark:
        """File and line of `path`, or of its nearest known ancestor."""
        for end in range(len(path), -1, -1):
            if (found := self.marks(path[:end])) is not None:
                return found
        return ("", 0)

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        return Problem(*self.mark(path), dotted(path), message, hint)

    def at(self, *path: str | int) -> Doc:
        """The map at `path` as a document of its own; its marks keep pointing to where they came from."""
        data: Any = self.data
        for key in path:
            data = data[key]
        marks = self.marks
        return Doc(data, lambda inner: marks((*path, *inner)))

    def only(self, *keys: str) -> Doc:
        return Doc({k: v for k, v in self.data.items() if k in keys}, self.marks)

    def without(self, *keys: str) -> Doc:
        return Doc({k: v for k, v in self.data.items() if k not in keys}, self.marks)


def dotted(path: Path) -> str:
    """`("body", "content", 0)` as `body.content[0]`."""
    text = ""
    for key in path:
        text += (
            f"[{key}]"
            if isinstance(key, int) and not isinstance(key, bool)
            else f".{key}"
            if text
            else str(key)
        )
    return text


def merge(base: Doc, over: Doc) -> Doc:
    """`over` laid on `base`: maps are merged; lists, scalars and operator maps (with a `$` key) replaced.

    A half-merged table or content list would be unreadable, hence the second rule.
    """
    above, below = over.marks, base.marks
    return Doc(_merged(base.data, over.data), lambda path: above(path) or below(path))


def _merged(base: Any, over: Any) -> Any:
    if not _plain_map(base) or not _plain_map(over):
        return over
    result = dict(base)
    for key, value in over.items():
        result[key] = _merged(base[key], value) if key in base else value
    return result


def _plain_map(value: Any) -> bool:
    return isinstance(value, dict) and not any(isinstance(key, str) and key.startswith("$") for key in value)


def parse(text: bytes, file: str) -> Doc:
    """Read one file's bytes; the top must be a map. Raises `InvalidCatalog` with line, path and reason."""
    if len(text) > MAX_BYTES:
        raise InvalidCatalog(
            [Problem(file, 0, "", f"the file has {len(text)} bytes; at most {MAX_BYTES} are read")]
        )
    try:
        return _Reader(text.decode("utf-8"), file).document()
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise InvalidCatalog([Problem(file, line, "", "the file is not UTF-8", "save it as UTF-8")]) from None
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError) as error:
        mark: Any = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable YAML"
        if "nesting depth" in what:  # newer libyaml has a limit of its own, far above ours
            what = f"nested deeper than {MAX_DEPTH} levels"
        raise InvalidCatalog([Problem(file, int(mark.line) + 1 if mark else 0, "", str(what))]) from None


def _mark(file: str, lines: dict[Path, int], path: Path) -> Mark | None:
    line = lines.get(path)
    return None if line is None else (file, line)


class _Reader:
    """Builds data and marks from parser events in one pass."""

    def __init__(self, text: str, file: str) -> None:
        self.events: Iterator[Any] = iter(_LOADER(text).get_event, None)
        self.file = file
        self.lines: dict[Path, int] = {}
        self.line = 0

    def document(self) -> Doc:
        event = next(self.events)
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = next(self.events)
        if not isinstance(event, yaml.MappingStartEvent):
            self.fail((), "the file must hold a map", "start with `schema: mapping.v1`")
        data = self.node(event, ())
        for later in self.events:
            if isinstance(later, yaml.DocumentStartEvent):
                mark: Any = later.start_mark
                self.line = mark.line + 1
                self.fail((), "a second document in one file", "one file, one document: remove the `---`")
        return Doc(data, partial(_mark, self.file, self.lines))

    def fail(self, path: Path, message: str, hint: str = "") -> None:
        raise InvalidCatalog([Problem(self.file, self.line, dotted(path), message, hint)])

    def node(self, event: Any, path: Path) -> Any:
        self.line = event.start_mark.line + 1
        if type(event) is yaml.AliasEvent or event.anchor is not None:
            self.fail(
                path, "anchors and aliases are not part of the language", "repeat the value, or use `extends`"
            )
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            self.fail(path, f"the tag {tag!r} is not part of the language", "remove it")
        if len(path) > MAX_DEPTH:
            self.fail(path[:4], f"nested deeper than {MAX_DEPTH} levels")
        self.lines[path] = self.line
        if type(event) is yaml.ScalarEvent:
            return event.value if event.style else self.plain(event.value, path)
        if type(event) is yaml.SequenceStartEvent:
            return self.items(path)
        return self.entries(path)

    def items(self, path: Path) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            result.append(self.node(event, (*path, len(result))))
        return result

    def entries(self, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path)
            line = self.line
            if key in result:  # in Python True == 1 == 1.0, so `true` and `1` in one map collide as well
                same = next(k for k in result if k == key)
                clash = "" if type(same) is type(key) else f", the same key as {same!r} here: quote one"
                self.fail((*path, key), f"the key {key!r} stands twice{clash}")
            at = (*path, key)
            result[key] = self.node(next(self.events), at)
            self.lines[at] = line
        return result

    def key(self, event: Any, path: Path) -> Any:
        self.line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
            self.fail(path, "a key must be a plain word, number or text")
        key = event.value if event.style else self.plain(event.value, path)
        if key is None or key == "<<":
            self.fail(
                path,
                f"the key {event.value!r} is not part of the language",
                "use `extends`" if key else "quote it",
            )
        return key

    def plain(self, text: str, path: Path) -> Any:
        """An unquoted scalar by the 1.2 core rules, or a refusal."""
        lowered = text.lower()
        if lowered in _WORDS:
            return _WORDS[lowered]
        if lowered in _SWITCHES:
            self.ambiguous(text, path, "is a boolean for some YAML readers and a word for others")
        if text[0] not in _NUMERIC:
            return text
        if _INT.match(text):
            if len(text) > 20:
                self.fail(path, "a number of more than 20 digits", "quote it if it is text")
            return int(text)
        if _FLOAT.match(text):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                self.fail(path, f"{text[:40]} is too large for a number")
            return value
        for pattern, why in _REFUSED:
            if pattern.match(text):
                self.ambiguous(text, path, why)
        return text

    def ambiguous(self, text: str, path: Path, why: str) -> None:
        self.fail(path, f"unquoted {text[:40]} {why}", f'write "{text[:40]}"')
