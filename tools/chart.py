"""Write the generated parts of docs/lifecycle.md from the transition table: `python -m tools.chart`.

Two state charts (Mermaid) and the table of rows. Between a pair of marks the page is ours, outside it the
author's. Most moves are those of a row's own attempt; what a row does beside that (the generation moves on,
rivals are stopped) is listed in `BESIDE`, and a test of random stories meets no other move.
"""

import argparse
import re
import sys
from collections.abc import Iterator

from execution_arrow.machine.state import FINAL, Phase, State
from execution_arrow.machine.table import GENERATION_ROWS, ROWS, Row
from tools.packages import ROOT

__all__ = ["PAGE", "edges", "render"]

PAGE = ROOT / "docs" / "lifecycle.md"
BEGIN, END = "<!-- {name}: written by `python -m tools.chart` -->", "<!-- end of {name} -->"

Edge = tuple[str, str]

# What a row does beside its own attempt: from, to, rows.
BESIDE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (Phase.RUNNING, Phase.COLLECTING, ("7", "11", "17", "38")),
    (Phase.COLLECTING, Phase.SETTLING, ("33", "34", "44")),
    (Phase.COLLECTING, Phase.RUNNING, ("35", "44")),
    (Phase.RUNNING, Phase.SETTLING, ("4", "11", "14", "21", "23", "nobody is left")),
    (Phase.NEW, Phase.SETTLING, ("H1 after H4",)),
    (State.LIVE, State.CLOSING, ("31", "31a", "32", "7", "11", "17", "38", "4", "14", "21", "G1")),
    (State.SENDING, State.CLOSING, ("5 and 10, stopped meanwhile",)),
    (State.UNKNOWN, State.CLOSING, ("11, stopped meanwhile",)),
    (State.REJECTED, State.CLOSING, ("38, too late",)),
    (State.WRITTEN_OFF, State.CLOSING, ("38, too late",)),
    (State.STORED, State.COLLECTING, ("35 and 44, the second best",)),
    (State.SENDING, State.COLLECTING, ("7 kept",)),
    (State.UNKNOWN, State.COLLECTING, ("11 kept", "18 kept")),
    (State.LIVE, State.COLLECTING, ("18 kept",)),
    (State.CLOSING, State.COLLECTING, ("18 kept",)),
    *((source, State.COLLECTING, ("38 kept",)) for source in sorted(FINAL - {State.STORED, State.LOST})),
    (State.COLLECTING, State.LOST, ("35",)),
    (State.COLLECTING, State.STORED, ("33", "34")),
)


def edges(kind: type[State] | type[Phase]) -> dict[Edge, list[str]]:
    """Every move of an attempt (State) or of a generation (Phase), with the rows that make it."""
    found: dict[Edge, list[str]] = {}
    names = {item.value for item in kind}

    def add(source: str, to: str, number: str) -> None:
        rows = found.setdefault((source, to), [])
        if number not in rows:
            rows.append(number)

    for row in ROWS:
        for source in row.sources:
            if isinstance(source, kind) and row.to in names and row.to != source:
                add(source.value, row.to, row.number)
    for begin, to, numbers in BESIDE:
        if begin in names and isinstance(begin, kind):
            for number in numbers:
                add(begin, to, number)
    return {edge: sorted(rows, key=_place) for edge, rows in found.items()}


def _place(number: str) -> tuple[int, int, str]:
    """Rows by number, those of the generation first, words last."""
    digits = re.match(r"[0-9]+", number)
    if digits is not None:
        return 1, int(digits[0]), number
    return (0 if re.match(r"[A-Z][0-9]", number) else 2), 0, number


def chart(kind: type[State] | type[Phase]) -> str:
    """A Mermaid state diagram; final states end in [*]."""
    first = ("sending", "1, 41") if kind is State else ("new", "generate")
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first[0]} : {first[1]}"]
    for (source, to), rows in edges(kind).items():
        lines.append(f"    {source} --> {to} : {', '.join(rows)}")
    ends = sorted(FINAL) if kind is State else [Phase.CLOSED]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join([*lines, "```"])


def table(rows: tuple[Row, ...]) -> str:
    """The rows as they are tried, first match first."""
    lines = ["| row | in | hears | when | becomes | |", "|---|---|---|---|---|---|"]
    for row in rows:
        notes = [f"alert `{row.alert}`"] if row.alert else []
        notes += [] if row.durable else ["not written"]
        lines.append(
            f"| {row.number} | {_sources(row)} | `{row.fact.__name__}` | {row.when} | {row.to} | "
            f"{', '.join(notes)} |"
        )
    return "\n".join(lines)


def _sources(row: Row) -> str:
    names = [source.value for source in row.sources]
    ended = {state.value for state in FINAL}
    if ended <= set(names):
        names = [*(name for name in names if name not in ended), "any ended"]
    return ", ".join(names)


def parts() -> Iterator[tuple[str, str]]:
    """The generated parts by name."""
    yield "chart of a generation", chart(Phase)
    yield "chart of an attempt", chart(State)
    yield "rows of a generation", table(GENERATION_ROWS)
    yield "rows of an attempt", table(tuple(row for row in ROWS if row not in GENERATION_ROWS))


def render(page: str) -> str:
    """The page with its generated parts made anew. Raises `ValueError` where a mark is missing."""
    for name, text in parts():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{PAGE.name} has no marks for the {name}: {begin} ... {end}")
        page = f"{head}{begin}\n\n{text}\n\n{end}{tail}"
    return page


def main() -> int:
    """Write the page, or with --check say whether it is current."""
    parser = argparse.ArgumentParser(prog="python -m tools.chart", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when the page is not current"
    )
    check = parser.parse_args().check
    page = PAGE.read_text("utf-8")
    made = render(page)
    if made != page and not check:
        PAGE.write_text(made, "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {'current' if made == page else 'stale' if check else 'written'}")
    return 1 if check and made != page else 0


if __name__ == "__main__":
    sys.exit(main())
