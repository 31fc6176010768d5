"""What the providers charge: rates per native model, and which ends of a job cost anything.

Amounts are integer micro-credits (1 credit = 1 USD = 1,000,000). Rates are the list prices known in
November 2026 and are there so that a bill book looks like one; give `Sandbox(prices=...)` your own where
the figures matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from execution_arrow.sandbox.work import Bill, Job, Order, State

#: fal's model pages: 1024 x 1024 is one megapixel and 1920 x 1080 is billed as two
_MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A price in micro-credits. The parts add up; `per_output` counts files, the rest their content.

    `first_megapixel` replaces the price of each file's first (begun) megapixel. `per_million_tokens` counts
    width x height x frames / 1024, as ByteDance does. `per_second` is a number, or one per short side.
    """

    per_run: int = 0
    per_output: int = 0
    per_megapixel: int = 0
    first_megapixel: int | None = None
    per_second: int | Mapping[int, int] = 0
    per_million_tokens: int = 0

    def amount(self, order: Order) -> int:
        total = self.per_run + self.per_output * len(order.outputs)
        for output in order.outputs:
            pixels = output.width * output.height
            megapixels = -(-pixels // _MEGAPIXEL)
            if self.per_megapixel:
                first = self.per_megapixel if self.first_megapixel is None else self.first_megapixel
                total += first + self.per_megapixel * (megapixels - 1)
            milliseconds = round(output.seconds * 1000)
            total += self._second(min(output.width, output.height)) * milliseconds // 1000
            tokens = pixels * output.fps * milliseconds // (1024 * 1000)
            total += self.per_million_tokens * tokens // 1_000_000
        return total

    def _second(self, short: int) -> int:
        if isinstance(self.per_second, int):
            return self.per_second
        fitting = [side for side in self.per_second if side >= short]
        return self.per_second[min(fitting) if fitting else max(self.per_second)]


_SEEDREAM_4, _SEEDREAM_45 = Rate(per_output=30_000), Rate(per_output=40_000)
_SEEDANCE = Rate(per_million_tokens=2_500_000)
_VEO, _VEO_FAST = Rate(per_second=400_000), Rate(per_second=150_000)
#: when a model has no rate of its own
FALLBACK = {"image": Rate(per_output=40_000), "video": Rate(per_second=100_000)}
RATES: Mapping[str, Mapping[str, Rate]] = {
    "replicate": {
        "black-forest-labs/flux-schnell": Rate(per_output=3_000),
        "black-forest-labs/flux-2-pro": Rate(per_run=15_000, per_megapixel=15_000),
        "bytedance/seedream-4": _SEEDREAM_4,
        "bytedance/seedream-4.5": _SEEDREAM_45,
        "bytedance/seedance-1-pro": Rate(per_second={480: 30_000, 720: 60_000, 1088: 150_000}),
        "google/veo-3.1": _VEO,
        "google/veo-3.1-fast": _VEO_FAST,
        "openai/gpt-image-2": Rate(per_output=47_000),
        "qwen/qwen-image": Rate(per_output=25_000),
    },
    "fal": {
        "fal-ai/flux/schnell": Rate(per_megapixel=3_000),
        "fal-ai/flux-2-pro": Rate(first_megapixel=30_000, per_megapixel=15_000),
        "fal-ai/flux-2-pro/edit": Rate(first_megapixel=30_000, per_megapixel=15_000),
        "fal-ai/bytedance/seedream/v4/text-to-image": _SEEDREAM_4,
        "fal-ai/bytedance/seedream/v4/edit": _SEEDREAM_4,
        "fal-ai/bytedance/seedream/v4.5/text-to-image": _SEEDREAM_45,
        "fal-ai/bytedance/seedream/v4.5/edit": _SEEDREAM_45,
        "fal-ai/bytedance/seedance/v1/pro/text-to-video": _SEEDANCE,
        "fal-ai/bytedance/seedance/v1/pro/image-to-video": _SEEDANCE,
        "fal-ai/veo3.1": _VEO,
        "fal-ai/veo3.1/fast": _VEO_FAST,
    },
    "byteplus": {
        "seedream-4-0-250828": _SEEDREAM_4,
        "seedream-4-5-251128": _SEEDREAM_45,
        "seedance-1-0-pro-250528": _SEEDANCE,
        "seedance-1-0-pro-fast-251015": Rate(per_million_tokens=1_000_000),
    },
    "openai": {
        "gpt-image-1-mini": Rate(per_output=11_000),
        "gpt-image-2": Rate(per_output=47_000),
        "sora-2": Rate(per_second=100_000),
        "sora-2-pro": Rate(per_second={720: 300_000, 1024: 500_000}),
    },
    "alibabacloud": {
        "qwen-image-plus": Rate(per_output=30_000),
        "wan2.5-t2i-preview": Rate(per_output=30_000),
        "wan2.5-t2v-preview": Rate(per_second={480: 50_000, 720: 100_000, 1080: 150_000}),
        "wan2.5-i2v-preview": Rate(per_second={480: 50_000, 720: 100_000, 1080: 150_000}),
    },
    "bfl": {
        "flux-pro-1.1": Rate(per_output=40_000),
        "flux-pro-1.1-ultra": Rate(per_output=60_000),
        "flux-dev": Rate(per_output=25_000),
        "flux-kontext-pro": Rate(per_output=40_000),
        "flux-kontext-max": Rate(per_output=80_000),
        "flux-pro-1.0-fill": Rate(per_output=50_000),
    },
    "runway": {
        "gen4_image": Rate(per_output=80_000),
        "gen4_image_turbo": Rate(per_output=20_000),
        "gen4_turbo": Rate(per_second=50_000),
        "gen4.5": Rate(per_second=120_000),
        "veo3.1": Rate(per_second=400_000),
    },
    # 4 tiles of 512 px x $0.0000528 + 4 steps x $0.0001056
    "cloudflare": {"@cf/black-forest-labs/flux-1-schnell": Rate(per_output=634)},
}


class Share(StrEnum):
    """How much of the price an end costs."""

    ALL = "billed"
    IF_STARTED = "billed because it had started"
    RUN_TIME = "billed for the time it ran"


#: an end that is not listed is free. Replicate: canceled by run time, aborted free (its lifecycle page).
#: fal: 5xx never, a 422 after the GPU ran may be charged, a running request may be charged although canceled
#: (its FAQ and queue pages): the dear reading. ByteDance and Alibaba bill successes only. Runway: moderated
#: ones as good ones (its moderation page), canceled ones that had begun (its SDK). The others: as if.
RULES: Mapping[str, Mapping[State, Share]] = {
    "replicate": {State.SUCCEEDED: Share.ALL, State.CANCELED: Share.RUN_TIME},
    "fal": {State.SUCCEEDED: Share.ALL, State.MODERATED: Share.IF_STARTED, State.CANCELED: Share.IF_STARTED},
    "byteplus": {State.SUCCEEDED: Share.ALL},
    "cloudflare": {State.SUCCEEDED: Share.ALL},
    "openai": {State.SUCCEEDED: Share.ALL},
    "alibabacloud": {State.SUCCEEDED: Share.ALL},
    "bfl": {State.SUCCEEDED: Share.ALL},
    "runway": {
        State.SUCCEEDED: Share.ALL,
        State.MODERATED: Share.ALL,
        State.CANCELED: Share.IF_STARTED,
    },
}


class PriceList:
    """The default rates with a caller's over them, such as `{"fal": {"fal-ai/flux/schnell": 3000}}`."""

    def __init__(self, overrides: Mapping[str, Mapping[str, Rate | int]] | None = None) -> None:
        self._rates = {provider: dict(rates) for provider, rates in RATES.items()}
        for provider, rates in (overrides or {}).items():
            for model, rate in rates.items():
                if isinstance(rate, (bool, float)):
                    raise TypeError(f"the price of {model} is micro-credits as int or Rate, not {rate!r}")
                known = self._rates.setdefault(provider, {})
                known[model] = Rate(per_output=rate) if isinstance(rate, int) else rate

    def price(self, order: Order) -> int:
        """The full price of an order."""
        rate = self._rates.get(order.provider, {}).get(order.model) or FALLBACK[order.kind]
        return rate.amount(order)

    def bill(self, job: Job, now: float, reference: str | None) -> Bill | None:
        """The bill of a job that has ended by `now`, else None."""
        state = job.state(now)
        if not state.ended:
            return None
        share = RULES[job.provider].get(state)
        amount = 0 if share is None else self._share(share, job)
        return Bill(
            provider=job.provider, job=job.id, model=job.model, state=state, amount=amount, at=job.ended,
            reason=f"{state.value}: {share.value if share and amount else 'not billed'}", reference=reference,
        )  # fmt: skip

    def _share(self, share: Share, job: Job) -> int:
        price = self.price(job.order)
        if share is Share.ALL:
            return price
        started = job.ended > job.starts
        if share is Share.IF_STARTED:
            return price if started else 0
        ran, nominal = math.ceil(job.ran(job.ended) * 1000), max(1, math.ceil(job.run * 1000))
        return price * min(ran, nominal) // nominal
