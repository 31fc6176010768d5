"""OpenTelemetry spans and metrics of an Arrow. Needs the extra `otel`.

    AsyncArrow.open(..., on_event=Telemetry())

Spans are made when their end is known, with the times that are written in the store, so nothing is held in
memory meanwhile and a restarted worker reports as well as one that never stopped. A generation and each of
its attempts is a span; they share a trace that is derived from the generation's id, whoever has driven which
part. Exporters, sampling and resources are the application's, through the SDK as usual.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from execution_arrow.errors import MissingExtra
from execution_arrow.machine.state import Outcome, Status
from execution_arrow.signals import (
    Alert,
    AttemptEnded,
    EndpointDisabled,
    GenerationEnded,
    Signal,
    WebhookTried,
    log,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_NAME = "execution_arrow"
_BAD = (Outcome.FAILED, Outcome.UNKNOWN)


class Telemetry:
    """A listener for `on_event`. Without providers it uses the application's global ones.

    What is logged by default is logged as well.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise MissingExtra("OpenTelemetry", "otel") from error
        self._trace = trace
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._generations = meter.create_counter(f"{_NAME}.generations", "{generation}")
        self._durations = meter.create_histogram(f"{_NAME}.generation.duration", "s")
        self._charged = meter.create_counter(f"{_NAME}.charged", "{credit}")
        self._attempts = meter.create_counter(f"{_NAME}.attempts", "{attempt}")
        self._attempt_durations = meter.create_histogram(f"{_NAME}.attempt.duration", "s")
        self._cost = meter.create_counter(f"{_NAME}.cost", "{credit}")
        self._alerts = meter.create_counter(f"{_NAME}.alerts", "{alert}")
        self._webhooks = meter.create_counter(f"{_NAME}.webhooks", "{try}")
        self._disabled = meter.create_counter(f"{_NAME}.webhooks.disabled", "{endpoint}")

    def __call__(self, signal: Signal) -> None:
        log(signal)
        match signal:
            case GenerationEnded():
                self._generation(signal)
            case AttemptEnded():
                self._attempt(signal)
            case Alert():
                self._alerts.add(1, {"name": signal.name})
            case WebhookTried():
                self._webhooks.add(1, {"state": signal.state, "event": signal.event})
            case EndpointDisabled():
                self._disabled.add(1, {"why": signal.why})
            case _:
                pass

    def _generation(self, signal: GenerationEnded) -> None:
        said = {"model": signal.model, "status": signal.status.value}
        self._generations.add(1, said)
        self._durations.record(signal.seconds, said)
        self._charged.add(float(signal.charged), {"model": signal.model})
        details = {
            "account": signal.account, "region": signal.region, "provider": signal.provider or "",
            "attempts": signal.attempts, "code": signal.code, "stuck": signal.stuck,
        }  # fmt: skip
        failed = signal.status is Status.FAILED or signal.stuck
        self._span("generation", signal.generation, signal.created_at, signal.at, {**said, **details}, failed)

    def _attempt(self, signal: AttemptEnded) -> None:
        said = {"model": signal.model, "provider": signal.provider, "outcome": signal.outcome.value}
        self._attempts.add(1, said)
        self._attempt_durations.record(signal.seconds, said)
        if signal.cost is not None:
            self._cost.add(float(signal.cost), {"model": signal.model, "provider": signal.provider})
        details = {"attempt": signal.attempt, "code": signal.code}
        failed = signal.outcome in _BAD
        self._span("attempt", signal.generation, signal.started_at, signal.at, {**said, **details}, failed)

    def _span(
        self,
        name: str,
        generation: str,
        began: float,
        ended: float,
        said: Mapping[str, Any],
        failed: bool,
    ) -> None:
        """A span from then to then, in the generation's own trace."""
        trace = self._trace
        digest = hashlib.blake2b(generation.encode(), digest_size=24).digest()
        root = trace.SpanContext(
            int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:], "big"), is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )  # fmt: skip
        span = self._tracer.start_span(
            f"{_NAME} {name}",
            context=trace.set_span_in_context(trace.NonRecordingSpan(root)),
            start_time=_nanoseconds(began),
            attributes={f"{_NAME}.{key}": value for key, value in {"generation": generation, **said}.items()},
        )
        if failed:
            span.set_status(trace.StatusCode.ERROR, str(said["code"]))
        span.end(_nanoseconds(max(began, ended)))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
