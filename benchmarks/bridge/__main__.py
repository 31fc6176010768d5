"""One request in, one payload out: the compiled mapping against pydantic plus a mapper.

Both sides take the same dict, validate twelve fields, fill in defaults, refuse unknown fields and give the
same body; that they do is checked before anything is timed. Ours also decides eligibility and URL safety.

Two peers. Pydantic with our own compiled mapper has the target: it shows what the strict door costs. Pydantic
with a function written by hand for this one model and provider is context: what no code per model costs.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.harness import Report, interleave
from benchmarks.peers.bridge_pydantic import MediaRequest, validate_and_map
from rosetta_bridge import Catalog, InvalidRequest, Model, Request
from rosetta_bridge.normalize import normalize
from rosetta_bridge.render import render_route

HERE = Path(__file__).parent
COUNT = 400
TARGET = 0.8  # parity, less the noise of a busy machine
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
FIRST = """
import time; start = time.perf_counter()
from rosetta_bridge import Catalog
Catalog.shipped()["bytedance/seedream-4.5"].normalize({"generation_prompt": "a lighthouse"})
print(time.perf_counter() - start)
"""


def main() -> None:
    """Print every figure and exit."""
    report = Report("bridge")
    model = Catalog.open(HERE / "catalog", shipped=False)["bench/media"]
    if model.render(model.normalize(GOOD), "fal").arguments != validate_and_map(GOOD):
        raise SystemExit("bridge: the peer says another payload; correct the peer before measuring")
    candidates = _candidates(model)
    rounds = interleave(candidates, rounds=15, operations=COUNT)
    report.faster("dict in, payload out", rounds.compare("ours", "pydantic and the same mapper"), TARGET)
    report.faster("compiled over interpreted", rounds.compare("ours", "interpreter"), 3.0)
    by_hand = rounds.compare("ours", "pydantic and a hand-written mapper")
    report.context("dict in, payload out", by_hand.speedup, unit="x", peer=by_hand.peer)
    for name in candidates:
        report.context(f"{name}, time", rounds.median(name) * 1e6, unit="us")
    share = rounds.median("next provider") / rounds.median("normalize")
    report.context("render for the next provider, share of a normalize", share, unit="x", peer="normalize")
    refusal = rounds.compare("refusal", "refusal by pydantic").speedup
    report.context("refusal with all issues", refusal, unit="x", peer="refusal by pydantic")
    _starts(report)
    report.finish()


def _candidates(model: Model) -> dict[str, Callable[[], None]]:
    request, route = model.normalize(GOOD), model.mappings["fal"].routes[1]
    given = request.given

    def same_mapper() -> None:
        values = MediaRequest.model_validate(GOOD).model_dump(exclude_none=True)
        model.render(Request(model.id, "video", values, given, "fastest", 1, "1080p/10s"), "fal")

    def interpreted() -> None:
        values, named, _order = normalize(model.contract, GOOD, frozenset())
        render_route(route, model.contract, values, named)

    def refused() -> None:
        with suppress(InvalidRequest):
            model.normalize(BAD)

    def refused_by_peer() -> None:
        try:
            MediaRequest.model_validate(BAD)
        except ValidationError as error:
            error.errors()

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: model.render(model.normalize(GOOD), "fal"),
        "pydantic and the same mapper": same_mapper,
        "pydantic and a hand-written mapper": lambda: validate_and_map(GOOD),
        "interpreter": interpreted,
        "normalize": lambda: model.normalize(GOOD),
        "next provider": lambda: model.render(request, "replicate"),
        "refusal": refused,
        "refusal by pydantic": refused_by_peer,
    }
    return {name: _repeated(call) for name, call in calls.items()}


def _repeated(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(COUNT):
            call()

    return run


def _starts(report: Report) -> None:
    """Context: a fresh process, and the time a model takes to load and check."""
    firsts = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
        firsts.append(float(done.stdout) * 1e3)
    report.context("import and first normalize, best of 5", min(firsts), unit="ms")
    catalog, loads = Catalog.shipped(include="secondary"), []
    for name in catalog.models():
        start = time.perf_counter()
        catalog[name]
        loads.append((time.perf_counter() - start) * 1e3)
    report.context(
        "load and check one model, median", sorted(loads)[len(loads) // 2], unit="ms", models=len(loads)
    )
    report.context("load and check one model, slowest", max(loads), unit="ms", models=len(loads))
    report.context("size of the good request", len(json.dumps(GOOD)), unit="bytes")


if __name__ == "__main__":
    main()
