"""The same lesson from logs that are too large for one process: one Ibis expression for every engine.

`faded` is what an island keeps, written as a query: faded sums by region, model, provider and class of work.
It runs where the log is (DuckDB over Parquet, SQLite, PostgreSQL, Spark), and only its few rows come back;
`learned` makes `ranking.v1` documents of them with the code that ranks. A table has the columns of an
`attempt.v1` document, with `at` in unix seconds or as a timestamp; an id counts once.

Needs the `analytics` extra. Written for what the engines have in common: no booleans as numbers, no
quantiles, everything cast to doubles before it is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from .attempt import Attempt, Fault, Outcome
from .engine import DELIVERED
from .errors import MissingExtra
from .index import Evidence, estimates, expected, pooled, priors
from .knowledge import MEMORIES
from .policy import Policy
from .rankings import Rankings
from .stores.base import ranking_key
from .stores.rows import COLUMNS, attempt_row
from .window import Sums

if TYPE_CHECKING:
    import ibis.expr.types as ir

_KEYS = ("region", "model", "provider", "work")
_BLAMED = (Fault.PROVIDER.value, Fault.NONE.value)


def open_parquet(path: str) -> ir.Table:
    """The attempts of Parquet files (a path or a pattern), read by DuckDB. Raises `MissingExtra`."""
    return _ibis().duckdb.connect().read_parquet(path)


def write_parquet(attempts: Iterable[Attempt], path: str) -> None:
    """Write attempts as one Parquet file, a hundred thousand at a time."""
    _ibis()
    import pyarrow
    from pyarrow import parquet

    kinds = {"seconds": pyarrow.float64(), "retry_after": pyarrow.float64(), "at": pyarrow.float64()}
    kinds["cost"] = pyarrow.int64()
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS.split(", ")])
    with parquet.ParquetWriter(path, schema) as writer:
        for part in _parts(attempts, 100_000):
            columns = list(zip(*map(attempt_row, part), strict=True))
            writer.write_table(pyarrow.table(dict(zip(schema.names, columns, strict=True)), schema=schema))


def _parts(attempts: Iterable[Attempt], size: int) -> Iterator[list[Attempt]]:
    rest = iter(attempts)
    while part := list(islice(rest, size)):
        yield part


def latest(attempts: ir.Table) -> float:
    """The moment of the last attempt in unix seconds; 0 where there is none."""
    found = _seconds(attempts.at).max().as_scalar().to_pyarrow().as_py()
    return float(found or 0.0)


def _seconds(at: Any) -> Any:
    return (at.epoch_seconds() if at.type().is_timestamp() else at).cast("float64")


def faded(attempts: ir.Table, now: float, policy: Policy) -> ir.Table:
    """The query: a row for each region, model, provider and class of work, with `fast_*` and `slow_*` for the
    fields of `window.Sums` as they are at `now` (unix seconds)."""
    ibis = _ibis()
    log: Any = attempts.mutate(at=_seconds(attempts.at))
    log = log.filter(log.at <= now)
    log = log.mutate(place=ibis.row_number().over(ibis.window(group_by=log.id, order_by=log.at)))
    log = log.filter(log.place == 0)
    won = log.outcome.isin([outcome.value for outcome in DELIVERED])
    failed = (log.outcome == Outcome.FAILED.value) & log.fault.isin(_BLAMED)
    blamed = (log.outcome == Outcome.CANCELED.value) & (log.fault == Fault.PROVIDER.value)
    lost = failed | blamed
    seconds, cost = log.seconds.cast("float64"), log.cost.cast("float64")
    timed, priced = won & (seconds > 0), won & log.cost.notnull()
    length = ibis.greatest(seconds, ibis.literal(1e-3, "float64")).ln()

    one = ibis.literal(1.0, "float64")
    parts = {
        "tried": ibis.ifelse(won | lost, one, 0.0),
        "won": ibis.ifelse(won, one, 0.0),
        "timed": ibis.ifelse(timed, one, 0.0),
        "log": ibis.ifelse(timed, length, 0.0),
        "square": ibis.ifelse(timed, length * length, 0.0),
        "wasted": ibis.ifelse(lost, seconds, 0.0),
        "cost": ibis.ifelse(priced, cost, 0.0),
        "priced": ibis.ifelse(priced, one, 0.0),
    }
    columns = {}
    for memory, half_life in zip(MEMORIES, (policy.fast, policy.slow), strict=True):
        weight = ((log.at - now) * (math.log(2.0) / half_life)).exp()
        for name, value in parts.items():
            columns[f"{memory}_{name}"] = value.cast("float64") * weight
    weighed = log.select(*_KEYS, **columns)
    return weighed.group_by(list(_KEYS)).agg(**{name: weighed[name].sum() for name in columns})


def rows(query: ir.Table) -> list[dict[str, Any]]:
    """Run it and bring its rows here."""
    found: list[dict[str, Any]] = query.to_pyarrow().to_pylist()
    return found


def learned(
    found: Iterable[Mapping[str, Any]], now: float, order: str, policy: Policy
) -> dict[str, tuple[str, str]]:
    """`ranking.v1` documents by key, each with its model, of the rows of `faded`. What an island that lived
    through the log would publish, but for what it has forgotten (older than two epochs, under 1/4,096)."""
    cells: dict[tuple[str, str], tuple[dict[tuple[str, str], Sums], ...]] = {}
    for row in found:
        for place, memory in enumerate(MEMORIES):
            values = Sums(*(float(row[f"{memory}_{name}"]) for name in Sums._fields))
            own = cells.setdefault((row["region"], row["model"]), ({}, {}))
            own[place][row["provider"], row["work"]] = values
            every = cells.setdefault((row["region"], ""), ({}, {}))[place]
            known = every.get((row["provider"], ""), Sums())
            every[row["provider"], ""] = Sums(*(a + b for a, b in zip(known, values, strict=True)))
    rankings, weights = Rankings(policy), policy.orders[order]
    result = {}
    for (region, model), (fast, slow) in sorted(cells.items()):
        everywhere = cells[region, ""]
        tried = {name: total.tried for name, total in pooled(slow).items() if total.tried > 0.0}
        if not model or not tried:
            continue
        prior = priors((pooled(everywhere[0]), pooled(everywhere[1])), (pooled(fast), pooled(slow)), policy)
        evidence = Evidence(fast, slow, prior, {}, {})
        seen, _unseen = estimates(tried, "", evidence, policy)
        scores = {name: expected(weights, seen[name]) for name in tried}
        document = rankings.document(scores, sum(tried.values()), now)
        result[ranking_key(region, model)] = (model, document)
    return result


def _ibis() -> Any:
    try:
        import ibis
    except ImportError as error:
        raise MissingExtra("logs in Parquet", "analytics", error) from error
    return ibis
