"""What somebody who was woken wants to know first: is anything wrong, since when, and what to type.

`examine` looks at the stores, at the rows that still need somebody, and at the disk. It writes nothing, needs
no worker, and says of everything it finds what to do next. docs/runbook.md has the longer words.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from execution_arrow.credentials import missing_keys
from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Phase, Run, State
from execution_arrow.ports import Credentials
from execution_arrow.stores.base import JobStore, Row

UNATTENDED = 60.0  # seconds for which work may be due without anybody taking it
OVERTIME = 300.0  # seconds after its deadline at which a generation should have ended
SLOW_LEDGER = 60.0
LOW_DISK = 1 << 30
NO_DISK = 256 << 20  # without room for the largest answer no picture is asked for that comes inside one
_NAMED = 5  # ids that are named; the rest is counted
_ROWS = 10_000  # rows that are looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `todo` is what to type or do; empty where nothing is to be done."""

    level: Literal["ok", "look", "bad"]
    what: str
    todo: str = ""


def examine(
    store: JobStore,
    folder: Path,
    credentials: Credentials,
    providers: Sequence[str],
    now: float,
    reconcile: Callable[[], Sequence[object]],
) -> list[Finding]:
    """Everything that can be seen from here, the worst first. `reconcile` is the ledger's."""
    found = [*_disk(folder), *_keys(credentials, providers)]
    try:
        rows = _unfinished(store)
    except StoreUnavailable as error:
        todo = "see 'A store is down' in the runbook; generations wait, none is lost"
        found.append(Finding("bad", f"the job store does not answer: {error}", todo))
    else:
        seen = [*_people(rows, now), *_runs(rows, now)]
        if all(finding.level == "ok" for finding in seen):
            found.append(Finding("ok", f"{len(rows)} generations under way, all of them attended"))
        found += seen
    found += _books(reconcile)
    order = ("bad", "look", "ok")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _unfinished(store: JobStore) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < _ROWS and (more := store.unfinished(rows[-1].id if rows else None, 1000)):
        rows += more
    return rows


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    said = f"{free / 2**30:.1f} GiB free in {folder}"
    todo = f"free some space: `du -sh {folder}/*` says what takes it"
    if free < NO_DISK:
        yield Finding("bad", said, todo)
    elif free < LOW_DISK:
        yield Finding("look", said, todo)
    else:
        yield Finding("ok", said)


def _keys(credentials: Credentials, providers: Sequence[str]) -> Iterator[Finding]:
    missing = missing_keys(credentials, providers)
    names = ", ".join(missing.values())
    if missing and len(missing) == len(providers):
        yield Finding("look", "no provider has a key here", f"set one of {names}")
    elif missing:
        yield Finding("ok", f"passed over for want of a key: {names}")


def _books(reconcile: Callable[[], Sequence[object]]) -> Iterator[Finding]:
    try:
        things = len(reconcile())
    except Exception as error:  # noqa: BLE001 - whatever it is, the ledger cannot be asked
        todo = "see 'A store is down' in the runbook; charges wait and are repeated with the same key"
        yield Finding("bad", f"the ledger does not answer: {error}", todo)
        return
    if things:
        yield Finding("look", f"the ledger has {things} things for a person", "`ledger-fortress reconcile`")
    else:
        yield Finding("ok", "the ledger has nothing that a person should look at")


def _people(rows: Sequence[Row], now: float) -> Iterator[Finding]:
    """Work that nobody takes."""
    alone = [row for row in rows if row.next_at is not None and not _owned(row, now)]
    due = [row.next_at for row in alone if row.next_at is not None and now - row.next_at > UNATTENDED]
    if due:
        what = f"{len(due)} generations are due for up to {_age(now - min(due))}, and nobody works on them"
        yield Finding("bad", what, "no worker runs on this store: start one with `execution-arrow worker`")


def _owned(row: Row, now: float) -> bool:
    return row.owner is not None and (row.owner_until or 0.0) > now


def _runs(rows: Sequence[Row], now: float) -> Iterator[Finding]:
    unreadable = []
    runs = []
    for row in rows:
        try:
            runs.append(load_run(load_spec(row.spec), row.state))
        except Exception:  # noqa: BLE001 - whatever it is, somebody has to look
            unreadable.append(row.id)
    if unreadable:
        yield Finding(
            "bad", f"unreadable rows: {_some(unreadable)}", "they were written by a newer version: upgrade"
        )
    for level, what, todo, true in _KINDS:
        ids = [run.spec.id for run in runs if true(run, now)]
        if ids:
            yield Finding(level, f"{len(ids)} {what}: {_some(ids)}", todo)


def _late(run: Run, now: float) -> bool:
    return run.open and now > run.spec.deadline_at + OVERTIME


def _unsettled(run: Run, now: float) -> bool:
    return run.phase is Phase.SETTLING and run.decided_at is not None and now > run.decided_at + SLOW_LEDGER


def _refused(run: Run, now: float) -> bool:
    """It is asked again every hour, so it is among what still needs somebody, however old it is."""
    return run.settlement is not None and bool(run.settlement.stuck)


def _doubtful(run: Run, now: float) -> bool:
    return any(attempt.state is State.UNKNOWN for attempt in run.attempts)


_KINDS: tuple[tuple[Literal["ok", "look", "bad"], str, str, Callable[[Run, float], bool]], ...] = (
    (
        "bad",
        "should have ended more than five minutes ago",
        "`execution-arrow wait ID` works on one and shows what it waits for",
        _late,
    ),
    (
        "bad",
        "wait for the ledger",
        "look at the ledger's store; the charge is repeated with the same key until it answers",
        _unsettled,
    ),
    (
        "bad",
        "settlements were refused by the ledger",
        "see 'A settlement is stuck' in the runbook; the result was delivered",
        _refused,
    ),
    (
        "ok",
        "have an attempt of which nobody knows whether the provider accepted it",
        "nothing: it is watched for three days and never sent again; `execution-arrow get ID` shows it",
        _doubtful,
    ),
)


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return " ".join(ids[:_NAMED]) + more


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
