"""What the tools that write a page of the documentation share."""

from __future__ import annotations

from pathlib import Path

from tools.packages import ROOT

__all__ = ["write"]


def write(page: Path, text: str) -> int:
    """Write the page, say so, and return the exit code of a tool that has done its work."""
    page.write_text(text, encoding="utf-8")
    print(f"wrote {page.relative_to(ROOT)}")
    return 0
