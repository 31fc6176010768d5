"""Runs to try the machine on: three providers of different kinds, small numbers."""

from __future__ import annotations

from execution_arrow import facts as f
from execution_arrow.machine import Step, step
from execution_arrow.machine.agenda import next_plan
from execution_arrow.machine.state import Route, Run, Spec, Terms
from execution_arrow.policy import Policy
from execution_arrow.ports import Payload

T0 = 1_800_000_000.0
EPOCH = 1

JOB = Terms(
    deadline=60.0, poll_every=1.0, patience=10.0, lookup=True, cancel=True, billed=frozenset({"canceled"})
)
QUEUE = Terms(deadline=60.0, poll_every=1.0, patience=0.0, cancel=True)
SYNC = Terms(sync=True, deadline=60.0, patience=0.0)


def make_run(
    *,
    policy: Policy | None = None,
    asked: int = 1,
    terms: dict[str, Terms] | None = None,
    price: int = 40_000,
) -> Run:
    kinds = terms or {"job": JOB, "queue": QUEUE, "sync": SYNC}
    routes = {
        name: Route(
            payload=Payload(
                provider=name, route="main", method="POST", path="/x", model="m", encoding="json", body={}
            ),
            cost=30_000 + 1_000 * position,
            price=price,
            terms=kind,
        )
        for position, (name, kind) in enumerate(kinds.items())
    }
    spec = Spec(
        id="gen_1",
        account="acct",
        model="lab/m",
        kind="image",
        region="us",
        request={"generation_prompt": "x"},
        order="fastest",
        chain=tuple(routes),
        chain_source="caller",
        chain_reason="cold start",
        work="",
        asked=asked,
        routes=routes,
        hold=price,
        policy=policy or Policy(),
        catalog_digest="d",
        created_at=T0,
        deadline_at=T0 + 120,
    )
    return Run(spec=spec)


class Story:
    """A run that is told facts one after the other, on a clock that the test moves."""

    def __init__(self, run: Run) -> None:
        self.run, self.now, self.rows = run, T0, list[str]()
        self.alerts: list[str] = []
        self.events: list[str] = []

    def tell(self, fact: f.Fact, attempt: str | None = None) -> Step:
        result = step(self.run, fact, self.now, attempt)
        self.run = result.run
        self.rows.append(result.row)
        self.events.extend(event.type for event in result.events)
        if result.alert:
            self.alerts.append(result.alert)
        return result

    def held(self) -> Story:
        self.tell(f.HoldOpened())
        return self

    def plan(self, provider: str | None = None) -> str:
        """Plan the next attempt, as the router would: the first candidate, at the time it is due."""
        found = next_plan(self.run)
        assert found is not None, "nobody can be planned"
        at, plan = found
        self.now = max(self.now, at)
        name = provider or plan.candidates[0]
        attempt = f"a{len(self.run.attempts) + 1}"
        self.tell(f.Planned(provider=name, id=attempt, token="t" + attempt, epoch=EPOCH))
        assert self.run.attempts[-1].id == attempt
        return attempt

    def next_provider(self) -> str:
        """Plan, and say who was chosen."""
        self.plan()
        return self.run.attempts[-1].provider

    def live(self, provider: str | None = None) -> str:
        attempt = self.plan(provider)
        self.tell(f.Accepted(job="job-" + attempt), attempt)
        return attempt

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def state(self, attempt: str) -> str:
        found = self.run.attempt(attempt)
        assert found is not None
        return found.state.value


def outputs(count: int = 1) -> tuple[f.Output, ...]:
    return tuple(f.Output(index=i, url=f"https://x.example/{i}") for i in range(count))


def stored(index: int = 0) -> f.ArtifactStored:
    return f.ArtifactStored(
        file=f.Stored(index=index, key=f"sha256/{index}", sha256=str(index), size=1, media_type="image/png")
    )
