"""What is seen: a table that follows the run where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from examples.demo.stage import Scene
from execution_arrow.machine.state import Outcome, State, Stop
from execution_arrow.record import AttemptRecord
from execution_arrow.sandbox import PROVIDERS
from ledger_fortress import Balance

if TYPE_CHECKING:
    from rich.table import Table

TITLE = f"babysea-primitives: {len(PROVIDERS)} local providers, one account with 5 credits"
LEGEND = "charged: to the account. wasted: billed to us for nothing (?: perhaps)"
_WORDS = {
    "not_sent": "unreachable", "http_429": "throttled", "insufficient_quota": "unpaid",
    "InternalError.Algo": "failed",
}  # fmt: skip
_STYLES = {
    Outcome.USED: "green", Outcome.FAILED: "red", Outcome.UNKNOWN: "yellow", Outcome.DISCARDED: "magenta",
    Outcome.CANCELED: "magenta", Outcome.PENDING: "cyan",
}  # fmt: skip
_ENDS = {"succeeded": "green", "failed": "red", "refused": "red", "pending": "dim"}
_GOING = {State.SENDING: "asked", State.LIVE: "working", State.COLLECTING: "copying"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the final report. Columns that begin with `>` align right."""

    title: str
    intro: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()


# --- one scene in words ---------------------------------------------------------------------------------


def said(scene: Scene, attempt: AttemptRecord) -> str:
    """What became of one attempt."""
    match attempt.outcome:
        case Outcome.USED:
            return "found, used" if attempt.id in scene.doubted else "used"
        case Outcome.UNKNOWN:
            return "answer lost"
        case Outcome.DISCARDED:
            return "late, discarded"
        case Outcome.FAILED:
            return "moderated" if attempt.moderation else _WORDS.get(attempt.code, attempt.code or "failed")
        case Outcome.CANCELED:
            return "canceled"
    return "overdue" if attempt.stop is Stop.OVERDUE else _GOING.get(attempt.state, attempt.state.value)


def status(scene: Scene) -> str:
    """The public status; a request that was never accepted is `refused`."""
    if scene.generation is None:
        return "refused" if scene.refusal else "pending"
    return scene.generation.status.value


def amount(value: Decimal) -> str:
    """Credits without needless zeros."""
    return f"{value.normalize():f}"


def charged(scene: Scene) -> str:
    generation = scene.generation
    return amount(generation.charged) if generation is not None and generation.done else ""


def waste(scene: Scene) -> str:
    """What was paid for nothing, or may have been."""
    if (generation := scene.generation) is None:
        return ""
    sure = amount(generation.waste) if generation.done and generation.waste else ""
    return sure + (f"{amount(generation.possible_waste)}?" if generation.possible_waste else "")


# --- without a terminal ---------------------------------------------------------------------------------


