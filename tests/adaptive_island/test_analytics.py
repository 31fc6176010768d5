"""One query on several engines: the same sums on all of them, and the ranking of an island that was there."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptive_island import Attempt, Fault, Outcome, Policy, analytics
from adaptive_island.cli import main
from adaptive_island.cli.logs import Past
from adaptive_island.engine import DELIVERED, FINAL
from adaptive_island.sharing import Counted, reports
from adaptive_island.stores import Store, open_store
from tests.services import postgres_server

START, SIZE = 1_750_000_000.0, 600
POLICY = Policy()


def history() -> list[Attempt]:
    """Half a day over two models, three providers and every outcome, some of it odd."""
    rng = random.Random(5)
    attempts = []
    for n in range(SIZE):
        provider = rng.choice(("byteplus", "fal", "replicate"))
        outcome = rng.choice([Outcome.USED] * 12 + sorted(FINAL))  # a store logs nothing else
        attempts.append(
            Attempt(
                id=f"a{n}",
                model=rng.choice(("lab/one", "lab/two")),
                provider=provider,
                region=rng.choice(("us", "us", "eu")),
                work=rng.choice(("", "1080p/8s")),
                outcome=outcome,
                fault=rng.choice(list(Fault))
                if outcome in (Outcome.FAILED, Outcome.CANCELED)
                else Fault.NONE,
                seconds=rng.choice((0.0, 0.25, rng.lognormvariate(2.0, 0.5))),
                cost=rng.choice((None, rng.randrange(90_000))),
                at=START + n * 60.0 + rng.random(),
            )
        )
    return attempts


HISTORY = history()
NOW = HISTORY[-1].at


def filled(store: Store) -> None:
    store.push(reports([Counted(attempt, None, attempt.work) for attempt in HISTORY], POLICY), [])
    store.close()


@pytest.fixture(params=["sqlite", "postgres", "duckdb", "spark"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    import ibis

    if request.param == "sqlite":
        filled(open_store(f"sqlite:///{tmp_path}/island.db"))
        yield ibis.sqlite.connect(tmp_path / "island.db").table("attempts")
    elif request.param == "postgres":
        with postgres_server().schema() as url:
            filled(open_store(url, migrate=True))
            connection = ibis.connect(url)
            yield connection.table("island_attempts")
            connection.disconnect()
    elif request.param == "duckdb":
        analytics.write_parquet(HISTORY, f"{tmp_path}/log.parquet")
        yield analytics.open_parquet(f"{tmp_path}/*.parquet")
    else:
        if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
            pytest.skip("no pyspark or no Java here; both are 500 MB and not in the test extra")
        from pyspark.sql import SparkSession

        analytics.write_parquet(HISTORY, f"{tmp_path}/log.parquet")
        session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        yield ibis.pyspark.connect(session).read_parquet(f"{tmp_path}/log.parquet")
        session.stop()


def expected() -> dict[tuple[str, ...], list[float]]:
    """The same sums in a few lines of Python."""
    sums: dict[tuple[str, ...], list[float]] = {}
    for a in HISTORY:
        values = [0.0] * 8
        delivered = a.outcome in DELIVERED
        blamed = (a.outcome is Outcome.FAILED and a.fault in (Fault.PROVIDER, Fault.NONE)) or (
            a.outcome is Outcome.CANCELED and a.fault is Fault.PROVIDER
        )
        if delivered:
            log = math.log(max(a.seconds, 1e-3))
            timed = float(a.seconds > 0)
            priced = [0.0, 0.0] if a.cost is None else [float(a.cost), 1.0]
            values = [1.0, 1.0, timed, timed * log, timed * log * log, 0.0, *priced]
        elif blamed:
            values = [1.0, 0.0, 0.0, 0.0, 0.0, a.seconds, 0.0, 0.0]
        key = (a.region, a.model, a.provider, a.work)
        total = sums.setdefault(key, [0.0] * 16)
        for place, half_life in enumerate((POLICY.fast, POLICY.slow)):
            weight = 2.0 ** ((a.at - NOW) / half_life)
            for i, value in enumerate(values):
                total[8 * place + i] += weight * value
    return sums


def test_every_engine_computes_the_same_sums(table: Any) -> None:
    found = {}
    for row in analytics.rows(analytics.faded(table, NOW, POLICY)):
        names = [f"{memory}_{name}" for memory in ("fast", "slow") for name in analytics.Sums._fields]
        found[row["region"], row["model"], row["provider"], row["work"]] = [row[name] for name in names]
    wanted = expected()
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key] == pytest.approx(values, rel=1e-9, abs=1e-9), key


def test_it_learns_what_an_island_that_was_there_learned(table: Any) -> None:
    island = Past().live(sorted(HISTORY, key=lambda a: a.at))
    for region in ("us", "eu"):
        for model in ("lab/one", "lab/two"):
            island.publish(model, region=region)
    lived = {key: json.loads(document) for key, document in island.rankings.read().items()}
    query = analytics.faded(table, NOW, POLICY)
    learned = analytics.learned(analytics.rows(query), analytics.latest(table), "balanced", POLICY)
    assert learned.keys() == lived.keys()
    for key, (_model, text) in learned.items():
        document = json.loads(text)
        assert document["scores"] == pytest.approx(lived[key]["scores"], abs=2e-3)
        assert document["providers_ranked"] == lived[key]["providers_ranked"]
        assert document["attempts_total"] == lived[key]["attempts_total"]


def test_an_id_counts_once(tmp_path: Path) -> None:
    analytics.write_parquet([*HISTORY, *HISTORY[: SIZE // 2]], f"{tmp_path}/log.parquet")
    rows = analytics.rows(analytics.faded(analytics.open_parquet(f"{tmp_path}/log.parquet"), NOW, POLICY))
    total = sum(row["slow_tried"] for row in rows)
    assert total == pytest.approx(sum(values[8] for values in expected().values()))


def test_learn_from_parquet_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/island.db"
    filled(open_store(url))
    assert main(["export", url, "--parquet", f"{tmp_path}/log.parquet"]) == 0
    assert main(["learn", f"{tmp_path}/*.parquet", "lab/one", "--region", "us"]) == 0
    from_parquet = json.loads(capsys.readouterr().out)
    assert main(["learn", url, "lab/one", "--region", "us"]) == 0
    assert from_parquet["providers_ranked"] == json.loads(capsys.readouterr().out)["providers_ranked"]
    assert main(["learn", f"{tmp_path}/*.parquet", "no/model"]) == 1
