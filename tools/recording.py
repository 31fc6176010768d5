"""Record `make demo` as a picture that moves: `python -m tools.recording` writes docs/demo.svg.

The demonstration is performed in earnest, on a terminal that keeps what it was shown. Every piece of text is
text in the SVG, visible while it was there; who cannot play it sees the last frame. The description holds
that frame, and the programme: tests/examples/test_demo.py compares them with a run.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from tools.packages import ROOT

PICTURE = ROOT / "docs" / "demo.svg"
COLUMNS, SPEED = 104, 2.0
WIDE, HIGH, MARGIN = 8.0, 19, 16  # pixels of a character, of a line, and around
FONTS = "ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace"
INK, PAPER = "#d4d9e0", "#16191f"
COLOURS = {
    "green": "#7fce8a", "red": "#f0787a", "yellow": "#e6c167", "magenta": "#d48fd6", "cyan": "#6fc5d4",
}  # fmt: skip

Span = tuple[int, str, str]  # column, text, attributes
Line = tuple[Span, ...]
Frame = tuple[Line, ...]


def programme() -> str:
    """What is performed; a recording of anything else is not current."""
    from examples.demo.stories import SHOW, TOO_DEAR, WRONG, acts
    from execution_arrow.sandbox import PROVIDERS

    stories = [story for act in acts(SHOW) for story in act.stories] + [TOO_DEAR, WRONG]
    return f"{' '.join(PROVIDERS)}: {' '.join(f'{story.model}/{story.name}' for story in stories)}"


def performed() -> tuple[list[tuple[float, Frame]], str]:
    """The frames with their seconds, and the last line."""
    from examples.demo.proofs import prove
    from examples.demo.stage import perform
    from examples.demo.stories import SHOW

    async def watched(folder: Path) -> Any:
        ticking = asyncio.create_task(_ticked(screen.keep))
        try:
            return await perform(folder, SHOW, screen)
        finally:
            ticking.cancel()

    screen = kept()
    with tempfile.TemporaryDirectory() as folder:
        evidence = asyncio.run(watched(Path(folder)))
        proofs = prove(evidence)
    screen.act("the run is over")
    screen.keep()
    if broken := [proof.promise for proof in proofs if not proof.kept]:
        raise SystemExit(f"this run is not worth recording: {broken}")
    return screen.frames, f"all {len(proofs)} promises kept in {evidence.seconds:.0f} s"


def kept() -> Any:
    """A screen that shows nothing and remembers every frame."""
    from rich.console import Console

    from examples.demo.screen import TITLE, Live

    class Kept(Live):
        def __init__(self) -> None:
            super().__init__()
            self.console = Console(width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
            self.frames: list[tuple[float, Frame]] = []

        def keep(self) -> None:
            lines = self.console.render_lines(self.picture(), pad=False)
            frame = ((*_line(f"[dim]{TITLE}", self.console),), *(tuple(_spans(line)) for line in lines))
            if not self.frames or self.frames[-1][1] != frame:
                self.frames.append((time.monotonic() - self._began, frame))

        def changed(self, scene: Any) -> None:
            super().changed(scene)
            self.keep()

    return Kept()


async def _ticked(keep: Any) -> None:
    while True:
        await asyncio.sleep(0.5)
        keep()


def _line(markup: str, console: Any) -> Iterator[Span]:
    from rich.text import Text

    (line,) = console.render_lines(Text.from_markup(markup), pad=False)
    return _spans(line)


def _spans(line: Any) -> Iterator[Span]:
    """Texts with the column where they begin, without the blanks between them."""
    column = 0
    for segment in line:
        text = segment.text.rstrip()
        lead = len(text) - len(text.lstrip())
        if text.strip():
            yield column + lead, text.strip(), _look(segment.style)
        column += len(segment.text)


def _look(style: Any) -> str:
    if style is None:
        return ""
    colour = COLOURS.get(style.color.name if style.color else "", "")
    parts = [f'fill="{colour}"'] if colour else []
    parts += ['font-weight="bold"'] if style.bold else []
    parts += ['opacity=".6"'] if style.dim else []
    return " ".join(parts)


def drawn(frames: list[tuple[float, Frame]], verdict: str) -> str:
    """The SVG. What stays is one element, however many frames it is in."""
    rows = max(len(frame) for _, frame in frames) + 2
    shown = [element for number in range(rows - 2) for element in _shown(number, frames)]
    last = "\n".join(_plain(line) for line in frames[-1][1])
    end = frames[-1][0] / SPEED
    wait = f'<set attributeName="visibility" to="hidden" begin="0s" end="{end:.2f}s"/>'
    done = _text(rows - 1, (0, verdict, f'fill="{COLOURS["green"]}" font-weight="bold"'), wait)
    height = rows * HIGH + 2 * MARGIN
    width = round(COLUMNS * WIDE) + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="{FONTS}" font-size="13.3">',
            "<!-- Written by `python -m tools.recording`; do not edit. -->",
            f"<title>make demo, at {SPEED:g} times its speed: {escape(verdict)}</title>",
            f"<desc>{escape(programme())}\n{escape(last)}\n{escape(verdict)}</desc>",
            f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/><g fill="{INK}" xml:space="preserve">',
            *shown,
            done,
            "</g></svg>\n",
        ]
    )


def _shown(number: int, frames: list[tuple[float, Frame]]) -> Iterator[str]:
    """One line of the screen through time: each piece with the seconds in which it is there."""
    there: dict[Span, float] = {}
    for at, frame in frames:
        now = set(frame[number]) if number < len(frame) else set()
        for span in sorted(set(there) - now):
            times = f'to="visible" begin="{there.pop(span) / SPEED:.2f}s" end="{at / SPEED:.2f}s"'
            yield _text(number, span, f'<set attributeName="visibility" {times}/>', 'visibility="hidden" ')
        for span in sorted(now - set(there)):
            there[span] = at
    for span, since in sorted(there.items()):  # what is there at the end, also where nothing moves
        times = f'to="hidden" begin="0s" end="{since / SPEED:.2f}s"'
        yield _text(number, span, f'<set attributeName="visibility" {times}/>')


def _text(number: int, span: Span, inside: str = "", first: str = "") -> str:
    column, text, look = span
    x, y = MARGIN + column * WIDE, MARGIN + number * HIGH + 13
    place = f'x="{x:g}" y="{y}" textLength="{len(text) * WIDE:g}"'
    return f"<text {first}{place} {look}>{inside}{escape(text)}</text>".replace(" >", ">")


def _plain(line: Line) -> str:
    text = ""
    for column, piece, _ in line:
        text = text.ljust(column) + piece
    return text


if __name__ == "__main__":
    PICTURE.write_text(drawn(*performed()), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} kB")
