"""The sandbox's own page: what was called, what became of it, what it cost."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Iterable
from typing import Any

from execution_arrow.sandbox.engine import Engine
from execution_arrow.sandbox.wire import Reply, reply

_STYLE = """body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#1c2330}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #dde3ea;font-variant-numeric:tabular-nums}
th{background:#f2f5f8}h2{margin-top:2rem}.fault{color:#b23a3a}td.n{text-align:right}"""


def book(engine: Engine, now: float) -> Reply:
    """Everything as JSON: calls, jobs, bills."""
    return reply(200, _plain(_content(engine, now)))


def page(engine: Engine, addresses: dict[str, str], now: float) -> Reply:
    """The same for people."""
    content = _content(engine, now)
    total = sum(bill["amount"] for bill in content["bills"])
    sections = [
        _table("Addresses", [{"provider": name, "base url": url} for name, url in addresses.items()]),
        _table(f"Bills: {total / 1e6:.6f} credits", content["bills"]),
        _table("Jobs", content["jobs"]),
        _table("Calls", content["calls"]),
    ]
    text = (
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2><title>Sandbox</title>"
        f"<style>{_STYLE}</style><h1>Provider sandbox</h1>{''.join(sections)}"
    )
    return Reply(
        status=200, headers={"content-type": "text/html; charset=utf-8"}, body=text.encode("utf-8", "replace")
    )


def _content(engine: Engine, now: float) -> dict[str, list[dict[str, Any]]]:
    jobs = [
        {
            "provider": job.provider, "job": job.id, "model": job.model, "state": job.state(now).value,
            "prompt": job.order.prompt, "outputs": len(job.order.outputs), "fault": job.fault,
            "created": job.created, "starts": job.starts, "ended": job.ended,
        }
        for job in engine.jobs()
    ]  # fmt: skip
    calls = [dataclasses.asdict(call) for call in engine.calls()]
    return {"bills": [dataclasses.asdict(bill) for bill in engine.bills(now)], "jobs": jobs, "calls": calls}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(title: str, rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    if not rows:
        return f"<h2>{html.escape(title)}</h2><p>none yet</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(name, row[name]) for name in row)}</tr>" for row in rows)
    return f"<h2>{html.escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        value = f"{value:.3f}"
    kind = "fault" if name == "fault" else "n" if isinstance(value, int) else ""
    return f"<td class='{kind}'>{html.escape('' if value is None else str(value))}</td>"
