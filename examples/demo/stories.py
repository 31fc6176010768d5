"""The programme: what is asked of whom, what goes wrong meanwhile, and how it has to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution_arrow import Policy, Status
from execution_arrow.sandbox import Fault, Rate, Timing

CREDITS = "5"
PATIENCE = 1.0  # seconds for which a provider that throttles us wants to be left alone
#: Where the catalogue and the sandbox's list differ: that has Veo's price with sound, and not the other two.
PRICES: Mapping[str, Mapping[str, Rate | int]] = {
    "fal": {"fal-ai/veo3.1": Rate(per_second=200_000)},
    "replicate": {"openai/gpt-image-2": 47_000, "qwen/qwen-image": 25_000},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds. `QUICK` is for tests."""

    timing: Timing
    patience: float  # how long a lost answer is looked for
    deadline: float  # of the attempt that will be overdue
    late: float  # how much later its result arrives
    poll: float | None  # how often a provider is asked; None: as it wishes, BytePlus and Runway every five


SHOW = Pace(timing=Timing(queue=0.6, image=1.8, video=3.5), patience=2.0, deadline=5.0, late=12.0, poll=None)
QUICK = Pace(timing=Timing(queue=0.05, image=0.2, video=0.4), patience=0.5, deadline=2.5, late=4.5, poll=0.2)


@dataclass(frozen=True, slots=True)
class Story:
    """One generation. `attempts` are those it has to come to; None leaves them to the ranking."""

    name: str
    model: str
    request: Mapping[str, Any]
    shows: str
    attempts: tuple[str, ...] | None = None
    policy: Policy | None = None
    status: Status = Status.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Act:
    """Stories that run at the same time, once these faults have been switched on."""

    title: str
    stories: tuple[Story, ...]
    faults: tuple[tuple[str, Fault], ...] = ()


def acts(pace: Pace) -> tuple[Act, ...]:
    """The generations that are accepted, in three acts."""
    learned = Story(
        "chart", "bfl/flux-schnell", ask("an old sea chart", provider_order="cheapest"),
        shows="the cheapest by what was learned",
    )  # fmt: skip
    return (
        Act("all eight providers are well", _well()),
        Act("BytePlus is down, the others misbehave", _ill() + _odd(pace), _faults(pace)),
        Act("the ranking has learned", (learned,)),
    )


def ask(prompt: str, **fields: Any) -> dict[str, Any]:
    """A public request; every field of one begins with `generation_`."""
    return {"generation_prompt": prompt, **{f"generation_{name}": value for name, value in fields.items()}}


def _faults(pace: Pace) -> tuple[tuple[str, Fault], ...]:
    """Each meets one story: it strikes once, at one native model. Only `down` is for everybody."""
    seedream, flux = "fal-ai/bytedance/seedream/v4/text-to-image", "black-forest-labs/flux-2-pro"
    return (
        ("byteplus", Fault("down")),
        ("fal", Fault("lost_reply", times=1, model=seedream)),
        ("fal", Fault("rate_limited", times=1, model="fal-ai/flux/schnell", seconds=PATIENCE)),
        ("replicate", Fault("lost_reply", times=1, model="bytedance/seedream-4")),
        ("replicate", Fault("late", times=1, model=flux, seconds=pace.late)),
        ("runway", Fault("moderation", times=1, model="gen4_image")),
        ("openai", Fault("no_credit", times=1, model="gpt-image-2")),
        ("alibabacloud", Fault("job_fails", times=1, model="qwen-image")),
    )


