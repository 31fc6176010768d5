"""The demonstration keeps its promises, and would say so if it did not."""

from __future__ import annotations

import functools
import html
import io
import json
import re
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.demo import __main__ as demo
from examples.demo import live, proofs
from examples.demo.live import Cheapest
from examples.demo.proofs import prove
from examples.demo.screen import Live, Plain, Section
from examples.demo.stage import Evidence, Scene
from examples.demo.stories import ISSUES, QUICK, SHOW, TOO_DEAR, WRONG, acts
from execution_arrow import Status
from execution_arrow.machine.state import Outcome
from execution_arrow.sandbox import Sandbox
from rosetta_bridge import Catalog, InvalidRequest
from tools import recording

STORIES = [story for act in acts(SHOW) for story in act.stories]


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One quick run: exit code, screen, files, record; then each proof against forged evidence.

    One test, because each of its parts would have to pay for a run of its own.
    """
    kept: list[Evidence] = []
    monkeypatch.setattr(proofs, "decoded", functools.cache(proofs.decoded))  # once per file, not per forgery
    monkeypatch.setattr(demo, "prove", lambda evidence: kept.append(evidence) or prove(evidence))
    folder = tmp_path / "out"
    code = demo.main(["--quick", "--plain", "--out", str(folder)])
    screen = capsys.readouterr().out
    assert code == 0, screen
    record = json.loads((folder / "demo.json").read_text("utf-8"))
    assert record["ok"] is True
    assert all(proof["kept"] for proof in record["proofs"])
    assert {path.name for path in folder.iterdir()} == {"data", "demo.json", *record["files"]}
    assert "01-seedream-4.5-lighthouse.jpg" in record["files"]
    assert {"ledger.db", "arrow.db", "artifacts"} <= {path.name for path in (folder / "data").iterdir()}
    _check_screen(screen)
    _check_record(record)
    _check_recording(record)
    (evidence,) = kept
    for forge, promise in FORGERIES.items():
        broken = [proof.promise for proof in prove(forge(evidence)) if not proof.kept]
        assert any(promise in text for text in broken), f"{forge.__name__}: only {broken}"
    _check_table(evidence)


def _check_screen(screen: str) -> None:
    """What a person sees, in the order in which it has to happen."""
    steps = (
        r"byteplus: unreachable", r"replicate: asked", r"fal: answer lost", r"replicate: overdue",
        r"fal: used",
        r"needs 4\.8, has", r"4 issues", r"replicate: late, discarded", r"did you mean generation_prompt\?",
        r"fastest first", r"charge +\d\d", r"no problem", r"fal +answer lost .* at most .* agree",
        r"all \d+ promises kept",
    )  # fmt: skip
    assert re.search(".*".join(steps), screen, re.DOTALL), screen
    assert "NO " not in screen


def _check_recording(record: dict[str, Any]) -> None:
    """After a change of what is performed or shown: `python -m tools.recording`."""
    told = html.unescape(re.search("<desc>(.*)</desc>", recording.PICTURE.read_text("utf-8"), re.S)[1])  # type: ignore[index]
    programme, _, frame = told.partition("\n")
    assert programme == recording.programme()
    shown = [tuple(line.split()[1:]) for line in frame.splitlines() if re.match(r" *\d+ +[a-z]", line)]
    for entry in record["generations"]:
        made = entry["record"]
        words = ["refused"] if made is None else [made["status"], f"{Decimal(made['charged']).normalize():f}"]
        row = {entry["model"].partition("/")[2], *words}
        assert any(row <= set(line) for line in shown), f"{row} is not in the recording"


def _check_record(record: dict[str, Any]) -> None:
    made = [entry["record"] for entry in record["generations"] if entry["record"]]
    assert len({generation["model"] for generation in made}) == 10
    assert len(made) == sum(len(act.stories) for act in acts(QUICK))
    waste = sum(Decimal(generation["waste"]) for generation in made)
    maybe = sum(Decimal(generation["possible_waste"]) for generation in made)
    charged = sum(Decimal(generation["charged"]) for generation in made)
    assert (waste, maybe) == (Decimal("0.11"), Decimal("0.03"))
    assert Decimal(record["balance"]) == 5 - charged


def _check_table(evidence: Evidence) -> None:
    """The live table fits a terminal of 80 columns: one line per scene, nothing cut."""
    from rich.console import Console

    live = Live()
    live.console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    for scene in evidence.scenes:
        live.changed(scene)
    with live.console.capture() as captured:
        live.console.print(live.picture())
    lines = captured.get().splitlines()
    rows = [line for line in lines if re.match(r" *\d+ [a-z]", line)]
    assert len(rows) == len(evidence.scenes)
    assert "wasted" in captured.get()
    assert any("0.03?" in row for row in rows)
    assert any("overdue" in row or "late, discarded" in row for row in rows)


# --- forged evidence: what each proof has to notice -----------------------------------------------------


def _with(evidence: Evidence, name: str, **changes: Any) -> Evidence:
    """The evidence with the generation of one story changed."""
    scenes = [
        Scene(s.number, s.story, replace(s.generation, **changes), s.refusal, s.doubted)
        if s.story.name == name and s.generation is not None
        else s
        for s in evidence.scenes
    ]
    return replace(evidence, scenes=scenes)


def _attempts(evidence: Evidence, name: str) -> Any:
    return next(s.generation.attempts for s in evidence.scenes if s.story.name == name and s.generation)


def another_end(evidence: Evidence) -> Evidence:
    return _with(evidence, "storm", status=Status.FAILED)


def one_kind(evidence: Evidence) -> Evidence:
    return replace(evidence, files=[entry for entry in evidence.files if entry[1].seconds is None])


def cut_file(evidence: Evidence) -> Evidence:
    scene, file, path = evidence.files[0]
    return replace(evidence, files=[(scene, replace(file, sha256="0" * 64), path)])


def file_missing(evidence: Evidence) -> Evidence:
    return replace(evidence, files=[entry for entry in evidence.files if entry[0].story.name != "island"])


def asked_too_soon(evidence: Evidence) -> Evidence:
    """The second call of the throttled generation, 0.8 s after the first one."""
    first, second = (attempt.id for attempt in _attempts(evidence, "buoy"))
    at = next(call.at for call in evidence.calls if call.reference == first)
    calls = (replace(call, at=at + 0.8) if call.reference == second else call for call in evidence.calls)
    return replace(evidence, calls=tuple(calls))


def never_throttled(evidence: Evidence) -> Evidence:
    calls = (replace(call, status=200) if call.status == 429 else call for call in evidence.calls)
    return replace(evidence, calls=tuple(calls))


def sent_twice(evidence: Evidence) -> Evidence:
    again = next(call for call in evidence.calls if call.on == "submit")
    return replace(evidence, calls=(*evidence.calls, again))


def unrecorded(evidence: Evidence) -> Evidence:
    stray = replace(next(call for call in evidence.calls if call.on == "submit"), reference="att_stray")
    return replace(evidence, calls=(*evidence.calls, stray))


def sent_there_again(evidence: Evidence) -> Evidence:
    first, second = _attempts(evidence, "keeper")
    return _with(evidence, "keeper", attempts=(first, replace(second, provider=first.provider)))


def waste_forgotten(evidence: Evidence) -> Evidence:
    return _with(evidence, "keeper", possible_waste=Decimal(0))


def not_looked_up(evidence: Evidence) -> Evidence:
    return replace(evidence, calls=tuple(call for call in evidence.calls if call.on != "list"))


def late_is_free(evidence: Evidence) -> Evidence:
    return _with(evidence, "aurora", waste=Decimal(0))


def late_is_used(evidence: Evidence) -> Evidence:
    late, used = _attempts(evidence, "aurora")
    return _with(evidence, "aurora", attempts=(replace(late, outcome=Outcome.USED), used))


def dear_was_sent(evidence: Evidence) -> Evidence:
    return replace(evidence, sent=True)


def dear_was_held(evidence: Evidence) -> Evidence:
    return replace(evidence, moved=True)


def one_issue(evidence: Evidence) -> Evidence:
    assert evidence.wrong is not None
    return replace(evidence, wrong=type(evidence.wrong)(evidence.wrong.issues[:1]))


def clicked_twice(evidence: Evidence) -> Evidence:
    return replace(evidence, repeated="gen_second")


def charged_twice(evidence: Evidence) -> Evidence:
    again = next(entry for entry in evidence.entries if entry.kind == "charge")
    return replace(evidence, entries=[*evidence.entries, again])


def failure_charged(evidence: Evidence) -> Evidence:
    return _with(evidence, "wreck", charged=Decimal("0.003"))


def entry_changed(evidence: Evidence) -> Evidence:
    from ledger_fortress.audit import replay

    entries = [
        entry._replace(amount=entry.amount + 1) if entry.kind == "charge" else entry
        for entry in evidence.entries
    ]
    return replace(evidence, replayed=replay(entries))


def bill_differs(evidence: Evidence) -> Evidence:
    first, *rest = evidence.bills
    return replace(evidence, bills=(replace(first, amount=first.amount + 1), *rest))


def bill_of_nobody(evidence: Evidence) -> Evidence:
    return replace(evidence, bills=(*evidence.bills, replace(evidence.bills[0], reference="att_stray")))


FORGERIES = {
    another_end: "as the programme says",
    one_kind: "ten models",
    cut_file: "real file",
    file_missing: "real file",
    asked_too_soon: "throttled",
    never_throttled: "throttled",
    sent_twice: "at most once per attempt",
    unrecorded: "at most once per attempt",
    sent_there_again: "lost for good",
    waste_forgotten: "lost for good",
    not_looked_up: "found in the provider's list",
    late_is_free: "late result",
    late_is_used: "late result",
    dear_was_sent: "cannot pay",
    dear_was_held: "cannot pay",
    one_issue: "all its issues",
    clicked_twice: "idempotency key",
    charged_twice: "settled exactly once",
    failure_charged: "only successes were charged",
    entry_changed: "replay",
    bill_differs: "bills",
    bill_of_nobody: "bills",
}


# --- without a run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [*STORIES, TOO_DEAR], ids=lambda story: story.name)
def test_stories_ask_for_what_exists(story: Any) -> None:
    """Every request is valid, every provider that its attempts name can honour it, and who is to deliver
    has a known cost."""
    model = Catalog.shipped()[story.model]
    request = model.normalize(story.request)
    asked = {attempt.partition(" ")[0] for attempt in story.attempts or ()}
    assert asked <= set(model.eligible(request))
    paid = {attempt.partition(" ")[0] for attempt in story.attempts or () if not attempt.endswith("failed")}
    assert all(model.cost(request, provider) is not None for provider in paid)


def test_the_wrong_request_has_these_issues() -> None:
    with pytest.raises(InvalidRequest) as no:
        Catalog.shipped()[WRONG.model].normalize(WRONG.request)
    assert {(issue.field, issue.code) for issue in no.value.issues} == ISSUES


def test_a_fresh_folder_keeps_what_is_not_ours(tmp_path: Path) -> None:
    """Of an earlier run everything goes, of anybody else nothing."""
    (tmp_path / "01-holiday.jpg").touch()
    (tmp_path / "02-flux-schnell-harbour.jpg").touch()
    (tmp_path / "demo.json").write_text('{"files": ["02-flux-schnell-harbour.jpg"]}')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "arrow.db-wal").touch()
    demo.fresh(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-holiday.jpg", "data"]
    (tmp_path / "data" / "thesis.md").touch()
    with pytest.raises(FileExistsError, match=r"thesis\.md.*--out"):
        demo.fresh(tmp_path)
    assert (tmp_path / "data" / "thesis.md").exists()


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server to run, one line says what to install, and the exit code is 2."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert demo.main(["--plain", "--out", str(tmp_path)]) == 2
    assert "pip install 'babysea-primitives[sandbox]'" in capsys.readouterr().err


def test_an_interrupt_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupted(*_: object) -> Evidence:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "perform", interrupted)
    assert demo.main(["--plain", "--out", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_broken_promise_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One proof that fails is enough for exit code 1 and a line that says so."""
    from examples.demo.proofs import Proof

    async def performed(*_: object) -> object:
        return object()

    monkeypatch.setattr(demo, "perform", performed)
    monkeypatch.setattr(demo, "sections", lambda *_: [])
    monkeypatch.setattr(demo, "save", lambda *_: None)
    monkeypatch.setattr(proofs, "decoded", functools.cache(proofs.decoded))  # once per file, not per forgery
    monkeypatch.setattr(demo, "prove", lambda _: [Proof("a", True, ""), Proof("b", False, "")])
    assert demo.main(["--plain", "--out", str(tmp_path)]) == 1
    assert "1 of 2 promises were NOT kept" in capsys.readouterr().out


