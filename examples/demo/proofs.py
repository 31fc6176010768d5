"""Every promise as a question to somebody who was not asked to keep it: the providers' books of calls and
bills, the ledger's entries, the files on the disk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from examples.demo.stage import Evidence, Scene
from examples.demo.stories import CREDITS, ISSUES, PATIENCE
from execution_arrow import Generation, Outcome, Status
from execution_arrow.record import AttemptRecord
from execution_arrow.sandbox import PROVIDERS

TOTAL = int(CREDITS) * 1_000_000


@dataclass(frozen=True, slots=True)
class Proof:
    """A promise, whether it was kept, and by what that was seen."""

    promise: str
    kept: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Bill:
    """One attempt's cost twice: what the provider bills, and what we wrote down. Micro-credits."""

    scene: Scene
    attempt: AttemptRecord
    billed: int
    ours: int
    sure: bool  # False: written down as possible waste

    @property
    def agrees(self) -> bool:
        return self.billed == self.ours if self.sure else 0 <= self.billed <= self.ours


def prove(evidence: Evidence) -> list[Proof]:
    """All proofs of a run."""
    return [
        _programme(evidence),
        _variety(evidence),
        _files(evidence),
        _sent_once(evidence),
        _lost(evidence),
        _found(evidence),
        _throttled(evidence),
        _late(evidence),
        _too_dear(evidence),
        _rejected(evidence),
        _second_click(evidence),
        _charges(evidence),
        _replay(evidence),
        _bills(evidence),
    ]


def told(generation: Generation) -> tuple[str, ...]:
    """The attempts of a generation, as stories write them."""
    return tuple(f"{attempt.provider} {attempt.outcome}" for attempt in generation.attempts)


def performed(evidence: Evidence) -> Iterator[tuple[Scene, Generation]]:
    """The scenes that became a generation."""
    for scene in evidence.scenes:
        if scene.generation is not None:
            yield scene, scene.generation


def compared(evidence: Evidence) -> list[Bill]:
    """Every attempt that a provider bills or that we expected to be billed, provider's book beside ours."""
    books = {bill.reference: bill.amount for bill in evidence.bills}
    found = []
    for scene, generation in performed(evidence):
        for attempt in generation.attempts:
            sure = not attempt.possible_waste
            ours = _micros(attempt.cost if sure else generation.possible_waste)
            billed = books.get(attempt.id, 0)
            if billed or ours:
                found.append(Bill(scene, attempt, billed, ours, sure))
    return found


def _programme(evidence: Evidence) -> Proof:
    wrong = [
        f"{scene.number:02d} came to {generation.status} by {', '.join(told(generation)) or 'nobody'}"
        for scene, generation in performed(evidence)
        if generation.status is not scene.story.status or scene.story.attempts not in (None, told(generation))
    ]
    made = sum(1 for _ in performed(evidence))
    return Proof(
        "every generation ended as the programme says",
        not wrong,
        "; ".join(wrong) or f"{made} generations, status and attempts of each",
    )


def _variety(evidence: Evidence) -> Proof:
    models = {generation.model for _, generation in performed(evidence)}
    kinds = Counter(file.media_type.partition("/")[0] for _, file, _ in evidence.files)
    tried = {attempt.provider for _, made in performed(evidence) for attempt in made.attempts}
    seen = f"{len(models)} models, {len(tried)} providers, {kinds['image']} images, {kinds['video']} videos"
    kept = len(models) >= 10 and tried == set(PROVIDERS) and min(kinds["image"], kinds["video"]) > 1
    return Proof("ten models and every provider, images and videos", kept, seen)


def _files(evidence: Evidence) -> Proof:
    wrong = [
        path.name
        for _, file, path in evidence.files
        if hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256
        or decoded(path, file.media_type) != (file.width, file.height)
    ]
    delivered = {scene.number for scene, _, _ in evidence.files}
    wrong += [
        f"nothing of {scene.number:02d}"
        for scene, generation in performed(evidence)
        if generation.status is Status.SUCCEEDED and scene.number not in delivered
    ]
    return Proof(
        "every result is a real file of the recorded hash and size",
        bool(evidence.files) and not wrong,
        f"wrong: {', '.join(wrong)}" if wrong else f"{len(evidence.files)} files decoded and hashed",
    )


def decoded(path: Path, media_type: str) -> tuple[int, int]:
    """Width and height of the picture, or of the clip's frames, by decoding it."""
    if media_type.startswith("video/"):
        import av

        with av.open(str(path)) as clip:
            frames = [(frame.width, frame.height) for frame in clip.decode(video=0)]
            return frames[-1]
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()
        return picture.width, picture.height


def _sent_once(evidence: Evidence) -> Proof:
    arrived = Counter(call.reference for call in evidence.calls if call.on == "submit")
    known = {a.id for _, generation in performed(evidence) for a in generation.attempts}
    worst = max(arrived.values(), default=0)
    return Proof(
        "a paid call leaves at most once per attempt, and is in our record",
        worst == 1 and set(arrived) <= known,
        f"{len(arrived)} submits reached providers, none twice",
    )


def _lost(evidence: Evidence) -> Proof:
    """An unknown attempt: one submit there, another provider's picture, the possible waste written down."""
    bad, seen = [], []
    for scene, generation in performed(evidence):
        for attempt in generation.attempts:
            if attempt.outcome is Outcome.UNKNOWN:
                at = [a for a in generation.attempts if a.provider == attempt.provider]
                waste = generation.possible_waste
                seen.append(f"{scene.number:02d} at {attempt.provider}, possible waste {waste.normalize():f}")
                if len(at) != 1 or not waste or generation.status is not Status.SUCCEEDED:
                    bad.append(scene.number)
    return Proof(
        "an answer lost for good: not sent there twice, possible waste noted",
        bool(seen) and not bad,
        "; ".join(seen),
    )


