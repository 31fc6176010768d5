"""`webhook.v1`: the body of a webhook, for those who receive it.

What is not known is left out, and nothing is null but what a sender of its own says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AwareDatetime, ConfigDict, Field
from typing_extensions import TypedDict  # what pydantic needs before Python 3.12, and brings along

# Types of a team's own; those of generations have their own content.
_OWN = r"^(?!generation\.(started|completed|failed|canceled)$)[ -~]{1,100}$"

_CLOSED = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, regex_engine="python-re")
_DeliveryId = Annotated[
    str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
]


class GenerationDataV1(TypedDict):
    """What is told of a generation."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    account_id: str
    model_identifier: str
    generation_id: str
    generation_status: Literal["processing", "succeeded", "failed", "canceled"]
    generation_provider_initialize: NotRequired[str]
    """Who was to be asked first."""
    generation_provider_used: NotRequired[str]
    """Whose result it is."""
    generation_prediction_id: NotRequired[str]
    """That provider's own id of the job."""
    generation_output_file: NotRequired[list[str]]
    """Addresses that are good for a while, or the files' keys where they have no address."""
    generation_error: NotRequired[str]
    generation_error_code: NotRequired[Annotated[str, Field(pattern="^BSE[0-9]{4}$")]]
    credits_refunded: NotRequired[bool]
    """The held credits are back; absent where the ledger has not answered yet."""
    credits_settled: NotRequired[bool]
    """False: the event could not wait for the ledger any longer."""


class GenerationWebhookV1(TypedDict):
    """Something happened to a generation."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    webhook_event: Literal[
        "generation.started", "generation.completed", "generation.failed", "generation.canceled"
    ]
    webhook_timestamp: AwareDatetime
    """When it happened; of a replay, when that was sent."""
    webhook_delivery_id: _DeliveryId
    """The same at each try, another one for a replay."""
    webhook_data: GenerationDataV1


class OwnWebhookV1(TypedDict):
    """An event that was published: `webhook.test`, `credits.low_balance`, or a type of the sender's own."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    webhook_event: Annotated[str, Field(pattern=_OWN)]
    webhook_timestamp: AwareDatetime
    webhook_delivery_id: _DeliveryId
    webhook_data: dict[str, Any]


WebhookV1 = GenerationWebhookV1 | OwnWebhookV1
