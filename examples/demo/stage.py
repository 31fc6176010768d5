"""Performs the programme and gathers the evidence, from the ledger, the disk and the providers' own books."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from adaptive_island import Explanation
from examples.demo.stories import CREDITS, PRICES, TOO_DEAR, WRONG, Act, Pace, Story, acts
from execution_arrow import AsyncArrow, Generation, InsufficientCredits, Outcome, RequestRejected
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy
from execution_arrow.providers import shipped
from execution_arrow.record import File
from execution_arrow.sandbox import PROVIDERS, Bill, Received, Sandbox
from execution_arrow.testing import hurried
from ledger_fortress import Balance, Verification
from ledger_fortress.audit import Replayed, replay
from ledger_fortress.entries import Entry

ACCOUNT = "demo"
TIMEOUT = 120.0  # seconds for one generation; reached only where something is broken
ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "video/mp4": "mp4"}
#: What the ranking is asked at the end: the orders that follow from the attempts of this run.
QUESTIONS = (("bytedance/seedream-4.5", "fastest"), ("bfl/flux-schnell", "cheapest"))


@dataclass(slots=True)
class Scene:
    """A story while it is performed."""

    number: int
    story: Story
    generation: Generation | None = None
    refusal: str = ""
    doubted: set[str] = field(default_factory=set)  # attempts whose answer was lost for a while


class Screen(Protocol):
    """Where it is shown."""

    def act(self, title: str) -> None: ...

    def changed(self, scene: Scene) -> None: ...

    def health(self, up: dict[str, bool]) -> None: ...

    def credits(self, balance: Balance) -> None: ...


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What remains to be looked at when the curtain has fallen."""

    scenes: list[Scene] = field(default_factory=list)
    files: list[tuple[Scene, File, Path]] = field(default_factory=list)
    repeated: str = ""  # the generation that the second click got
    too_dear: InsufficientCredits | None = None
    wrong: RequestRejected | None = None
    moved: bool = True  # whether the two refusals changed the balance
    sent: bool = True  # whether a provider heard of them
    balance: Balance
    entries: list[Entry] = field(default_factory=list)
    verification: Verification
    replayed: Replayed
    rankings: list[tuple[str, str, tuple[Explanation, ...]]] = field(default_factory=list)
    bills: tuple[Bill, ...] = ()
    calls: tuple[Received, ...] = ()
    seconds: float = 0.0


async def perform(folder: Path, pace: Pace, screen: Screen) -> Evidence:
    """Run everything in `folder` and return the evidence."""
    began = time.monotonic()
    stage = Stage(screen)
    async with Sandbox(seed=7, timing=pace.timing, prices=PRICES) as box:
        arrow = AsyncArrow.open(
            folder / "data",
            worker=True,
            base_urls={provider: box.base_url(provider) for provider in PROVIDERS},
            credentials=EnvironmentCredentials(box.environment()),
            providers=shipped() if pace.poll is None else hurried(pace.poll),
            egress=EgressPolicy(allowed_hosts=frozenset({urlsplit(box.url).netloc})),
            watch=stage.watch,
        )
        async with arrow:
            await arrow.ledger.grant(ACCOUNT, CREDITS, key="welcome", source="demo", create=True)
            for act in acts(pace):
                await stage.play(arrow, box, act)
            screen.act("two requests that must not be sent")
            evidence = await stage.refuse(arrow, box)
            screen.act("waiting for the late result")
            await stage.residue(arrow)
            await stage.gather(arrow, evidence)
            evidence.bills, evidence.calls = box.bills(), box.calls()
    evidence.files = deliver(evidence.scenes, folder)
    evidence.seconds = time.monotonic() - began
    return evidence


