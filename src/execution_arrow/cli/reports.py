"""The reports of `execution-arrow`: `usage`, `reconcile`, `doctor`, and `delete`."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from execution_arrow.cli.opening import opened, require_folder
from execution_arrow.reports.accounting import Usage
from execution_arrow.reports.reconciling import Finding


def add_commands(add: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add the commands; `add` takes name, function and help."""
    command = add("delete", _delete, "forget a generation's request; results and amounts stay")
    command.add_argument("id")
    command.add_argument("--files", action="store_true", help="delete its results as well")
    command = add("usage", _usage, "submissions, outcomes and costs per provider")
    command.add_argument("--days", type=float, default=30.0, help="how far back (30)")
    command = add("reconcile", _reconcile, "list what a person should look at; 1 if there is any")
    command.add_argument("--grace", type=float, default=300.0, metavar="SECONDS", help="for workers (300)")
    command.add_argument("--repair", action="store_true", help="settle again what the ledger holds as open")
    add("doctor", _doctor, "say what is wrong here, and what to type; 1 when something is")


def _delete(arguments: argparse.Namespace) -> int:
    async def run() -> bool:
        async with opened(arguments) as arrow:
            return await arrow.delete(arguments.id, files=arguments.files)

    done = asyncio.run(run())
    print(json.dumps({"id": arguments.id, "erased": done}) if arguments.json else _ERASED[done])
    return 0 if done else 3


_ERASED = {True: "erased", False: "marked: erased as soon as nothing of it is watched any more"}


def _usage(arguments: argparse.Namespace) -> int:
    async def run() -> Usage:
        async with opened(arguments) as arrow:
            return await arrow.usage(since=datetime.now(UTC) - timedelta(days=arguments.days))

    usage = asyncio.run(run())
    if arguments.json:
        from execution_arrow.documents import UsageV1

        print(UsageV1.of(usage).model_dump_json())
        return 0
    print(f"{usage.generations} generations in {arguments.days:g} days, charged {usage.charged}")
    columns = ("submissions", "used", "failed", "canceled", "discarded", "unknown", "pending")
    print(f"{'provider':<14}", *(f"{name:>11}" for name in (*columns, "cost", "wasted", "perhaps")))
    for one in usage.providers:
        counts = (f"{getattr(one, name):>11}" for name in columns)
        print(f"{one.provider:<14}", *counts, f"{one.cost:>11} {one.wasted:>11} {one.possible_waste:>11}")
    return 0


def _reconcile(arguments: argparse.Namespace) -> int:
    async def run() -> tuple[Finding, ...]:
        async with opened(arguments) as arrow:
            return await arrow.reconcile(grace=arguments.grace, repair=arguments.repair)

    found = asyncio.run(run())
    for finding in found:
        if arguments.json:
            from execution_arrow.documents import FindingV1

            print(FindingV1.of(finding).model_dump_json())
            continue
        since = datetime.fromtimestamp(finding.since, UTC).isoformat(timespec="seconds")
        about = finding.generation or finding.account
        print(f"{finding.trouble}  {about}  {finding.amount}  since {since}  {finding.detail}".rstrip())
        print(f"    {'set going again' if finding.repaired else finding.advice}")
    if not found and not arguments.json:
        print("nothing to look at")
    return 1 if any(not finding.repaired for finding in found) else 0


def _doctor(arguments: argparse.Namespace) -> int:
    from execution_arrow.reports.doctor import examine
    from execution_arrow.wiring import default_parts

    where = arguments.data
    folder = Path(arguments.scratch or arguments.artifacts or where) if "://" in where else Path(where)
    require_folder(str(folder))
    parts = default_parts(where, artifacts=arguments.artifacts, scratch=arguments.scratch)
    try:
        found = examine(
            parts.store,
            folder,
            parts.credentials,
            tuple(parts.providers),
            parts.clock.now(),
            parts.blocking_ledger.reconcile,
        )
    finally:
        parts.store.close()
        parts.blocking_ledger.close()
        parts.island.close()
    for finding in found:
        if arguments.json:
            print(json.dumps(asdict(finding)))
            continue
        print(f"{finding.level:<4}  {finding.what}")
        if finding.todo:
            print(f"      {finding.todo}")
    return int(any(finding.level != "ok" for finding in found))
