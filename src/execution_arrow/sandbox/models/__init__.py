"""The models each local provider knows and the input it takes for them.

Transcribed from the providers' own descriptions (Replicate's and fal's model pages and type files, BytePlus'
and OpenAI's SDKs, Model Studio's help, Cloudflare's model JSON; November 2026) as JSON Schema, so that a
request which the real one would refuse is refused here. It is a second, independent transcription on purpose:
it judges the mapping catalogue and is not made from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import Model
from execution_arrow.sandbox.models.alibabacloud import ALIBABACLOUD
from execution_arrow.sandbox.models.bfl import BFL
from execution_arrow.sandbox.models.byteplus import BYTEPLUS
from execution_arrow.sandbox.models.cloudflare import CLOUDFLARE
from execution_arrow.sandbox.models.fal import FAL
from execution_arrow.sandbox.models.openai import OPENAI
from execution_arrow.sandbox.models.others import OTHERS
from execution_arrow.sandbox.models.replicate import REPLICATE
from execution_arrow.sandbox.models.runway import RUNWAY

MODELS: Mapping[str, Mapping[str, Model]] = {
    "replicate": {**OTHERS["replicate"], **REPLICATE},
    "fal": {**OTHERS["fal"], **FAL},
    "alibabacloud": ALIBABACLOUD,
    "bfl": BFL,
    "byteplus": BYTEPLUS,
    "cloudflare": CLOUDFLARE,
    "openai": OPENAI,
    "runway": RUNWAY,
}
