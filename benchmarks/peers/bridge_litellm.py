"""LiteLLM's way from an image request to a provider's body: look up, map parameters, transform. No network.

Frozen: `image_body` calls what `litellm.image_generation` calls between its arguments and the HTTP client,
for fal. It takes six parameters and hardly validates them, so it does much less than ours.
"""

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing it fetches a price list

from litellm import LlmProviders
from litellm.utils import ProviderConfigManager, get_optional_params_image_gen

MODEL = "fal-ai/bytedance/seedream/v4.5/text-to-image"


def image_body(prompt: str, count: int, size: str) -> dict[str, Any]:
    config = ProviderConfigManager.get_provider_image_generation_config(MODEL, LlmProviders.FAL_AI)
    if config is None:
        raise LookupError(f"LiteLLM has no image parameters for {MODEL}")
    optional = get_optional_params_image_gen(
        model=MODEL,
        n=count,
        size=size,
        response_format="url",
        custom_llm_provider="fal_ai",
        provider_config=config,
        drop_params=False,
    )
    body: dict[str, Any] = config.transform_image_generation_request(
        model=MODEL, prompt=prompt, optional_params=optional, litellm_params={}, headers={}
    )
    return body
