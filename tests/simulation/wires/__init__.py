"""Every kind of provider that the simulator has, by name.

Shipped modules run over the words of their own wires; what calls and what answers at once are two kinds.
Three made-up ones stand beside them for what no shipped one does (a conclusive lookup, ends that are billed,
a lookup by token). `base` says how a further one is added.
"""

from __future__ import annotations

from tests.simulation.wires.alibabacloud import AlibabaCloud, DashScope
from tests.simulation.wires.base import Wire, answer
from tests.simulation.wires.bfl import Bfl
from tests.simulation.wires.byteplus import BytePlus, Pictures
from tests.simulation.wires.cloudflare import Cloudflare
from tests.simulation.wires.compact import DOCK, FERRY, QUAY
from tests.simulation.wires.fal import Fal
from tests.simulation.wires.made_up import CompactWire
from tests.simulation.wires.openai import Clips, OpenAI
from tests.simulation.wires.replicate import Replicate
from tests.simulation.wires.runway import Runway

WIRES: dict[str, Wire] = {
    "dock": CompactWire(DOCK),
    "quay": CompactWire(QUAY),
    "ferry": CompactWire(FERRY),
    "replicate": Replicate(),
    "fal": Fal(),
    "byteplus": BytePlus(),
    "pictures": Pictures(),
    "cloudflare": Cloudflare(),
    "openai": OpenAI(),
    "clips": Clips(),
    "alibaba": AlibabaCloud(),
    "dashscope": DashScope(),
    "bfl": Bfl(),
    "runway": Runway(),
}

__all__ = ["WIRES", "Wire", "answer"]
