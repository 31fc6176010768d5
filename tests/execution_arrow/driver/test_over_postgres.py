"""Callbacks, `usage`, `reconcile` and `delete` over a PostgreSQL: the tests of theirs, with another store.

What they ask of a store beside the machine's own operations (tokens of strangers, pages, what is unfinished)
is what the stores differ in most.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from execution_arrow.stores.postgres import PostgresStore
from execution_arrow.testing import fakes
from tests.execution_arrow.driver import test_reports, test_webhooks
from tests.services import postgres_server

# These look into the dictionaries of a `MemoryStore`, or use one again that an Arrow has closed.
OF_MEMORY = {
    "test_usage_reads_more_than_a_page_and_says_what_it_could_not_read",
    "test_usage_says_nothing_of_unreadable_rows_outside_its_window",
    "test_what_nobody_looks_at_is_named",
    "test_a_row_of_a_newer_version_is_named",
    "test_delete_forgets_the_words_and_keeps_the_books",
    "test_delete_waits_for_what_is_still_watched",
    "test_any_process_takes_a_callback_and_the_owner_folds_it",
}
TESTS = [
    pytest.param(test, id=name.removeprefix("test_"))
    for module in (test_reports, test_webhooks)
    for name, test in vars(module).items()
    if name.startswith("test_") and name not in OF_MEMORY
    if [*inspect.signature(test).parameters] == ["tmp_path"]
]


def test_callbacks_and_reports_are_among_them():
    assert len(TESTS) >= 20


@pytest.mark.parametrize("test", TESTS)
def test_over_postgres(test: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with postgres_server().schema() as url:
        PostgresStore(url, migrate=True).close()
        for module in (fakes, test_reports, test_webhooks):
            monkeypatch.setattr(module, "MemoryStore", lambda: PostgresStore(url))
        test(tmp_path)
