"""One request in, one payload out: the compiled mapping against four ways of doing without it.

All sides take the same dict, validate twelve fields, fill in defaults, refuse unknown fields and give the
same body; that they do is checked before anything is timed. Ours also decides eligibility, and refuses URLs
that are never public. The peers: pydantic with our own compiled mapper (what the strict door costs), pydantic
with a function written by hand, one function written by hand for this one model and provider, and the image
path of LiteLLM, which takes six parameters. A peer that is not installed fails.

Time is the thread's processor time, so that a busy machine tilts no ratio.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.harness import Report, interleave
from benchmarks.peers import bridge_by_hand, bridge_litellm
from benchmarks.peers.bridge_pydantic import MediaRequest, validate_and_map
from rosetta_bridge import Catalog, InvalidRequest, Model, Request
from rosetta_bridge.compiled.doubts import request_of
from rosetta_bridge.render import render_route

HERE = Path(__file__).parent
COUNT = 400
GOOD: dict[str, Any] = {
    "generation_prompt": "a lighthouse at dusk, waves breaking on black rocks, slow dolly in, film grain",
    "generation_negative_prompt": "text, watermark",
    "generation_ratio": "9:16",
    "generation_resolution": "1080p",
    "generation_duration": 10,
    "generation_output_number": 2,
    "generation_input_file": ["https://cdn.example.com/a/first.png", "https://cdn.example.com/b/second.png"],
    "generation_seed": 1234567,
    "generation_guidance": 7,
    "generation_generate_audio": True,
    "generation_moderation": False,
    "generation_output_format": "webm",
}
BAD: dict[str, Any] = {
    **GOOD,
    "generation_ratio": "16x9",
    "generation_output_number": 9,
    "generation_seed": "7",
    "generation_promt": "typo",
}
FOUR: dict[str, Any] = {
    "generation_prompt": GOOD["generation_prompt"],
    "generation_output_number": 2,
    "generation_ratio": "1:1",
    "generation_resolution": "2K",
}
FIRST = """
import time; start = time.process_time()
from rosetta_bridge import Catalog
Catalog.shipped()["bytedance/seedream-4.5"].normalize({"generation_prompt": "a lighthouse"})
print(time.process_time() - start)
"""


ALL = """
import tracemalloc; tracemalloc.start()
from rosetta_bridge import Catalog
from rosetta_bridge.compiled.compile import compile_judge, compile_mapping
from rosetta_bridge.compiled.payload import compile_payload
from rosetta_bridge.compiled.request import compile_request
catalog = Catalog.shipped(include="secondary")
models, kept = [catalog[name] for name in catalog.models()], []
before = tracemalloc.get_traced_memory()[0]
for model in models:
    kept.append(compile_request(model.contract, catalog.providers()))
    for mapping in model.mappings.values():
        kept.append(compile_mapping(mapping, model.contract, "digest"))
        kept.append(compile_judge(mapping, model.contract))
        kept.append(compile_payload(mapping, model.contract, catalog.providers(), "digest"))