def _well() -> tuple[Story, ...]:
    return (
        Story(
            "lighthouse", "bytedance/seedream-4.5", ask("a lighthouse at dusk", ratio="16:9"),
            shows="the answer to one call names the picture",
            attempts=("byteplus used",),
        ),
        Story(
            "harbour", "bfl/flux-schnell",
            ask("a quiet harbour, morning fog", provider_order="cloudflare, fal"),
            shows="the answer to one call is the picture",
            attempts=("cloudflare used",),
        ),
        Story(
            "storm", "google/veo-3.1",
            ask("waves break on the rocks", duration=4, provider_order="fal, replicate"),
            shows="a clip from a queue",
            attempts=("fal used",),
        ),
        Story(
            "beam", "bytedance/seedance-1-pro",
            ask("the beam sweeps over the sea", resolution="480p", duration=4),
            shows="a clip from a task",
            attempts=("byteplus used",),
        ),
        Story(
            "spray", "bfl/flux-1.1-pro",
            ask("spray over the pier", ratio="4:3", provider_order="bfl, fal"),
            shows="asked for at an address of its own",
            attempts=("bfl used",),
        ),
    )  # fmt: skip


def _ill() -> tuple[Story, ...]:
    return (
        Story(
            "island", "bytedance/seedream-4.5",
            ask("an island under the stars", ratio="3:2", provider_order="byteplus, replicate, fal"),
            shows="provider down: the next one is asked",
            attempts=("byteplus failed", "replicate used"),
        ),
        Story(
            "ferry", "bytedance/seedance-1-pro",
            ask("a ferry", ratio="9:16", resolution="480p", duration=2, provider_order="byteplus, fal"),
            shows="the same for a clip",
            attempts=("byteplus failed", "fal used"),
        ),
        Story(
            "buoy", "bfl/flux-schnell",
            ask("a red buoy in calm water", ratio="3:2", provider_order="fal"),
            shows="throttled: asked again when it said",
            attempts=("fal failed", "fal used"),
        ),
        Story(
            "wreck", "runway/gen-4-image",
            ask("what the provider's filter refuses", ratio="16:9", provider_order="runway, replicate"),
            shows="moderated: nobody else asked; we pay, nobody is charged",
            attempts=("runway failed",),
            status=Status.FAILED,
        ),
        Story(
            "signal", "openai/gpt-image-2",
            ask("signal flags on a mast", provider_order="openai, replicate"),
            shows="our account there is empty: the next one is asked",
            attempts=("openai failed", "replicate used"),
        ),
        Story(
            "junk", "qwen/image",
            ask("a junk under sail", ratio="16:9", provider_order="alibabacloud, replicate"),
            shows="the answer says that it failed",
            attempts=("alibabacloud failed", "replicate used"),
        ),
    )  # fmt: skip


def _odd(pace: Pace) -> tuple[Story, ...]:
    """Those where what happened is not what was told."""
    return (
        Story(
            "keeper", "bytedance/seedream-4",
            ask("the keeper climbs the stairs", provider_order="fal, replicate"),
            shows="answer lost: never sent there twice",
            attempts=("fal unknown", "replicate used"),
            policy=Policy(unknown_patience=pace.patience),
        ),
        Story(
            "gulls", "bytedance/seedream-4",
            ask("gulls around the lantern", ratio="4:3", provider_order="replicate, fal"),
            shows="answer lost, job found by looking",
            attempts=("replicate used",),
        ),
        Story(
            "aurora", "bfl/flux-2-pro",
            ask("aurora above the tower", ratio="16:9", provider_order="replicate, fal"),
            shows="overdue: the late result is discarded",
            attempts=("replicate discarded", "fal used"),
            policy=Policy(attempt_deadline=pace.deadline, generation_deadline=90),
        ),
    )  # fmt: skip


# --- what must not be dispatched ------------------------------------------------------------------------

TOO_DEAR = Story(
    "bay", "google/veo-3.1",
    ask("the whole bay from above", resolution="4k", duration=8, generate_audio=True),
    shows="not enough credits: nothing is sent",
    attempts=(),
    status=Status.FAILED,
)  # fmt: skip
WRONG = Story(
    "typo", "bytedance/seedream-4.5",
    {"generation_promt": "a lighthouse", "generation_ratio": "17:9", "generation_output_number": 99},
    shows="a wrong request: all its issues at once",
    attempts=(),
    status=Status.FAILED,
)  # fmt: skip
ISSUES = {
    ("generation_promt", "unknown_field"),
    ("generation_prompt", "required"),
    ("generation_ratio", "value"),
    ("generation_output_number", "range"),
}
