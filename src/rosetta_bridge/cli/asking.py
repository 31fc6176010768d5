"""Try a request: check it, ask who can honour it, see what would be sent and what it costs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rosetta_bridge.model import Model
from rosetta_bridge.values import Cost, Request

from .common import catalog, print_json, print_table, read_json


def asked(args: argparse.Namespace) -> tuple[Model, Request]:
    model = catalog(args)[args.model]
    return model, model.normalize(read_json(args.request))


def normalize(args: argparse.Namespace) -> int:
    _, request = asked(args)
    order = request.order if isinstance(request.order, str) else ", ".join(request.order)
    print_json({"values": request.values, "order": order, "asked": request.asked, "work": request.work})
    return 0


def explain(args: argparse.Namespace) -> int:
    model, request = asked(args)
    verdicts = model.explain(request)
    if args.json:
        print_json([asdict(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(verdict)
    return 0 if any(verdict.eligible for verdict in verdicts) else 1


def render(args: argparse.Namespace) -> int:
    model, request = asked(args)
    payload = model.render(request, args.provider)
    print_json(
        asdict(payload)
        if args.json
        else {"path": payload.path, "body": payload.body, "dropped": payload.dropped}
    )
    return 0


def estimate(args: argparse.Namespace) -> int:
    model, request = asked(args)
    costs = model.estimate(request) if model.require_eligible(request) else {}
    if args.json:
        print_json({name: asdict(cost) if cost else None for name, cost in costs.items()})
    else:
        print_table(
            [("PROVIDER", "USD", "KIND", "EVIDENCE", "DATE"), *((n, *_cost(c)) for n, c in costs.items())]
        )
    return 0


def _cost(cost: Cost | None) -> tuple[str, ...]:
    if cost is None:
        return ("unknown", "", "", "")
    return (f"{cost.micros // 10**6}.{cost.micros % 10**6:06d}", cost.kind, cost.evidence, cost.date)
