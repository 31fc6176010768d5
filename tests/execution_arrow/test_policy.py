"""A policy that makes no sense is refused when it is written, not when a job is stuck."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from execution_arrow import Policy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("on_unknown", "retry"), ("on_overdue", "fail"), ("unknown_patience", -1.0), ("hedge_after", -0.1),
        ("attempt_deadline", float("nan")), ("generation_deadline", float("inf")),
        ("write_off_after", float("inf")), ("cancel_patience", -1), ("max_unknown_per_generation", -1),
        ("retries_here", 1.5), ("collect_deadline", "soon"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Policy\.{field} must be"):
        Policy(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("keep_discarded", None), ("charge_on_cancel", ()), ("empty_patience", None), ("retries_here", None)],
)
def test_a_value_of_another_kind_is_a_type_error(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"Policy\.{field} must be"):
        Policy(**{field: value})


def test_a_switch_is_not_a_number() -> None:
    for field, value in (
        ("charge_on_cancel", 1),
        ("max_unknown_per_generation", True),
        ("hedge_after", True),
    ):
        with pytest.raises(ValueError, match=field):
            Policy(**{field: value})


def test_a_policy_is_frozen_and_hashable() -> None:
    policy = Policy(hedge_after=2.5, keep_discarded=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.keep_discarded = False  # type: ignore[misc]
    assert hash(policy) == hash(Policy(hedge_after=2.5, keep_discarded=True))
