"""The end of the evening: what was made, why the ranking stands as it does, where each credit went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from examples.demo.proofs import Proof, compared, performed
from examples.demo.screen import Section, amount, said, status
from examples.demo.stage import Evidence
from ledger_fortress.entries import Entry

SCORE = (
    "Score: an expected success is worth 1, less waiting, money and failures, with the benefit of the doubt "
    "for whoever was seen little. Near-ties keep the catalogue's order."
)


def sections(evidence: Evidence, proofs: Sequence[Proof], folder: Path) -> list[Section]:
    """The report, in the order in which it is printed."""
    return [
        _files(evidence, folder),
        _rejected(evidence),
        *_rankings(evidence),
        _statement(evidence),
        _bills(evidence),
        _proofs(proofs),
    ]


def _files(evidence: Evidence, folder: Path) -> Section:
    rows = [
        (
            path.name,
            f"{file.width} x {file.height}" + (f", {file.seconds:g} s" if file.seconds else ""),
            f"{file.size / 1000:.0f} kB",
            scene.generation.provider_used or "" if scene.generation else "",
            str(scene.story.request.get("generation_prompt", "")),
        )
        for scene, file, path in evidence.files
    ]
    columns = ("file", "content", ">size", "made at", "prompt")
    return Section(title=f"Results in {folder}", columns=columns, rows=rows)


def _rejected(evidence: Evidence) -> Section:
    issues = [str(issue) for issue in evidence.wrong.issues] if evidence.wrong else []
    number = evidence.scenes[-1].number
    return Section(
        title=f"Why request {number} was refused",
        intro="All issues in one answer, before any credit moved:",
        notes=[f"  {issue}" for issue in issues],
    )


def _rankings(evidence: Evidence) -> list[Section]:
    made = []
    for model, order, lines in evidence.rankings:
        rows = [
            (
                f"{line.position}",
                line.provider,
                _number(line.score, 3),
                _number(line.success, 2),
                _number(line.seconds, 1),
                amount(Decimal(line.cost).scaleb(-6)) if line.cost is not None else "",
                f"{line.attempts:.1f}",
                line.breaker,
            )
            for line in lines
        ]
        made.append(
            Section(
                title=f"Whom {model} would be sent to next, {order} first",
                intro=f"{lines[0].reason.capitalize()}. {SCORE}",
                columns=(
                    ">#", "provider", ">score", ">success", ">seconds", ">cost", ">attempts", "breaker",
                ),
                rows=rows,
                notes=[f"{x.provider}: {x.reason}" for x in lines if x.reason != lines[0].reason],
            )
        )  # fmt: skip
    return made


def _statement(evidence: Evidence) -> Section:
    names = {generation.id: f"{scene.number:02d}" for scene, generation in performed(evidence)}
    rows = [
        (
            f"{entry.version}",
            entry.kind,
            names.get(entry.hold or "", "") or _unnamed(evidence, entry),
            _signed(entry.d_available),
            _signed(entry.d_held),
            _credits(entry.available),
            _credits(entry.held),
        )
        for entry in evidence.entries
    ]
    return Section(
        title="The ledger's statement of account 'demo'",
        intro="Each generation holds its dearest quote before anything is sent, and is settled once.",
        columns=(">entry", "kind", "for", ">available", ">held", ">= available", ">= held"),
        rows=rows,
        notes=(str(evidence.verification),),
    )


def _unnamed(evidence: Evidence, entry: Entry) -> str:
    """What an entry is for that belongs to no generation: the grant, and the hold that was refused."""
    return f"{evidence.scenes[-2].number:02d}" if entry.kind == "refused" else entry.key or ""


def _bills(evidence: Evidence) -> Section:
    rows = [
        (
            f"{bill.scene.number:02d}",
            bill.attempt.provider,
            said(bill.scene, bill.attempt),
            _credits(bill.billed),
            _credits(bill.ours) if bill.sure else f"at most {_credits(bill.ours)}",
            "agree" if bill.agrees else "DIFFER",
        )
        for bill in compared(evidence)
    ]
    total = sum(bill.amount for bill in evidence.bills)
    spent = sum(entry.amount for entry in evidence.entries if entry.kind == "charge")
    return Section(
        title="The providers' bills beside our own records",
        intro="Cost is what a provider bills us, price what the account pays; waste is never passed on.",
        columns=(">#", "provider", "attempt", ">billed", ">our record", ""),
        rows=rows,
        notes=(f"billed to us {_credits(total)}, charged to the account {_credits(spent)}",),
    )


def _proofs(proofs: Sequence[Proof]) -> Section:
    rows = [("yes" if proof.kept else "NO", proof.promise, proof.seen) for proof in proofs]
    return Section(title="What was promised, and seen", columns=("kept", "promise", "seen"), rows=rows)


def save(evidence: Evidence, proofs: Sequence[Proof], path: Path) -> None:
    """Write the run down for programs. Amounts are decimal texts in credits."""
    document = {
        "ok": all(proof.kept for proof in proofs),
        "seconds": round(evidence.seconds, 1),
        "generations": [
            {
                "number": scene.number,
                "model": scene.story.model,
                "request": dict(scene.story.request),
                "shows": scene.story.shows,
                "status": status(scene),
                "refusal": scene.refusal,
                "record": asdict(scene.generation) if scene.generation else None,
            }
            for scene in evidence.scenes
        ],
        "files": [path.name for _, _, path in evidence.files],
        "rankings": [
            [model, order, [asdict(line) for line in lines]] for model, order, lines in evidence.rankings
        ],
        "bills": [asdict(bill) for bill in evidence.bills],
        "balance": evidence.balance.available,
        "entries": len(evidence.entries),
        "proofs": [asdict(proof) for proof in proofs],
    }
    path.write_text(json.dumps(document, indent=1, default=str) + "\n", "utf-8")


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _credits(micros: int) -> str:
    return f"{Decimal(micros).scaleb(-6):.6f}"


def _signed(micros: int) -> str:
    return f"{Decimal(micros).scaleb(-6):+.6f}" if micros else ""
