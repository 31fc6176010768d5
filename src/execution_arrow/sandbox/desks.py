"""Which local providers there are, where each begins, and what an official client is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from execution_arrow.sandbox.alibabacloud import AlibabaCloud
from execution_arrow.sandbox.bfl import Bfl
from execution_arrow.sandbox.byteplus import BytePlus
from execution_arrow.sandbox.cloudflare import Cloudflare
from execution_arrow.sandbox.desk import Desk
from execution_arrow.sandbox.fal import Fal, FalRun
from execution_arrow.sandbox.openai import OpenAI
from execution_arrow.sandbox.replicate import Replicate
from execution_arrow.sandbox.runway import Runway

DESKS: Mapping[str, type[Desk]] = {
    "alibabacloud": AlibabaCloud,
    "bfl": Bfl,
    "byteplus": BytePlus,
    "cloudflare": Cloudflare,
    "fal": Fal,
    "fal-run": FalRun,
    "openai": OpenAI,
    "replicate": Replicate,
    "runway": Runway,
}
#: what a client's base URL holds below the host
ROOTS: Mapping[str, str] = {
    "alibabacloud": "/api/v1",
    "byteplus": "/api/v3",
    "cloudflare": "/client/v4",
    "openai": "/v1",
}
_ACCOUNT = "0" * 32


def environment(base_url: Callable[[str], str]) -> dict[str, str]:
    """The variables that official clients read; keys are made up, any value is accepted."""
    return {
        "ARK_API_KEY": "sandbox",
        "ARK_BASE_URL": base_url("byteplus"),
        "BFL_API_KEY": "sandbox",
        "CLOUDFLARE_ACCOUNT_ID": _ACCOUNT,
        "CLOUDFLARE_API_TOKEN": "sandbox",
        "CLOUDFLARE_BASE_URL": base_url("cloudflare"),
        "DASHSCOPE_API_KEY": "sk-sandbox",
        "DASHSCOPE_HTTP_BASE_URL": base_url("alibabacloud"),
        "FAL_KEY": "sandbox:key",
        "FAL_QUEUE_RUN_HOST": base_url("fal").partition("://")[2],
        "FAL_RUN_HOST": base_url("fal-run").partition("://")[2],
        "OPENAI_API_KEY": "sk-sandbox",
        "OPENAI_BASE_URL": base_url("openai"),
        "REPLICATE_API_TOKEN": "r8_sandbox",
        "REPLICATE_BASE_URL": base_url("replicate"),
        "RUNWAYML_API_SECRET": "key_sandbox",
        "RUNWAYML_BASE_URL": base_url("runway"),
    }