class Stage:
    """The scenes, and what `AsyncArrow` tells about their generations."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.scenes: list[Scene] = []
        self._latest: dict[str, Generation] = {}
        self._by_id: dict[str, Scene] = {}
        self._up = dict.fromkeys(PROVIDERS, True)

    def watch(self, generation: Generation) -> None:
        """Called by the arrow with every change, on its loop."""
        self._latest[generation.id] = generation
        if (scene := self._by_id.get(generation.id)) is not None:
            self._show(scene, generation)

    def _show(self, scene: Scene, generation: Generation) -> None:
        scene.generation = generation
        scene.doubted |= {a.id for a in generation.attempts if a.outcome is Outcome.UNKNOWN}
        self.screen.changed(scene)

    async def play(self, arrow: AsyncArrow, box: Sandbox, act: Act) -> None:
        """Switch the faults on, start all stories of the act, wait for their ends."""
        for provider, fault in act.faults:
            box.fault(provider, fault)
        self._up |= {provider: False for provider, fault in act.faults if fault.is_outage}
        self.screen.act(act.title)
        self.screen.health(self._up)
        started = [await self._start(arrow, story) for story in act.stories]
        self.screen.credits(await arrow.ledger.balance(ACCOUNT))
        await asyncio.gather(*(arrow.wait(generation, timeout=TIMEOUT) for generation in started))
        self.screen.credits(await arrow.ledger.balance(ACCOUNT))

    async def _start(self, arrow: AsyncArrow, story: Story) -> str:
        scene = self._enter(story)
        made = await arrow.generate(
            story.model,
            story.request,
            account=ACCOUNT,
            idempotency_key=f"click-{scene.number}",
            policy=story.policy,
        )
        self._by_id[made.id] = scene
        self._show(scene, self._latest.get(made.id, made))
        return made.id

    def _enter(self, story: Story) -> Scene:
        scene = Scene(len(self.scenes) + 1, story)
        self.scenes.append(scene)
        return scene

    async def refuse(self, arrow: AsyncArrow, box: Sandbox) -> Evidence:
        """One request that the account cannot pay, one that is wrong, and one that was sent before."""
        before, heard = await arrow.ledger.balance(ACCOUNT), _submits(box)
        first = self.scenes[0]
        again = await arrow.generate(
            first.story.model, first.story.request, account=ACCOUNT, idempotency_key="click-1"
        )
        dear, typo = self._enter(TOO_DEAR), self._enter(WRONG)
        too_dear: InsufficientCredits | None = None
        wrong: RequestRejected | None = None
        try:
            await arrow.generate(TOO_DEAR.model, TOO_DEAR.request, account=ACCOUNT)
        except InsufficientCredits as no:
            too_dear = no
            dear.refusal = f"needs {_plain(no.needed)}, has {_plain(no.available)}"
        self.screen.changed(dear)
        try:
            await arrow.generate(WRONG.model, WRONG.request, account=ACCOUNT)
        except RequestRejected as no:
            wrong = no
            typo.refusal = f"{len(no.issues)} issues"
        self.screen.changed(typo)
        after = await arrow.ledger.balance(ACCOUNT)
        return Evidence(
            scenes=self.scenes, repeated=again.id, too_dear=too_dear, wrong=wrong,
            moved=before != after, sent=_submits(box) != heard,
            balance=after, verification=await arrow.ledger.audit(), replayed=replay(()),
        )  # fmt: skip

    async def residue(self, arrow: AsyncArrow) -> None:
        """A closed generation is watched until its last attempt has ended: wait for the late one."""
        patience = time.monotonic() + TIMEOUT
        for scene in self.scenes:
            if scene.generation is not None and "discarded" in " ".join(scene.story.attempts or ()):
                while (await arrow.get(scene.generation.id)).watching and time.monotonic() < patience:
                    await asyncio.sleep(0.2)

    async def gather(self, arrow: AsyncArrow, evidence: Evidence) -> None:
        """Read everything back from the stores; what was shown on the way is not believed."""
        for scene in self.scenes:
            if scene.generation is not None:
                scene.generation = await arrow.get(scene.generation.id)
        after: int | None = None
        while True:
            page = await arrow.ledger.statement(ACCOUNT, after=after)
            evidence.entries += page.entries
            if (after := page.next) is None:
                break
        evidence.balance = await arrow.ledger.balance(ACCOUNT)
        evidence.verification = await arrow.ledger.audit()
        evidence.replayed = replay(evidence.entries)
        evidence.rankings = [(model, order, explain(arrow, model, order)) for model, order in QUESTIONS]
        self.screen.credits(evidence.balance)


def explain(arrow: AsyncArrow, model: str, order: str) -> tuple[Explanation, ...]:
    """The ranking that the next such request would meet, with its reasons."""
    known = arrow.catalog[model]
    request = known.normalize({"generation_prompt": "the next one"})
    costs = {name: cost.micros for name in known.eligible(request) if (cost := known.cost(request, name))}
    return arrow.island.explain(model, known.eligible(request), order=order, costs=costs, work=request.work)


def deliver(scenes: list[Scene], folder: Path) -> list[tuple[Scene, File, Path]]:
    """Copy every result beside the data under a name that a person can read."""
    made = []
    for scene in scenes:
        for file in scene.generation.files if scene.generation is not None else ():
            model = scene.story.model.partition("/")[2]
            name = f"{scene.number:02d}-{model}-{scene.story.name}.{ENDINGS[file.media_type]}"
            assert file.path is not None
            made.append((scene, file, Path(shutil.copyfile(file.path, folder / name))))
    return made


def _submits(box: Sandbox) -> int:
    return sum(call.on == "submit" for call in box.calls())


def _plain(micros: int) -> str:
    return f"{Decimal(micros).scaleb(-6).normalize():f}"
