"""The published page is made from the table. `test_properties` checks that no story leaves its charts."""

from __future__ import annotations

import pytest

from execution_arrow.machine.table import ROWS
from tools.chart import BESIDE, PAGE, render


def test_the_page_is_current() -> None:
    """After a change of the table: `python -m tools.chart`."""
    page = PAGE.read_text("utf-8")
    assert render(page) == page


def test_a_page_without_a_mark_is_an_error() -> None:
    with pytest.raises(ValueError, match="no marks for the chart of a generation"):
        render("# The life of a generation\n")


def test_what_is_said_beside_the_table_names_rows_of_it() -> None:
    numbers = {row.number for row in ROWS}
    words = {word.strip(",") for _, _, rows in BESIDE for text in rows for word in text.split()}
    assert {
        word for word in words if word[0].isdigit() or (word[:1] in "HGS" and word[1:].isdigit())
    } <= numbers