class Plain:
    """One line per change, each with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told: dict[int, list[str]] = {}

    def __enter__(self) -> Self:
        self._say(TITLE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def act(self, title: str) -> None:
        self._line(f"-- {title}")

    def health(self, up: dict[str, bool]) -> None:
        if down := [provider for provider, is_up in up.items() if not is_up]:
            self._line(f"providers down: {', '.join(down)}")

    def credits(self, balance: Balance) -> None:
        self._line(f"credits: {balance}")

    def changed(self, scene: Scene) -> None:
        told = self._told.setdefault(scene.number, [])
        generation = scene.generation
        news = [f"{a.provider}: {said(scene, a)}" for a in generation.attempts] if generation else []
        if scene.refusal or (generation and generation.done):
            news.append(scene.refusal or status(scene))
        for text in news:
            if text not in told:
                told.append(text)
                self._line(f"{scene.number:02d} {scene.story.model:<25} {text}")

    def section(self, section: Section) -> None:
        self._say(f"\n{section.title}\n{'-' * len(section.title)}")
        for text in (section.intro,) if section.intro else ():
            self._say(textwrap.fill(text, 100))
        heads = [column.lstrip(">") for column in section.columns]
        widths = [max(map(len, cells)) for cells in zip(heads, *section.rows, strict=True)] if heads else []
        for row in (heads, *section.rows) if heads else ():
            cells = (
                f"{cell:>{width}}" if column.startswith(">") else f"{cell:<{width}}"
                for column, cell, width in zip(section.columns, row, widths, strict=True)
            )
            self._say("  ".join(cells).rstrip())
        for note in section.notes:
            self._say(note)

    def verdict(self, text: str, ok: bool) -> None:
        self._say(f"\n{text}")

    def _line(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:5.1f}  {text}")

    def _say(self, text: str) -> None:
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), flush=True)


# --- with one -------------------------------------------------------------------------------------------


class Live:
    """A table that is redrawn while the generations run."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as Redrawn

        self.console = Console(highlight=False)
        self._scenes: dict[int, Scene] = {}
        self._up: dict[str, bool] = {}
        self._act, self._credits = "", ""
        self._began = time.monotonic()
        self._over: float | None = None
        self._live = Redrawn(
            console=self.console, refresh_per_second=8, get_renderable=self.picture, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self.console.print(TITLE, style="dim")
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = time.monotonic()
        self._act = "the run is over" if error is None else "the run was broken off"
        self._live.stop()

    def act(self, title: str) -> None:
        self._act = title

    def health(self, up: dict[str, bool]) -> None:
        self._up = dict(up)

    def credits(self, balance: Balance) -> None:
        self._credits = f"{amount(balance.available.decimal)} available, {amount(balance.held.decimal)} held"

    def changed(self, scene: Scene) -> None:
        self._scenes[scene.number] = scene

    def picture(self) -> Any:
        """Everything as it stands."""
        from rich.console import Group
        from rich.text import Text

        seconds = (self._over or time.monotonic()) - self._began
        head = Text.assemble(Text(f"{seconds:4.1f} s  ", "bold"), Text(self._act, "bold cyan"))
        lamps = Text()
        for provider, is_up in self._up.items():
            lamps.append(f"{provider} {'up' if is_up else 'DOWN'}   ", "green" if is_up else "bold red")
        money = Text(f"credits: {self._credits}", "bold")
        return Group(head, lamps, self._table(), money, Text(LEGEND, "dim"))

    def _table(self) -> Table:
        from rich.table import Table

        wide = self.console.width
        gap = 2 if wide >= 92 else 1
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold dim")
        table.add_column("#", justify="right")
        table.add_column("model", no_wrap=True, style="bold")
        table.add_column("providers asked, and what came of it", min_width=36)
        table.add_column("status", no_wrap=True)
        table.add_column("charged", justify="right", no_wrap=True)
        table.add_column("wasted", justify="right", no_wrap=True, style="yellow")
        if wide >= 118:
            table.add_column("what it shows", style="dim")
        for scene in self._scenes.values():
            model = scene.story.model.partition("/")[2]
            cells = [f"{scene.number}", model, self._attempts(scene), self._status(scene), charged(scene)]
            table.add_row(*cells, waste(scene), *((scene.story.shows,) if wide >= 118 else ()))
        return table

    def _attempts(self, scene: Scene) -> Any:
        from rich.text import Text

        if scene.generation is None:
            return Text(scene.refusal, "red")
        text = Text()
        for attempt in scene.generation.attempts:
            text.append("  " if text else "").append(f"{attempt.provider} ")
            text.append(said(scene, attempt), _STYLES[attempt.outcome])
        return text

    def _status(self, scene: Scene) -> Any:
        from rich.text import Text

        word = status(scene)
        return Text(word, _ENDS.get(word, "cyan"))

    def section(self, section: Section) -> None:
        from rich.rule import Rule
        from rich.table import Table
        from rich.text import Text

        self.console.print()
        self.console.print(Rule(Text(section.title, "bold"), align="left", style="dim"))
        if section.intro:
            self.console.print(Text(section.intro, "dim"))
        if section.rows:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim")
            for column in section.columns:
                table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
            for row in section.rows:
                table.add_row(*map(Text, row))
            self.console.print(table)
        for note in section.notes:
            self.console.print(Text(note))

    def verdict(self, text: str, ok: bool) -> None:
        from rich.text import Text

        self.console.print()
        self.console.print(Text(text, "bold green" if ok else "bold red"))


def open_screen(plain: bool) -> Plain | Live:
    """The live table where there is a terminal that can be redrawn and rich is installed, else lines."""
    if plain or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return Plain()
    try:
        return Live()
    except ImportError:
        return Plain()
