"""What a proof found: a verdict for each route, the totals, and what is less than in an earlier proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

STATUSES = ("gone", "failed", "unproved", "partly", "proved")  # from least to most


@dataclass(slots=True)
class RouteProof:
    """What the proof of one route found: `requests` came to it, `eligible` rendered, `bodies` differ."""

    model: str
    provider: str
    route: str
    native: str
    evidence: str
    lab: str = ""
    status: str = "unproved"
    reason: str = ""
    requests: int = 0
    eligible: int = 0
    bodies: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of what the public may ask, and came here, can be had here."""
        return self.eligible / self.requests if self.requests else 0.0


@dataclass(slots=True)
class Proof:
    """All routes, and problems that belong to no single one (a shared table's cell that nobody reaches)."""

    routes: list[RouteProof]
    problems: list[str]

    @property
    def holds(self) -> bool:
        return not self.problems and all(route.status != "failed" for route in self.routes)

    def totals(self) -> dict[str, int]:
        """Counts of models, labs, providers, routes and requests."""
        counts = {
            s: sum(r.status == s for r in self.routes) for s in ("proved", "partly", "unproved", "failed")
        }
        pairs = Counter(model for model, _ in {(r.model, r.provider) for r in self.routes})
        proved = Counter(r.model for r in self.routes if r.status == "proved")
        return {
            "models": len(pairs),
            "models with a proved route": len(proved),
            "models with two proved routes": sum(count > 1 for count in proved.values()),
            "models with two providers": sum(count > 1 for count in pairs.values()),
            "labs": len({r.lab for r in self.routes}),
            "providers": len({r.provider for r in self.routes}),
            "routes": len(self.routes),
            "of secondary evidence": sum(r.evidence == "secondary" for r in self.routes),
            **counts,
            "requests": sum(r.requests for r in self.routes),
            "eligible": sum(r.eligible for r in self.routes),
            "bodies": sum(r.bodies for r in self.routes),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "totals": self.totals(),
            "problems": self.problems,
            "routes": [asdict(r) | {"share": round(r.share, 4)} for r in self.routes],
        }


def regressions(earlier: Any, proof: Proof, models: Iterable[str] | None = None) -> list[str]:
    """Routes that an earlier `Proof.as_json()` has, and that are gone or less than they were.

    `models` are those that were proved now; of others nothing is said. Raises `ValueError` for any other
    document.
    """
    now = {(r.model, r.provider, r.route): r.status for r in proof.routes}
    asked = None if models is None else {*models, *(r.model for r in proof.routes)}
    told = []
    try:
        for route in earlier["routes"]:
            key, was = (route["model"], route["provider"], route["route"]), STATUSES.index(route["status"])
            if asked is not None and key[0] not in asked:
                continue
            if STATUSES.index(now.get(key, STATUSES[0])) < was:
                told.append(
                    f"{key[0]} {key[1]}/{key[2]}: was {STATUSES[was]}, is {now.get(key, STATUSES[0])}"
                )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not what `prove --json` prints: {error!r}") from None
    return told