print((tracemalloc.get_traced_memory()[0] - before) / 1e6)
"""


def main() -> None:
    """Print every figure and exit."""
    report = Report("bridge")
    model = Catalog.open(HERE / "catalog", shipped=False)["bench/media"]
    ours = model.render(model.normalize(GOOD), "fal").arguments
    if (
        not ours
        == model.payload(GOOD, "fal").arguments
        == validate_and_map(GOOD)
        == bridge_by_hand.validate_and_map(GOOD)
    ):
        raise SystemExit("bridge: a peer says another payload; correct the peer before measuring")
    candidates = _candidates(model)
    gc.collect()
    gc.freeze()  # LiteLLM's many objects are nobody's garbage
    rounds = interleave(candidates, rounds=15, operations=COUNT, timer=time.thread_time)
    for peer, target in (
        ("pydantic and the same mapper", 1.5),
        ("a hand-written function", 1.1),
        ("LiteLLM's image parameters", 5.0),
        ("interpreter", 3.0),
    ):
        report.faster(f"dict in, payload out, beside {peer}", rounds.compare("ours", peer), target)
    steps = rounds.compare("normalize, then render", "a hand-written function")
    report.context("normalize, then render, beside a hand-written function", steps.speedup, unit="x")
    alike = rounds.compare("four parameters", "LiteLLM's image parameters")
    report.context(f"four image parameters, beside {alike.peer}", alike.speedup, unit="x")
    by_hand = rounds.compare("ours", "pydantic and a hand-written mapper")
    report.context(f"dict in, payload out, beside {by_hand.peer}", by_hand.speedup, unit="x")
    share = rounds.median("next provider") / rounds.median("normalize")
    metric = "render for the next provider, share of a normalize"
    report.at_most(metric, share, 0.35, peer="normalize", unit="x")
    report.faster("refusal with all issues", rounds.compare("refusal", "refusal by pydantic"), 1.0)
    for name in candidates:
        report.context(f"{name}, time", rounds.median(name) * 1e6, unit="us")
    _starts(report)
    report.finish()


def _candidates(model: Model) -> dict[str, Callable[[], None]]:
    request, route = model.normalize(GOOD), model.mappings["fal"].routes[1]
    image = Catalog.shipped()["bytedance/seedream-4.5"]
    given = request.given

    def same_mapper() -> None:
        values = MediaRequest.model_validate(GOOD).model_dump(exclude_none=True)
        model.render(Request(model.id, "video", values, given, "fastest", 1, "1080p/10s"), "fal")

    def interpreted() -> None:
        asked = request_of(model.contract, frozenset(), GOOD)
        render_route(route, model.contract, asked.values, asked.given)

    def refused_by_peer() -> None:
        try:
            MediaRequest.model_validate(BAD)
        except ValidationError as error:
            error.errors()

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: model.payload(GOOD, "fal"),
        "normalize, then render": lambda: model.render(model.normalize(GOOD), "fal"),
        "pydantic and the same mapper": same_mapper,
        "pydantic and a hand-written mapper": lambda: validate_and_map(GOOD),
        "a hand-written function": lambda: bridge_by_hand.validate_and_map(GOOD),
        "LiteLLM's image parameters": lambda: bridge_litellm.image_body(
            GOOD["generation_prompt"], 2, "1024x1024"
        ),
        "four parameters": lambda: image.payload(FOUR, "fal"),
        "interpreter": interpreted,
        "normalize": lambda: model.normalize(GOOD),
        "next provider": lambda: model.render(request, "replicate"),
        "eligible, of two providers": lambda: model.eligible(request),
        "refusal": lambda: _refused(model),
        "refusal by pydantic": refused_by_peer,
    }
    return {name: _repeated(call) for name, call in calls.items()}


def _refused(model: Model) -> None:
    try:
        model.normalize(BAD)
    except InvalidRequest as error:  # pydantic gives no hints, so none is read here
        [(issue.field, issue.code, issue.message) for issue in error.issues]


def _repeated(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(COUNT):
            call()

    return run


def _starts(report: Report) -> None:
    """A fresh process to its first request; then all models, loaded, checked and compiled."""
    runs = [subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
            for _ in range(5)]  # fmt: skip
    best = min(float(run.stdout) * 1e3 for run in runs)
    report.at_most("import and first normalize, best of 5", best, 150.0, peer=None, unit="ms")
    catalog, loads = Catalog.shipped(include="secondary"), []
    for name in catalog.models():
        start = time.thread_time()
        catalog[name]
        loads.append((time.thread_time() - start) * 1e3)
    median, models = sorted(loads)[len(loads) // 2], len(loads)
    report.context("load and check one model, median", median, unit="ms", models=models)
    report.context("load and check one model, slowest", max(loads), unit="ms", models=models)
    report.context("load and check all models", sum(loads) / 1e3, unit="s", models=models)
    run = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, check=True)
    report.at_most("all models compiled", float(run.stdout), 60.0, peer=None, unit="MB", models=models)
    report.context("size of the good request", len(json.dumps(GOOD)), unit="bytes")


if __name__ == "__main__":
    main()