@pytest.mark.parametrize("screen", [Plain, Live], ids=lambda screen: screen.__name__)
def test_sections_are_tables(screen: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Both screens print title, heads, cells and notes; markup in a cell stays text."""
    section = Section(title="Bills", columns=("name", ">amount"), rows=[("[red]x", "5")], notes=("sum: 5",))
    screen().section(section)
    shown = capsys.readouterr().out
    for text in ("Bills", "name", "amount", "[red]x", "sum: 5"):
        assert text in shown


def test_live_names_the_variable_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent without a key, and a name that is not there is told apart."""
    assert demo.main(["--live", "fal", "--out", str(tmp_path)]) == 2
    assert "fal: no key: set FAL_KEY" in capsys.readouterr().out
    assert demo.main(["--live", "--out", str(tmp_path)]) == 2
    assert "replicate: no key: set REPLICATE_API_TOKEN" in capsys.readouterr().out
    assert demo.main(["--live", "fall", "--out", str(tmp_path)]) == 2
    assert "no provider 'fall'; there are" in capsys.readouterr().out


def test_live_asks_for_one_cheap_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a key in the environment; here it is a stand-in that is asked."""
    with Sandbox(timing=QUICK.timing) as box:
        monkeypatch.setenv("FAL_KEY", "made-up")
        place = {name: value for name, value in box.options().items() if name != "credentials"}
        monkeypatch.setattr(
            live, "cheapest", lambda catalog, name: Cheapest(3_000, "bfl/flux-schnell", ASKED)
        )
        assert live.live(["fal"], tmp_path, **place) == 0
        told = capsys.readouterr().out
        assert "list price, 0.003 USD, will be on your bill" in told
        assert [call.on for call in box.calls() if call.on == "submit"] == ["submit"]
        box.fault("fal", "no_credit")
        assert live.live(["fal"], tmp_path / "again", **place) == 1
    assert (tmp_path / "live-fal.jpg").is_file()


ASKED = {"generation_prompt": "a lighthouse", "generation_provider_order": "fal"}


class Some(Catalog):
    """A few of the shipped models: with and without a price, a clip."""

    def models(self) -> tuple[str, ...]:
        return ("bytedance/seedream-4.5", "bytedance/seedream-4", "google/nano-banana", "google/veo-3.1")


def test_the_cheapest_picture() -> None:
    offer = live.cheapest(Some.shipped(), "byteplus")
    assert offer is not None
    assert (offer.model, offer.cost) == ("bytedance/seedream-4", 30_000)
    assert live.cheapest(Some.shipped(), "runway") is None  # no list price: nobody guesses