def _found(evidence: Evidence) -> Proof:
    """Doubt that was resolved: one submit, the provider's list of jobs was read, its result was used."""
    bad, seen = [], []
    listed = {call.provider for call in evidence.calls if call.on == "list"}
    for scene, generation in performed(evidence):
        for attempt in generation.attempts:
            if attempt.id in scene.doubted and attempt.outcome is Outcome.USED:
                seen.append(f"{scene.number:02d} at {attempt.provider}")
                if len(generation.attempts) != 1 or attempt.provider not in listed:
                    bad.append(scene.number)
    return Proof(
        "an answer lost, the job found in the provider's list: no second call",
        bool(seen) and not bad,
        "; ".join(seen),
    )


def _throttled(evidence: Evidence) -> Proof:
    """Every provider that asked for patience was left alone for as long as it had asked."""
    bad, seen = [], []
    for scene, generation in performed(evidence):
        ours = {attempt.id for attempt in generation.attempts}
        sent = [call for call in evidence.calls if call.on == "submit" and call.reference in ours]
        for number, call in enumerate(sent):
            if call.status == 429 and call.fault == "rate_limited":  # for others the account is empty
                later = (other for other in sent[number + 1 :] if other.provider == call.provider)
                pause = min((other.at - call.at for other in later), default=0.0)
                seen.append(f"{scene.number:02d} at {call.provider}, {pause:.1f} s later")
                bad += [scene.number] * (pause < PATIENCE)
    kept = bool(seen) and not bad
    return Proof("throttled: asked again, not before the time it had named", kept, "; ".join(seen))


def _late(evidence: Evidence) -> Proof:
    bad, seen = [], []
    for scene, generation in performed(evidence):
        late = [a for a in generation.attempts if a.outcome is Outcome.DISCARDED]
        for attempt in late:
            seen.append(f"{scene.number:02d} at {attempt.provider}, waste {generation.waste.normalize():f}")
            if not attempt.cost or generation.waste != attempt.cost or generation.charged > generation.hold:
                bad.append(scene.number)
    return Proof(
        "a late result is discarded and accounted; the customer pays once",
        bool(seen) and not bad,
        "; ".join(seen),
    )


def _too_dear(evidence: Evidence) -> Proof:
    no = evidence.too_dear
    kept = no is not None and no.needed > no.available and not evidence.moved and not evidence.sent
    seen = f"needed {no.needed / 1e6:g}, had {no.available / 1e6:g}" if no else "it was accepted"
    return Proof("what the account cannot pay is not dispatched", kept, seen)


def _rejected(evidence: Evidence) -> Proof:
    no = evidence.wrong
    found = {(issue.field, issue.code) for issue in no.issues} if no else set()
    kept = found == ISSUES and not evidence.moved and not evidence.sent
    return Proof(
        "a wrong request is told all its issues, and holds nothing", kept, f"{len(found)} issues at once"
    )


def _second_click(evidence: Evidence) -> Proof:
    first = evidence.scenes[0].generation
    kept = first is not None and evidence.repeated == first.id
    return Proof(
        "the same idempotency key gives the same generation", kept, f"{evidence.repeated[:12]}... twice"
    )


def _charges(evidence: Evidence) -> Proof:
    """Each generation settled once, for what its record says; failed ones for nothing."""
    settled = Counter(entry.hold for entry in evidence.entries if entry.kind in ("charge", "release"))
    paid = {entry.hold: entry.amount for entry in evidence.entries if entry.kind == "charge"}
    wrong = [
        f"{scene.number:02d}"
        for scene, generation in performed(evidence)
        if settled[generation.id] != 1
        or paid.get(generation.id, 0) != _micros(generation.charged)
        or (generation.status is not Status.SUCCEEDED and generation.charged)
    ]
    spent = TOTAL - evidence.balance.available.micros
    kept = not wrong and sum(paid.values()) == spent and not evidence.balance.held
    return Proof(
        "each hold was settled exactly once; only successes were charged",
        kept,
        f"wrong: {', '.join(wrong)}" if wrong else f"{len(settled)} holds, {spent / 1e6:g} charged, 0 held",
    )


def _replay(evidence: Evidence) -> Proof:
    account = evidence.replayed.accounts.get("demo")
    kept = (
        evidence.verification.ok
        and not evidence.replayed.problems
        and account is not None
        and (account.available, account.held)
        == (evidence.balance.available.micros, evidence.balance.held.micros)
    )
    seen = f"{len(evidence.entries)} entries give {evidence.balance}"
    return Proof("the entries replay to the balance", kept, seen)


def _bills(evidence: Evidence) -> Proof:
    bills = compared(evidence)
    wrong = [f"{bill.scene.number:02d} {bill.attempt.provider}" for bill in bills if not bill.agrees]
    total = sum(bill.amount for bill in evidence.bills)
    kept = not wrong and total == sum(bill.billed for bill in bills)
    return Proof(
        "the providers' bills are our own records, or within possible waste",
        kept,
        f"differ: {', '.join(wrong)}" if wrong else f"{len(bills)} bills, {total / 1e6:g} in all",
    )


def _micros(value: Decimal | None) -> int:
    return int((value or Decimal(0)).scaleb(6))
