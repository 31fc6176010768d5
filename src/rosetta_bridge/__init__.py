"""One strict public request in, each provider's native payload out, from declarative mapping files.

    from rosetta_bridge import Catalog

    model = Catalog.shipped()["bytedance/seedream-4.5"]
    request = model.normalize({"generation_prompt": "a lighthouse", "generation_ratio": "16:9"})
    for provider in model.eligible(request):
        payload = model.render(request, provider)  # .method .path .headers .body, no credentials

The package does no I/O beyond reading its own mapping files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidCatalog, InvalidRequest, Issue, NotEligible, RosettaError, UnknownModel
from .values import Cost, Payload, Request, Verdict

if TYPE_CHECKING:
    from .loading import Catalog
    from .model import Model

__all__ = [
    "Catalog",
    "Cost",
    "InvalidCatalog",
    "InvalidRequest",
    "Issue",
    "Model",
    "NotEligible",
    "Payload",
    "Request",
    "RosettaError",
    "UnknownModel",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    # `Catalog` reads YAML; importing the package must not load a YAML parser.
    if name == "Catalog":
        from .loading import Catalog

        return Catalog
    if name == "Model":
        from .model import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
