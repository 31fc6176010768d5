"""From a log to published rankings, and from a store to a log."""

from __future__ import annotations

import argparse
import json

from adaptive_island.policy import Policy

from .logs import Past, attempts, counted, opened
from .showing import show


def learn(args: argparse.Namespace) -> int:
    """Print the rankings that a log teaches, and with `--write` publish them in a store."""
    policy = Policy()
    if args.order not in policy.orders:
        raise ValueError(f"no order {args.order!r}; choose {', '.join(policy.orders)}")
    documents = _of_parquet(args, policy) if args.source.endswith(".parquet") else _lived(args)
    if not documents:
        where = f" on {args.model} in {args.region or 'any region'}" if args.model else ""
        raise ValueError(f"{args.source} has no verdict{where}; nothing to rank")
    if args.write:
        with opened(args.write, migrate=True) as store:
            for key, document in documents.items():
                store.write(key, document, policy.ranking_age)
    if len(documents) == 1 and args.model:
        print(*documents.values())
    else:
        rows = [{"key": key, **json.loads(document)} for key, document in documents.items()]
        kept = ("key", "providers_ranked", "attempts_total", "computed_at")
        show(rows if args.json else [{name: row[name] for name in kept} for row in rows], as_json=args.json)
    return 0


def _lived(args: argparse.Namespace) -> dict[str, str]:
    """The documents of every model in every region of the log, or of the ones asked for."""
    history = attempts(args.source)
    island = Past().live(history)
    places = dict.fromkeys((attempt.region, attempt.model) for attempt in history)
    for region, model in places:
        if args.model in (None, model) and args.region in (None, region):
            island.publish(model, region=region, order=args.order)
    return {key: _text(document) for key, document in sorted(island.rankings.read().items())}


def _of_parquet(args: argparse.Namespace, policy: Policy) -> dict[str, str]:
    """The same, computed by DuckDB where the files are, as of the last attempt in them."""
    from adaptive_island import analytics

    table = analytics.open_parquet(args.source)
    if args.region is not None:
        table = table.filter(table.region == args.region)
    now = analytics.latest(table)
    found = analytics.learned(analytics.rows(analytics.faded(table, now, policy)), now, args.order, policy)
    return {key: document for key, (model, document) in found.items() if args.model in (None, model)}


def _text(document: str | bytes) -> str:
    return document if isinstance(document, str) else document.decode()


def export(args: argparse.Namespace) -> int:
    """Print the log of a store as `attempt.v1` lines, or write it as Parquet."""
    from adaptive_island.documents import AttemptV1

    with opened(args.source) as store:
        log = counted(store.log(args.after), "written")
        if args.parquet:
            from adaptive_island.analytics import write_parquet

            write_parquet(log, args.parquet)
            return 0
        for attempt in log:
            print(AttemptV1.of(attempt).model_dump_json())
    return 0


def migrate(args: argparse.Namespace) -> int:
    """Make the tables of a store where they are missing."""
    with opened(args.source, migrate=True) as store:
        store.read()
        print(f"{store.where} is ready")
    return 0
